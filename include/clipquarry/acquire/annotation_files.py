"""Download of a data set's annotation files. A file that is there is kept; one sentence says what to place where when no source has it.

:mod:`clipquarry.acquire.annotation_source` says which source holds which file. One process at a time downloads the
annotation files of a data set's folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from clipquarry.acquire.annotation_source import AnnotationSource, FileWanted
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Downloader, limits_of
from clipquarry.acquire.guard import reasons
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import MachineError, RetryLater, UserError
from clipquarry.files import disk_errors, found_at, publish_new, sha256_of, temporary_beside
from clipquarry.reasons import Reason, Trait
from clipquarry.settings import DataRoot

KEPT = "kept"
"""The ``source`` of a file that was there already."""
_NAMED = 5
"""Missing files that an error names besides the first."""


@dataclass(frozen=True)
class AnnotationFile:
    """An annotation file that is in place. ``label``: see :attr:`FileWanted.label`. ``source``: :data:`KEPT`, else the source's id."""

    label: str
    path: Path
    source: str
    sha256: str
    bytes: int


def files_of_splits(
    spec: DatasetSpec, splits: Iterable[str] | None = None, *, separator: str = ","
) -> list[FileWanted]:
    """The annotation file of each split; by default of all. Raises UserError for a split that the data set does not have."""
    found = []
    for split in spec.splits if splits is None else splits:
        if split not in spec.splits:
            raise UserError(f"The data set {spec.name} has no split '{split}'; it has {', '.join(spec.splits)}.")
        found.append(FileWanted(spec.splits[split], split, separator=separator))
    return found


def download_annotations(
    spec: DatasetSpec,
    data: DataRoot,
    wanted: Sequence[FileWanted],
    *,
    version: str | None = None,
    environ: Mapping[str, str] = os.environ,
    downloader: Downloader | None = None,
    cancelled: Event | None = None,
) -> list[AnnotationFile]:
    """The ``wanted`` files in place, in their order. Optional files that no source has are left out.

    A file that is there is kept. Otherwise the spec's annotation sources are tried in order. A file appears whole or not
    at all, and a later call resumes downloads of at least 1 MiB. ``version``: by default the spec's default variant.
    Raises UserError (RetryLater after a temporary failure) once all other files are in place; its sentence says which file
    to place where. UserError too for a file that is there and whose content does not fit its name.
    """
    cancelled = cancelled or Event()
    files: dict[Path, FileWanted] = {}
    for one in sorted(wanted, key=lambda each: each.optional):  # several splits may share a file
        files.setdefault(data.dataset(spec.root, one.path), one)
    found = {place: kept for place, one in files.items() if (kept := _kept(one, place)) is not None}
    left = {place: one for place, one in files.items() if place not in found}
    if left:
        lock = SourceCache(data.scratch, 0).video(
            f"annotations-{spec.root}", cancelled, what=f"the annotation files of {spec.root}"
        )
        with lock as work:
            sources = [
                AnnotationSource(source, version or spec.default_variant or "", list(left.values()), work,
                                 downloader or Downloader(limits_of(source)), cancelled, environ,
                                 (data.dataset(spec.root),), data.root)
                for source in spec.annotation_sources
            ]  # fmt: skip
            try:
                found |= _download(spec, left, sources, cancelled)
            except (UserError, RetryLater) as error:
                if error.places:
                    error.places = (*error.places, data.dataset(spec.root))
                raise
    placed = ((one, found.get(data.dataset(spec.root, one.path))) for one in dict.fromkeys(wanted))
    return [replace(file, label=one.label) for one, file in placed if file is not None]


def _download(
    spec: DatasetSpec, left: Mapping[Path, FileWanted], sources: Sequence[AnnotationSource], cancelled: Event
) -> dict[Path, AnnotationFile]:
    """The files in place. Raises UserError or RetryLater when a needed one is missing, after all others."""
    places = {one: place for place, one in left.items()}
    found: dict[Path, AnnotationFile] = {}
    answers: dict[FileWanted, list[tuple[str, FetchFailed]]] = {}
    for place, one in left.items():
        if place in found:
            continue
        if (kept := _kept(one, place)) is not None:  # it arrived while we waited for the lock
            found[place] = kept
            continue
        answers[one] = []
        for each, file, source in _ask(one, sources, answers[one]):
            found[places[each]] = _place(each, file, places[each], source)
        if place not in found and cancelled.is_set():
            raise RetryLater("The step was told to stop while it downloaded annotation files: run it again to go on.")
    if missing := [(place, one) for place, one in left.items() if place not in found and not one.optional]:
        raise _missing_error(spec, sources, [(place, one, answers[one]) for place, one in missing])
    return found


