"""Size check of a pickle before it is loaded: limits that keep a small hostile file from using all memory or time.

The instructions are read once, one after the other, with a placeholder for each value that records only its size and
its depth. Nearly all of a proposal file is arrays, which numpy always writes in the same form: those are read one
array at a time. The result is the same.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterable, Sequence
from mmap import mmap
from typing import Any, NamedTuple

import numpy as np

MAX_DEPTH = 50
MAX_SHARING = 8
"""How much larger than the file its values may be, if shared values count as often as they are used."""
_FREE = 1_000_000
_MAX_INT_BYTES = 8
_MAX_INT_TEXT = 24
_SMALL = 8
_UP_TO_MARK = -1
_KEPT = 10_000
MAX_MARKS, MAX_WAITING, MAX_MADE = 1000, 2_000_000, 20_000_000
"""Most unfinished values, values that no other has taken, and lists, dicts and tuples outside of arrays: one byte of a pickle can begin
each, and takes up to 64 of memory.
"""


class _Value:
    """A placeholder for a value: its size including everything in it, and its nesting depth."""

    __slots__ = ("depth", "size", "used")

    def __init__(self, size: int, depth: int, used: bool) -> None:
        self.size, self.depth, self.used = size, depth, used

    def take(self, parts: Iterable[_Value], most: int) -> None:
        if self.used:
            # Then its size is included in other values' already, and they would be larger than counted.
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


_ATOM = _Value(1 + _SMALL, 0, True)
"""Stands for every small text and number, of which there are millions."""

_LINE, _TWO_LINES, _COUNT = -1, -2, 100
_ARGUMENTS: dict[str, int] = {"stringnl": _LINE, "stringnl_noescape": _LINE, "unicodestringnl": _LINE, "floatnl": _LINE,
    "decimalnl_short": _LINE, "decimalnl_long": _LINE, "stringnl_noescape_pair": _TWO_LINES}  # fmt: skip
_COUNTED = {"string1": 1, "string4": 4, "bytes1": 1, "bytes4": 4, "bytes8": 8, "bytearray8": 8, "unicodestring1": 1,
    "unicodestring4": 4, "unicodestring8": 8, "long1": 1, "long4": 4}  # fmt: skip
_REFUSED = frozenset(
    ("PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER",
     "EMPTY_SET", "ADDITEMS", "FROZENSET")
)  # fmt: skip
_PUSH, _PUT, _MEMOIZE, _GET, _COLLECT, _GIVE, _MARK, _NEW, _POP, _POP_MARK, _DUP, _FRAME, _STOP, _NOTHING, _REFUSE, _NUMBER = range(16)  # fmt: skip


class _Instruction(NamedTuple):
    """An instruction's effect, the form of its argument (bytes; a line; 100 + the bytes of a count), and the values
    that it takes.
    """

    kind: int
    how: int
    takes: int
    name: str


def _table() -> list[_Instruction | None]:
    """The instructions by their byte."""
    kinds = {
        **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), (_PUT, 0)), **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), (_GET, 0)),
        **dict.fromkeys(("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE"), (_NEW, 0)),
        **dict.fromkeys(("TUPLE", "LIST", "DICT"), (_COLLECT, _UP_TO_MARK)), **dict.fromkeys(("APPENDS", "SETITEMS"), (_GIVE, _UP_TO_MARK)),
        "TUPLE1": (_COLLECT, 1), "TUPLE2": (_COLLECT, 2), "TUPLE3": (_COLLECT, 3), "REDUCE": (_COLLECT, 2), "STACK_GLOBAL": (_COLLECT, 2),
        "APPEND": (_GIVE, 1), "BUILD": (_GIVE, 1), "SETITEM": (_GIVE, 2), "MARK": (_MARK, 0), "POP": (_POP, 0),
        "POP_MARK": (_POP_MARK, _UP_TO_MARK), "DUP": (_DUP, 0), "MEMOIZE": (_MEMOIZE, 0), "PROTO": (_NOTHING, 0), "FRAME": (_FRAME, 0),
        "STOP": (_STOP, 0), **dict.fromkeys(("INT", "LONG", "LONG1", "LONG4"), (_NUMBER, 0)), **dict.fromkeys(_REFUSED, (_REFUSE, 0)),
    }  # fmt: skip
    table: list[_Instruction | None] = [None] * 256
    for op in pickletools.opcodes:
        if op.arg is None:
            how = 0
        elif op.arg.name in _COUNTED:
            how = _COUNT + _COUNTED[op.arg.name]
        else:
            how = _ARGUMENTS.get(op.arg.name, op.arg.n)
        table[ord(op.code)] = _Instruction(
            kinds.get(op.name, (_PUSH, 0))[0], how, kinds.get(op.name, (_PUSH, 0))[1], op.name
        )
    return table


_TABLE = _table()

_GET_WORD, _PUT_WORD, _INT_WORD = rb"(h.|j.{4})", rb"(?:\x94|r(.{4}))", rb"(?:K.|M..|J.{4})"
_WORDS = {b"get": _GET_WORD, b"put": _PUT_WORD, b"int": _INT_WORD}
_HEAD = (
    rb"%(get)s%(get)sK\0\x85%(put)s%(get)s\x87%(put)sR%(put)s\(K\x01%(int)s%(int)s\x86%(put)s%(get)s[\x88\x89]%(get)s?(?:[CU](.)|[BTX](.{4}))"
    % _WORDS
)
"""An array of two dimensions up to its bytes, in protocols 2 to 4: ``_reconstruct(ndarray, (0,), b"b")``, then its state."""
_TAIL = rb"%(put)s(?:%(get)s\x86%(put)sR%(put)s)?t%(put)sb" % _WORDS
"""What follows the bytes. The middle stands where they are text that is encoded (protocol 2)."""
_ARRAY = re.compile(_HEAD, re.DOTALL)
_REST = re.compile(
    rb"%s(?:(X\x10\0\0\0.{16}|X\x11\0\0\0.{17}|\x8c\x10.{16}|\x8c\x11.{17})%s%s)?" % (_TAIL, _PUT_WORD, _HEAD),
    re.DOTALL,
)
"""The end of an array and, if one follows, the next one's key and beginning."""
_HEAD_GETS, _HEAD_PUTS, _NEXT_GETS = (1, 2, 4, 8, 9), (3, 5, 6, 7), (8, 9, 11, 15, 16)
_REST_PUTS = {
    (False, False): (1, 5), (True, False): (1, 3, 4, 5), (False, True): (1, 5, 7, 10, 12, 13, 14),
    (True, True): (1, 3, 4, 5, 7, 10, 12, 13, 14),
}  # fmt: skip
"""The groups of numbers, if the bytes are encoded, if another array follows."""
_KEYS = {head + length: _Value(1 + length, 0, True) for head in (2, 5) for length in (16, 17)}
"""By the length of the whole instruction."""
_BUFFER = re.compile(rb"%(get)s\(\x96(.{8})" % _WORDS, re.DOTALL)
_BUFFER_END = re.compile(rb"\x94%(get)s%(int)s%(int)s\x86\x94%(get)st\x94R\x94" % _WORDS, re.DOTALL)
"""An array in protocol 5: ``_frombuffer(bytes, dtype, shape, "C")``."""


