"""Archives of all kinds, made for tests: rar byte by byte (stored members), 7z and zst by libarchive's own writer."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from clipquarry.acquire.archives.native import library
from clipquarry.errors import MachineError

Files = dict[str, bytes]


def _why_not() -> str:
    try:
        library()
    except MachineError as error:
        return str(error)
    return ""


needs_libarchive = pytest.mark.skipif(bool(_why_not()), reason=_why_not())


def tar(files: Files, *, links: dict[str, tuple[bytes, str]] | None = None, fmt: int = tarfile.GNU_FORMAT) -> bytes:
    """``links``: name to (tarfile's type, target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, (kind, target) in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return out.getvalue()


def sparse(name: str, size: int) -> bytes:
    """A tar whose one member is all hole, in the old form of GNU: its header says a size, and no data follows."""
    head = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT)[:512])
    head[156:157] = b"S"
    head[386:410] = b"%011o\0%011o\0" % (size, 0)
    head[483:495] = b"%011o\0" % size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def by_libarchive(files: Files, form: str, compression: str | None = None) -> bytes:
    import libarchive

    out = bytearray()
    with libarchive.custom_writer(lambda data: out.extend(data) or len(data), form, compression) as archive:
        for name, data in files.items():
            archive.add_file_from_memory(name, len(data), data)
    return bytes(out)


def zipped(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def zip_crypto(files: Files, password: bytes) -> bytes:
    """A zip with the old encryption, which Python reads but does not write: the members are encrypted by hand."""
    plain = bytearray()
    places, central = [], bytearray()
    for name, data in files.items():
        raw, crc = name.encode(), zlib.crc32(data)
        body = _encrypted(bytes(11) + bytes([crc >> 24]) + data, password)
        places.append(len(plain))
        common = (
            (20).to_bytes(2, "little") + (1).to_bytes(2, "little") + bytes(6) + crc.to_bytes(4, "little")
            + len(body).to_bytes(4, "little") + len(data).to_bytes(4, "little") + len(raw).to_bytes(2, "little") + bytes(2)
        )  # fmt: skip
        plain += b"PK\x03\x04" + common + raw + body
        central += (
            b"PK\x01\x02" + (20).to_bytes(2, "little") + common + bytes(10) + places[-1].to_bytes(4, "little") + raw
        )
    count = len(files).to_bytes(2, "little")
    end = len(central).to_bytes(4, "little") + len(plain).to_bytes(4, "little") + bytes(2)
    return bytes(plain) + bytes(central) + b"PK\x05\x06" + bytes(4) + count + count + end


def _encrypted(data: bytes, password: bytes) -> bytes:
    keys = [0x12345678, 0x23456789, 0x34567890]

    def step(key: int, byte: int) -> int:
        return (zlib.crc32(bytes([byte]), key ^ 0xFFFFFFFF) ^ 0xFFFFFFFF) & 0xFFFFFFFF

    def update(byte: int) -> None:
        keys[0] = step(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = step(keys[2], keys[1] >> 24)

    for byte in password:
        update(byte)
    out = bytearray()
    for byte in data:
        word = (keys[2] | 2) & 0xFFFF
        out.append(byte ^ ((word * (word ^ 1) >> 8) & 255))
        update(byte)
    return bytes(out)


def _le(value: int, count: int) -> bytes:
    return value.to_bytes(count, "little")


def rar4(files: Files, *, flags: int = 0, end: bool = True) -> bytes:
    """Stored members; ``flags``: added to each member's."""

    def block(kind: int, bits: int, body: bytes) -> bytes:
        rest = bytes([kind]) + _le(bits, 2) + _le(7 + len(body), 2) + body
        return _le(zlib.crc32(rest) & 0xFFFF, 2) + rest

    out = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, data in files.items():
        raw = name.encode()
        body = (
            _le(len(data), 4) * 2 + b"\x03" + _le(zlib.crc32(data), 4) + bytes(4) + b"\x1d\x30" + _le(len(raw), 2)
            + _le(0o100644, 4) + raw
        )  # fmt: skip
        out += block(0x74, 0x8000 | flags, body) + data
    return out + (block(0x7B, 0x4000, b"") if end else b"")


def _vint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def rar5(files: Files, *, end: bool = True) -> bytes:
    """Stored members."""

    def block(header: bytes) -> bytes:
        sized = _vint(len(header)) + header
        return _le(zlib.crc32(sized), 4) + sized

    out = b"Rar!\x1a\x07\x01\x00" + block(b"\x01\x00\x00")
    for name, data in files.items():
        raw = name.encode()
        header = (
            b"\x02\x02" + _vint(len(data)) + b"\x04" + _vint(len(data)) + _vint(0o100644) + _le(zlib.crc32(data), 4)
            + b"\x00\x01" + _vint(len(raw)) + raw
        )  # fmt: skip
        out += block(header) + data
    return out + (block(b"\x05\x00\x00") if end else b"")


KINDS = {
    "tar": tar,
    "tar.gz": lambda files: gzip.compress(tar(files)),
    "tar.bz2": lambda files: bz2.compress(tar(files)),
    "tar.xz": lambda files: lzma.compress(tar(files)),
    "tar.zst": lambda files: by_libarchive(files, "gnutar", "zstd"),
    "zip": zipped,
    "7z": lambda files: by_libarchive(files, "7zip"),
    "rar4": rar4,
    "rar5": rar5,
}


def save(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
