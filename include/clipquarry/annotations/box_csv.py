"""Headerless csvs of labelled person boxes: AVA's ground truth and AVA-Kinetics' raw annotations, in millions of rows.

==============  =====================================================  ===================================================
form            columns                                                times
==============  =====================================================  ===================================================
ava             ``video_id,timestamp,x1,y1,x2,y2,action_id,person_id``  whole seconds of 902..1798
ava_kinetics    the same without person id, exactly seven               seconds above 0 with up to six decimals
ava_kinetics    ``video_id,timestamp``: a key frame without anybody      likewise
excluded        ``video_id,timestamp``: AVA's excluded key frames        whole seconds
==============  =====================================================  ===================================================

Boxes are fractions of the frame, ``0 <= x1 <= x2 <= 1``. Columns of AVA beyond eight are not looked at; a row with fewer is
rejected, as is one of AVA-Kinetics with other than two or seven. Blank lines and a byte order mark at the file's beginning are no
rows. Quotes are never read: no reader of these files knows them, so that a row with one is rejected.

Well-formed pieces of a file are read by Arrow. In a piece with any oddity each row is looked at, so that each rejected one has its
line and its reason, and the rest goes on. Both ways ask :class:`_Grammar` about every value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from clipquarry.annotations.ava_time import FIRST_KEY, LAST_KEY
from clipquarry.annotations.csv_records import BOM, Lines, line_text, visible
from clipquarry.errors import UserError
from clipquarry.ids import is_youtube_id
from clipquarry.reasons import Reason

Form = Literal["ava", "ava_kinetics", "excluded"]

MAX_ACTION = 80
NOBODY = -1
"""The person id of a row without one."""

BOXES = pa.schema([
    ("video_id", pa.string()),   # or the name of a clip
    ("time", pa.string()),       # the decimal text as it was: seconds of the original video
    ("second", pa.int64()),      # its whole seconds
    ("x1", pa.float64()), ("y1", pa.float64()), ("x2", pa.float64()), ("y2", pa.float64()),
    ("action_id", pa.int32()), ("person_id", pa.int32()),
])  # fmt: skip
KEY_FRAMES = pa.schema([("video_id", pa.string()), ("time", pa.string()), ("second", pa.int64())])
REJECTED = pa.schema([("line", pa.int64()), ("reason", pa.string()), ("evidence", pa.string()), ("text", pa.string())])

_NAMES = ("video_id", "time", "x1", "y1", "x2", "y2", "action_id", "person_id")
_SECONDS = re.compile(r"\d{1,7}(?:\.\d{1,6})?\Z", re.ASCII)
_WHOLE_SECONDS = re.compile(r"\d{1,7}\Z", re.ASCII)
_FRACTION = re.compile(r"(?:[01](?:\.\d{0,40})?|\.\d{1,40}|\d(?:\.\d{0,40})?[eE]-\d{1,3})\Z", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}\Z", re.ASCII)
_WORDS = pa.dictionary(pa.int32(), pa.string())
_PIECE, _BLOCK = 1 << 22, 1 << 20
THREADS = min(4, os.cpu_count() or 1)
"""Arrow and numpy leave Python's lock to others while they work."""


@dataclass(frozen=True)
class BoxTable:
    """``boxes`` (:data:`BOXES`), ``key_frames`` without boxes (:data:`KEY_FRAMES`) and ``rejected`` rows (:data:`REJECTED`)."""

    boxes: pa.Table
    key_frames: pa.Table
    rejected: pa.Table

    @classmethod
    def empty(cls) -> BoxTable:
        return cls(*(schema.empty_table() for schema in (BOXES, KEY_FRAMES, REJECTED)))


class _Bad(Exception):
    """A row cannot be used: a reason and a phrase."""

    def __init__(self, reason: Reason, phrase: str) -> None:
        super().__init__(phrase)
        self.reason, self.phrase = reason, phrase


