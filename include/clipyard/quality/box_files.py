"""Headerless csvs of boxes as they lie on disk: their lines, and how they stand to rows of a table. In arrow: there are millions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from clipyard.quality.engine import IN_SET, Rule, Suite

COLUMNS: Final = 8
"""Video or clip, second, four corners, action, person."""
HALF_THOUSANDTH: Final = 0.0005 + 1e-9
_CORNERS: Final = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class CsvLines:
    """The lines of a file without their ends, damaged bytes replaced; ``ended``: the last one has its line end."""

    lines: pa.LargeStringArray
    ended: bool

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def columns(self) -> npt.NDArray[np.int32]:
        """Columns of each line."""
        return np.asarray(pc.add(pc.count_substring(self.lines, ","), 1))

    def match(self, regex: str) -> npt.NDArray[np.bool_]:
        """Lines that a regular expression is found in."""
        return np.asarray(pc.match_substring_regex(self.lines, regex))

    def table(self, prefix: str) -> pd.DataFrame:
        """``item_id`` (``prefix`` and the line's number from 1) and ``text``."""
        numbers = pc.cast(pa.array(np.arange(1, len(self) + 1)), pa.large_string())
        ids = pc.binary_join_element_wise(
            pa.scalar(prefix, pa.large_string()), numbers, pa.scalar("", pa.large_string())
        )
        frame: pd.DataFrame = pa.table({"item_id": ids, "text": self.lines}).to_pandas()
        return frame.astype("str")


def read_lines(path: Path, *, blank: bool = True) -> CsvLines:
    """All lines of a csv; ``blank=False`` leaves empty ones out. Raises OSError."""
    content = path.read_bytes()
    ended = not content or content.endswith(b"\n")
    text = content.decode("utf-8", "replace").removesuffix("\n")
    del content
    lines = (
        pc.list_flatten(pc.split_pattern(pa.array([text], pa.large_string()), "\n"))
        if text
        else pa.array([], pa.large_string())
    )
    if "\r" in text:
        lines = pc.utf8_rtrim(lines, "\r")
    if not blank:
        lines = lines.filter(pc.not_equal(lines, ""))
    return CsvLines(lines, ended)


def rows_differ(csv_lines: CsvLines, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which lines of :data:`COLUMNS` columns do not say what the row of the same place says, its corners to three decimals.

    There are as many lines as rows. Lines of another number of columns are not looked at.
    """
    differ = np.zeros(len(rows), dtype=bool)
    whole = csv_lines.columns == COLUMNS
    if not whole.any():
        return differ
    table = parsed(csv_lines, whole)
    right = rows[whole]
    same = np.ones(len(right), dtype=bool)
    for name in ("video_id", "second", "action_id"):
        wanted = pa.array(right[name].astype("str"), pa.string(), from_pandas=True)
        same &= np.asarray(pc.equal(table[name], wanted))
    for name in _CORNERS:
        formed = pc.match_substring_regex(table[name], r"^[01]\.[0-9]{3}\z")
        value = np.asarray(pc.cast(pc.if_else(formed, table[name], "-1"), pa.float64()))
        same &= np.abs(value - right[name].to_numpy()) <= HALF_THOUSANDTH
    differ[whole] = ~same
    return differ


def parsed(csv_lines: CsvLines, chosen: npt.NDArray[np.bool_], columns: int = COLUMNS) -> pa.Table:
    """The chosen lines, of ``columns`` columns each, all of them text: ``video_id, second, x1, y1, x2, y2, action_id, person_id``."""
    names = ["video_id", "second", *_CORNERS, "action_id", "person_id"][:columns]
    text = io.BytesIO("\n".join(csv_lines.lines.filter(pa.array(chosen)).to_pylist()).encode())
    return csv.read_csv(
        text,
        csv.ReadOptions(column_names=names),
        csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )


def kept(part: CsvLines, whole: CsvLines, place: slice) -> npt.NDArray[np.bool_]:
    """Which lines of ``part`` are in ``whole``, as often as in it. ``place`` is where they are meant to be: looked at first."""
    meant = whole.lines[place]
    if len(meant) == len(part) and meant.equals(part.lines):
        return np.ones(len(part), dtype=bool)
    codes = pa.chunked_array([whole.lines, part.lines]).dictionary_encode().combine_chunks().indices.to_numpy()
    return repeated_in(codes[len(whole) :], codes[: len(whole)])


def repeated_in(some: npt.NDArray[np.integer], others: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which of ``some`` numbers are among ``others`` too, the second of two equal ones only when it is there twice."""

    def numbered(values: Sequence[int] | npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        series = pd.Series(values, dtype="int64")
        return np.asarray(series * (1 << 31) + series.groupby(series).cumcount(), dtype=np.int64)

    return np.isin(numbered(some), numbered(others))


def csv_state(split: str, name: str, problem: str) -> Suite:
    """One row about a written csv as a whole."""
    table = pd.DataFrame({"item_id": [f"{split}/{name}"], "problem": [problem]})
    rule = Rule("boxes.csv", IN_SET, {"column": "problem", "value_set": [""]}, split, show=("problem",))
    return Suite(f"csv_{split}", table, [rule])
