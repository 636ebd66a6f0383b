"""Writing of files into a data set's layout: our own files are replaced; a person's are kept, or moved to
``set-aside``.

A file is ours if its sha256 is noted in the store; that happens before the file takes its place. The steps that make
media keep their own notes.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clipquarry.file_lock import FileLock
from clipquarry.files import (
    disk_errors,
    inside,
    link_or_copy,
    place_new,
    publish,
    sha256_of,
    sync_folder,
    temporary_beside,
)
from clipquarry.settings import DataRoot
from clipquarry.store import Store, content_key

KIND = "written"
"""The store's kind of notes about files that we wrote into a layout; the files themselves are not in the store."""


@dataclass
class Placing:
    """A file on its way into a layout."""

    path: Path
    """The path to write to first."""
    aside: Path | None = None
    """Where a file of somebody else that was in its place was moved."""

    @property
    def told(self) -> str:
        """A sentence for the log; empty if nothing was moved."""
        return f"what lay there was not ours and was moved to {self.aside}" if self.aside else ""


@contextmanager
def placing(data: DataRoot, target: Path) -> Iterator[Placing]:
    """A path to write to. When the block ends without an error, the file takes the place of ``target`` (below
    ``data``), whole.

    A file with the same bytes stays as it is, whoever wrote it. A file that we did not write, a folder or a link is
    set aside.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new = Placing(temporary_beside(target))
    try:
        yield new
        with disk_errors(target), _alone(data, target):
            digest, there = sha256_of(new.path), _digest(target)
            if there == digest:
                _note(data, target, digest)
                return
            if os.path.lexists(target) and (target.is_symlink() or there not in _noted(data, target)):
                new.aside = _keep_aside(data, target)
            _note(data, target, digest)
            publish(new.path, target)
    finally:
        new.path.unlink(missing_ok=True)


@contextmanager
def _alone(data: DataRoot, target: Path) -> Iterator[None]:
    """One writer at a time: of two that note what they write, one note would be lost, and its file be taken for a person's."""
    lock = FileLock.take(Store(data.store).path(KIND, target.name, _key(data, target), ".lock"), holder="")
    try:
        yield
    finally:
        lock.release(remove=True)


def remove_ours(data: DataRoot, target: Path) -> bool:
    """Remove a file that :func:`placing` wrote and nobody has changed since; whether it was removed."""
    if target.is_symlink() or _digest(target) not in _noted(data, target):
        return False
    target.unlink(missing_ok=True)
    return True


def place_link(data: DataRoot, link: Path, target: Path) -> str:
    """Make ``link`` a relative link to ``target``, for names on which documents and configs disagree; returns a sentence if
    something else lay there and was moved away.
    """
    wanted, aside = os.path.relpath(target, link.parent), None
    link.parent.mkdir(parents=True, exist_ok=True)
    while (there := link_of(link)) != wanted:
        if there == "":
            with suppress(
                FileExistsError
            ):  # another run may make the same link at this moment, or move the same file away
                link.symlink_to(wanted)
        else:
            with suppress(FileNotFoundError, FileExistsError):
                aside = set_aside(data, link)
    sync_folder(link.parent)
    return f"what lay at {link.name} was not our link and was moved to {aside}" if aside else ""


def drop_link(link: Path, targets: Iterable[Path]) -> None:
    """Remove a link that :func:`place_link` made to one of the ``targets``, where a file of this name is written now."""
    if link_of(link) in {os.path.relpath(one, link.parent) for one in targets}:
        link.unlink(missing_ok=True)


def link_of(path: Path) -> str | None:
    """Where a link leads, in its own words, by one look; "" where nothing lies, None for what is no link."""
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return None


def _keep_aside(data: DataRoot, target: Path) -> Path:
    """As :func:`set_aside`, but a file stays in its place until the new one takes it, so that a kill loses nothing."""
    if target.is_symlink() or not target.is_file():
        return set_aside(data, target)
    while True:
        aside = _aside(data, target, target)
        held = temporary_beside(aside)
        try:
            link_or_copy(target, held)
            place_new(held, aside)  # never over what lies there: its person may just have written the target anew
            return aside
        except FileExistsError:
            if aside.samefile(held):
                return aside
        finally:
            held.unlink(missing_ok=True)


def set_aside(data: DataRoot, target: Path) -> Path:
    """Move a file or folder of somebody else out of a data set's layout, to ``{private}/set-aside``; returns its new
    path.
    """
    aside = _aside(data, target)
    shutil.move(target, aside)
    return aside


def _aside(data: DataRoot, target: Path, same: Path | None = None) -> Path:
    """A free name, or one that holds ``same`` already."""
    aside = inside(data.set_aside, *target.relative_to(data.root).parts)
    aside.parent.mkdir(parents=True, exist_ok=True)
    while os.path.lexists(aside) and not (same is not None and aside.is_file() and aside.samefile(same)):
        aside = aside.with_name(f"{aside.stem}+{aside.suffix}")
    return aside


def _digest(path: Path) -> str | None:
    with suppress(OSError):  # none, a folder, a broken link
        return sha256_of(path)
    return None


def _key(data: DataRoot, target: Path) -> str:
    return content_key(kind=KIND, path=target.relative_to(data.root).as_posix())


def _noted(data: DataRoot, target: Path) -> list[str]:
    facts = Store(data.store).noted(KIND, target.name, _key(data, target)) or {}
    known = facts.get("sha256")
    return [str(digest) for digest in known] if isinstance(known, list) else []


def _note(data: DataRoot, target: Path, digest: str) -> None:
    """Note this digest and the one before: a kill before the rename leaves the file before it in place."""
    before = [known for known in _noted(data, target) if known != digest]
    facts = {"path": target.relative_to(data.root).as_posix(), "sha256": [*before[-1:], digest]}
    Store(data.store).note(KIND, target.name, _key(data, target), facts)