class _Odd(Exception):
    """A piece contains something that Arrow does not read, or reads differently than line by line."""


class _Grammar:
    """Rules for each value of a row. Both ways of reading a file use them, and nothing else decides."""

    def __init__(self, form: Form, actions: Collection[int] | None) -> None:
        self.form, self._actions = form, actions
        self.widths = {"ava": (8,), "ava_kinetics": (7, 2), "excluded": (2,)}[form]
        self.cells: tuple[Callable[[str], Any], ...] = (
            self._video, self._time, *[_fraction] * 4, self._action, _person
        )  # fmt: skip
        # Millions of rows have few distinct texts.
        self._remembering = tuple(lru_cache(maxsize=1 << 14)(cell) for cell in self.cells)

    def fields(self, text: str) -> list[str]:
        """A line's columns. Raises :class:`_Bad` if their number is wrong."""
        if '"' in text:
            raise _Bad(Reason.BAD_ROW, "it has quotes, which readers take for part of a value: write it without")
        found = text.split(",")
        if self.form == "ava":
            found = found[: self.widths[0]]
        if len(found) not in self.widths:
            wanted = {"ava": "at least 8", "ava_kinetics": "7 (or 2 for nobody)", "excluded": "2"}[self.form]
            raise _Bad(Reason.BAD_ROW, f"{len(found)} columns, where {wanted} are expected")
        return found

    def row(self, text: str) -> tuple[Any, ...]:
        """A line's values. Raises :class:`_Bad`."""
        values = tuple(cell(field) for cell, field in zip(self._remembering, self.fields(text), strict=False))
        if len(values) > 2:
            x1, y1, x2, y2 = values[2:6]
            if x1 > x2 or y1 > y2:
                raise _Bad(Reason.BAD_ROW, f"the box {x1:g},{y1:g},{x2:g},{y2:g} is turned round")
        return values

    @staticmethod
    def _video(text: str) -> str:
        if not is_youtube_id(text):
            raise _Bad(Reason.BAD_ID, f"{visible(text, 60)!r} is no YouTube id of 11 characters")
        return text

    def _time(self, text: str) -> str:
        if self.form == "ava_kinetics":
            if not _SECONDS.match(text) or float(text) == 0:
                raise _Bad(
                    Reason.BAD_TIME, f"{visible(text, 40)!r} is not a time above 0 in seconds, of six decimals at most"
                )
        elif not _WHOLE_SECONDS.match(text):
            raise _Bad(Reason.BAD_TIME, f"{visible(text, 40)!r} is not a time in whole seconds")
        elif self.form == "ava" and not FIRST_KEY <= int(text) <= LAST_KEY:
            raise _Bad(Reason.BAD_TIME, f"second {text} is not one of AVA's key frames, {FIRST_KEY} to {LAST_KEY}")
        return text

    def _action(self, text: str) -> int:
        if not _WHOLE.match(text) or not 1 <= int(text) <= MAX_ACTION:
            raise _Bad(Reason.BAD_LABEL, f"{visible(text, 20)!r} is no action id of 1..{MAX_ACTION}")
        if self._actions is not None and int(text) not in self._actions:
            raise _Bad(Reason.UNKNOWN_LABEL, f"the action {text} is not in the action list")
        return int(text)


def _fraction(text: str) -> float:
    # Ten digits and an exponent below zero can still be more than 1: '9e-0'.
    if not _FRACTION.match(text) or float(text) > 1:
        raise _Bad(Reason.BAD_ROW, f"the coordinate {visible(text, 30)!r} is not a number in 0..1")
    return float(text)


def _person(text: str) -> int:
    if not _WHOLE.match(text):
        raise _Bad(Reason.BAD_ROW, f"{visible(text, 20)!r} is no person id")
    return int(text)


