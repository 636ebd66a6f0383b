"""The csv of AVA-Kinetics' flat layouts, with the clips' own times, compared with the tables that it was written
from.

``{clip},{time:f},{x1:f},{y1:f},{x2:f},{y2:f},{action},{images}``, then ``{clip},{time:f}`` for key frames without
boxes. ``parts`` tell when a clip begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.gates.files import COLUMNS, CsvLines, csv_state, line_names, parsed, read_lines
from clipquarry.families.boxes.gates.rows import BOX, seconds
from clipquarry.families.boxes.gates.windows import Parts
from clipquarry.families.boxes.options import updated_folder
from clipquarry.manifest import scalar
from clipquarry.quality.engine import IN_SET, Rule, Suite
from clipquarry.settings import DataRoot

_LINE: Final = r"^[^,]+,[0-9]+\.[0-9]{6}((,[01]\.[0-9]{6}){4},[0-9]+,[0-9]+)?$"
_HALF_MILLIONTH: Final = 0.5e-6 + 1e-9


def csv_path(spec: DatasetSpec, data: DataRoot, split: str) -> Path:
    """Path of a split's csv, which has the name of the raw one."""
    return data.dataset(spec.root, updated_folder(spec), PurePosixPath(spec.splits[split]).name)


def suites(path: Path, split: str, boxes: pd.DataFrame, key_frames: pd.DataFrame, parts: Parts) -> Iterator[Suite]:
    """The file as a whole, and its lines: those of ``boxes``, then those of ``key_frames``."""
    if not path.is_file():
        yield csv_state(split, path.name, "it is not there")
        return
    csv = read_lines(path)
    wanted = len(boxes) + len(key_frames)
    problem = f"{len(csv):,} lines for {wanted:,} rows" if len(csv) != wanted else ""
    if not csv.ended:
        problem = f"the last line has no line end; {problem}".removesuffix("; ")
    yield csv_state(split, path.name, problem)
    lines = csv.table()
    right = csv.match(_LINE)
    lines["right"] = right
    rules = [Rule("boxes.csv_columns", IN_SET, {"column": "right", "value_set": [True]}, split, show=("text",))]
    suite = Suite(f"lines_{split}", lines, rules, named=line_names(f"{split}/#line-"))
    if len(csv) == wanted:
        of_boxes = np.arange(len(csv)) < len(boxes)
        differs = np.zeros(len(csv), dtype=bool)
        differs[of_boxes] = _differ(csv, of_boxes, right, boxes, COLUMNS, parts)
        differs[~of_boxes] = _differ(csv, ~of_boxes, right, key_frames, 2, parts)
        lines["differs"] = differs
        rules.append(Rule("boxes.csv_row", IN_SET, {"column": "differs", "value_set": [False]}, split, show=("text",)))
    else:
        suite.skipped.append(("boxes.csv_row", "the csv has another number of lines than the tables have rows"))
    yield suite


def _differ(
    csv: CsvLines,
    place: npt.NDArray[np.bool_],
    right: npt.NDArray[np.bool_],
    rows: pd.DataFrame,
    columns: int,
    parts: Parts,
) -> npt.NDArray[np.bool_]:
    """Lines at ``place`` that differ from their row; another check reports lines of a wrong form."""
    form = csv.columns == columns
    differs: npt.NDArray[np.bool_] = (right & ~form)[place]
    looked_at = place & right & form
    if not looked_at.any():
        return differs
    at = looked_at[place]
    table = scalar(parsed(csv, looked_at, columns)).to_pandas().astype("str")
    row = rows[at].reset_index(drop=True)
    time = seconds(row["time"]) - parts(row["video_id"])["start"]
    same = (table["video_id"] == row["video_id"]) & ((seconds(table["second"]) - time).abs() <= _HALF_MILLIONTH)
    if columns == COLUMNS:
        same &= table["action_id"] == row["action_id"].astype("str")
        for name in BOX:
            same &= (pd.to_numeric(table[name]) - row[name]).abs() <= _HALF_MILLIONTH
    differs[at] = ~same.to_numpy()
    return differs
