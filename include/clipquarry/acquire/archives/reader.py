"""Streaming reader of archives: tar (plain, gz, bz2, xz, zst), zip, 7z and rar, by content; archives inside archives when asked.

Archives are untrusted. The format is told by the first bytes, never by a name. A member's name, size and kind are what the
archive says; :mod:`clipquarry.acquire.archives.names` judges names. A tar is read once, from front to back, also from a
connection. The other formats need a file: what comes from a connection or out of another archive is written to scratch first.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from threading import Event
from typing import IO

from pydantic import SecretStr

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.ahead import ahead
from clipquarry.acquire.archives.content import Blocks, Format, Stream, decompressed, filter_of, format_of
from clipquarry.acquire.archives.limits import ArchiveLimits, Counter
from clipquarry.acquire.archives.native import Archive, Damaged, Header, Kind, Readable
from clipquarry.acquire.archives.volumes import Joined, are_wrapped, unwrapped
from clipquarry.acquire.archives.whole import check_whole
from clipquarry.acquire.download import page_like
from clipquarry.acquire.guard import reasons
from clipquarry.errors import MachineError
from clipquarry.files import disk_errors, temporary_beside
from clipquarry.reasons import Reason

_SHORT = re.compile(
    r"truncated|unexpected(ly)? end|ends? (too )?early|no progress|couldn't (find|read)|premature|end of file", re.I
)
_UNABLE = re.compile(r"support unavailable|not supported|unsupported (zip|rar|7|compression|method|filter)", re.I)
_LOCKED = re.compile(r"passphrase|encrypt|password", re.I)
_END_OF_ZIP = (1 << 16) + 22
_MOST_FILTERS = 2
"""Compressions of one file inside each other."""


@dataclass(frozen=True)
class Reading:
    """How an archive is read."""

    scratch: Path
    """A folder for archives that cannot be read from a stream."""
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)
    password: SecretStr | None = None
    nested: tuple[str, ...] = ()
    """Patterns of file names (``*.rar``): members that are archives themselves, whose members come in their place."""
    depth: int = 2
    """Archives inside each other that are opened."""
    cancelled: Event = field(default_factory=Event)


class Member:
    """A member of an archive. Its data can be read once, before the next member is asked for."""

    __slots__ = ("_archive", "_checksum", "_passed", "kind", "limits", "link", "name", "size")

    def __init__(
        self, header: Header, folder: str, archive: Archive, reading: Reading, counter: Counter | None,
        checksum: int | None,
    ) -> None:  # fmt: skip
        self.name = folder + header.name if folder else header.name
        """The path that the archive gives, behind the folder of the archive that it is in. Untrusted."""
        self.kind, self.size = header.kind, header.size
        self.link = folder + header.link if header.kind is Kind.HARD_LINK else header.link
        self._archive, self.limits, self._passed, self._checksum = archive, reading.limits, counter, checksum

    @property
    def is_too_large(self) -> bool:
        return self.size is not None and self.size > self.limits.member

    def blocks(self) -> Iterator[bytes]:
        """The data. Raises :class:`FetchFailed` above the limit of a member, whatever size was announced."""
        count, crc, most, passed = 0, 0, self.limits.member, self._passed
        try:
            read = self._archive.block
            while (block := read()) is not None:
                count += len(block)
                if self._checksum is not None:
                    crc = zlib.crc32(block, crc)
                if passed is not None:
                    passed.bytes(len(block))
                if count > most:
                    raise FetchFailed(Reason.CORRUPT, f"{self.name[-100:]!r} unpacks to more than {most} bytes")
                yield block
        except Damaged as error:
            raise _told(error) from None
        if self.size is not None and count != self.size:
            raise _told(Damaged(f"a member has {count} of {self.size} bytes", is_short=count < self.size))
        if self._checksum not in (None, crc):
            raise _told(Damaged("the checksum of a member is wrong"))


def members_of(source: Readable | Sequence[Path], reading: Reading) -> Iterator[Member]:
    """The members of an archive, in its order: of the volumes ``source``, joined as ``cat`` does, or of a stream.

    Folders, links and devices are members too. Raises :class:`FetchFailed` where the archive cannot be opened (nothing was
    yielded), is no archive, is truncated or damaged (TRUNCATED, CORRUPT), needs another password, or exceeds a limit.
    Members yielded before are whole. Several volumes that are zips each hold the parts of one archive.
    """
    counter = Counter(reading.limits)
    with reasons(Reason.CORRUPT, "the archive cannot be read"), _damage():
        if not isinstance(source, Sequence):
            yield from _members(Stream(source, lambda n: _arrived(counter, n)), reading, counter, "", reading.depth)
            return
        with Joined(source) as joined:
            counter.packed = joined.size
            stream = Stream(unwrapped(source) if are_wrapped(source) else joined)
            yield from _members(stream, reading, counter, "", reading.depth)


def _arrived(counter: Counter, count: int) -> None:
    counter.packed += count


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except Damaged as error:
        raise _told(error) from None


def _told(error: Damaged) -> FetchFailed:
    """The reason for what libarchive said."""
    text = str(error)
    if _UNABLE.search(text):
        what = f"libarchive cannot read this archive ({text})"
        return FetchFailed(
            Reason.TOOL_FAILED, f"{what}: unpack it with another program (unar, 7z) into the data set's folder"
        )
    if _LOCKED.search(text):
        return FetchFailed(Reason.CORRUPT, f"the archive is encrypted, and the password is missing or wrong ({text})")
    if error.is_short or _SHORT.search(text):
        return FetchFailed(Reason.TRUNCATED, f"the archive breaks off: {text}")
    return FetchFailed(Reason.CORRUPT, f"the archive is damaged: {text}")


def _members(stream: Stream, reading: Reading, counter: Counter, folder: str, depth: int) -> Iterator[Member]:
    with ExitStack() as stack:
        head, plain, filters = stream.head(), stream, 0
        while (name := filter_of(head)) is not None and filters < _MOST_FILTERS:
            packed = decompressed(plain, name)
            if not filters and depth == reading.depth:  # an inner archive's bytes come from the reader itself
                packed = stack.enter_context(ahead(packed))
            plain, filters = Stream(packed), filters + 1
            head = plain.head()
        found = format_of(head)
        if found is None:
            raise _no_archive(head, filters > 0)
        if found.is_streamed:
            yield from _tar(plain, reading, counter, folder, depth)
        elif not filters and plain.seekable():
            yield from _read(plain, found, reading, counter, folder, depth)
        else:
            file = stack.enter_context(_spooled(plain, reading, counter))
            yield from _read(Stream(file), found, reading, counter, folder, depth)


def _no_archive(head: bytes, was_compressed: bool) -> FetchFailed:
    if not head and not was_compressed:
        return FetchFailed(Reason.TRUNCATED, "not an archive: it is empty")
    page = page_like(head)
    what = f"a page: {page}" if page else f"it begins with {head[:16]!r}"
    where = "what is compressed in it is not a tar" if was_compressed else "not a tar, zip, 7z or rar"
    return FetchFailed(Reason.CORRUPT, f"{where}: {what}")


def _tar(plain: Stream, reading: Reading, counter: Counter, folder: str, depth: int) -> Iterator[Member]:
    counted = Stream(plain, counter.bytes)
    yield from _read(counted, Format.TAR, reading, counter, folder, depth)
    counted.drain()
    if not counted.ends_in_zeros:
        raise FetchFailed(Reason.TRUNCATED, "the archive breaks off: the tar has no end mark")


def _read(
    stream: Stream, kind: Format, reading: Reading, counter: Counter, folder: str, depth: int
) -> Iterator[Member]:
    passed = None if kind is Format.TAR else counter  # a tar counts all that it reads, what is skipped too
    checksums = check_whole(stream, kind)
    with _opened(stream, kind, reading) as archive:
        archive.on_hole = counter.bytes if passed is None else None
        for number, header in enumerate(archive.headers()):
            if reading.cancelled.is_set():
                raise FetchFailed(Reason.TRANSPORT, "the step was stopped while it read an archive")
            counter.member()
            checksum = checksums[number] if number < len(checksums) else None
            member = Member(header, folder, archive, reading, passed, checksum)
            if depth and header.kind is Kind.FILE and _is_nested(header.name, reading.nested):
                yield from _inner(member, reading, counter, depth - 1)
            else:
                yield member


@contextmanager
def _opened(stream: Stream, kind: Format, reading: Reading) -> Iterator[Archive]:
    archive = Archive(stream, kind.value, (), reading.password)
    try:
        archive.__enter__()
    except Damaged as error:
        if kind is Format.ZIP:
            raise _without_directory(stream) from error
        raise
    try:
        yield archive
    finally:
        archive.__exit__()


def _without_directory(stream: Stream) -> Damaged:
    """What is wrong with a zip whose directory libarchive does not find."""
    total = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, total - _END_OF_ZIP))
    if b"PK\x05\x06" in io.BufferedReader(stream, 1 << 16).read():
        return Damaged("the directory of the zip is not where its end says")
    return Damaged("the zip is without its directory, which stands at its end", is_short=True)


def _is_nested(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(PurePosixPath(name).name, pattern) for pattern in patterns)


def _inner(member: Member, reading: Reading, counter: Counter, depth: int) -> Iterator[Member]:
    folder = member.name.rpartition("/")
    try:
        stream = Stream(Blocks(member.blocks()))
        with _damage():
            yield from _members(stream, reading, counter, folder[0] + folder[1], depth)
    except FetchFailed as error:
        raise FetchFailed(error.reason, f"{member.name[-100:]!r} in it: {error.evidence}") from error


@contextmanager
def _spooled(stream: Stream, reading: Reading, counter: Counter) -> Iterator[Joined]:
    """A file in scratch with what is left of ``stream``."""
    scratch = reading.scratch
    scratch.mkdir(parents=True, exist_ok=True)
    target = temporary_beside(scratch / "archive")
    count, most = 0, reading.limits.total
    try:
        with disk_errors(target), open(target, "wb") as out:
            buffer = bytearray(1 << 18)
            while size := stream.readinto(buffer):
                count += size
                if count > most:
                    raise FetchFailed(Reason.CORRUPT, f"it unpacks to more than {most} bytes")
                write(out, memoryview(buffer)[:size], target)
        with Joined([target]) as file:
            yield file
    finally:
        target.unlink(missing_ok=True)


def write(out: IO[bytes], piece: bytes | memoryview, target: Path) -> None:
    """Write a whole piece of a member. A write error is a fault of the machine, never of the archive."""
    left = memoryview(piece)
    try:
        with disk_errors(target):
            while left:
                left = left[out.write(left) :]
    except OSError as error:
        raise MachineError(f"{target.parent} cannot be written to ({error.strerror}).") from error