class Runs:
    """Neighbouring rows of one key frame, so that values of the key frame are computed once per run of rows."""

    def __init__(self, begins: npt.NDArray[np.bool_]) -> None:
        self._begins = pa.array(begins)
        self.of_rows = np.cumsum(begins, dtype=np.int32) - 1
        """The number of each row's run."""

    def heads(self, table: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
        """The first row of each run."""
        return table.select([n for n in ("video_id", "time", "second") if n in table.column_names]).filter(self._begins)

    def spread(self, values: pa.Array) -> pa.Array:
        """A value of each run, repeated for each row."""
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        return values.take(pa.array(self.of_rows))


def key_frame_runs(table: pa.Table | pa.RecordBatch) -> Runs:
    """The runs of rows of :data:`BOXES`, which may be in any order."""
    begins = np.ones(table.num_rows, dtype=bool)
    if table.num_rows:
        other = (pc.not_equal(column[1:], column[:-1]) for column in (table["video_id"], table["time"]))
        begins[1:] = np.asarray(pc.or_(*other))
    return Runs(begins)


def read_boxes(path: Path, form: Form, actions: Collection[int] | None = None) -> BoxTable:
    """All rows of a csv of boxes, in its order, good or rejected.

    ``actions``: the ids of the action list; a row with any other is rejected (``None``: all of 1..80 are known).
    Raises :class:`UserError` if the file cannot be read.
    """
    grammar = _Grammar(form, actions)
    try:
        pieces = _pieces(path)
        with ThreadPoolExecutor(THREADS) as pool:
            parts = list(pool.map(partial(_read_piece, path, grammar), pieces))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if not parts:
        return BoxTable.empty()
    tables, counts = zip(*parts, strict=True)
    rejected = []
    for table, before in zip(tables, accumulate(counts, initial=0), strict=False):
        lines = pc.add(table.rejected["line"], before)
        rejected.append(table.rejected.set_column(0, REJECTED.field("line"), lines))
    return BoxTable(
        pa.concat_tables([table.boxes for table in tables]),
        pa.concat_tables([table.key_frames for table in tables]),
        pa.concat_tables(rejected),
    )


def _pieces(path: Path) -> list[tuple[int, int]]:
    """Begin and end of a file's pieces; each is whole lines."""
    size, ends = path.stat().st_size, [0]
    with open(path, "rb") as handle:
        while ends[-1] < size:
            handle.seek(ends[-1] + _PIECE)
            while (text := handle.readline(_BLOCK)) and not text.endswith(b"\n"):
                pass
            ends.append(min(handle.tell(), size))
    return list(pairwise(ends))


def _read_piece(path: Path, grammar: _Grammar, piece: tuple[int, int]) -> tuple[BoxTable, int]:
    """A piece's rows, with rejected ones numbered from the piece's beginning; and its number of lines."""
    begin, end = piece
    with open(path, "rb") as handle:
        handle.seek(begin)
        if end - begin <= _PIECE + _BLOCK:  # else it is one endless line, which is not held
            text = handle.read(end - begin)
            try:
                return _read_whole(text, grammar, first=not begin), _line_count(text)
            except (_Bad, _Odd):
                handle.seek(begin)
        return _read_rows(handle, end, grammar)


def _read_whole(text: bytes, grammar: _Grammar, *, first: bool) -> BoxTable:
    """A piece by Arrow's own reader. Raises if anything in it is odd."""
    text = text.removeprefix(BOM) if first else text
    # Arrow removes a byte order mark from each text, and treats a lone carriage return as a line end.
    if not text.isascii() or text.count(b"\r") != text.count(b"\r\n"):
        raise _Odd
    # A piece that begins with a key frame without boxes has wider rows further down; that attempt ends at the first of
    # them.
    begins = text.partition(b"\n")[0].count(b",") + 1
    for width in sorted(grammar.widths, key=lambda width: width != begins):
        try:
            return _read_width(text, width, grammar)
        except pa.ArrowInvalid:
            continue
    raise _Odd


def _read_width(text: bytes, width: int, grammar: _Grammar) -> BoxTable:
    short: list[str] = []

    def other(row: csv.InvalidRow) -> str:
        short.append(row.text)
        return "skip" if row.actual_columns in grammar.widths and row.actual_columns < width else "error"

    columns = _columns(text, width, grammar, other)
    if width == 2:
        boxes, frames = {name: pa.array([], BOXES.field(name).type) for name in BOXES.names}, columns
    else:
        boxes = columns
        boxes.setdefault("person_id", pa.repeat(pa.scalar(NOBODY, pa.int32()), len(columns["time"])))
        frames = _columns("\n".join(short).encode(), 2, grammar) if short else {}
        turned = np.asarray(pc.or_(pc.greater(boxes["x1"], boxes["x2"]), pc.greater(boxes["y1"], boxes["y2"])))
        if turned.any():
            raise _Odd
    key_frames = pa.table({name: frames[name] for name in KEY_FRAMES.names}) if frames else KEY_FRAMES.empty_table()
    return BoxTable(
        pa.table({name: boxes[name] for name in BOXES.names}, schema=BOXES),
        key_frames.cast(KEY_FRAMES),
        REJECTED.empty_table(),
    )


def _columns(
    text: bytes, width: int, grammar: _Grammar, other: Callable[[csv.InvalidRow], str] | None = None
) -> dict[str, pa.Array]:
    """The columns of a text, each value as the grammar has it, and ``second``. Raises what Arrow and the grammar raise."""
    names = _NAMES[:width]
    table = csv.read_csv(
        pa.BufferReader(text),
        # In one of Arrow's threads each call of ``other`` would take several times as long.
        csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        csv.ParseOptions(quote_char=False, ignore_empty_lines=True, invalid_row_handler=other),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, _WORDS), null_values=[], strings_can_be_null=False, check_utf8=True
        ),
    ).combine_chunks()
    found: dict[str, pa.Array] = {}
    for name, cell in zip(names, grammar.cells, strict=False):
        column = table[name].chunk(0) if table[name].num_chunks else pa.array([], _WORDS)
        words = column.dictionary.to_pylist()
        found[name] = pa.array([cell(word) for word in words], BOXES.field(name).type).take(column.indices)
        if name == "time":
            found["second"] = pa.array([_whole(word) for word in words], pa.int64()).take(column.indices)
    return found


