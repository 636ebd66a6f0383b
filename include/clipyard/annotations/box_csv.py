"""Headerless csvs of labelled person boxes: AVA's ground truth and AVA-Kinetics' raw annotations, in millions of rows.

==============================  ==========================================================================
AVA (8 columns)                 ``video_id,timestamp,x1,y1,x2,y2,action_id,person_id``; whole seconds
AVA-Kinetics (7 columns)        the same without person id; seconds with up to six decimals
key frame (2 columns)           ``video_id,timestamp``: nobody is labelled there, or it is excluded
==============================  ==========================================================================

Boxes are fractions of the picture, ``0 <= x1 <= x2 <= 1``. Well-formed files are read at once by Arrow; in a file with any
oddity every row is looked at, so that each rejected one has its line and its reason, and the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from clipyard.annotations.csv_records import Lines, records, visible
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
_TIMES = r"^[0-9]{1,7}(\.[0-9]{1,6})?\z"


@dataclass(frozen=True)
class BoxTable:
    """``boxes`` (:data:`BOXES`), ``key_frames`` without boxes (:data:`KEY_FRAMES`) and ``rejected`` rows (:data:`REJECTED`)."""

    boxes: pa.Table
    key_frames: pa.Table
    rejected: pa.Table


class Runs:
    """Neighbouring rows of one key frame: what depends on the key frame only is worked out once for each run of rows."""

    def __init__(self, begins: npt.NDArray[np.bool_]) -> None:
        self._heads = pa.array(np.flatnonzero(begins))
        self._run = pa.array((np.cumsum(begins) - 1).astype(np.int64))

    def heads(self, table: pa.Table) -> pa.Table:
        """The first row of each run."""
        return table.select([name for name in ("video_id", "time", "second") if name in table.column_names]).take(
            self._heads
        )

    def spread(self, values: pa.Array) -> pa.Array:
        """A value of each run, for each row."""
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        return values.take(self._run)


def key_frame_runs(table: pa.Table) -> Runs:
    """The runs of a table of :data:`BOXES`, which may be in any order."""
    begins = np.ones(table.num_rows, dtype=bool)
    if table.num_rows:
        begins[1:] = False
        for name in ("video_id", "time"):
            column = table[name].combine_chunks()
            other = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))
            begins[1:] |= other.to_numpy(zero_copy_only=False)
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
    short: list[str] = []

    def other(row: csv.InvalidRow) -> str:
        short.append(row.text)
        return "skip" if row.actual_columns == 2 else "error"

    names = ["video_id", "time", "x1", "y1", "x2", "y2", "action_id", "person_id"][:width]
    types = {name: BOXES.field(name).type for name in names}
    try:
        table = csv.read_csv(
            path,
            csv.ReadOptions(column_names=names, use_threads=False),  # two cores take twice the processor time
            csv.ParseOptions(quote_char=False, ignore_empty_lines=True, invalid_row_handler=other),
            csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False, check_utf8=True),
        )
    except pa.ArrowInvalid:
        return None
    frames = pa.Table.from_pylist(
        [dict(zip(("video_id", "time"), text.rstrip("\r").split(",", 1), strict=True)) for text in short],
        schema=KEY_FRAMES.remove(2),
    )
    if width == 2:
        table, frames = BOXES.empty_table(), pa.concat_tables([table, frames])
    elif width == 7:
        table = table.append_column("person_id", pa.repeat(pa.scalar(NOBODY, pa.int32()), table.num_rows))
    table, frames = table.combine_chunks(), frames.combine_chunks()
    runs = key_frame_runs(table)
    if not (_names_are_fine(runs.heads(table), frames) and _numbers_are_fine(table)):
        return None
    if width != 2:
        table = table.add_column(2, "second", runs.spread(_seconds(runs.heads(table)["time"])))
    frames = frames.append_column("second", _seconds(frames["time"]))
    return BoxTable(table.select(BOXES.names), frames, REJECTED.empty_table())


def _seconds(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(pc.floor(pc.cast(times, pa.float64())), pa.int64())


def _names_are_fine(*tables: pa.Table) -> bool:
    for table in tables:
        if table.num_rows:
            names = pc.unique(table["video_id"])
            other = names.filter(pc.invert(pc.match_substring_regex(names, _ID)))  # clips, or worse
            if not all(map(is_video_name, other.to_pylist())):
                return False
            if not pc.all(pc.match_substring_regex(table["time"], _TIMES)).as_py():
                return False
    return True


def _numbers_are_fine(table: pa.Table) -> bool:
    if not table.num_rows:
        return True
    for low, high in (("x1", "x2"), ("y1", "y2")):
        least, most = float(pc.min(table[low]).as_py()), float(pc.max(table[high]).as_py())
        # A NaN fails the comparison of its row; -0.0 and infinities fail the limits.
        if not (least >= 0 and most <= 1 and pc.all(pc.less_equal(table[low], table[high])).as_py()):
            return False
    actions, people = pc.min_max(table["action_id"]).as_py(), pc.min_max(table["person_id"]).as_py()
    return bool(actions["min"] >= 1 and actions["max"] <= MAX_ACTION and people["min"] >= NOBODY)


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
