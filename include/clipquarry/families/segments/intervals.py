"""The table of a run's labelled intervals, and the same for people.

==============  ======  ==============================================================================
column          type    meaning
==============  ======  ==============================================================================
item_id         string  the row's name: ``{split}/{video}#{position}``
video_item      string  ``item_id`` of the video in the catalog
split           string
video_id        string
position        int32   0-based, among the intervals of the video, in the order of the annotation files
label           string  name of the class; ``Ambiguous`` for an ambiguous interval
label_index     int32   0-based number of the class; -1 for an ambiguous interval
seconds         double  length of the video by the annotation; null where it says none
start, end      int64   microseconds of the video; ``end`` is exclusive. Nothing here says that it is behind ``start``
start_text,     string  the times as the annotation writes them, in seconds
end_text
ambiguous       bool    nobody can say whether it shows an action
file, line              the annotation file and the line, 1 is the first
==============  ======  ==============================================================================
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from clipquarry.annotations.interval_files import Interval
from clipquarry.files import writing
from clipquarry.manifest import ManifestWriter, Row, read_rows, schema_of

KIND = "intervals"
FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("video_item", pa.string(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("position", pa.int32(), nullable=False),
    pa.field("label", pa.string(), nullable=False),
    pa.field("label_index", pa.int32(), nullable=False),
    pa.field("seconds", pa.float64()),
    pa.field("start", pa.int64(), nullable=False),
    pa.field("end", pa.int64(), nullable=False),
    pa.field("start_text", pa.string(), nullable=False),
    pa.field("end_text", pa.string(), nullable=False),
    pa.field("ambiguous", pa.bool_(), nullable=False),
    pa.field("file", pa.string(), nullable=False),
    pa.field("line", pa.int32(), nullable=False),
)
COLUMNS = ("video", "split", "label", "label_index", "start", "end", "ambiguous")
"""Columns of the csv; times are seconds, as the annotation writes them."""


def video_item(split: str, video: str) -> str:
    """A video's ``item_id`` in the catalog; ``video`` is the name of its file."""
    return f"{split}/{video}"


class IntervalWriter(ManifestWriter):
    """Writer of the table, which appears whole when the block ends without an error."""

    def __init__(self, target: Path) -> None:
        super().__init__(target, schema_of(FIELDS, KIND))

    def add(
        self, split: str, position: int, one: Interval, *, file: str = "", seconds: float | None = None
    ) -> None:  # fmt: skip
        """Add an interval, the ``position``-th of its video. ``file``: the name of the video's file, where that is not its id."""
        item = video_item(split, file or one.video)
        self.write({
            "item_id": f"{item}#{position}", "video_item": item, "split": split, "video_id": one.video,
            "position": position, "label": one.name, "label_index": one.number, "seconds": seconds, "start": one.start, "end": one.end,
            "start_text": one.start_text, "end_text": one.end_text, "ambiguous": one.ambiguous, "file": one.file,
            "line": one.line,
        })  # fmt: skip


def rows_of(table: Path, splits: list[str]) -> Iterator[Row]:
    """The intervals of these splits, in the table's order, streamed."""
    for row in read_rows(table):
        if row["split"] in splits:
            yield row


def write_csv(table: Path, splits: list[str], target: Path) -> int:
    r"""Write the intervals whose end is behind their start as csv (UTF-8, ``\n``, :data:`COLUMNS`); returns how many are left out.

    Names cannot be formulas of a spreadsheet: ids and classes with such a beginning get a ``'`` in front.
    """
    left = 0
    with writing(target) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows_of(table, splits):
            if row["end"] <= row["start"]:
                left += 1
                continue
            writer.writerow([
                _plain(row["video_id"]), row["split"], _plain(row["label"]), row["label_index"], row["start_text"],
                row["end_text"], int(row["ambiguous"]),
            ])  # fmt: skip
    return left


def _plain(name: str) -> str:
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name
