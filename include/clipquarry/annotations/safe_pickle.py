"""Reads pickles of plain values and arrays of numbers from strangers.

A pickle is a program. Before any of it runs, its instructions are read once and weighed: how deep its values nest, how large they are
when shared parts count as often as they are used, how many places it remembers, and whether what it announces is there. Then an
unpickler that knows a few names of numpy builds it, with a stand-in for each that only keeps what it is told; arrays are made from
that afterwards (:meth:`Array.numpy`). Nothing else of a pickle is ever called.
"""

from __future__ import annotations

import math
import pickle
import pickletools
import re
from collections.abc import Iterable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from clipquarry.errors import UserError

MAX_BYTES = 2_000_000_000
MAX_DEPTH = 50
MAX_SHARING = 8
"""How much larger than the file its values may be when everything shared is counted as often as it is used."""
_FREE = 1_000_000
_MAX_INT_BYTES = 8
_NUMBERS = re.compile(r"([<>=|]?)([fiu])([1248])\Z", re.ASCII)


class Dtype:
    """Stands for ``numpy.dtype``."""

    def __init__(self, name: object, *_: object) -> None:
        self.name, self.order = str(name), "="

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = str(state[1])

    def numpy(self) -> np.dtype[Any]:
        found = _NUMBERS.match(self.name)
        if found is None:
            raise ValueError(f"values of type {self.name[:40]!r}")
        return np.dtype(f"{(found[1] or self.order).replace('|', '=')}{found[2]}{found[3]}")


class Array:
    """Stands for ``numpy.ndarray``."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, tuple) else ()

    def numpy(self) -> npt.NDArray[Any]:
        """The array. Raises ValueError for anything that is no array of numbers."""
        shape, dtype, fortran, raw = self.state[-4:]
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # python 2
        if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, Dtype) or not isinstance(shape, tuple):
            raise ValueError("an array of something else than numbers")
        kind = dtype.numpy()
        if not all(isinstance(n, int) and n >= 0 for n in shape) or math.prod(shape) * kind.itemsize != len(raw):
            raise ValueError(f"an array whose shape {shape!r} does not fit its {len(raw)} bytes"[:200])
        return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> Array:
    return Array()


def _from_buffer(raw: object, dtype: object, shape: object, order: object = "C") -> Array:
    array = Array()
    array.state = (shape, dtype, order == "F", raw)
    return array


def _latin1(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("it encodes text")
    return text.encode("latin-1")


def _no_bytes(*arguments: object) -> bytes:
    if arguments:
        raise pickle.UnpicklingError("it makes bytes of something")
    return b""


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): Dtype,
    ("numpy", "ndarray"): "numpy.ndarray",  # only ever an argument
    ("_codecs", "encode"): _latin1,
    # How protocols 0 to 2 write the bytes of an empty array.
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}"[:200]) from None

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it refers to something outside")


def load(path: Path, what: str) -> Any:
    """The value of a pickle; ``what`` names in messages what it is meant to be (``proposal file``).

    Raises :class:`UserError` when it cannot be read, is too large or damaged, or wants to call anything.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{path} is larger than {MAX_BYTES} bytes: that is not a {what}.")
        if not size:
            raise UserError(f"{path} is empty: that is not a {what}.")
        with open(path, "rb") as handle:
            with mmap(handle.fileno(), 0, access=ACCESS_READ) as content:
                weigh(content)
            return _Unpickler(handle, encoding="latin1").load()
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"The {what} {path} cannot be read: {error.strerror}.") from error
    except MemoryError:
        raise UserError(f"{path} claims more data than it holds: it is damaged or hostile.") from None
    except Exception as error:  # noqa: BLE001  a damaged pickle raises whatever its bytes lead to
        text = " ".join(str(error).encode("unicode_escape").decode().split())
        raise UserError(f"{path} is no {what}, and was not executed: {text}"[:400].rstrip(".") + ".") from None


_LINE, _TWO_LINES = -1, -2
_ARGUMENTS: dict[str, int] = {"stringnl": _LINE, "stringnl_noescape": _LINE, "unicodestringnl": _LINE, "floatnl": _LINE,
    "decimalnl_short": _LINE, "decimalnl_long": _LINE, "stringnl_noescape_pair": _TWO_LINES}  # fmt: skip
_COUNTED = {"string1": 1, "string4": 4, "bytes1": 1, "bytes4": 4, "bytes8": 8, "bytearray8": 8, "unicodestring1": 1,
    "unicodestring4": 4, "unicodestring8": 8, "long1": 1, "long4": 4}  # fmt: skip
_REFUSED = frozenset(
    ("PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER",
     "EMPTY_SET", "ADDITEMS", "FROZENSET")
)  # fmt: skip


