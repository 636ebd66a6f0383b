"""Whether a rar or 7z file is whole, by its own account: read before libarchive, which ends silently where some are cut off.

libarchive does not compare the checksums of stored rar members either: they are read here. Only headers are read. What libarchive cannot read (solid rar of version 4, encrypted rar) is told here too, before the first
member is written.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from clipquarry.acquire.archives.content import Format, Stream
from clipquarry.acquire.archives.native import Damaged

_RAR4 = b"Rar!\x1a\x07\x00"
_RAR5 = b"Rar!\x1a\x07\x01\x00"
_MOST_HEADER = 2 << 20
_FILLED = 1 << 16
_STORED, _OLDEST = 0x30, 29
_LOCKED = "rar encryption is not supported"


def _cut(text: str) -> Damaged:
    return Damaged(text, is_short=True)


Checksums = list[int | None]
"""CRC-32 of each member of a rar, in their order."""


def check_whole(stream: Stream, kind: Format) -> Checksums:
    """Raise :class:`Damaged` for a file that is cut off or that libarchive cannot read. The stream is at its beginning afterwards."""
    check = _CHECKS.get(kind)
    if check is None:
        return []
    total = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    checksums = check(_Bytes(stream, total))
    stream.seek(0)
    return checksums


@dataclass
class _Bytes:
    stream: Stream
    total: int

    def at(self, place: int, count: int) -> bytes:
        """Exactly so many bytes. Raises :class:`Damaged` where the file is shorter."""
        if place + count > self.total or count > _MOST_HEADER:
            raise _cut("a header lies beyond its end")
        self.stream.seek(place)
        found = bytearray(count)
        have = 0
        while have < count:
            more = self.stream.readinto(memoryview(found)[have:])
            if not more:
                raise _cut("a header lies beyond its end")
            have += more
        return bytes(found)


def _number(data: bytes, place: int = 0, count: int = 4) -> int:
    return int.from_bytes(data[place : place + count], "little")


def _seven_zip(file: _Bytes) -> Checksums:
    start = file.at(0, 32)
    if 32 + _number(start, 12, 8) + _number(start, 20, 8) > file.total:
        raise _cut("the 7z is without its directory, which stands at its end")
    return []  # libarchive compares them


def _rar4(file: _Bytes) -> Checksums:
    found: Checksums = []
    place = len(_RAR4)
    while True:
        if place >= file.total:
            raise _cut("the rar has no end mark")
        head = file.at(place, 7)
        kind, flags, size = head[2], _number(head, 3, 2), _number(head, 5, 2)
        if not 0x72 <= kind <= 0x7B or size < 7:
            raise Damaged("what stands between two members is not a rar header")
        data = 0
        if kind in (0x74, 0x7A) or flags & 0x8000:
            header = file.at(place, max(size, 36))
            if kind == 0x74 and header[24] < _OLDEST and header[25] != _STORED:
                raise Damaged("rar older than version 2.9 is not supported")
            data = _number(header, 7) + (_number(header, 32) << 32 if kind == 0x74 and flags & 0x100 else 0)
        if (kind == 0x73 and flags & 0x80) or (kind == 0x74 and flags & 0x04):
            raise Damaged(_LOCKED)
        if kind in (0x74, 0x7A) and flags & 0x10:
            raise Damaged("solid rar of version 4 is not supported")
        place += size + data
        if place > file.total:
            raise _cut("the rar's last member is not whole")
        if kind == 0x74:
            _note(found, _number(header, 16), goes_on=bool(flags & 1))
        if kind == 0x7B:
            if not flags & 1:
                return found
            place = _next_volume(file, place, _RAR4)


def _note(found: Checksums, checksum: int | None, *, goes_on: bool) -> None:
    """The last part of a member that is split over volumes has the checksum of all."""
    if goes_on and found:
        found[-1] = checksum
    else:
        found.append(checksum)


def _next_volume(file: _Bytes, place: int, magic: bytes) -> int:
    """The place behind the next volume's first bytes; volumes of rar 5 may be filled up before them."""
    found = file.at(place, min(_FILLED, file.total - place)).find(magic)
    if found < 0:
        raise _cut("the rar's next volume is missing")
    return place + found + len(magic)


def _rar5(file: _Bytes) -> Checksums:
    found: Checksums = []
    place = len(_RAR5)
    while True:
        if place >= file.total:
            raise _cut("the rar has no end mark")
        size, after = _vint(file.at(place + 4, min(10, file.total - place - 4)), 0)
        begin = place + 4 + after
        header = file.at(begin, size)
        kind, at = _vint(header, 0)
        flags, at = _vint(header, at)
        extra = data = 0
        if flags & 1:
            extra, at = _vint(header, at)
        if flags & 2:
            data, at = _vint(header, at)
        if kind == 4 or (kind == 2 and extra and 1 in _records(header[-extra:])):
            raise Damaged(_LOCKED)
        place = begin + size + data
        if place > file.total:
            raise _cut("the rar's last member is not whole")
        if kind == 2:
            _note(found, _checksum5(header, at), goes_on=bool(flags & 8))
        if kind == 5:
            if not _vint(header, at)[0] & 1:
                return found
            place = _next_volume(file, place, _RAR5)


def _checksum5(header: bytes, at: int) -> int | None:
    """The CRC-32 in a file's header, whose own fields begin at ``at``; None: it has another hash."""
    flags, at = _vint(header, at)
    for _ in ("size", "attributes"):
        _, at = _vint(header, at)
    at += 4 if flags & 2 else 0  # a time
    return _number(header, at) if flags & 4 else None


def _records(extra: bytes) -> set[int]:
    """Types of the records of an extra area."""
    found, place = set(), 0
    while place < len(extra):
        size, begin = _vint(extra, place)
        found.add(_vint(extra, begin)[0])
        place = begin + max(size, 1)
    return found


def _vint(data: bytes, place: int) -> tuple[int, int]:
    """A number of rar 5 (seven bits a byte), and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise _cut("a header of the rar ends early")
        byte, place = data[place], place + 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, place
    raise Damaged("a number in a header of the rar is too long")


_CHECKS: dict[Format, Callable[[_Bytes], Checksums]] = {
    Format.SEVEN_ZIP: _seven_zip,
    Format.RAR: _rar4,
    Format.RAR5: _rar5,
}
