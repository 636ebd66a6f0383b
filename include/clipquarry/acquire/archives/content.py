"""Formats of archives by their first bytes, and the streams between an archive's file and its members."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from clipquarry.acquire.archives.native import BLOCK, Archive, Damaged, Readable

HEAD = 512
"""Bytes that a format is told by."""


class Format(Enum):
    """Formats of archives, with libarchive's readers for them."""

    TAR = ("tar",)
    # Never libarchive's streaming reader of zip: it takes a zip without its directory for a whole one.
    ZIP = ("zip_seekable",)
    SEVEN_ZIP = ("7zip",)
    RAR = ("rar",)
    RAR5 = ("rar5",)

    @property
    def is_streamed(self) -> bool:
        """Whether it is read from front to back, without seeking."""
        return self is Format.TAR


_FORMATS = (
    (b"PK\x03\x04", Format.ZIP),
    (b"PK\x05\x06", Format.ZIP),
    (b"7z\xbc\xaf\x27\x1c", Format.SEVEN_ZIP),
    (b"Rar!\x1a\x07\x00", Format.RAR),
    (b"Rar!\x1a\x07\x01\x00", Format.RAR5),
)
_GZIP = b"\x1f\x8b"
_FILTERS = ((_GZIP, "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
_PIECE = 1 << 17


def format_of(head: bytes) -> Format | None:
    """The format of an archive that begins with ``head``; None: no archive, or a compressed file."""
    for magic, found in _FORMATS:
        if head.startswith(magic):
            return found
    return Format.TAR if head[257:262] == b"ustar" or _old_tar(head) else None


def filter_of(head: bytes) -> str | None:
    """The compression of a file that begins with ``head``."""
    return next((name for magic, name in _FILTERS if head.startswith(magic)), None)


def _old_tar(head: bytes) -> bool:
    """Whether ``head`` begins a tar from before POSIX: it has no magic, so the first header's checksum decides."""
    try:
        return len(head) >= 512 and any(head) and bool(tarfile.TarInfo.frombuf(head[:512], "utf-8", "replace"))
    except tarfile.HeaderError:
        return False


class Stream(io.RawIOBase):
    """A stream whose first bytes can be seen before they are read, and that says what went through it."""

    def __init__(self, inner: Readable, passed: Callable[[int], None] | None = None) -> None:
        self._inner, self._passed = inner, passed
        self._held = b""
        self._tail = b""

    def head(self) -> bytes:
        """The first :data:`HEAD` bytes, fewer only where the stream is shorter. Call it before the first read."""
        while len(self._held) < HEAD:
            piece = bytearray(BLOCK)
            count = self._inner.readinto(piece) or 0
            if not count:
                break
            self._held += piece[:count]
        return self._held[:HEAD]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._inner.seekable()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence == io.SEEK_CUR:
            offset -= len(self._held)
        self._held = b""
        return self._inner.seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        if self._held:
            count = min(len(view), len(self._held))
            view[:count], self._held = self._held[:count], self._held[count:]
        else:
            count = self._inner.readinto(view) or 0
        if count:
            self._tail = bytes(view[count - HEAD : count]) if count >= HEAD else (self._tail + view[:count])[-HEAD:]
            if self._passed is not None:
                self._passed(count)
        return count

    def drain(self) -> None:
        """Read to the end, where checksums are."""
        buffer = bytearray(BLOCK)
        while self.readinto(buffer):
            pass

    @property
    def ends_in_zeros(self) -> bool:
        """Whether the last block was all zeros, as at the end of a whole tar."""
        return len(self._tail) == HEAD and not any(self._tail)


class Blocks(io.RawIOBase):
    """A stream over pieces of bytes."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        while not self._left:
            piece = next(self._blocks, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count


class Gunzip(io.RawIOBase):
    """The bytes of a gzip file of one or more streams. libarchive does not compare gzip's checksum; zlib does."""

    def __init__(self, inner: Readable) -> None:
        self._inner = inner
        self._unpacker = zlib.decompressobj(31)
        self._held, self._is_full = b"", False

    def readable(self) -> bool:
        return True

    def _more(self) -> bytes:
        piece = bytearray(_PIECE)
        return bytes(piece[: self._inner.readinto(piece) or 0])

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            if self._unpacker.eof and not self._next_stream():
                return 0
            packed = self._held or (b"" if self._is_full else self._more())
            if not packed and not self._is_full:
                raise Damaged("the gzip ends early", is_short=True)
            try:
                plain = self._unpacker.decompress(packed, len(view))
            except zlib.error as error:
                raise Damaged(f"the gzip is damaged: {error}") from error
            self._held, self._is_full = self._unpacker.unconsumed_tail, len(plain) == len(view)
            if plain:
                view[: len(plain)] = plain
                return len(plain)

    def _next_stream(self) -> bool:
        rest = self._unpacker.unused_data.lstrip(b"\0")
        while len(rest) < len(_GZIP) and (piece := self._more()):
            rest = (rest + piece).lstrip(b"\0")  # zeros may fill up a tape's last block
        if not rest:
            return False
        if not rest.startswith(_GZIP):
            raise Damaged("something else follows the end of the gzip")
        self._unpacker, self._held, self._is_full = zlib.decompressobj(31), rest, False
        return True


def plain_blocks(stream: Readable, name: str) -> Iterator[bytes]:
    """What a file of one of libarchive's compressions holds."""
    with Archive(stream, ["raw"], [name]) as archive:
        for _ in archive.headers():
            yield from archive.blocks()


def decompressed(stream: Readable, name: str) -> io.RawIOBase:
    """The stream without its compression ``name`` (see :func:`filter_of`)."""
    return Gunzip(stream) if name == "gzip" else Blocks(plain_blocks(stream, name))
