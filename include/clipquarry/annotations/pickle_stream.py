"""Reader of large untrusted pickles, item by item: ``{"split": …, "annotations": [item, item, …]}``, or a plain list of items.

:mod:`~clipquarry.annotations.safe_pickle` builds a whole pickle; packages of skeletons have some GB. Here the file is mapped into
memory, and its instructions are interpreted one after the other. Nothing is ever called but the placeholders of numpy's names. The bytes
of arrays stay in the file until :meth:`PickleStream.array` reads one of them. A first pass finds the few values that later
instructions refer to, so that all others can be forgotten: memory does not grow with the number of items.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from clipquarry.annotations import pickle_words as words
from clipquarry.annotations.pickle_words import InFile, Named, made, operations, survey
from clipquarry.annotations.safe_pickle import Array, Dtype
from clipquarry.errors import UserError

MAX_STACK = 1_000_000
"""Values between two instructions that collect them: picklers write lists in pieces of 1,000."""
MAX_KEPT = 20_000_000
"""Values outside of items, such as the names of splits, and at most those of one piece of items."""
_LARGE = 256
"""Bytes from which data stays in the file."""
_INT_BYTES = 8


class PickleStream:
    """One pickle. ``what`` is the kind of file for messages. A context manager.

    Raises :class:`UserError` if the file cannot be read, is damaged, is no such pickle, or calls anything.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self._what = path, what
        self._referred: set[int] | None = None
        self.value: Any = None
        """The whole value without the items, once they were read to their end."""
        try:
            if not path.stat().st_size:
                raise UserError(f"{path} is empty: that is not a {what}.")
            with open(path, "rb") as handle:
                self._content = mmap(handle.fileno(), 0, access=ACCESS_READ)
        except OSError as error:
            raise UserError(f"The {what} {path} cannot be read: {error.strerror}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._content.close()

    def verify(self, key: str) -> None:
        """Read it to its end, but no array: whether the file is a whole pickle that calls nothing. ``key``: see :meth:`items`."""
        for _ in self.items(key):
            pass

    def _survey(self) -> None:
        if self._referred is None:
            try:
                self._referred = survey(self._content)
            except (ValueError, IndexError, struct.error) as error:
                raise self._no(error) from None

    def items(self, key: str) -> Iterator[Any]:
        """The items of the list ``key`` of the pickle's dict, or of the list that it is. ``value`` is set behind the last one."""
        self._survey()
        assert self._referred is not None
        machine = _Machine(self._content, self._referred, key)
        try:
            yield from machine.run()
        except (ValueError, IndexError, KeyError, TypeError, struct.error, OverflowError) as error:
            raise self._no(error) from None
        self.value = machine.value

    def whole(self) -> Any:
        """The whole value, without items of its own: for small pickles and tables of arrays."""
        for _ in self.items(""):
            raise UserError(f"{self.path} is no {self._what}: it is a list.")
        return self.value

    def array(self, value: Any) -> npt.NDArray[Any]:
        """The array, read from the file. Raises ValueError for anything but an array of numbers."""
        if not isinstance(value, Array):
            raise ValueError("no array")
        if len(value.state) < 4:
            raise ValueError("an array without its data")
        ready = Array()
        ready.state = (*value.state[:-1], self._data(value.state[-1]))
        return ready.numpy()

    def _data(self, raw: object) -> object:
        if not isinstance(raw, InFile):
            return raw
        data = self._content[raw.begin : raw.end]
        try:
            return data.decode("utf-8").encode("latin-1") if raw.encoded else data
        except UnicodeError:
            raise ValueError("an array whose bytes are no text of bytes") from None

    def _no(self, error: Exception) -> UserError:
        text = " ".join(str(error).encode("unicode_escape").decode().split()) or type(error).__name__
        if isinstance(error, IndexError | KeyError):
            text = "it takes values that are not there"
        return UserError(f"{self.path} is no {self._what}, and was not executed: {text}"[:400].rstrip(".") + ".")


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape that an array of a stream says of itself, without its data; None for anything else."""
    shape = value.state[-4] if isinstance(value, Array) and len(value.state) >= 4 else None
    whole = isinstance(shape, tuple) and all(isinstance(n, int) for n in shape)
    return tuple(shape) if whole and isinstance(shape, tuple) else None


class _Machine:
    """Interpreter of one pass. ``run`` yields the items of the list ``key``, or of a list that is the whole value."""

    def __init__(self, content: mmap, referred: set[int], key: str) -> None:
        self._content, self._referred, self._key = content, referred, key
        self.value: Any = None
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._kept = self._before = 0

    def run(self) -> Iterator[Any]:
        content, stack, marks, memo, referred = self._content, self._stack, self._marks, self._memo, self._referred
        remembered = 0
        for code, begin, end in operations(content):
            if code == words.MEMOIZE:
                if remembered in referred:
                    memo[remembered] = stack[-1]
                remembered += 1
            elif code in (words.BINPUT, words.LONG_BINPUT):
                number = int.from_bytes(content[begin:end], "little")
                if number in referred:
                    memo[number] = stack[-1]
            elif code in (words.BINGET, words.LONG_BINGET):
                stack.append(memo[int.from_bytes(content[begin:end], "little")])
            elif words.LENGTHS[code] >= words.COUNTED and code not in (words.LONG1, words.LONG4):
                stack.append(self._text(code, begin, end))
            elif code == words.MARK:
                marks.append(len(stack))
            elif code in (words.APPENDS, words.APPEND):
                values = self._taken() if code == words.APPENDS else self._last(1)
                if not isinstance(stack[-1], list):
                    raise ValueError("it appends to what is no list")
                if self._is_wanted():
                    yield from values
                    self._kept = self._before = min(self._kept, self._before or self._kept)
                else:
                    self._keep(len(values))
                    stack[-1] += values
            elif code in (words.SETITEMS, words.SETITEM):
                self._set(self._taken() if code == words.SETITEMS else self._last(2))
            elif code == words.BUILD:
                (state,) = self._last(1)
                if not isinstance(stack[-1], Array | Dtype):
                    raise ValueError("it changes what is no array")
                stack[-1].__setstate__(state)
            elif code == words.REDUCE:
                named, arguments = self._last(2)
                stack.append(made(named, arguments))
            elif code in (words.GLOBAL, words.STACK_GLOBAL):
                stack.append(self._global(code, begin, end))
            elif code == words.STOP:
                if len(stack) != 1 or marks:
                    raise ValueError("it ends in the middle of a value")
                self.value = stack[0]
            elif code not in (words.PROTO, words.FRAME):
                self._plain(code, begin, end)
            if len(stack) > MAX_STACK:
                raise ValueError(f"it has more than {MAX_STACK} values in one piece")

    def _plain(self, code: int, begin: int, end: int) -> None:
        """Numbers, empty containers, tuples."""
        content, stack = self._content, self._stack
        if code in (words.BININT1, words.BININT2):
            stack.append(int.from_bytes(content[begin:end], "little"))
        elif code == words.BININT:
            stack.append(int.from_bytes(content[begin:end], "little", signed=True))
        elif code == words.EMPTY_TUPLE:
            stack.append(())
        elif code in words.TUPLES:
            values = tuple(self._last(words.TUPLES[code]))
            self._keep(len(values))
            stack.append(values)
        elif code == words.TUPLE:
            values = tuple(self._taken())
            self._keep(len(values))
            stack.append(values)
        elif code == words.EMPTY_DICT:
            stack.append({})
        elif code == words.EMPTY_LIST:
            stack.append([])
        elif code in (words.NEWTRUE, words.NEWFALSE):
            stack.append(code == words.NEWTRUE)
        elif code == words.NONE:
            stack.append(None)
        elif code == words.BINFLOAT:
            stack.append(struct.unpack(">d", content[begin:end])[0])
        elif code in (words.LONG1, words.LONG4):
            if end - begin > _INT_BYTES:
                raise ValueError("it holds a huge number")
            stack.append(int.from_bytes(content[begin:end], "little", signed=True))
        elif code == words.POP_MARK:
            self._taken()
        else:
            assert code == words.POP
            self._last(1)

    def _text(self, code: int, begin: int, end: int) -> Any:
        is_text = code in words.TEXTS
        if end - begin > _LARGE:
            return InFile(begin, end, is_text)
        data = self._content[begin:end]
        if is_text:
            return data.decode("utf-8", "surrogatepass")
        return data.decode("latin-1") if code in words.STRINGS else data

    def _global(self, code: int, begin: int, end: int) -> Named:
        if code == words.STACK_GLOBAL:
            module, name = self._last(2)
        else:
            module, name, _ = self._content[begin:end].decode("utf-8", "replace").split("\n")
        if not isinstance(module, str) or not isinstance(name, str) or (module, name) not in words.GLOBALS:
            raise ValueError(f"it wants to call {module}.{name}"[:200])
        return words.GLOBALS[module, name]

    def _is_wanted(self) -> bool:
        """Whether the list on top is the one of the items."""
        stack, marks = self._stack, self._marks
        if len(stack) == 1:
            return not marks
        outer = isinstance(stack[0], dict) and marks in ([], [1]) and len(stack) % 2 == 1
        return outer and stack[-2] == self._key

    def _set(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError("it sets values of what is no dict")
        self._keep(len(values))
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int | float | bool | bytes):
                raise ValueError("a dict has a key that is neither text nor a number")
            target[key] = value

    def _keep(self, count: int) -> None:
        self._kept += count
        if self._kept > MAX_KEPT:
            raise ValueError(f"it holds more than {MAX_KEPT} values outside of its items")

    def _taken(self) -> list[Any]:
        """Remove the values behind the last mark."""
        begin = self._marks.pop()
        values = self._stack[begin:]
        del self._stack[begin:]
        return values

    def _last(self, count: int) -> list[Any]:
        """Remove the last values."""
        stack = self._stack
        if count > len(stack) - (self._marks[-1] if self._marks else 0):
            raise ValueError("it takes values that are not there")
        values = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return values
