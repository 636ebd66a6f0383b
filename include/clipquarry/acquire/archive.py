"""Clips inside archives (the CVDF layout: ``part_N.tar.gz`` with ``{clip}.mp4`` members), read once from front to back.

Archives are hostile until read: a member's path is never used, only the clip name at its end; links, devices and
members above the limits are left out; nothing is ever unpickled or run. What was complete before an archive broke off
is kept.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import shutil
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

from clipquarry.acquire.answer import NotHad
from clipquarry.acquire.download import Downloader, page_like
from clipquarry.acquire.guard import reasons
from clipquarry.acquire.http import VIDEO_SUFFIXES
from clipquarry.acquire.stream import HttpStream
from clipquarry.errors import MachineError, UserError
from clipquarry.files import disk_errors, temporary_beside
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
"""What the readers of tar, gzip and zip raise on bytes that make no sense."""
_LIST_BYTES = 1 << 20
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class ArchiveLimits:
    """Bytes, after decompression. An archive beyond ``total`` is given up; a member beyond ``member`` is left out."""

    member: int = 2 << 30
    total: int = 1 << 40
    header: int = 1 << 20


@dataclass(frozen=True)
class Member:
    """A regular file of an archive. ``name`` is what the archive calls it: hostile; only ``stem`` and ``suffix``
    were checked.
    """

    name: str
    stem: str
    suffix: str
    path: Path
    """Its bytes, in a new file of the scratch folder that the caller removes or moves."""
    bytes: int


class _CheckedInfo(tarfile.TarInfo):
    """tarfile reads long names and extended headers into memory, as large as the archive says they are."""

    LIMIT = ArchiveLimits().header

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        if self.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) and self.isfile() is False and self.size > self.LIMIT:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


class _Ended(io.RawIOBase):
    """Passes reads through and remembers whether the last block was empty, as the end of a whole tar is."""

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
    """What cannot be written is the machine's fault, never the archive's."""
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
                    raise NotHad(Reason.TRANSPORT, "the step was stopped while it read an archive")
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
            tar.members = []  # type: ignore[attr-defined]  # or memory grows with the archive
            total += info.size
            if total > limits.total:
                raise NotHad(Reason.CORRUPT, f"it unpacks to more than {limits.total} bytes")
            stem, suffix = _kind(info.name)
            if not info.isreg() or info.issparse() or info.size > limits.member or not wanted(stem + suffix):
                continue
            body = tar.extractfile(info)
            if body is not None:
                path = _copy(body, scratch, suffix, info.size, cancelled)
                yield Member(info.name, stem, suffix, path, info.size)
    while ended.read(1 << 20):  # to the end of the stream: its checksum is there
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
                raise NotHad(Reason.CORRUPT, f"it unpacks to more than {limits.total} bytes")
            if info.file_size > limits.member:
                continue
            if info.flag_bits & 1:
                raise NotHad(Reason.CORRUPT, "the archive is encrypted")
            with archive.open(info) as body:
                path = _copy(body, scratch, suffix, info.file_size, cancelled)
            yield Member(info.filename, stem, suffix, path, info.file_size)


@contextmanager
def _opened(place: str, downloader: Downloader, cancelled: Event) -> Iterator[tuple[BinaryIO, Path | None]]:
    """The bytes of a url or a path; the path too where there is one."""
    if urlsplit(place).scheme in ("http", "https"):
        with io.BufferedReader(HttpStream(downloader, place, cancelled), 1 << 20) as stream:
            yield stream, None
        return
    path = Path(place)
    try:
        handle = open(path, "rb")  # noqa: SIM115 — only the opening is guarded
    except OSError as error:
        raise NotHad(Reason.NOT_FOUND, f"{path}: {error.strerror}") from error
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

    Members come as they are read. Raises :class:`NotHad` when the archive cannot be had (nothing was yielded), is not
    an archive, or breaks off (TRUNCATED, CORRUPT): what was yielded before is complete. A tar over http is streamed,
    a zip is downloaded to ``scratch`` first, because its directory is at its end.
    """
    with reasons(Reason.CORRUPT, "the archive cannot be read"):  # zipfile raises what it likes
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
            if head[257:262] == b"ustar" or _old_tar(head):
                yield from _tar(stream, wanted, scratch, limits, cancelled)
                return
            if head[:2] != b"PK":
                page = page_like(head)
                what = f"a page: {page}" if page else f"it begins with {head[:16]!r}" if head else "it is empty"
                raise NotHad(Reason.TRUNCATED if not head else Reason.CORRUPT, f"not a tar, tar.gz or zip: {what}")
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
        raise NotHad(Reason.TRUNCATED if cut else Reason.CORRUPT, f"the archive breaks off: {error}") from error


