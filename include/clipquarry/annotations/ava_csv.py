"""Writer of AVA's csvs from tables: the ground truth of boxes, and the excluded key frames.

A published row gives the same text again: four digits of seconds, three decimals. Numbers with more decimals keep
all of them. mmaction2's readers split lines at commas and parse the numbers with Python, so these files may contain
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.files import writing

_ROWS = 100_000


def box_lines(boxes: pa.Table) -> Iterator[bytes]:
    """The lines of rows of :data:`~clipquarry.annotations.box_csv.BOXES`, in their order, many at a time."""
    columns: tuple[tuple[str, Callable[[Any], str]], ...] = (
        ("video_id", str), ("second", _second), *((name, _coordinate) for name in ("x1", "y1", "x2", "y2")),
        ("action_id", str), ("person_id", str),
    )  # fmt: skip
    yield from _lines(boxes, columns)


def write_boxes(boxes: pa.Table, path: Path) -> None:
    """Write ``video_id,second,x1,y1,x2,y2,action_id,person_id``, whole or not at all."""
    with writing(path, "wb") as handle:
        handle.writelines(box_lines(boxes))


def write_key_frames(frames: pa.Table, path: Path) -> None:
    """Write ``video_id,second`` (AVA's excluded timestamps), whole or not at all."""
    with writing(path, "wb") as handle:
        handle.writelines(_lines(frames, (("video_id", str), ("second", _second))))


def _second(value: int) -> str:
    return f"{value:04d}"


def _coordinate(value: float) -> str:
    short = f"{value:.3f}"
    return short if float(short) == value else repr(value)


def _lines(table: pa.Table, columns: tuple[tuple[str, Callable[[Any], str]], ...]) -> Iterator[bytes]:
    for start in range(0, table.num_rows, _ROWS):
        part = table.slice(start, _ROWS)
        texts = [_texts(part[name], form) for name, form in columns]
        lines = pc.binary_join_element_wise(*texts, pa.scalar(",", pa.large_string()))
        ended = pc.binary_join_element_wise(lines, pa.scalar("\n", pa.large_string()), pa.scalar("", pa.large_string()))
        yield "".join(ended.to_pylist()).encode()


def _texts(column: pa.ChunkedArray, form: Callable[[Any], str]) -> pa.Array:
    """Millions of rows have few distinct values, so each value is formatted once."""
    words = column.combine_chunks().dictionary_encode()
    if isinstance(words, pa.ChunkedArray):
        words = words.combine_chunks()
    return pa.array([form(value) for value in words.dictionary.to_pylist()], pa.large_string()).take(words.indices)
