"""Reader of untrusted csv records: a long line, an open quote or bytes that are not UTF-8 spoil one record only.

Python's csv reader follows an open quote to the end of the file and raises on the rest. This one looks a few lines
ahead and continues after the damaged line. Memory is bounded by ``MAX_RECORD_BYTES`` and the look-ahead.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from clipquarry.errors import UserError

MAX_RECORD_BYTES = 8192
"""A published row has less than 100 bytes; anything longer than this is rejected without being held."""
_MAX_RECORD_LINES = 8
BOM = b"\xef\xbb\xbf"
"""The byte order mark that some programs write before UTF-8."""


class Record(NamedTuple):
    """One csv record before its values are checked; ``problem`` says why ``fields`` could not be read."""

    line: int
    fields: list[str] | None
    problem: str
    raw: str


def visible(text: str, limit: int = 200) -> str:
    """At most ``limit`` characters, with unprintable ones as escapes."""
    shown = text[:limit]
    if not shown.isprintable():  # most texts are, and this is asked for every row
        shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in shown)
    return f"{shown}…" if len(text) > limit else shown


class Lines:
    """Physical lines as (number, bytes without the line end, too long?), with a look-ahead. Long lines are not held."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle, self._number = handle, 0
        self._ahead: deque[tuple[int, bytes, bool]] = deque()

    def _read(self) -> tuple[int, bytes, bool] | None:
        text = self._handle.readline(MAX_RECORD_BYTES + 2)
        if not text:
            return None
        self._number += 1
        body = text.removesuffix(b"\n").removesuffix(b"\r")
        too_long = len(body) > MAX_RECORD_BYTES or (not text.endswith(b"\n") and len(text) == MAX_RECORD_BYTES + 2)
        while too_long and text and not text.endswith(b"\n"):
            text = self._handle.readline(1 << 20)
        return self._number, body, too_long

    def next(self) -> tuple[int, bytes, bool] | None:
        return self._ahead.popleft() if self._ahead else self._read()

    def peek(self, index: int) -> tuple[int, bytes, bool] | None:
        while len(self._ahead) <= index:
            if (line := self._read()) is None:
                return None
            self._ahead.append(line)
        return self._ahead[index]

    def drop(self, count: int) -> None:
        for _ in range(count):
            self._ahead.popleft()


def line_text(line: tuple[int, bytes, bool]) -> tuple[str, str]:
    """The text of a line of :class:`Lines`, and why it cannot be used (``""`` if it can; else the text is its
    readable rest).
    """
    _, body, too_long = line
    if too_long:
        return body[:1000].decode(errors="backslashreplace"), f"the line is longer than {MAX_RECORD_BYTES} bytes"
    try:
        return body.decode(), ""
    except UnicodeDecodeError as error:
        return body.decode(errors="backslashreplace"), f"the line is not UTF-8 (byte {error.start + 1} of it)"


def text_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number (from 1), text and problem (see :func:`line_text`) of each line that is not blank, streamed; blanks around it do not
    count. Raises UserError if the file cannot be opened.
    """
    try:
        handle = open(path, "rb")  # noqa: SIM115 — only the opening is guarded
    except OSError as error:
        raise UserError(f"The annotation file {path} cannot be read: {error.strerror}.") from error
    with handle:
        lines = Lines(handle)
        while (read := lines.next()) is not None:
            text, problem = line_text(read)
            text = text.removeprefix(BOM.decode()).strip() if read[0] == 1 else text.strip()
            if text:
                yield read[0], text, problem


def _fields(text: str) -> list[str] | None:
    """One record's fields, or None if the quotes do not match."""
    if '"' not in text and "\r" not in text:
        return text.split(",")
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _spanning(first: str, lines: Lines, columns: int) -> tuple[list[str], str, int] | None:
    """A record that continues over line ends, as (fields, text, further lines), or None if a quote is simply not
    closed.

    The quote must be closed within a few lines, and the result must have the right columns. If a line in between is
    a row in its own right, the quote was a typing error and must not swallow good rows.
    """
    text = first
    for index in range(_MAX_RECORD_LINES - 1):
        ahead = lines.peek(index)
        if ahead is None or ahead[2] or len(text) + len(ahead[1]) > MAX_RECORD_BYTES:
            return None
        try:
            line = ahead[1].decode()
        except UnicodeDecodeError:
            return None
        text += "\n" + line
        if line.count('"') % 2:
            try:
                rows = list(csv.reader((f"{part}\n" for part in text.split("\n")), strict=True))
            except csv.Error:
                return None
            return (rows[0], text, index + 1) if len(rows) == 1 and len(rows[0]) == columns else None
        alone = _fields(line)
        if alone is not None and len(alone) == columns:
            return None
    return None


def records(lines: Lines, columns: int) -> Iterator[Record]:
    """The records of the remaining lines, each checked to have ``columns`` fields. Blank lines are not records."""
    while (read := lines.next()) is not None:
        number = read[0]
        text, problem = line_text(read)
        if problem:
            yield Record(number, None, problem, visible(text))
            continue
        if not text.strip():
            continue
        if text.count('"') % 2:
            joined = _spanning(text, lines, columns)
            if joined is None:
                yield Record(number, None, "a quote is opened and not closed", visible(text))
                continue
            fields, text, further = joined
            lines.drop(further)
            yield Record(number, fields, "a value goes over a line end", visible(text))
            continue
        split = _fields(text)
        if split is None:
            yield Record(number, None, "the quotes or line ends do not work out", visible(text))
        elif len(split) != columns:
            yield Record(number, split, f"{len(split)} columns where the header has {columns}", visible(text))
        else:
            yield Record(number, split, "", text)