def _line_count(text: bytes) -> int:
    return text.count(b"\n") + (not text.endswith(b"\n"))


def _whole(time: str) -> int:
    return int(time.partition(".")[0])


def _read_rows(handle: IO[bytes], end: int, grammar: _Grammar) -> tuple[BoxTable, int]:
    """A piece line by line; and its number of lines."""
    boxes: dict[str, list[Any]] = {name: [] for name in BOXES.names}
    frames: dict[str, list[Any]] = {name: [] for name in KEY_FRAMES.names}
    rejected: dict[str, list[Any]] = {name: [] for name in REJECTED.names}
    first, lines, number = not handle.tell(), Lines(handle), 0
    while handle.tell() < end and (read := lines.next()) is not None:
        number = read[0]
        text, problem = line_text(read)
        text = text.removeprefix("\ufeff") if first and number == 1 else text
        if not problem and not text.strip():
            continue
        try:
            if problem:
                raise _Bad(Reason.BAD_ROW, problem)
            values = grammar.row(text)
        except _Bad as bad:
            target, values = rejected, (number, str(bad.reason), bad.phrase, visible(text))
        else:
            target = boxes if len(values) > 2 else frames
            values = (*values[:2], _whole(values[1]), *values[2:])
            if len(values) == len(BOXES.names) - 1:
                values = (*values, NOBODY)
        for column, value in zip(target.values(), values, strict=True):
            column.append(value)
    tables = ((boxes, BOXES), (frames, KEY_FRAMES), (rejected, REJECTED))
    return BoxTable(*(pa.table(columns, schema=schema) for columns, schema in tables)), number
