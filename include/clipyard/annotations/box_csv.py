"""Headerless csvs of labelled person boxes: AVA's ground truth and AVA-Kinetics' raw annotations, in millions of rows.

==============================  ==========================================================================
AVA (8 columns)                 ``video_id,timestamp,x1,y1,x2,y2,action_id,person_id``; whole seconds
AVA-Kinetics (7 columns)        the same without person id; seconds with up to six decimals
key frame (2 columns)           ``video_id,timestamp``: nobody is labelled there, or it is excluded
==============================  ==========================================================================

Boxes are fractions of the picture, ``0 <= x1 <= x2 <= 1``. Well-formed files are read by Arrow, in pieces of whole lines; in a file
with any oddity every row is looked at, so that each rejected one has its line and its reason, and the rest goes on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from clipyard.annotations.csv_records import MAX_RECORD_BYTES, Lines, records, visible
from clipyard.errors import UserError
from clipyard.ids import is_youtube_id, parse_clip_id
from clipyard.reasons import Reason

MAX_ACTION = 80
NOBODY = -1
"""The person id where there is none."""

BOXES = pa.schema([
    ("video_id", pa.string()),   # or the name of a clip
    ("time", pa.string()),       # the decimal text as it was: seconds of the original video
    ("second", pa.int64()),      # its whole seconds
    ("x1", pa.float64()), ("y1", pa.float64()), ("x2", pa.float64()), ("y2", pa.float64()),
    ("action_id", pa.int32()), ("person_id", pa.int32()),
])  # fmt: skip
KEY_FRAMES = pa.schema([("video_id", pa.string()), ("time", pa.string()), ("second", pa.int64())])
REJECTED = pa.schema([("line", pa.int64()), ("reason", pa.string()), ("evidence", pa.string()), ("text", pa.string())])

_TIME = re.compile(r"\d{1,7}(?:\.\d{1,6})?\Z", re.ASCII)
_FRACTION = re.compile(r"(?:0|1)?(?:\.\d{0,17})?\Z|\d\.?\d{0,17}[eE]-\d{1,3}\Z", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,9}\Z", re.ASCII)
_ID = r"^[A-Za-z0-9_-]{11}\z"
_TIMES = r"^[0-9]{1,7}(?:\.[0-9]{1,6})?\z"
_PIECE = 1 << 22
THREADS = min(4, os.cpu_count() or 1)
"""Arrow and numpy leave Python's lock to others while they work."""


@dataclass(frozen=True)
class BoxTable:
    """``boxes`` (:data:`BOXES`), ``key_frames`` without boxes (:data:`KEY_FRAMES`) and ``rejected`` rows (:data:`REJECTED`)."""

    boxes: pa.Table
    key_frames: pa.Table
    rejected: pa.Table


class _Odd(Exception):
    """The file holds something that Arrow reads, or may read, and a row must not hold."""


