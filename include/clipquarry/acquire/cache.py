"""Source videos that are fetched once, whoever needs them: one lock per video, and a bounded cache of what was fetched.

::

    {scratch}/locks/{id}.lock         held while anybody works on the video, in any task of any data set
    {scratch}/work/{id}/              unfinished bits of that video; emptied when its lock is released, but for
                                      ``*.part*``: downloads that the next one who works on the video can resume
    {scratch}/sources/{id}@{n}.mp4    a whole video or a section of one, and {…}.json: its offset, seconds, source
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from clipquarry.errors import ClipquarryError, RetryLater
from clipquarry.files import disk_errors, inside, publish, read_json, write_json

_POLL_SECONDS = 0.2
_LEFTOVER_SECONDS = 24 * 3600.0
_PART_SECONDS = 14 * 24 * 3600.0
"""An unfinished download of some size is worth more than other leftovers: who is away for a week resumes it."""
_PART = ".part"


@dataclass(frozen=True)
class CachedVideo:
    """A source video, or a section of one, that covers ``offset`` to ``offset + seconds`` of the original."""

    path: Path
    offset: float
    seconds: float
    source: str
    """Id of the source that gave it."""


class SourceCache:
    """Below ``scratch`` (``DataRoot.scratch``). ``max_bytes`` 0 keeps nothing. Safe for threads and processes."""

    def __init__(self, scratch: Path, max_bytes: int) -> None:
        self._scratch, self._max_bytes = scratch, max_bytes
        self._sources = scratch / "sources"

    def _lock_path(self, video_id: str) -> Path:
        return inside(self._scratch, "locks", f"{video_id}.lock")

    @contextmanager
    def video(self, video_id: str, cancelled: Event) -> Iterator[Path]:
        """Hold the video's lock; gives its work folder. Waits while another holds it; RetryLater when cancelled."""
        lock = self._lock_path(video_id)
        lock.parent.mkdir(parents=True, exist_ok=True)
        work = inside(self._scratch, "work", video_id)
        fd = _take(lock)
        while fd is None:
            if cancelled.wait(_POLL_SECONDS):
                raise RetryLater("The step was told to stop while another task fetched the same video: run it again.")
            fd = _take(lock)
        try:
            with disk_errors(work):
                work.mkdir(parents=True, exist_ok=True)
            yield work
        finally:
            _empty(work)
            lock.unlink(missing_ok=True)  # while it is held: who waits on the old file notices and takes the new one
            os.close(fd)

    def has_work(self, video_id: str) -> bool:
        """Whether somebody works on the video, or died at it."""
        return inside(self._scratch, "work", video_id).exists()

    def get(self, video_id: str, start: float, end: float, *, slack: float = 0.0) -> CachedVideo | None:
        """What covers ``start`` to ``end - slack`` (seconds of the original); the caller holds the video's lock."""
        for facts_path in self._sources.glob(f"{_escape(video_id)}@*.json"):
            try:
                facts: dict[str, Any] = read_json(facts_path)
                path = self._sources / f"{facts_path.stem}{facts['suffix']}"
                found = CachedVideo(path, float(facts["offset"]), float(facts["seconds"]), str(facts["source"]))
                size = path.stat().st_size
            except (OSError, ClipquarryError, KeyError, TypeError, ValueError):
                continue  # half gone, or damaged by hand: as if it were not there
            if size == facts.get("bytes") and found.offset <= start and end - slack <= found.offset + found.seconds:
                os.utime(path, (time.time(), path.stat().st_mtime))  # last use; many mounts do not keep it themselves
                return found
        return None

    def put(self, video_id: str, file: Path, offset: float, seconds: float, source: str) -> CachedVideo:
        """Move ``file`` into the cache; the caller holds the video's lock. With no room it stays where it is."""
        size = file.stat().st_size
        if size > self._max_bytes:
            return CachedVideo(file, offset, seconds, source)
        name = f"{video_id}@{uuid.uuid4().hex[:12]}"
        target = inside(self._sources, f"{name}{file.suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with disk_errors(target):
            publish(file, target)
        facts = {"offset": offset, "seconds": seconds, "source": source, "bytes": size, "suffix": file.suffix}
        write_json(inside(self._sources, f"{name}.json"), facts)
        self._evict(keep=video_id)
        return CachedVideo(target, offset, seconds, source)

    def forget(self, video: CachedVideo) -> None:
        """Remove a video that turned out to be bad."""
        video.path.with_suffix(".json").unlink(missing_ok=True)
        video.path.unlink(missing_ok=True)

    def _evict(self, keep: str) -> None:
        """Remove what was used least recently until the cache fits; never a video whose lock is held."""
        entries = []
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._sources):
                with suppress(FileNotFoundError):
                    stat = entry.stat()
                    if not entry.name.endswith(".json"):
                        entries.append((stat.st_atime, stat.st_size, Path(entry.path)))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._max_bytes:
                return
            video_id = path.name.rpartition("@")[0]
            if video_id != keep and self._remove_if_free(video_id, [path.with_suffix(".json"), path]):
                total -= size

    def _remove_if_free(self, video_id: str, paths: list[Path]) -> bool:
        lock = self._lock_path(video_id)
        fd = _take(lock)
        if fd is None:
            return False
        try:
            for path in paths:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        finally:
            lock.unlink(missing_ok=True)
            os.close(fd)
        return True

    def sweep(self, *, older_than: float = _LEFTOVER_SECONDS, parts_older_than: float = _PART_SECONDS) -> int:
        """Remove what a killed task left behind and nobody works on; returns how many things.

        What it worked with goes at once, for its lock is free; downloads that can be resumed after ``parts_older_than``
        seconds, and whatever else there is after ``older_than``.
        """
        removed = 0
        for folder in ("work", "sources"):
            for path in list((self._scratch / folder).glob("*")):
                with suppress(FileNotFoundError):
                    orphan = folder == "work" or not path.with_suffix(".json").exists()
                    resumable = any(path.glob(f"*{_PART}*"))
                    age = older_than if folder == "sources" else parts_older_than if resumable else 0.0
                    if orphan and _is_old(_newest(path), age):
                        removed += self._remove_if_free(path.name.rpartition("@")[0] or path.name, [path])
        for lock in list((self._scratch / "locks").glob("*.lock")):
            with suppress(FileNotFoundError):
                if _is_old(lock.stat().st_mtime, older_than):
                    removed += self._remove_if_free(lock.name.removesuffix(".lock"), [])
        return removed


def _take(lock: Path) -> int | None:
    """An open, locked file, or None when another holds it. A lock file that was removed meanwhile does not count."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(lock):
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_ino == lock.stat().st_ino:
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None


def _empty(work: Path) -> None:
    """Everything goes but unfinished downloads that can be resumed."""
    for path in list(work.glob("*")):
        if _PART not in path.name:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    with suppress(OSError):  # not empty: a part is kept
        work.rmdir()


def _is_old(moment: float, seconds: float) -> bool:
    """Longer ago than that; a time more than a day ahead is that of a clock that was wrong, and counts as long ago."""
    return not -86_400 <= time.time() - moment <= seconds


def _newest(path: Path) -> float:
    """The last change of a file, or of anything in a folder."""
    return max([path.stat().st_mtime, *(inner.stat().st_mtime for inner in path.glob("*"))])


def _escape(name: str) -> str:
    """A video id in a glob pattern: ids hold no special characters, but whoever calls may be wrong about that."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
