"""Files in a data set's layout: what we wrote is replaced, what a person put there is kept, or moved to ``set-aside``.

What is ours is known by its sha256, which is noted in the store before the file takes its place. Media have notes of their own, in
the steps that make them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clipquarry.files import disk_errors, inside, link_or_copy, publish, sha256_of, temporary_beside
from clipquarry.settings import DataRoot
from clipquarry.store import Store, content_key

KIND = "written"
"""The store's kind of notes about files that we wrote into a layout; the files are not in the store."""


@dataclass
class Placing:
    """A file on its way into a layout."""

    path: Path
    """Where it is to be written first."""
    aside: Path | None = None
    """Where went what lay in its place and was not ours."""

    @property
    def told(self) -> str:
        """A sentence for the log; empty when nothing was moved."""
        return f"what lay there was not ours and was moved to {self.aside}" if self.aside else ""


@contextmanager
def placing(data: DataRoot, target: Path) -> Iterator[Placing]:
    """A name to write to; when the block ends well, the file takes the place of ``target`` (below ``data``), whole.

    A file of the same bytes is left as it is, whoever wrote it. One that is not as we left it, a folder or a link is set aside.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new = Placing(temporary_beside(target))
    try:
        yield new
        with disk_errors(target):
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


def _keep_aside(data: DataRoot, target: Path) -> Path:
    """As :func:`set_aside`, but a file stays in its place until the new one takes it: a kill between loses nothing."""
    if target.is_symlink() or not target.is_file():
        return set_aside(data, target)
    aside = _aside(data, target, target)
    link_or_copy(target, aside)
    return aside


def set_aside(data: DataRoot, target: Path) -> Path:
    """Move a file or folder that is not ours out of a data set's layout, to ``{private}/set-aside``; where it went."""
    aside = _aside(data, target)
    shutil.move(target, aside)
    return aside


def _aside(data: DataRoot, target: Path, same: Path | None = None) -> Path:
    """A name that is free, or is ``same`` already."""
    aside = inside(data.private, "set-aside", *target.relative_to(data.root).parts)
    aside.parent.mkdir(parents=True, exist_ok=True)
    while os.path.lexists(aside) and not (same is not None and aside.is_file() and aside.samefile(same)):
        aside = aside.with_name(f"{aside.stem}+{aside.suffix}")
    return aside


def _digest(path: Path) -> str | None:
    with suppress(OSError):  # none, a folder, a link that leads nowhere
        return sha256_of(path)
    return None


def _key(data: DataRoot, target: Path) -> str:
    return content_key(kind=KIND, path=target.relative_to(data.root).as_posix())


def _noted(data: DataRoot, target: Path) -> list[str]:
    facts = Store(data.store).noted(KIND, target.name, _key(data, target)) or {}
    known = facts.get("sha256")
    return [str(digest) for digest in known] if isinstance(known, list) else []


def _note(data: DataRoot, target: Path, digest: str) -> None:
    """Remember this digest and the one before: a kill before the rename leaves the file before it in place."""
    before = [known for known in _noted(data, target) if known != digest]
    facts = {"path": target.relative_to(data.root).as_posix(), "sha256": [*before[-1:], digest]}
    Store(data.store).note(KIND, target.name, _key(data, target), facts)