class Runs:
    """Neighbouring rows of one key frame: what depends on the key frame only is worked out once for each run of rows."""

    def __init__(self, begins: npt.NDArray[np.bool_]) -> None:
        self._begins = pa.array(begins)
        self.of_rows = np.cumsum(begins, dtype=np.int32) - 1
        """The number of each row's run."""

    def heads(self, table: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
        """The first row of each run."""
        return table.select([n for n in ("video_id", "time", "second") if n in table.column_names]).filter(self._begins)

    def spread(self, values: pa.Array) -> pa.Array:
        """A value of each run, for each row."""
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        return values.take(pa.array(self.of_rows))


def key_frame_runs(table: pa.Table | pa.RecordBatch) -> Runs:
    """The runs of rows of :data:`BOXES`, which may be in any order."""
    begins = np.ones(table.num_rows, dtype=bool)
    if table.num_rows:
        other = (pc.not_equal(column[1:], column[:-1]) for column in (table["video_id"], table["time"]))
        begins[1:] = np.asarray(pc.or_(*other))
    return Runs(begins)


def is_video_name(text: str) -> bool:
    """A YouTube id, or the name of a clip cut from such a video (``ID_SSSSSS_EEEEEE``)."""
    if is_youtube_id(text):
        return True
    try:
        name = parse_clip_id(text)
    except ValueError:
        return False
    return is_youtube_id(name.video_id) and name.start < name.end and str(name) == text


def read_boxes(path: Path) -> BoxTable:
    """All rows of a csv of boxes, whichever of the three forms they have. Raises :class:`UserError` when it cannot be read."""
    try:
        if path.stat().st_size == 0:
            return BoxTable(BOXES.empty_table(), KEY_FRAMES.empty_table(), REJECTED.empty_table())
        return _read_whole(path) or _read_rows(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _read_whole(path: Path) -> BoxTable | None:
    """The file by Arrow's own reader; None when anything in it is odd."""
    with open(path, "rb") as handle:
        first = handle.readline(8192).count(b",") + 1
    # A file that begins with a key frame without boxes has wider rows further down: that attempt ends at the first of them.
    return next((table for width in dict.fromkeys((first, 7, 8)) if (table := _read_width(path, width))), None)


def _read_width(path: Path, width: int) -> BoxTable | None:
    if width not in (2, 7, 8):
        return None
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            boxes, frames = zip(*pool.map(partial(_read_piece, path, width), _pieces(path)), strict=True)
    except (pa.ArrowInvalid, _Odd):
        return None
    return BoxTable(pa.concat_tables(boxes), pa.concat_tables(frames), REJECTED.empty_table())


def _pieces(path: Path) -> list[tuple[int, int]]:
    """Where the pieces of a file begin and end."""
    size, ends = path.stat().st_size, [0]
    with open(path, "rb") as handle:
        while ends[-1] < size:
            handle.seek(ends[-1] + _PIECE)
            if len(handle.readline(MAX_RECORD_BYTES)) == MAX_RECORD_BYTES:
                raise _Odd
            ends.append(min(handle.tell(), size))
    return list(pairwise(ends))


def _read_piece(path: Path, width: int, piece: tuple[int, int]) -> tuple[pa.Table, pa.Table]:
    """Boxes, and key frames without any."""
    short: list[str] = []

    def other(row: csv.InvalidRow) -> str:
        short.append(row.text)
        return "skip" if row.actual_columns == 2 else "error"

    with open(path, "rb") as handle:
        handle.seek(piece[0])
        table = _columns(handle.read(piece[1] - piece[0]), width, other)
    if width == 2:
        boxes, frames = BOXES.empty_table(), table
    else:
        boxes, frames = table, KEY_FRAMES.remove(2).empty_table()
        if short:
            frames = _columns("\n".join(short).encode(), 2)
        if width == 7:
            boxes = boxes.append_column("person_id", pa.repeat(pa.scalar(NOBODY, pa.int32()), boxes.num_rows))
    runs = key_frame_runs(boxes)
    heads = runs.heads(boxes)
    if not (_names_are_fine(heads) and _names_are_fine(frames) and _numbers_are_fine(boxes)):
        raise _Odd
    if width != 2:
        boxes = boxes.add_column(2, "second", runs.spread(_seconds(heads["time"])))
    return boxes.select(BOXES.names), frames.append_column("second", _seconds(frames["time"]))


def _columns(text: bytes, width: int, other: Callable[[csv.InvalidRow], str] | None = None) -> pa.Table:
    names = ["video_id", "time", "x1", "y1", "x2", "y2", "action_id", "person_id"][:width]
    return csv.read_csv(
        pa.BufferReader(text),
        # In a thread of Arrow's own each call of ``other`` would cost several times as much.
        csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        csv.ParseOptions(quote_char=False, ignore_empty_lines=True, invalid_row_handler=other),
        csv.ConvertOptions(
            column_types={name: BOXES.field(name).type for name in names},
            null_values=[],
            strings_can_be_null=False,
            check_utf8=True,
        ),
    )


def _seconds(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(pc.floor(pc.cast(times, pa.float64())), pa.int64())


def _names_are_fine(frames: pa.Table) -> bool:
    if not pc.all(pc.match_substring_regex(frames["time"], _TIMES), min_count=0).as_py():
        return False
    names = frames["video_id"]
    others = names.filter(pc.invert(pc.match_substring_regex(names, _ID)))  # clips, or worse
    return all(map(is_video_name, others.unique().to_pylist()))


def _numbers_are_fine(boxes: pa.Table) -> bool:
    for low, high in (("x1", "x2"), ("y1", "y2")):
        least, most = boxes[low].to_numpy(), boxes[high].to_numpy()
        # A NaN is not less than anything; no coordinate has a sign, not even zero.
        if not ((least <= most) & (most <= 1) & ~np.signbit(least)).all():
            return False
    actions, people = boxes["action_id"].to_numpy(), boxes["person_id"].to_numpy()
    return bool(((actions >= 1) & (actions <= MAX_ACTION) & (people >= NOBODY)).all())


def _read_rows(path: Path) -> BoxTable:
    boxes: dict[str, list[Any]] = {name: [] for name in BOXES.names}
    frames: dict[str, list[Any]] = {name: [] for name in KEY_FRAMES.names}
    rejected: dict[str, list[Any]] = {name: [] for name in REJECTED.names}
    with open(path, "rb") as handle:
        for line, reason, evidence, fields, text in _rows(handle):
            if reason is not None:
                values: tuple[Any, ...] = (line, str(reason), evidence, visible(text))
                target = rejected
            else:
                second = int(fields[1].partition(".")[0])
                values = (*fields[:2], second)
                target = frames
                if len(fields) > 2:
                    person = int(fields[7]) if len(fields) > 7 else NOBODY
                    values = (*values, *(float(text) for text in fields[2:6]), int(fields[6]), person)
                    target = boxes
            for column, value in zip(target.values(), values, strict=True):
                column.append(value)
    return BoxTable(
        pa.table(boxes, schema=BOXES), pa.table(frames, schema=KEY_FRAMES), pa.table(rejected, schema=REJECTED)
    )


def _rows(handle: Any) -> Iterator[tuple[int, Reason | None, str, list[str], str]]:
    for record in records(Lines(handle), 8):
        fields = record.fields
        if fields is None:
            yield record.line, Reason.BAD_ROW, record.problem, [], record.raw
            continue
        reason, evidence = _problem(fields)
        yield record.line, reason, evidence, fields, record.raw


def _problem(fields: list[str]) -> tuple[Reason | None, str]:
    """Why a row cannot be used: a reason and a phrase."""
    if len(fields) not in (2, 7, 8):
        return Reason.BAD_ROW, f"{len(fields)} columns, where 2, 7 or 8 are meant"
    if not is_video_name(fields[0]):
        return Reason.BAD_ID, f"{visible(fields[0], 60)!r} is neither a YouTube id nor a clip of one"
    if not _TIME.match(fields[1]):
        return Reason.BAD_TIME, f"{visible(fields[1], 40)!r} is not a time in seconds"
    if len(fields) == 2:
        return None, ""
    if not all(text and _FRACTION.match(text) for text in fields[2:6]):
        return Reason.BAD_ROW, "a coordinate is not a number in 0..1"
    x1, y1, x2, y2 = (float(text) for text in fields[2:6])
    if not (0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1):
        return Reason.BAD_ROW, f"the box {x1:g},{y1:g},{x2:g},{y2:g} is not inside the picture, or turned round"
    if not _WHOLE.match(fields[6]) or not 1 <= int(fields[6]) <= MAX_ACTION:
        return Reason.BAD_LABEL, f"{visible(fields[6], 20)!r} is no action id of 1..{MAX_ACTION}"
    if len(fields) > 7 and (not _WHOLE.match(fields[7]) or int(fields[7]) < NOBODY):
        return Reason.BAD_ROW, f"{visible(fields[7], 20)!r} is no person id"
    return None, ""
