"""Wanted members of an archive, one by one, each as a file in scratch (the CVDF layout: ``part_N.tar.gz`` with ``{clip}.mp4``
members).

Archives are untrusted. Of a member's path only the file name at its end is used. Links, devices and members above the
limits are left out. An archive is read once, from front to back; where it is truncated, the members that were complete before
that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, splitext
from threading import Event

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.content import Stream, filter_of, format_of
from clipquarry.acquire.archives.limits import ArchiveLimits
from clipquarry.acquire.archives.native import Kind
from clipquarry.acquire.archives.place import is_remote, opened
from clipquarry.acquire.archives.reader import Member as Packed
from clipquarry.acquire.archives.reader import Reading, members_of, write
from clipquarry.acquire.download import Downloader
from clipquarry.files import disk_errors, temporary_beside
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.reasons import Reason

Wanted = Callable[[str], bool]
LeftOut = Callable[[str, str], None]
"""Told of each wanted member that is above the limits: its name without suffix, and why it was left out."""


@dataclass(frozen=True)
class Member:
    """A regular file of an archive. ``name`` is the archive's own and untrusted; only ``stem`` and ``suffix`` are checked."""

    name: str
    stem: str
    suffix: str
    """In lower case."""
    path: Path
    """A new file with its bytes in the scratch folder; the caller removes or moves it."""
    bytes: int


def members(
    place: str,
    wanted: Wanted,
    scratch: Path,
    downloader: Downloader,
    cancelled: Event,
    *,
    limits: ArchiveLimits | None = None,
    left_out: LeftOut | None = None,
) -> Iterator[Member]:
    """Members of the archive at ``place`` (url or path; its kind by its first bytes) whose file name is ``wanted``, with its suffix
    in lower case. Names that libarchive converts come in the normal form C.

    Members are yielded as they are read. Raises :class:`FetchFailed` when the archive cannot be opened (nothing was yielded),
    is not an archive, or is truncated or damaged (TRUNCATED, CORRUPT); members yielded before are complete. A tar over
    http is streamed. Others are downloaded to ``scratch`` first, because their directory is at their end.
    """
    reading = Reading(scratch, limits or ArchiveLimits(), cancelled=cancelled)
    taking = _Taking(wanted, reading, left_out)
    if not is_remote(place):
        yield from taking.files(members_of([Path(place)], reading))
        return
    with opened(place, downloader, cancelled) as stream:
        seen = Stream(stream)
        head = seen.head()
        kind = format_of(head)
        if filter_of(head) or kind is None or kind.is_streamed:
            yield from taking.files(members_of(seen, reading))
            return
    got = downloader.download(place, scratch, ".archive", cancelled, pages=True)
    try:
        yield from taking.files(members_of([got.path], reading))
    finally:
        got.path.unlink(missing_ok=True)


def clip_members(
    place: str,
    wanted: Wanted,
    scratch: Path,
    downloader: Downloader,
    cancelled: Event,
    left_out: LeftOut | None = None,
) -> Iterator[Member]:
    """The :func:`members` that are videos and whose stem is a ``wanted`` clip id."""

    def fits(name: str) -> bool:
        stem, suffix = _kind(name)
        return suffix in VIDEO_SUFFIXES and wanted(stem)

    return members(place, fits, scratch, downloader, cancelled, left_out=left_out)


def _kind(name: str) -> tuple[str, str]:
    stem, suffix = splitext(basename(name.replace("\\", "/")).strip())
    return stem, suffix.lower()


@dataclass(frozen=True)
class _Taking:
    """Which members are taken, and what is said of those that are too large."""

    wanted: Wanted
    reading: Reading
    left_out: LeftOut | None

    def files(self, packed: Iterator[Packed]) -> Iterator[Member]:
        """The wanted members, as files."""
        for one in packed:
            if one.kind is not Kind.FILE:
                continue
            stem, suffix = _kind(one.name)
            if not self.wanted(stem + suffix):
                continue
            if one.is_too_large:
                if self.left_out is not None:
                    most = self.reading.limits.member
                    self.left_out(stem, f"its {one.size} bytes are more than {most}")
                continue
            path, size = self._copy(one, suffix)
            yield Member(one.name, stem, suffix, path, size)

    def _copy(self, packed: Packed, suffix: str) -> tuple[Path, int]:
        """A new file with the member's bytes, and their number."""
        scratch, size = self.reading.scratch, 0
        scratch.mkdir(parents=True, exist_ok=True)
        target = temporary_beside(scratch / f"member{suffix}")
        try:
            with disk_errors(target), open(target, "wb") as out:
                for block in packed.blocks():
                    write(out, block, target)
                    size += len(block)
                    if self.reading.cancelled.is_set():
                        raise FetchFailed(Reason.TRANSPORT, "the step was stopped while it read an archive")
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target, size
