"""Cache of folder listings: each folder is read once, however many of its files are looked up."""

from __future__ import annotations

import errno
import os
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_FOLDERS = 4096
"""Folders whose names are cached: more than the classes of Kinetics-700 in its three splits."""
_SHORT = 48
"""Bytes of an ordinary name. Longer names are kept apart: in one array each name takes as much memory as the longest."""
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class _Names:
    """The names in one folder, sorted: some ten bytes each, because a folder without classes holds 650,000."""

    def __init__(self, path: Path, *, entries: bool) -> None:
        self._stamp = path.stat().st_mtime_ns
        with os.scandir(path) as found:
            names = [os.fsencode(entry.name) for entry in found]
        if entries:
            names = list({name.rsplit(b".", 2)[0] for name in names})
        self._short = np.sort(np.array([name for name in names if len(name) <= _SHORT] or [b""]))
        self._long = sorted(name for name in names if len(name) > _SHORT)

    def is_current(self, path: Path) -> bool:
        return path.stat().st_mtime_ns == self._stamp

    def beginning_with(self, start: bytes) -> Iterator[str]:
        for name in self._short[int(np.searchsorted(self._short, start)) :]:
            if not bytes(name).startswith(start):
                break
            yield os.fsdecode(bytes(name))
        for long in self._long[bisect_left(self._long, start) :]:
            if not long.startswith(start):
                return
            yield os.fsdecode(long)


class Listing:
    """Cached names of the folders that were looked up. Safe for threads.

    ``snapshot``: a folder is never read again, for one pass over everything. Otherwise it is read again when an entry was
    added or removed. ``entries``: for folders of :mod:`clipquarry.store`: the names of the entries, without key and suffix.
    """

    def __init__(self, *, snapshot: bool = False, entries: bool = False) -> None:
        self._snapshot, self._entries = snapshot, entries
        self._known: OrderedDict[str, _Names | None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def is_snapshot(self) -> bool:
        """Whether a folder is never read again."""
        return self._snapshot

    def names(self, folder: str, prefix: str) -> list[str]:
        """Names in ``folder`` that begin with ``prefix``, sorted; none where the folder does not exist.

        Raises OSError where the folder cannot be read.
        """
        known = self._folder(folder)
        return [] if known is None else list(known.beginning_with(os.fsencode(prefix)))

    def never_has(self, folder: str) -> bool:
        """True when no lookup in the folder can succeed: in a snapshot, a folder that does not exist."""
        return self._snapshot and self._folder(folder) is None

    def _folder(self, folder: str) -> _Names | None:
        with self._lock:
            known = self._known.get(folder)
            if folder in self._known and (self._snapshot or (known is not None and _holds(known, folder))):
                self._known.move_to_end(folder)
            else:
                known = self._known[folder] = _read(folder, entries=self._entries)
                while len(self._known) > _FOLDERS:
                    self._known.popitem(last=False)
        return known


def _read(folder: str, *, entries: bool) -> _Names | None:
    try:
        return _Names(Path(folder), entries=entries)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def _holds(names: _Names, folder: str) -> bool:
    try:
        return names.is_current(Path(folder))
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise
