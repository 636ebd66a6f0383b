"""The instructions of untrusted pickles that hold plain values and arrays of numbers: their arguments, and the names that they may call."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import MADV_DONTNEED, PAGESIZE, mmap
from typing import Any, Final

import numpy as np

from clipquarry.annotations.safe_pickle import Array, Dtype

PROTOCOLS = range(2, 6)
MAX_REFERRED = 10_000_000
"""Values that later instructions refer to."""
_KEPT_BYTES = 32 << 20
"""Bytes of the file that stay mapped behind the place that is read; what is needed again is read again."""

_LINE, _TWO_LINES, _REFUSED, COUNTED = -1, -2, -3, 100
_COUNTS: Final = {"string1": 1, "string4": 4, "bytes1": 1, "bytes4": 4, "bytes8": 8, "bytearray8": 8, "unicodestring1": 1,
    "unicodestring4": 4, "unicodestring8": 8, "long1": 1, "long4": 4}  # fmt: skip
_KNOWN_CODES: Final = frozenset(
    ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE", "BINSTRING", "SHORT_BINSTRING",
     "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "EMPTY_LIST", "EMPTY_DICT",
     "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "MARK", "BINGET", "LONG_BINGET",
     "BINPUT", "LONG_BINPUT", "MEMOIZE", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "PROTO", "FRAME", "STOP", "POP", "POP_MARK")
)  # fmt: skip
"""Instructions that picklers of protocol 2 to 5 write for plain values and arrays."""


def _lengths() -> list[int]:
    """By the byte of an instruction: the bytes of its argument, 100 + those of its count, a line, or that it is refused."""
    table = [_REFUSED] * 256
    for op in pickletools.opcodes:
        if op.name not in _KNOWN_CODES:
            continue
        if op.arg is None:
            length = 0
        elif op.arg.name in _COUNTS:
            length = COUNTED + _COUNTS[op.arg.name]
        else:
            length = _TWO_LINES if op.arg.n < 0 else op.arg.n
        table[ord(op.code)] = length
    return table


LENGTHS: Final = _lengths()
_CODE: Final = {op.name: ord(op.code) for op in pickletools.opcodes}
_NAMES: Final = {ord(op.code): op.name for op in pickletools.opcodes}
(BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT, NONE, NEWTRUE, NEWFALSE, EMPTY_LIST, EMPTY_DICT, EMPTY_TUPLE, TUPLE,
 _TUPLE1, _TUPLE2, _TUPLE3, APPEND, APPENDS, SETITEM, SETITEMS, MARK, BINGET, LONG_BINGET, BINPUT, LONG_BINPUT, MEMOIZE,
 GLOBAL, STACK_GLOBAL, REDUCE, BUILD, PROTO, FRAME, STOP, POP, POP_MARK) = (
    _CODE[name] for name in (
        "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "EMPTY_DICT",
        "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "MARK", "BINGET",
        "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "PROTO", "FRAME", "STOP",
        "POP", "POP_MARK")
)  # fmt: skip
TEXTS: Final = {_CODE[name] for name in ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")}
STRINGS: Final = {_CODE[name] for name in ("BINSTRING", "SHORT_BINSTRING")}
"""Texts of Python 2, which may be bytes; read as latin-1, as all readers of such pickles do."""
TUPLES: Final = {_TUPLE1: 1, _TUPLE2: 2, _TUPLE3: 3}


@dataclass(frozen=True, slots=True)
class InFile:
    """Data that was left in the file. ``encoded``: UTF-8 of text whose characters are the bytes (protocol 2)."""

    begin: int
    end: int
    encoded: bool


class Named:
    """A name of numpy's that a pickle may call; nothing but its own function knows what that does."""

    def __init__(self, name: str) -> None:
        self.name = name


_DTYPE, _NDARRAY, _RECONSTRUCT, _BUFFER, _SCALAR, _ENCODE, _BYTES = (
    Named(name) for name in ("dtype", "ndarray", "_reconstruct", "_frombuffer", "scalar", "encode", "bytes")
)
GLOBALS: Final[dict[tuple[str, str], Named]] = {
    ("numpy", "dtype"): _DTYPE,
    ("numpy", "ndarray"): _NDARRAY,
    ("_codecs", "encode"): _ENCODE,
    ("__builtin__", "bytes"): _BYTES,
    ("builtins", "bytes"): _BYTES,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _SCALAR for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _BUFFER for core in ("core", "_core")},
}


def operations(content: mmap) -> Iterator[tuple[int, int, int]]:
    """Every instruction: its byte, begin and end of its argument (of data: without the count)."""
    lengths, end, at, behind = LENGTHS, len(content), 0, 0
    if end < 2 or content[0] != PROTO or content[1] not in PROTOCOLS:
        raise ValueError("it is no pickle of protocol 2 to 5")
    while True:
        if at >= end:
            raise ValueError("it breaks off")
        code = content[at]
        length = lengths[code]
        at += 1
        begin = at
        if length >= COUNTED:
            begin = at + length - COUNTED
            at = begin + int.from_bytes(content[at:begin], "little")
            if at - behind > _KEPT_BYTES and at <= end:  # pages that were read would count as this process's memory
                pages = (at - behind) // PAGESIZE * PAGESIZE
                content.madvise(MADV_DONTNEED, behind, pages)
                behind += pages
        elif length >= 0:
            at += length
        elif length == _TWO_LINES:
            for _ in range(2):
                at = content.find(b"\n", at, at + 200) + 1
                if not at:
                    raise ValueError("it breaks off")
        else:
            name = _NAMES.get(code)
            raise ValueError(
                f"it has the instruction {name}, which no such file needs"
                if name
                else f"byte {at - 1} is no instruction"
            )
        if at > end:
            raise ValueError("it announces more data than it holds")
        yield code, begin, at
        if code == STOP:
            if at != end:
                raise ValueError("it goes on behind its end")
            return


def survey(content: mmap) -> set[int]:
    """The numbers of remembered values that a later instruction refers to."""
    referred, puts, memoized = set[int](), False, False
    for code, begin, end in operations(content):
        if code == BINGET:
            referred.add(content[begin])
        elif code == LONG_BINGET:
            referred.add(int.from_bytes(content[begin:end], "little"))
            if len(referred) > MAX_REFERRED:
                raise ValueError(f"it refers to more than {MAX_REFERRED} values")
        elif code == MEMOIZE:
            memoized = True
        elif code in (BINPUT, LONG_BINPUT):
            puts = True
    if puts and memoized:
        raise ValueError("it remembers values in two ways")
    return referred


def made(named: object, arguments: object) -> Any:
    """What a call of numpy's names gives, as a placeholder."""
    if not isinstance(named, Named) or not isinstance(arguments, tuple):
        raise ValueError("it calls what is no name")
    if named is _RECONSTRUCT:
        return Array()
    if named is _DTYPE and arguments:
        return Dtype(arguments[0] if isinstance(arguments[0], str) else "", *arguments[1:])
    if named is _BUFFER and 3 <= len(arguments) <= 4:
        raw, dtype, shape, *order = arguments
        array = Array()
        array.state = (shape, dtype, order == ["F"], raw)
        return array
    if named is _SCALAR and len(arguments) == 2:
        dtype, raw = arguments
        kind = dtype.numpy() if isinstance(dtype, Dtype) else None
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        if kind is None or not isinstance(raw, bytes) or len(raw) != kind.itemsize:
            raise ValueError("a number of numpy's that is none")
        return np.frombuffer(raw, kind)[0].item()
    if named is _ENCODE and arguments:
        text, encoding = arguments[0], arguments[1:] or ("latin1",)
        if encoding not in (("latin1",), ("latin-1",)):
            raise ValueError("it encodes text")
        if isinstance(text, InFile):
            return text
        if isinstance(text, str):
            return text.encode("latin-1")
    if named is _BYTES and not arguments:
        return b""
    raise ValueError(f"it calls {named.name} with other values than numpy does")