def weigh(content: mmap | bytes) -> None:
    """Read the instructions of a pickle without executing them.

    Raises ValueError for a pickle that breaks off, announces more data than there is, nests deeper than
    :data:`MAX_DEPTH`, or would be larger than :data:`MAX_SHARING` times its own size.
    """
    try:
        _Scale(content).read()
    except (IndexError, KeyError):
        raise ValueError("it takes values that are not there") from None


class _Scale:
    def __init__(self, content: mmap | bytes) -> None:
        self.content = content
        self.most = MAX_SHARING * len(content) + _FREE
        self.stack: list[_Value] = []
        self.marks: list[int] = []
        self.memo: list[_Value | None] = []
        self.held = self.puts = 0
        """How many values are remembered, and how often a value was."""
        self.known: dict[tuple[Any, ...], tuple[_Value, ...]] = {}
        self.numbers = b""
        """0, 1, 2, … as a pickle writes them."""

    def read(self) -> None:
        content, stack, marks, memo = self.content, self.stack, self.marks, self.memo
        end, at, made = len(content), 0, 0
        while True:
            if at >= end:
                raise ValueError("it breaks off")
            entry = _TABLE[content[at]]
            if entry is None:
                raise ValueError(f"byte {at} is no instruction of a pickle")
            kind, how, takes, name = entry
            if kind == _GET and (behind := self.arrays(at)) > at:
                at = behind
                continue
            at += 1
            begin = at
            if how >= _COUNT:
                begin = at + how - _COUNT
                at = begin + int.from_bytes(content[at:begin], "little")
            elif how >= 0:
                at += how
            else:
                for _ in range(-how):
                    at = content.find(b"\n", at) + 1
                    if not at:
                        raise ValueError("it breaks off")
            if len(stack) > MAX_WAITING or made > MAX_MADE:
                raise ValueError("it holds millions of values that are no part of another, or of lists")
            if at > end:
                raise ValueError("it announces more data than it holds")
            if kind == _PUSH:
                stack.append(_Value(1 + at - begin, 0, True) if at - begin > _SMALL else _ATOM)
            elif kind == _MEMOIZE:
                self.remember(self.held)
            elif kind == _PUT:
                self.remember(_index(content[begin:at], name))
            elif kind == _GET:
                known = memo[_index(content[begin:at], name)]
                if known is None:
                    raise KeyError(name)
                known.used = True
                stack.append(known)
            elif kind == _MARK:
                marks.append(len(stack))
                if len(marks) > MAX_MARKS:
                    raise ValueError(f"its values nest deeper than {MAX_DEPTH} levels")
            elif kind == _COLLECT:
                value = _Value(1, 1, False)
                value.take(self.taken(takes), self.most)
                if name == "STACK_GLOBAL":
                    value.used = True  # a function, which nothing may change
                stack.append(value)
                made += 1
            elif kind == _GIVE:
                parts = self.taken(takes)
                stack[-1].take(parts, self.most)
            elif kind == _NEW:
                stack.append(_Value(1, 1, False))
                made += 1
            elif kind == _NUMBER:
                if at - begin > (_MAX_INT_TEXT if how < 0 else _MAX_INT_BYTES):
                    raise ValueError("it holds a huge number")
                stack.append(_Value(1 + at - begin, 0, True) if at - begin > _SMALL else _ATOM)
            elif kind == _POP:
                if marks and marks[-1] == len(stack):
                    marks.pop()
                else:
                    stack.pop()
            elif kind == _POP_MARK:
                self.taken(takes)
            elif kind == _DUP:
                stack[-1].used = True
                stack.append(stack[-1])
            elif kind == _FRAME:
                if at + int.from_bytes(content[begin:at], "little") > end:
                    raise ValueError("it announces more data than it holds")
            elif kind == _REFUSE:
                raise ValueError(f"it has the instruction {name}, which no such file needs")
            elif kind == _STOP:
                if len(stack) != 1 or marks:
                    raise ValueError("it ends in the middle of a value")
                return

    def taken(self, count: int) -> list[_Value]:
        """Remove the last values from the stack."""
        stack, marks = self.stack, self.marks
        if count == _UP_TO_MARK:
            count = len(stack) - marks.pop()
        if count > len(stack) - (marks[-1] if marks else 0):
            raise ValueError("it takes values that are not there")
        parts = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return parts

    def remember(self, index: int) -> None:
        memo = self.memo
        self.puts += 1
        if index > 2 * self.puts + 1000:
            raise ValueError(f"it remembers a value under the number {index}")
        if self.puts > len(self.content) // 2 + 1000:  # an instruction of one byte remembers a value, in 8 bytes
            raise ValueError("it remembers more values than it can hold")
        if index >= len(memo):
            memo.extend([None] * (index - len(memo)))
            memo.append(self.stack[-1])
            self.held += 1
            return
        if memo[index] is None:
            self.held += 1
        else:
            self.known.clear()  # arrays were counted with the former value
        memo[index] = self.stack[-1]

    def arrays(self, at: int) -> int:
        """Count arrays in numpy's form, as long as they follow one another with nothing but a key between them.
        Returns their end.

        Returns ``at`` if none begins there, or if anything about it is odd: then it is read one instruction after
        the other.
        """
        content, memo, stack, known = self.content, self.memo, self.stack, self.known
        if not (found := _ARRAY.match(content, at)):
            return self.buffer(at)
        puts = found.group(*_HEAD_PUTS)
        numbered = puts[0] is not None
        if not self.follow(puts, 0, numbered):
            return at
        words, length = found.group(*_HEAD_GETS), found[10] or found[11]
        while True:
            count = int.from_bytes(length, "little")
            if not (found := _REST.match(content, found.end() + count)):
                return at
            latin1, key = found.group(2, 6)
            encoded = words[4] is not None
            if encoded != (latin1 is not None):
                return at
            if not self.follow(found.group(*_REST_PUTS[encoded, key is not None]), 4, numbered):
                return at
            gets = (*words, latin1, count)
            kept = known.get(gets) or self.weighed(gets, [*words, latin1] if encoded else words[:4], count)
            if kept is None:
                return at
            memo += kept
            stack.append(kept[2])
            self.held += len(kept)
            self.puts += len(kept)
            if key is None:
                return found.end()
            value = _KEYS[len(key)]
            stack.append(value)
            memo.append(value)
            self.held += 1
            self.puts += 1
            at = found.start(8)
            words, length = found.group(*_NEXT_GETS), found[17] or found[18]

    def follow(self, puts: tuple[bytes | None, ...], ahead: int, numbered: bool) -> bool:
        """Whether values are remembered under the next numbers, from ``ahead`` more than are taken."""
        if not numbered:
            return self.held == len(self.memo) and puts.count(None) == len(puts)
        first = len(self.memo) + ahead
        if None in puts:
            return False
        if first + len(puts) > len(self.numbers) // 4:
            self.numbers = np.arange(2 * (first + len(puts)), dtype="<u4").tobytes()
        return b"".join(puts) == self.numbers[4 * first : 4 * (first + len(puts))]  # type: ignore[arg-type]

    def buffer(self, at: int) -> int:
        """The same for one array in the form of protocol 5."""
        found = _BUFFER.match(self.content, at)
        if (
            not found
            or (count := int.from_bytes(found[2], "little")) > len(self.content)
            or self.held != len(self.memo)
        ):
            return at
        end = _BUFFER_END.match(self.content, found.end() + count)
        if not end:
            return at
        words = (found[1], *end.groups())
        kept = self.known.get((*words, count)) or self.weighed((*words, count), words, count)
        if kept is None:
            return at
        self.memo += kept
        self.stack.append(kept[3])
        self.held += 4
        self.puts += 4
        return end.end()

    def weighed(self, name: tuple[Any, ...], gets: Sequence[bytes], count: int) -> tuple[_Value, ...] | None:
        """The values that are remembered of an array that refers to ``gets`` and holds ``count`` bytes, in order;
        None if a reference is invalid.

        They are kept under ``name``: all equal arrays share them, and none of them may change any more.
        """
        known = []
        for get in gets:
            index = int.from_bytes(get[1:], "little")
            value = self.memo[index] if index < len(self.memo) else None
            if value is None:
                return None
            known.append(value)

        def of(*parts: _Value) -> _Value:
            value = _Value(1, 1, False)
            value.take(parts, self.most)
            return value

        data = _Value(1 + count, 0, True) if count > _SMALL else _ATOM
        if len(known) == 3:
            make, dtype, order = known
            shape = of(_ATOM, _ATOM)
            arguments = of(data, dtype, shape, order)
            array = of(make, arguments)
            kept: tuple[_Value, ...] = data, shape, arguments, array
        else:
            make, kind, empty, dtype, *encode = known
            first, shape = of(_ATOM), of(_ATOM, _ATOM)
            arguments = of(kind, first, empty)
            array = of(make, arguments)
            if encode:
                pair = of(data, encode[1])
                text = of(encode[0], pair)
                state = of(_ATOM, shape, dtype, _ATOM, text)
                kept = first, arguments, array, shape, data, pair, text, state
            else:
                state = of(_ATOM, shape, dtype, _ATOM, data)
                kept = first, arguments, array, shape, data, state
            array.take([state], self.most)
        if len(self.known) >= _KEPT:
            self.known.clear()
        array.used = True
        self.known[name] = kept
        return kept


def _index(argument: bytes, name: str) -> int:
    found = int(argument) if name in ("PUT", "GET") else int.from_bytes(argument, "little")
    if found < 0:
        raise ValueError(f"it remembers a value under the number {found}")
    return found