def _old_tar(head: bytes) -> bool:
    """A tar from before POSIX has no magic; its first header's checksum tells."""
    try:
        return len(head) >= 512 and any(head) and bool(tarfile.TarInfo.frombuf(head[:512], "utf-8", "replace"))
    except tarfile.HeaderError:
        return False


def clip_members(
    place: str, wanted: Wanted, scratch: Path, downloader: Downloader, cancelled: Event
) -> Iterator[Member]:
    """:func:`members` that are videos and whose stem is a ``wanted`` clip id."""

    def fits(name: str) -> bool:
        stem, suffix = _kind(name)
        return suffix in VIDEO_SUFFIXES and wanted(stem)

    return members(place, fits, scratch, downloader, cancelled)


def unpack_small(
    archive: Path, rename: dict[str, str], scratch: Path, downloader: Downloader, cancelled: Event
) -> dict[str, Path]:
    """Files of a downloaded annotation archive, in ``scratch``, by their new name.

    ``rename`` maps member base names to new names and leaves all others out; when it is empty every csv, json and txt
    member keeps its base name. The first of two members with one name wins.
    """
    found: dict[str, Path] = {}

    def fits(name: str) -> bool:
        new = rename.get(name, "") if rename else (name if name.endswith((".csv", ".json", ".txt")) else "")
        return bool(new) and new not in found

    for member in members(str(archive), fits, scratch, downloader, cancelled, limits=ArchiveLimits(member=1 << 30)):
        name = PurePosixPath(member.name.replace("\\", "/")).name
        target = temporary_beside(scratch / f"unpacked{member.suffix}")
        shutil.move(member.path, target)
        found[rename.get(name, name)] = target
    return found


def list_parts(place: str, scratch: Path, downloader: Downloader, cancelled: Event) -> list[str]:
    """The archive parts that a list names, one url or path per line (CVDF's ``k400_val_path.txt``).

    Relative paths are below the list's own folder; a list over http may name http and https only. Who fetches the parts of such a list
    holds them against whoever served it (:meth:`clipquarry.acquire.connection.Reach.led_by`). Raises
    :class:`NotHad`, and UserError for a line that is neither.
    """
    remote = urlsplit(place).scheme in ("http", "https")
    with _opened(place, downloader, cancelled) as (stream, _):
        text = stream.read(_LIST_BYTES + 1)
    if len(text) > _LIST_BYTES or page_like(text[:512]):
        raise NotHad(Reason.CORRUPT, f"{place} is not a list of archive parts: it begins with {text[:40]!r}")
    parts = []
    # Lists are made by hand on all systems: a byte order mark, blanks at the ends, any line end.
    for number, line in enumerate(_LINE_END.split(text.decode("utf-8-sig", "replace")), 1):
        part = line.strip()
        if not part:
            continue
        web = urlsplit(part).scheme in ("http", "https")
        if not web and (remote or "://" in part or "\x00" in part):
            raise UserError(f"{place}, line {number}: {part[:100]!r} is not an http address.")
        parts.append(part.replace(" ", "%20") if web else str(Path(place).parent / part))
    return parts