def _table() -> list[tuple[str, str, int] | None]:
    """By code: what an instruction does, its name, and how its argument is written (bytes; a line; 100 + the bytes of a count)."""
    kinds = {
        **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), "put"), **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), "get"),
        **dict.fromkeys(("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE"), "new"), **dict.fromkeys(("TUPLE", "LIST", "DICT"), "collect"),
        "TUPLE1": "take1", "TUPLE2": "take2", "TUPLE3": "take3", "REDUCE": "take2", "STACK_GLOBAL": "take2", "APPEND": "give1",
        "BUILD": "give1", "SETITEM": "give2", "APPENDS": "give", "SETITEMS": "give", "MARK": "mark", "POP": "pop", "POP_MARK": "pop_mark",
        "DUP": "dup", "MEMOIZE": "memoize", "PROTO": "nothing", "FRAME": "frame", "STOP": "stop",
    }  # fmt: skip
    table: list[tuple[str, str, int] | None] = [None] * 256
    for op in pickletools.opcodes:
        name, argument = op.name, op.arg
        if argument is None:
            how = 0
        elif argument.name in _COUNTED:
            how = 100 + _COUNTED[argument.name]
        else:
            how = _ARGUMENTS.get(argument.name, argument.n)
        table[ord(op.code)] = (kinds.get(name, "atom") if name not in _REFUSED else "refused", name, how)
    return table


_TABLE = _table()


class _Value:
    """What is known of a value that is not built yet: its size with all that is in it, and how deep it nests."""

    __slots__ = ("depth", "size", "used")

    def __init__(self, size: int, depth: int, used: bool) -> None:
        self.size, self.depth, self.used = size, depth, used

    def take(self, parts: Iterable[_Value], most: int) -> None:
        if self.used:
            # Then its size is in other values' already, and they would be larger than they were weighed.
            raise ValueError("it changes a value that it has used elsewhere")
        for part in parts:
            part.used = True
            self.size += part.size
            if part.depth >= self.depth:
                self.depth = part.depth + 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"its values nest deeper than {MAX_DEPTH} levels")
        if self.size > most:
            raise ValueError("its values are many times larger than the file, because they share their parts")


_SMALL = 8
_ATOM = _Value(1 + _SMALL, 0, True)
"""Stands for every small text and number: there are millions."""


def weigh(content: mmap | bytes) -> None:
    """Read the instructions of a pickle without following them. Raises ValueError for one that breaks off, announces more than there
    is, nests deeper than :data:`MAX_DEPTH`, or would be built larger than :data:`MAX_SHARING` times its own size.
    """
    try:
        _weigh(content)
    except (IndexError, KeyError):
        raise ValueError("it takes values that are not there") from None


def _weigh(content: mmap | bytes) -> None:
    end, at = len(content), 0
    most = MAX_SHARING * end + _FREE
    stack: list[_Value] = []
    marks: list[int] = []
    memo: dict[int, _Value] = {}
    puts = 0
    while True:
        if at >= end:
            raise ValueError("it breaks off")
        entry = _TABLE[content[at]]
        if entry is None:
            raise ValueError(f"byte {at} is no instruction of a pickle")
        kind, name, how = entry
        at += 1
        begin = at
        if how >= 100:
            begin = at + how - 100
            at = begin + int.from_bytes(content[at:begin], "little")
        elif how >= 0:
            at += how
        else:
            for _ in range(-how):
                at = content.find(b"\n", at) + 1
                if not at:
                    raise ValueError("it breaks off")
        if at > end:
            raise ValueError("it announces more data than it holds")
        if (name in ("LONG1", "LONG4") and at - begin > _MAX_INT_BYTES) or (
            name in ("INT", "LONG") and at - begin > 24
        ):
            raise ValueError("it holds a huge number")
        if kind == "atom":
            stack.append(_Value(1 + at - begin, 0, True) if at - begin > _SMALL else _ATOM)
        elif kind == "mark":
            marks.append(len(stack))
        elif kind == "new":
            stack.append(_Value(1, 1, False))
        elif kind == "put" or kind == "memoize":
            index = len(memo) if kind == "memoize" else _index(content[begin:at], name)
            puts += 1
            if index > 2 * puts + 1000:
                raise ValueError(f"it remembers a value under the number {index}")
            memo[index] = stack[-1]
        elif kind == "get":
            value = memo[_index(content[begin:at], name)]
            value.used = True
            stack.append(value)
        elif kind == "refused":
            raise ValueError(f"it has the instruction {name}, which no such file needs")
        elif kind == "stop":
            if len(stack) != 1 or marks:
                raise ValueError("it ends in the middle of a value")
            return
        elif kind == "pop" and marks and marks[-1] == len(stack):
            marks.pop()
        elif kind == "pop":
            stack.pop()
        elif kind == "dup":
            stack[-1].used = True
            stack.append(stack[-1])
        elif kind == "frame":
            if at + int.from_bytes(content[begin:at], "little") > end:
                raise ValueError("it announces more data than it holds")
        elif kind != "nothing":
            count = int(kind[-1]) if kind[-1].isdigit() else len(stack) - marks.pop()
            if count > len(stack) - (marks[-1] if marks else 0):
                raise ValueError("it takes values that are not there")
            parts = stack[len(stack) - count :]
            del stack[len(stack) - count :]
            if kind.startswith("give"):
                stack[-1].take(parts, most)
            elif kind != "pop_mark":
                value = _Value(1, 1, False)
                value.take(parts, most)
                stack.append(value)


def _index(argument: bytes, name: str) -> int:
    """The number under which a value is remembered."""
    found = int(argument) if name in ("PUT", "GET") else int.from_bytes(argument, "little")
    if found < 0:
        raise ValueError(f"it remembers a value under the number {found}")
    return found
