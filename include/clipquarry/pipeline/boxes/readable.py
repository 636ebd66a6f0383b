"""AVA's csvs for a release: the checked rows that a reader can read, and a table of all others.

The official files stay as they are. mmaction2's readers stop at the first image that is not there and at the first row that they do
not understand, so that a release holds a csv written from the checked tables, of films and seconds whose images are there.
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
from clipquarry.annotations.ava_time import image_of
from clipquarry.files import writing

READER_IMAGES = 32
"""What readers take at most on either side of a key frame's image."""
LEFT_COLUMNS = ("video_id", "second", "rows", "reason")


class _Left(NamedTuple):
    """Rows of one kind that are not in the release; ``second`` is empty for a row that could not be read."""

    video_id: str
    second: str
    rows: int
    reason: str


def last_image(second: int) -> int:
    """The last image that a reader takes for a second of a film."""
    return image_of(second) + READER_IMAGES


def write_readable(
    boxes: pa.Table,
    rejected: pa.Table,
    target: Path,
    left: Path,
    images: Callable[[str], int],
    *,
    before: Iterable[bytes] = (),
) -> int:
    """Write ``target``, the rows of ``boxes`` that can be read, and ``left``, all others with the reason; returns their number.

    ``boxes``, ``rejected``: as :class:`~clipquarry.annotations.box_csv.BoxTable` has them, of an AVA csv. ``images``: the number of a
    film's images. ``before``: lines that stand before AVA's (the rows of Kinetics clips, which were made from their images).
    """
    frames = boxes.group_by(["video_id", "second"], use_threads=False).aggregate([([], "count_all")])
    gone = [
        _Left(video, f"{second:04d}", rows, _why(second, images(video)))
        for video, second, rows in zip(*(frames[name].to_pylist() for name in frames.column_names), strict=True)
        if last_image(second) > images(video)
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
    return f"its images end at {have}, {last_image(second)} are needed" if have else "the film has no images"


def _key(table: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(
        table["video_id"].combine_chunks(), pc.cast(table["second"], pa.string()).combine_chunks(), ","
    )


def _rejected(rejected: pa.Table) -> Iterator[_Left]:
    for row in rejected.to_pylist():
        name = row["text"].partition(",")[0]
        yield _Left(name[:60], "", 1, f"line {row['line']}: {row['reason']}, {row['evidence']}")
