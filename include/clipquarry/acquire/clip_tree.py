"""Clips in a folder and its folders, by their videos: for windows that lie in a clip whose class folder nobody knows."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clipquarry.ids import VIDEO_SUFFIXES

_DEEP = 3
"""Levels of folders below the first: split, class, clip."""
_CLIP = re.compile(rb".+_(\d{6,9})_(\d{6,9})(\.[A-Za-z0-9]{2,5})", re.ASCII)
_LONGEST = 64
"""Bytes of a name: each takes as much memory as the longest, and those of YouTube have 30."""
_SUFFIXES = frozenset(suffix.encode() for suffix in VIDEO_SUFFIXES)
_AGE = 60.0
"""Seconds after which a folder is looked through again, if it is no snapshot."""
_TIMES = 20
"""The same, in times of what a look takes."""


class Holding(NamedTuple):
    """A file that by its name holds ``start`` to ``end``, whole seconds of the original video."""

    start: int
    end: int
    path: Path

    @property
    def preference(self) -> tuple[int, int, bytes]:
        """Sort key: the longest clip first, then the one that begins first, then by path. It is equal on all machines."""
        return self.start - self.end, self.start, os.fsencode(self.path)


class ClipTree:
    """The clips ``{id}_{start:06d}_{end:06d}.*`` below a folder, whatever its folders are called; some 70 bytes each.

    The folder is looked through at the first question, and again when a minute has passed (``snapshot``: never). It may be
    absent: then it holds none. Links to folders are followed. Safe for threads.
    """

    def __init__(self, root: Path, *, snapshot: bool = False) -> None:
        self._root, self._snapshot = root, snapshot
        self._lock = threading.Lock()
        self._read, self._took = -float("inf"), 0.0
        self._folders: list[str] = []
        self._names: npt.NDArray[np.bytes_] = np.array([b""])
        self._in: npt.NDArray[np.int32] = np.zeros(1, np.int32)

    def holding(self, video_id: str, start: float, end: float) -> Iterator[Holding]:
        """The clips of a video that hold a window (seconds of the original video), in the order of their names."""
        prefix = os.fsencode(f"{video_id}_")
        names, at, folders = self._current()
        for place in range(int(np.searchsorted(names, prefix)), len(names)):
            name = bytes(names[place])
            if not name.startswith(prefix):
                return
            match = _CLIP.fullmatch(name)
            # The id may hold '_' itself: what follows it is two times and nothing else.
            if match is None or match.start(1) != len(prefix):
                continue
            begins, ends = int(match[1]), int(match[2])
            if begins <= start and end <= ends:
                yield Holding(begins, ends, Path(folders[int(at[place])], os.fsdecode(name)))

    def _current(self) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.int32], list[str]]:
        with self._lock:
            now = time.monotonic()
            # Where looking takes minutes, as on a network disk, that must not be most of the work.
            is_old = now - self._read > max(_AGE, _TIMES * self._took)
            if self._read == -float("inf") or (not self._snapshot and is_old):
                self._look_through()
                self._read = time.monotonic()
                self._took = self._read - now
            return self._names, self._in, self._folders

    def _look_through(self) -> None:
        folders: list[str] = []
        names: list[bytes] = []
        at: list[int] = []
        for folder, found in _below(os.fspath(self._root), _DEEP):
            folders.append(folder)
            names += found
            at += [len(folders) - 1] * len(found)
        every = np.array(names or [b""])
        order = np.argsort(every, kind="stable")
        self._names, self._in, self._folders = every[order], np.array(at or [0], np.int32)[order], folders


def _below(folder: str, levels: int) -> Iterator[tuple[str, list[bytes]]]:
    """Each folder with the names of its clips, sorted; one that cannot be read has none."""
    try:
        with os.scandir(folder) as entries:
            found, inner = list[bytes](), list[str]()
            for entry in entries:
                name = os.fsencode(entry.name)
                match = _CLIP.fullmatch(name) if len(name) <= _LONGEST else None
                if match is not None and match[3].lower() in _SUFFIXES:
                    found.append(name)
                elif levels > 0 and not entry.name.startswith(".") and entry.is_dir():
                    inner.append(entry.path)
    except OSError:
        return
    yield folder, sorted(found)
    for path in sorted(inner):
        yield from _below(path, levels - 1)
