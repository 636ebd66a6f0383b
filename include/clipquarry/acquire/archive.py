"""Reader of clips inside tar, tar.gz and zip archives (the CVDF layout: ``part_N.tar.gz`` with ``{clip}.mp4`` members).

Archives are untrusted. Of a member's path only the file name at its end is used. Links, devices and members above
the limits are left out. Nothing is ever unpickled or run. An archive is read once, from front to back; where it is
truncated, the members that were complete before that are kept.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event
from typing import IO, Any, BinaryIO
from urllib.parse import urlsplit

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.content import Format, format_of
from clipquarry.acquire.download import Downloader, page_like
from clipquarry.acquire.guard import reasons
from clipquarry.acquire.stream import HttpStream
from clipquarry.errors import MachineError, UserError
from clipquarry.files import disk_errors, temporary_beside
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.reasons import Reason

_BROKEN = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,
    ValueError,
    OverflowError,
    struct.error,
)
"""Exceptions that Python's readers of tar, gzip and zip raise on damaged bytes."""
_LIST_BYTES = 1 << 20
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits in bytes, after decompression. An archive above ``total`` is refused; a member above ``member`` is left out."""

    member: int = 2 << 30
    total: int = 1 << 40
    header: int = 1 << 20


@dataclass(frozen=True)
class Member:
    """A regular file of an archive. ``name`` is the archive's own and untrusted; only ``stem`` and ``suffix`` are checked."""

    name: str
    stem: str
    suffix: str
    path: Path
    """A new file with its bytes in the scratch folder; the caller removes or moves it."""
    bytes: int


class _CheckedInfo(tarfile.TarInfo):
    """Limits the size of long names and extended headers: tarfile reads them into memory, however large they are."""

    LIMIT = ArchiveLimits().header

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        if self.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) and self.isfile() is False and self.size > self.LIMIT:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


class _Ended(io.RawIOBase):
    """Passes reads through and records whether the last block was all zeros, as at the end of a complete tar."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner, self.whole = inner, False

    def read(self, size: int = -1, /) -> bytes:
        piece = self._inner.read(size)
        if piece:
            self.whole = len(piece) >= tarfile.BLOCKSIZE and not any(piece[-tarfile.BLOCKSIZE :])
        return piece


Wanted = Callable[[str], bool]


def _kind(name: str) -> tuple[str, str]:
    path = PurePosixPath(PurePosixPath(name.replace("\\", "/")).name.strip())
    return path.stem, path.suffix.lower()


def _write(out: IO[bytes], piece: bytes, target: Path) -> None:
    """Write to scratch. A write error is a fault of the machine, never of the archive."""
    try:
        with disk_errors(target):
            out.write(piece)
    except OSError as error:
        raise MachineError(f"{target.parent} cannot be written to ({error.strerror}).") from error


def _copy(source: IO[bytes], scratch: Path, suffix: str, size: int, cancelled: Event) -> Path:
    scratch.mkdir(parents=True, exist_ok=True)
    target = temporary_beside(scratch / f"member{suffix}")
    left = size
    try:
        with disk_errors(target), open(target, "wb") as out:
            while left and (piece := source.read(min(left, 1 << 20))):
                _write(out, piece, target)
                left -= len(piece)
                if cancelled.is_set():
                    raise FetchFailed(Reason.TRANSPORT, "the step was stopped while it read an archive")
        if left:
            raise EOFError(f"a member ends {left} bytes early")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _tar(stream: IO[bytes], wanted: Wanted, scratch: Path, limits: ArchiveLimits, cancelled: Event) -> Iterator[Member]:
    ended = _Ended(stream)
    total = 0
    with tarfile.open(fileobj=ended, mode="r|", tarinfo=_CheckedInfo, errors="replace") as tar:
        while (info := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # else memory grows with the archive
            total += info.size
            if total > limits.total:
                raise FetchFailed(Reason.CORRUPT, f"it unpacks to more than {limits.total} bytes")
            stem, suffix = _kind(info.name)
            if not info.isreg() or info.issparse() or info.size > limits.member or not wanted(stem + suffix):
                continue
            body = tar.extractfile(info)
            if body is not None:
                path = _copy(body, scratch, suffix, info.size, cancelled)
                yield Member(info.name, stem, suffix, path, info.size)
    while ended.read(1 << 20):  # read to the end of the stream, where its checksum is
        pass
    if not ended.whole:
        raise EOFError("the tar has no end mark")


def _zip(file: Path, wanted: Wanted, scratch: Path, limits: ArchiveLimits, cancelled: Event) -> Iterator[Member]:
    total = 0
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            stem, suffix = _kind(info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or kind not in (0, stat.S_IFREG) or not wanted(stem + suffix):
                continue
            total += info.file_size
            if total > limits.total:
                raise FetchFailed(Reason.CORRUPT, f"it unpacks to more than {limits.total} bytes")
            if info.file_size > limits.member:
                continue
            if info.flag_bits & 1:
                raise FetchFailed(Reason.CORRUPT, "the archive is encrypted")
            with archive.open(info) as body:
                path = _copy(body, scratch, suffix, info.file_size, cancelled)
            yield Member(info.filename, stem, suffix, path, info.file_size)


@contextmanager
def _opened(place: str, downloader: Downloader, cancelled: Event) -> Iterator[tuple[BinaryIO, Path | None]]:
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
    """Members of the archive at ``place`` (url or path; tar, tar.gz or zip by its first bytes) whose base name is
    ``wanted``.

    Members are yielded as they are read. Raises :class:`FetchFailed` when the archive cannot be opened (nothing was yielded),
    is not an archive, or is truncated or damaged (TRUNCATED, CORRUPT); members yielded before are complete. A tar over
    http is streamed. A zip is downloaded to ``scratch`` first, because its directory is at its end.
    """
    with reasons(Reason.CORRUPT, "the archive cannot be read"):  # zipfile raises exceptions of many types
        yield from _members(place, wanted, scratch, downloader, cancelled, limits or ArchiveLimits())


def _members(
    place: str, wanted: Wanted, scratch: Path, downloader: Downloader, cancelled: Event, limits: ArchiveLimits
) -> Iterator[Member]:
    try:
        with _opened(place, downloader, cancelled) as (stream, path):
            head = stream.peek(512) if isinstance(stream, io.BufferedReader) else b""
            if head[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=stream) as plain:
                    yield from _tar(plain, wanted, scratch, limits, cancelled)  # type: ignore[arg-type]
                return
            if format_of(head) is Format.TAR:
                yield from _tar(stream, wanted, scratch, limits, cancelled)
                return
            if head[:2] != b"PK":
                page = page_like(head)
                what = f"a page: {page}" if page else f"it begins with {head[:16]!r}" if head else "it is empty"
                raise FetchFailed(Reason.TRUNCATED if not head else Reason.CORRUPT, f"not a tar, tar.gz or zip: {what}")
        if path is not None:
            yield from _zip(path, wanted, scratch, limits, cancelled)
            return
        got = downloader.download(place, scratch, ".zip", cancelled, pages=True)
        try:
            yield from _zip(got.path, wanted, scratch, limits, cancelled)
        finally:
            got.path.unlink(missing_ok=True)
    except _BROKEN as error:
        cut = isinstance(error, EOFError) or "unexpected end" in str(error)
        raise FetchFailed(Reason.TRUNCATED if cut else Reason.CORRUPT, f"the archive breaks off: {error}") from error


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
