"""Clips inside archives of any kind that :mod:`clipquarry.acquire.archives` reads (the CVDF layout: ``part_N.tar.gz`` with
``{clip}.mp4`` members).

Archives are untrusted. Of a member's path only the file name at its end is used. Links, devices and members above
the limits are left out. Nothing is ever unpickled or run. An archive is read once, from front to back; where it is
truncated, the members that were complete before that are kept.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.content import Stream, filter_of, format_of
from clipquarry.acquire.archives.limits import ArchiveLimits
from clipquarry.acquire.archives.native import Kind
from clipquarry.acquire.archives.reader import Member as Packed
from clipquarry.acquire.archives.reader import Reading, members_of, write
from clipquarry.acquire.download import Downloader, page_like
from clipquarry.acquire.stream import HttpStream
from clipquarry.errors import UserError
from clipquarry.files import disk_errors, temporary_beside
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.reasons import Reason

_LIST_BYTES = 1 << 20
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Member:
    """A regular file of an archive. ``name`` is the archive's own and untrusted; only ``stem`` and ``suffix`` are checked."""

    name: str
    stem: str
    suffix: str
    path: Path
    """A new file with its bytes in the scratch folder; the caller removes or moves it."""
    bytes: int


Wanted = Callable[[str], bool]


def _kind(name: str) -> tuple[str, str]:
    path = PurePosixPath(PurePosixPath(name.replace("\\", "/")).name.strip())
    return path.stem, path.suffix.lower()


def _copy(packed: Packed, scratch: Path, suffix: str) -> tuple[Path, int]:
    """A new file with the member's bytes, and their number."""
    scratch.mkdir(parents=True, exist_ok=True)
    target = temporary_beside(scratch / f"member{suffix}")
    size = 0
    try:
        with disk_errors(target), open(target, "wb") as out:
            for block in packed.blocks():
                write(out, block, target)
                size += len(block)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target, size


@contextmanager
def _opened(
    place: str, downloader: Downloader, cancelled: Event
) -> Iterator[tuple[io.BufferedReader[Any], Path | None]]:
    """A stream over a url or a local path; for a local file the path too."""
    if urlsplit(place).scheme in ("http", "https"):
        with io.BufferedReader(HttpStream(downloader, place, cancelled), 1 << 20) as stream:
            yield stream, None
        return
    path = Path(place)
    try:
        handle = open(path, "rb")  # noqa: SIM115 — only the opening is guarded
    except OSError as error:
        raise FetchFailed(Reason.NOT_FOUND, f"{path}: {error.strerror}") from error
    with handle:
        yield handle, path


def members(
    place: str,
    wanted: Wanted,
    scratch: Path,
    downloader: Downloader,
    cancelled: Event,
    *,
    limits: ArchiveLimits | None = None,
) -> Iterator[Member]:
    """Members of the archive at ``place`` (url or path; its kind by its first bytes) whose base name is ``wanted``.

    Members are yielded as they are read. Raises :class:`FetchFailed` when the archive cannot be opened (nothing was yielded),
    is not an archive, or is truncated or damaged (TRUNCATED, CORRUPT); members yielded before are complete. A tar over
    http is streamed. Others are downloaded to ``scratch`` first, because their directory is at their end.
    """
    reading = Reading(scratch, limits or ArchiveLimits(), cancelled=cancelled)
    with _opened(place, downloader, cancelled) as (stream, path):
        if path is not None:
            yield from _wanted(members_of([path], reading), wanted, scratch)
            return
        seen = Stream(stream)
        kind = format_of(seen.head())
        if filter_of(seen.head()) or kind is None or kind.is_streamed:
            yield from _wanted(members_of(seen, reading), wanted, scratch)
            return
    got = downloader.download(place, scratch, ".archive", cancelled, pages=True)
    try:
        yield from _wanted(members_of([got.path], reading), wanted, scratch)
    finally:
        got.path.unlink(missing_ok=True)


def _wanted(packed: Iterator[Packed], wanted: Wanted, scratch: Path) -> Iterator[Member]:
    for one in packed:
        stem, suffix = _kind(one.name)
        if one.kind is Kind.FILE and not one.is_too_large and wanted(stem + suffix):
            path, size = _copy(one, scratch, suffix)
            yield Member(one.name, stem, suffix, path, size)


def clip_members(
    place: str, wanted: Wanted, scratch: Path, downloader: Downloader, cancelled: Event
) -> Iterator[Member]:
    """The :func:`members` that are videos and whose stem is a ``wanted`` clip id."""

    def fits(name: str) -> bool:
        stem, suffix = _kind(name)
        return suffix in VIDEO_SUFFIXES and wanted(stem)

    return members(place, fits, scratch, downloader, cancelled)


def list_volumes(place: str, scratch: Path, downloader: Downloader, cancelled: Event) -> list[str]:
    """The archive volumes that a list names, one url or path per line (CVDF's ``k400_val_path.txt``).

    Relative paths are below the list's own folder. A list over http may name http and https addresses only; the caller
    fetches its volumes under the limits of the host that served the list
    (:meth:`clipquarry.acquire.connection.Reach.led_by`). Raises :class:`FetchFailed`, and UserError for a line that is
    neither a url nor a path.
    """
    remote = urlsplit(place).scheme in ("http", "https")
    with _opened(place, downloader, cancelled) as (stream, _):
        text = stream.read(_LIST_BYTES + 1)
    if len(text) > _LIST_BYTES or page_like(text[:512]):
        raise FetchFailed(Reason.CORRUPT, f"{place} is not a list of archive volumes: it begins with {text[:40]!r}")
    volumes = []
    # Lists are written by hand on all systems: allow a byte order mark, blanks at line ends, and any line ending.
    for number, line in enumerate(_LINE_END.split(text.decode("utf-8-sig", "replace")), 1):
        volume = line.strip()
        if not volume:
            continue
        web = urlsplit(volume).scheme in ("http", "https")
        if not web and (remote or "://" in volume or "\x00" in volume):
            raise UserError(f"{place}, line {number}: {volume[:100]!r} is not an http address.")
        volumes.append(volume.replace(" ", "%20") if web else str(Path(place).parent / volume))
    return volumes