def _kept(one: FileWanted, place: Path) -> AnnotationFile | None:
    """The file at its place; None where there is none. UserError for anything else: a person's own entry is never replaced."""
    try:
        if not (found := found_at(place)):
            return None
        if found != "file":
            what = "a broken link" if found == "broken link" else "not a file"
            raise UserError(
                f"{place} is {what}: mount the disk that it leads to, or move it away, then run this again."
            )
        if problem := one.problem(place):
            raise UserError(f"{place} is {problem}; delete it, or put the right one in its place.")
        return AnnotationFile(one.label, place, KEPT, sha256_of(place), place.stat().st_size)
    except PermissionError as error:
        raise UserError(
            f"{place} cannot be read ({error.strerror}): let this user read it, then run this again."
        ) from error


def _ask(
    one: FileWanted, sources: Sequence[AnnotationSource], answers: list[tuple[str, FetchFailed]]
) -> list[tuple[FileWanted, Path, str]]:
    """The file in scratch and its source's id, after the optional files of its archive. Where no source has it: empty, and
    ``answers`` holds the failures. Raises MachineError where an archive may hold it that this machine cannot read.
    """
    unfit: MachineError | None = None
    for source in sources:
        try:
            with reasons(Reason.TOOL_FAILED):
                file = source.get(one)
                if file is None:
                    continue
                if problem := one.problem(file):
                    raise FetchFailed(Reason.CORRUPT, f"the downloaded file is {problem}")
        except FetchFailed as error:
            answers.append((source.source.id, error))
            continue
        except MachineError as error:  # without libarchive: another source may have the file itself
            unfit = unfit or error
            continue
        # The needed file is placed last: if it were in place before a kill, the next run would not download the archive
        # again for the optional files.
        return [(each, path, source.source.id) for each, path in [*source.optional_files(), (one, file)]]
    if unfit is not None:
        raise unfit
    return []


def _place(one: FileWanted, file: Path, place: Path, source: str) -> AnnotationFile:
    """Move a finished file to its place, whole or not at all. A file that a person put there meanwhile is kept."""
    beside = temporary_beside(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{place.parent} is not a folder: move what is there away, then run this again.") from error
    try:
        with disk_errors(place):
            shutil.move(file, beside)  # the two may be on different file systems
            publish_new(beside, place)
    except FileExistsError:
        if (kept := _kept(one, place)) is not None:
            return kept
        raise
    finally:
        beside.unlink(missing_ok=True)
    return AnnotationFile(one.label, place, source, sha256_of(place), place.stat().st_size)


def _missing_error(
    spec: DatasetSpec,
    sources: Sequence[AnnotationSource],
    missing: Sequence[tuple[Path, FileWanted, list[tuple[str, FetchFailed]]]],
) -> UserError | RetryLater:
    place, first, answers = missing[0]
    why = "; ".join(f"{name}: {error}" for name, error in answers)
    if not why:
        why = "the data set's YAML names no source for it"
        if ids := ", ".join(source.id for source in spec.annotation_sources):
            why += f": by 'into', 'files' and 'variants' other files come from {ids}"
    what = f"of {spec.name}, split '{first.split}'," if first.split else f"{first.name} of {spec.name}"
    sentence = f"The annotation file {what} could not be downloaded ({why}). Place it by hand as {place}"
    others = [one.path for _, one, _ in missing[1:]]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        sentence += f" (and {', '.join(others[:_NAMED])}{more} likewise)"
    if archives := list(dict.fromkeys(name for source in sources for name in source.archive_names(first))):
        sentence += f", or {' or '.join(archives[:_NAMED])} in the folder {spec.root}"
    soon = any(Trait.SOON in error.reason.traits for _, _, all_answers in missing for _, error in all_answers)
    error = (RetryLater if soon else UserError)(f"{sentence}, then run this again.")
    error.places = tuple(dict.fromkeys(place.parent for place, *_ in missing))
    return error
