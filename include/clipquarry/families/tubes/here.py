"""The published tree: in the data set's folder, unpacked from its archive, or in a copy that somebody has elsewhere."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path, PurePosixPath
from threading import Event

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.obtain import obtain
from clipquarry.errors import ClipquarryError, RetryLater, UserError
from clipquarry.files import disk_errors, publish_new, temporary_beside
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.sources import archive_wanted, enabled_sources, folders_of
from clipquarry.reasons import Trait

log = logging.getLogger(__name__)

KEPT = "kept"
"""The source of a file that was there already."""
_LOOKED_INTO = 200
"""Folders in a person's folder in which the tree may lie."""


def truth_path(ctx: RunContext) -> Path:
    """The place of the ground truth, which every split names."""
    return ctx.data.dataset(ctx.spec.root, next(iter(ctx.spec.splits.values())))


def copy_of_tree(ctx: RunContext) -> Path | None:
    """The folder outside of the layout that holds a copy of the tree: one of the run's local folders, a folder in one of them, or a
    folder in the data set's own, where an archive with another top folder was unpacked. None: there is none.
    """
    name = PurePosixPath(next(iter(ctx.spec.splits.values()))).name
    own = ctx.data.dataset(ctx.spec.root)
    for folder in (*map(Path, folders_of(ctx)), own):
        if folder != own and (folder / name).is_file():
            return folder
        try:
            inner = sorted(one for one in folder.iterdir() if not one.name.startswith("."))[:_LOOKED_INTO]
            if found := [one for one in inner if (one / name).is_file()]:
                return found[0]
        except OSError:
            continue
    return None


def get_truth(ctx: RunContext) -> str:
    """Put the ground truth in its place; returns its source. What lies there is never changed. Raises UserError (RetryLater after a
    temporary failure) with what to place where.
    """
    place, told = truth_path(ctx), list[str]()
    if place.is_file():
        return KEPT
    if (copy := copy_of_tree(ctx)) is not None:
        beside = temporary_beside(place)
        try:
            with disk_errors(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(copy / place.name, beside)  # a link would change with their file
                publish_new(beside, place)
        except FileExistsError:  # a person placed it meanwhile
            return KEPT
        finally:
            beside.unlink(missing_ok=True)
        return str(copy)
    soon = False
    for source in enabled_sources(ctx):
        if source.archive is None:
            continue
        try:
            log.info(f"{source.id}: {obtain(archive_wanted(ctx, source), ctx.data, Event())}")
        except FetchFailed as error:
            told.append(f"{source.id}: {error.evidence}{f' ({source.howto})' if source.howto else ''}")
            soon = soon or Trait.SOON in error.reason.traits
            continue
        return source.id if place.is_file() else get_from_top(ctx, source.id)
    raise _nowhere(ctx, "; ".join(told) or "the run has no source for it", soon)


def get_from_top(ctx: RunContext, source: str) -> str:
    """The ground truth of an archive that was just unpacked, and whose tree lies in a top folder of another name."""
    if copy_of_tree(ctx) is None:
        raise _nowhere(ctx, f"{source}: the archive holds no {truth_path(ctx).name}", soon=False)
    get_truth(ctx)
    return source


def _nowhere(ctx: RunContext, why: str, soon: bool) -> ClipquarryError:
    place = truth_path(ctx)
    kind: type[ClipquarryError] = RetryLater if soon else UserError
    missing = kind(
        f"The {place.name} of {ctx.spec.name} cannot be had ({why}): place the archive in {place.parent}, or unpack it there."
    )
    missing.places = (place.parent, *map(Path, folders_of(ctx)))
    return missing
