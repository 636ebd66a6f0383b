"""Items that are folders of files: their files, their notes, and the names of the parts of a long video."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.settings import DataRoot
from clipquarry.store import Facts, Store, content_key

KIND = "folder_items"
"""The store's kind of notes about folders that are items; the folders are not in the store."""
PARTS_TOLERANCE = 0.5
"""Seconds by which the parts of a long video together may be shorter or longer than it."""
_PART = re.compile(r"part_(0|[1-9][0-9]{0,5})\.mp4")


def part_name(number: int) -> str:
    """The name of a part of a long video; numbers begin with 0."""
    return f"part_{number}.mp4"


def part_number(name: str) -> int | None:
    """The number of a part, None for any other name."""
    found = _PART.fullmatch(name)
    return int(found[1]) if found else None


def count_parts(folder: Path) -> int:
    """How many parts a folder holds; 0 where one before the last is absent, or another file lies there. Raises OSError."""
    numbers = [part_number(path.name) for path in files_in(folder)]
    return len(numbers) if set(numbers) == set(range(len(numbers))) else 0


def files_in(folder: Path) -> list[Path]:
    """The files of a folder in the order of their names, without what nobody has finished. Raises OSError."""
    with os.scandir(folder) as entries:
        return sorted(Path(one.path) for one in entries if not one.name.startswith(TEMPORARY_PREFIX) and one.is_file())


def signature(files: Iterable[Path]) -> list[int]:
    """What changes when a file is added, removed or written again: number, bytes and times (ns), summed. Raises OSError."""
    found = [path.stat() for path in files]
    return [len(found), sum(one.st_size for one in found), sum(one.st_mtime_ns for one in found)]


class FolderNotes:
    """The note of one folder."""

    def __init__(self, data: DataRoot, folder: Path) -> None:
        self._store, self._folder = Store(data.store), folder
        self._key = content_key(kind=KIND, version=1, path=folder.relative_to(data.root).as_posix())

    def intact(self) -> Facts | None:
        """The note while the folder has the noted files, unchanged, else None."""
        facts = self._store.noted(KIND, self._folder.name, self._key)
        with suppress(OSError):
            if facts is not None and signature(files_in(self._folder)) == facts.get("signature"):
                return dict(facts)
        return None

    def note(self, facts: Facts, files: Sequence[Path]) -> Facts:
        """Note the facts of these files, which are at their place or about to be."""
        whole = {**facts, "signature": signature(files)}
        self._store.note(KIND, self._folder.name, self._key, whole)
        return whole


def unusable_names(data: DataRoot, folder: Path) -> dict[str, tuple[str, str]]:
    """The noted files of a folder that cannot be used, with reason and evidence. A folder without a note has none."""
    facts: dict[str, Any] = FolderNotes(data, folder).intact() or {}
    return {str(name): (str(reason), str(evidence)) for name, reason, evidence in facts.get("unusable", [])}
