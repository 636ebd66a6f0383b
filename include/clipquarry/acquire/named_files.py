"""Source of a person's own files: a folder, and a table that says which file belongs to which item. Only read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any

from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.errors import UserError
from clipquarry.files import disk_errors, inside, link_or_copy, sha256_of, temporary_beside
from clipquarry.manifest import read_tuples
from clipquarry.reasons import Reason


def known_folder(id_: str, folder: Path) -> Path:
    """The folder of a source. Raises UserError where it is not there."""
    if not folder.is_dir():
        raise UserError(f"Source '{id_}' names the folder {folder}, which is not there: mount it, or correct its path.")
    return folder


def read_named(table: Path) -> dict[tuple[str, str], str]:
    """Class folder and clip to the path below a person's folder, from a manifest with ``class_dir``, ``clip_id`` and ``file``."""
    return {(folder, clip): file for folder, clip, file in read_tuples(table, ("class_dir", "clip_id", "file"))}


class NamedFiles:
    """``table`` is a manifest with ``class_dir``, ``clip_id`` and ``file``, a path below ``folder``."""

    def __init__(self, id_: str, folder: str, table: Path) -> None:
        self._id, self._folder, self._table = id_, known_folder(id_, Path(folder)), table

    @property
    def id(self) -> str:
        return self._id

    @cached_property
    def _files(self) -> dict[tuple[str, str], str]:
        return read_named(self._table)

    def _path(self, want: ClipRequest) -> Path | None:
        file = self._files.get((want.class_dir, want.clip_id))
        return None if file is None else inside(self._folder, file)

    def may_have(self, want: ClipRequest) -> bool:
        """Whether the file is there. Its content is not checked."""
        path = self._path(want)
        return path is not None and path.is_file()

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """See :class:`clipquarry.acquire.answer.Source`."""
        begun, path = time.monotonic(), self._path(want)
        if path is None or not path.is_file():
            raise FetchFailed(Reason.NOT_FOUND, f"{path or want.clip_id} is not there")
        real = path.resolve()
        if (size := real.stat().st_size) == 0:
            raise FetchFailed(Reason.NOT_A_VIDEO, f"{path} is empty (0 bytes)")
        origin = _identity(real)
        target = temporary_beside(scratch / f"own{path.suffix.lower()}")
        with disk_errors(target):
            link_or_copy(real, target)
        told = f"{path.relative_to(self._folder)} in the folder of source '{self._id}'"
        return Fetched(target, "clip", 0.0, size, time.monotonic() - begun, told, origin)

    def origin_of(self, want: ClipRequest, place: Path) -> str:
        """What is noted of the person's file if ``place`` is a link to it, else nothing."""
        path = self._path(want)
        return _identity(path.resolve()) if path is not None and path.is_file() and path.samefile(place) else ""

    def has_changed(self, want: ClipRequest, facts: Mapping[str, Any]) -> bool:
        """Whether the person's file is another than the one that was taken, of which these are the noted facts."""
        path, before = self._path(want), facts.get("origin")
        if not before or path is None or not path.is_file() or _identity(real := path.resolve()) == before:
            return False
        return sha256_of(real) != facts.get("sha256")


def _identity(path: Path) -> str:
    found = path.stat()
    return f"{path} {found.st_size} {found.st_mtime_ns}"
