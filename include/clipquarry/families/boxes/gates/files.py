"""Comparison of headerless csvs of boxes on disk with the rows of a table. In Arrow, for millions of lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from clipquarry.manifest import scalar
from clipquarry.quality.engine import IN_SET, Rule, Suite

COLUMNS: Final = 8
"""Video or clip, second, four corners, action, person."""
HALF_THOUSANDTH: Final = 0.0005 + 1e-9
_CORNERS: Final = ("x1", "y1", "x2", "y2")
_WHOLE: Final = r"^(?:0|-?[1-9][0-9]{0,14})\z"
_THOUSANDTHS: Final = r"^[01]\.[0-9]{3}\z"


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
        """Lines in which a regular expression is found."""
        return np.asarray(pc.match_substring_regex(self.lines, regex))

    def table(self) -> pd.DataFrame:
        """``text`` by the line's place from 0; :func:`line_names` names them."""
        frame: pd.DataFrame = scalar(pa.table({"text": self.lines})).to_pandas()
        return frame.astype("str")


def line_names(prefix: str) -> Callable[[pd.DataFrame], pd.Series[str]]:
    """``{prefix}{line from 1}`` for rows whose index is the line's place."""

    def names(rows: pd.DataFrame) -> pd.Series[str]:
        return prefix + (rows.index.to_series() + 1).astype("str")

    return names


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
    """Lines of :data:`COLUMNS` columns that differ from the row of the same position, with corners to three
    decimals.

    There are as many lines as rows. Lines of another number of columns are skipped.
    """
    differ = np.zeros(len(rows), dtype=bool)
    whole = csv_lines.columns == COLUMNS
    if not whole.any():
        return differ
    table = parsed(csv_lines, whole)
    right = rows[whole]
    same = np.ones(len(right), dtype=bool)
    wanted = pa.array(right["video_id"], pa.large_string(), from_pandas=True)
    same &= np.asarray(pc.equal(table["video_id"].cast(pa.large_string()), wanted))
    for name in ("second", "action_id"):
        same &= _numbers(table[name], _WHOLE) == right[name].to_numpy()
    for name in _CORNERS:
        same &= np.abs(_numbers(table[name], _THOUSANDTHS) - right[name].to_numpy()) <= HALF_THOUSANDTH
    differ[whole] = ~same
    return differ


def _numbers(texts: pa.ChunkedArray, form: str) -> npt.NDArray[np.float64]:
    """The numbers of texts in a dictionary, each of which is read once; NaN where one has not the ``form``."""
    column = texts.unify_dictionaries().combine_chunks()
    formed = pc.match_substring_regex(column.dictionary, form)
    values = pc.cast(pc.if_else(formed, column.dictionary, None), pa.float64())
    result: npt.NDArray[np.float64] = values.to_numpy(zero_copy_only=False)[column.indices.to_numpy()]
    return result


def parsed(csv_lines: CsvLines, chosen: npt.NDArray[np.bool_], columns: int = COLUMNS) -> pa.Table:
    """The chosen lines, of ``columns`` columns each: ``video_id, second, x1, y1, x2, y2, action_id, person_id``.

    All are texts; all but the first, which has many values, are in a dictionary.
    """
    names = ["video_id", "second", *_CORNERS, "action_id", "person_id"][:columns]
    lines = csv_lines.lines if chosen.all() else csv_lines.lines.filter(pa.array(chosen))
    text = pc.binary_join(pa.LargeListArray.from_arrays([0, len(lines)], lines), pa.scalar("\n", pa.large_string()))
    return csv.read_csv(
        pa.BufferReader(text[0].as_buffer()),
        csv.ReadOptions(column_names=names),
        csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string())) | {"video_id": pa.string()},
            strings_can_be_null=False,
        ),
    )


def kept(part: CsvLines, whole: CsvLines, place: slice) -> npt.NDArray[np.bool_]:
    """Lines of ``part`` that are in ``whole``, as often as there. ``place`` is their expected position, which is
    tried first.
    """
    meant = whole.lines[place]
    if len(meant) == len(part) and meant.equals(part.lines):
        return np.ones(len(part), dtype=bool)
    codes = pa.chunked_array([whole.lines, part.lines]).dictionary_encode().combine_chunks().indices.to_numpy()
    return repeated_in(codes[len(whole) :], codes[: len(whole)])


def repeated_in(some: npt.NDArray[np.integer], others: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which of ``some`` numbers are also among ``others``; the second of two equal ones only if it is there twice."""

    def counted(values: npt.NDArray[np.integer]) -> pd.Series[int]:
        series = pd.Series(values, dtype="int64")
        return series * (1 << 31) + series.groupby(series).cumcount()

    return np.asarray(counted(some).isin(counted(others)))


def csv_state(split: str, name: str, problem: str) -> Suite:
    """One row about a written csv as a whole."""
    table = pd.DataFrame({"item_id": [f"{split}/{name}"], "problem": [problem]})
    rule = Rule("boxes.csv", IN_SET, {"column": "problem", "value_set": [""]}, split, show=("problem",))
    return Suite(f"csv_{split}", table, [rule])
