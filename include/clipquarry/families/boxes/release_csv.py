"""AVA's csvs for a release: the checked rows that a reader can read, and a table of all others.

The official files stay unchanged. mmaction2's readers stop at the first absent frame and at the first row that they
do not understand. Therefore a release contains a csv written from the checked tables, with videos and seconds whose
frames are there.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.ava_csv import box_lines
from clipquarry.annotations.ava_time import frame_of
from clipquarry.files import writing

READER_FRAMES = 32
"""Frames that readers take at most on either side of a key frame."""
LEFT_COLUMNS = ("video_id", "second", "rows", "reason")


class _Left(NamedTuple):
    """Rows of one kind that are not in the release; ``second`` is empty for a row that could not be read."""

    video_id: str
    second: str
    rows: int
    reason: str


def last_frame(second: int) -> int:
    """The last frame that a reader takes for a second of a video."""
    return frame_of(second) + READER_FRAMES


def write_release_csv(
    boxes: pa.Table,
    rejected: pa.Table,
    target: Path,
    left: Path,
    frames_of: Callable[[str], int],
    *,
    before: Iterable[bytes] = (),
) -> int:
    """Write ``target``, the rows of ``boxes`` that can be read, and ``left``, all others with the reason; returns
    their number.

    ``boxes``, ``rejected``: as in :class:`~clipquarry.annotations.box_csv.BoxTable`, of an AVA csv. ``frames_of``: the
    number of a video's frames. ``before``: lines that precede AVA's (the rows of Kinetics clips, which were made
    from their frames).
    """
    frames = boxes.group_by(["video_id", "second"], use_threads=False).aggregate([([], "count_all")])
    gone = [
        _Left(video, f"{second:04d}", rows, _why(second, frames_of(video)))
        for video, second, rows in zip(*(frames[name].to_pylist() for name in frames.column_names), strict=True)
        if last_frame(second) > frames_of(video)
    ]
    if gone:
        keys = pa.table({"video_id": [one.video_id for one in gone], "second": [int(one.second) for one in gone]})
        boxes = boxes.filter(pc.invert(pc.is_in(_key(boxes), value_set=_key(keys))))
    with writing(target, "wb") as out:
        out.writelines(chain(before, box_lines(boxes)))
    all_left = [*gone, *_rejected(rejected)]
    with writing(left) as handle:
        table = csv.writer(handle, lineterminator="\n")
        table.writerow(LEFT_COLUMNS)
        table.writerows(all_left)
    return sum(one.rows for one in all_left)


def _why(second: int, have: int) -> str:
    return f"its frames end at {have}, {last_frame(second)} are needed" if have else "the video has no frames"


def _key(table: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(
        table["video_id"].combine_chunks(), pc.cast(table["second"], pa.string()).combine_chunks(), ","
    )


def _rejected(rejected: pa.Table) -> Iterator[_Left]:
    for row in rejected.to_pylist():
        name = row["text"].partition(",")[0]
        yield _Left(name[:60], "", 1, f"line {row['line']}: {row['reason']}, {row['evidence']}")
