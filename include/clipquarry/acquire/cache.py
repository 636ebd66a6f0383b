"""Cache of source videos, with one lock per video, so that a video is fetched once for all tasks and data sets.

::

    {scratch}/locks/{id}.lock         held while any task of any data set works on the video
    {scratch}/work/{id}/              unfinished files of that video; emptied when its lock is released, except for
                                      ``*.part*``: downloads that the next task on the video can resume
    {scratch}/sources/{id}@{n}.mp4    a whole video or a section of one, and {…}.json: its offset, seconds, source
"""

from __future__ import annotations

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

from clipquarry.errors import ClipquarryError
from clipquarry.file_lock import FileLock
from clipquarry.files import disk_errors, inside, publish, read_json, write_json

_LEFTOVER_SECONDS = 24 * 3600.0
_PART_SECONDS = 14 * 24 * 3600.0
"""Unfinished downloads are kept longer than other leftovers, so that a run after a week's break can resume them."""
_PART = ".part"


@dataclass(frozen=True)
class CachedVideo:
    """A source video, or a section of one, that covers ``offset`` to ``offset + seconds`` of the original."""

    path: Path
    offset: float
    seconds: float
    source: str
    """Id of the source that it was fetched from."""
    origin: str = ""
    """As in :class:`~clipquarry.acquire.answer.Fetched`."""


class SourceCache:
    """Cache below ``scratch`` (``DataRoot.scratch``). ``max_bytes`` 0 keeps nothing. Safe for threads and processes."""

    def __init__(self, scratch: Path, max_bytes: int) -> None:
        self._scratch, self._max_bytes = scratch, max_bytes
        self._sources = scratch / "sources"

    def _lock_path(self, video_id: str) -> Path:
        return inside(self._scratch, "locks", f"{video_id}.lock")

    @contextmanager
    def video(self, video_id: str, cancelled: Event, *, what: str = "") -> Iterator[Path]:
        """Hold the video's lock; yields its work folder. Waits while another task holds it; RetryLater when cancelled.

        ``what``: the words for what is locked, where it is no video.
        """
        work = inside(self._scratch, "work", video_id)
        with FileLock.wait(self._lock_path(video_id), cancelled, what or f"the video {video_id}") as lock:
            try:
                with disk_errors(work):
                    work.mkdir(parents=True, exist_ok=True)
                yield work
            finally:
                _empty(work)
                lock.release(remove=True)

    def has_work(self, video_id: str) -> bool:
        """Whether a task works on the video, or was killed while it did."""
        return inside(self._scratch, "work", video_id).exists()

    def get(self, video_id: str, start: float, end: float, *, slack: float = 0.0) -> CachedVideo | None:
        """A cached file that covers ``start`` to ``end - slack`` (seconds of the original). The caller holds the video's lock."""
        for facts_path in self._sources.glob(f"{_escape(video_id)}@*.json"):
            try:
                facts: dict[str, Any] = read_json(facts_path)
                path = self._sources / f"{facts_path.stem}{facts['suffix']}"
                found = CachedVideo(path, float(facts["offset"]), float(facts["seconds"]), str(facts["source"]))
                size = path.stat().st_size
            except (OSError, ClipquarryError, KeyError, TypeError, ValueError):
                continue  # incomplete, or edited by hand: treated as absent
            if size == facts.get("bytes") and found.offset <= start and end - slack <= found.offset + found.seconds:
                os.utime(
                    path, (time.time(), path.stat().st_mtime)
                )  # the time of last use: many mounts do not record it
                return found
        return None

    def put(self, video_id: str, file: Path, offset: float, seconds: float, source: str) -> CachedVideo:
        """Move ``file`` into the cache. The caller holds the video's lock. A file larger than the cache stays where it is."""
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
        """Remove a video that turned out to be unusable."""
        video.path.with_suffix(".json").unlink(missing_ok=True)
        video.path.unlink(missing_ok=True)

    def _evict(self, keep: str) -> None:
        """Remove the least recently used files until the cache fits; never a video whose lock is held."""
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
        lock = FileLock.attempt(self._lock_path(video_id))
        if lock is None:
            return False
        try:
            for path in paths:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        finally:
            lock.release(remove=True)
        return True

    def sweep(self, *, older_than: float = _LEFTOVER_SECONDS, parts_older_than: float = _PART_SECONDS) -> int:
        """Remove leftovers of killed tasks that no task works on; returns the number of files and folders removed.

        Work folders are removed at once, because their lock is free. Downloads that can be resumed are removed after
        ``parts_older_than`` seconds, all other leftovers after ``older_than`` seconds.
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


def _empty(work: Path) -> None:
    """Remove everything except unfinished downloads that can be resumed."""
    for path in list(work.glob("*")):
        if _PART not in path.name:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    with suppress(OSError):  # not empty: an unfinished download is kept
        work.rmdir()


def _is_old(moment: float, seconds: float) -> bool:
    """Whether ``moment`` is more than ``seconds`` ago. A time over a day ahead comes from a wrong clock and counts as old."""
    return not -86_400 <= time.time() - moment <= seconds


def _newest(path: Path) -> float:
    """Time of the last change of a file, or of anything in a folder."""
    return max([path.stat().st_mtime, *(inner.stat().st_mtime for inner in path.glob("*"))])


def _escape(name: str) -> str:
    """A video id escaped for a glob pattern. Ids hold no special characters, but callers do not check that."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
