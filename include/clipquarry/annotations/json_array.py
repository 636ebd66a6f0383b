"""The elements of a JSON file that is one array, one after the other: some have hundreds of megabytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from clipquarry.annotations.csv_records import visible
from clipquarry.errors import UserError, unread

_PIECE = 1 << 18
"""Characters that are read at a time."""
_LONGEST = 1 << 24
"""Limit of one element, in characters."""
_BLANKS = " \t\r\n"


def array_elements(path: Path) -> Iterator[Any]:
    """The elements in order; memory holds one, and a piece of the file. Raises :class:`UserError` for a file that cannot be read,
    or is no array, from where it is none: what came before was yielded.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as text:
            yield from _Elements(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error.reason}): get the file again.") from error


class _Elements:
    """See :func:`array_elements`."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self._path, self._text = path, text
        self._decode = json.JSONDecoder().raw_decode
        self._left, self._at, self._ended = "", 0, False

    def __iter__(self) -> Iterator[Any]:
        if (first := self._next()) != "[":
            raise UserError(f"{self._path} begins with {first!r}, not with an array: get the file again.")
        self._at += 1
        if self._next() == "]":
            self._at += 1
        else:
            while True:
                yield self._element()
                after = self._next()
                self._at += 1
                if after == "]":
                    break
                if after != ",":
                    raise self._error(f"{after!r} follows an element")
                self._next()
        if rest := self._next():
            raise self._error(f"{rest!r} follows the array")

    def _error(self, why: str) -> UserError:
        shown = visible(self._left[self._at : self._at + 60], 60)
        return UserError(f"{self._path} is no JSON ({visible(why, 120)}, at {shown!r}): get the file again.")

    def _more(self) -> bool:
        """Read a piece; whether there was one."""
        piece = self._text.read(_PIECE)
        self._left, self._at = self._left[self._at :] + piece, 0
        self._ended = not piece
        return bool(piece)

    def _next(self) -> str:
        """The next character that is no blank, which stays there; empty at the file's end."""
        while True:
            while self._at < len(self._left) and self._left[self._at] in _BLANKS:
                self._at += 1
            if self._at < len(self._left):
                return self._left[self._at]
            if not self._more():
                return ""

    def _element(self) -> Any:
        while True:
            try:
                value, end = self._decode(self._left, self._at)
            except RecursionError as error:
                raise self._error("it is nested too deep") from error
            except ValueError as error:
                if self._ended or len(self._left) - self._at > _LONGEST:
                    raise self._error(unread(error)) from error
            else:
                # A number may go on in the next piece.
                if self._ended or self._left[end : end + 1].startswith((",", "]", *_BLANKS)):
                    self._at = end
                    return value
            self._more()
