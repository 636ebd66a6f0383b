"""Suites over the csvs of labelled boxes, row by row: AVA's ground truth (A-I1, A-I2), raw rows of AVA-Kinetics
(AK-I1).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.ids import YOUTUBE_ID
from clipquarry.quality.engine import BETWEEN, IN_SET, MATCH, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, numbered, pick

NOBODY: Final = -1
"""The person id where there is none."""
FIRST_SECOND, LAST_SECOND = 902, 1798
"""AVA's key frames, in seconds of the original video."""
BOX: Final = ("x1", "y1", "x2", "y2")
ROW: Final = ("time", *BOX, "action_id", "person_id")
BOX_COLUMNS: Final = ("video_id", "time", "second", *BOX, "action_id", "person_id")
FRAME_COLUMNS: Final = ("video_id", "time", "second")

_TRUE: Final = [True]
_WHOLE = r"\A[0-9]{1,7}\Z"
_DECIMAL = r"\A[0-9]{1,7}(?:\.[0-9]{1,6})?\Z"


def seconds(times: pd.Series[str]) -> pd.Series[float]:
    """The decimal texts as numbers; -1 for any other text."""
    codes, distinct = pd.factorize(times)  # rows are many, distinct times are few
    numbers = pd.to_numeric(pd.Series(distinct, dtype="str"), errors="coerce").fillna(-1.0).to_numpy(dtype="float64")
    return pd.Series(numbers[codes], index=times.index)


def key(split: str, table: pd.DataFrame) -> pd.Series[str]:
    """``val/0f39OWEqJ24,0902``: the ``item_id`` of a row's key frame, with its time as it is written."""
    return f"{split}/" + table["video_id"] + "," + table["time"]


def read_boxes(run: RunTables, split: str) -> pd.DataFrame:
    """All rows of boxes of a split, as the csv has them."""
    return run.plain(BoxFiles(run.run_dir).annotated(split, "boxes"), BOX_COLUMNS)


def read_frames(run: RunTables, path: Path) -> pd.DataFrame:
    """Rows of two columns: key frames without boxes, or excluded ones; none if the split has no such table."""
    if not path.exists():
        return pd.DataFrame(
            {"video_id": pd.Series(dtype="str"), "time": pd.Series(dtype="str"), "second": pd.Series(dtype="int64")}
        )
    return run.plain(path, FRAME_COLUMNS)


def rejected(run: RunTables, split: str, good: int, params: GateParams) -> tuple[Suite, int]:
    """Unusable rows of the split's csvs, of all; and their number. ``good``: usable rows."""
    bad = run.plain(BoxFiles(run.run_dir).annotated(split, "rejected"), ("line", "reason", "evidence", "text"))
    bad = bad.assign(item_id=f"{split}/#row-" + bad["line"].astype(str))
    rule = Rule(
        "ava.rejected", IN_SET, {"column": "usable", "value_set": _TRUE}, split, block_share=params.rejected_error,
        show=("line", "reason", "evidence", "text"),
    )  # fmt: skip
    table = (
        bad.reindex(range(len(bad) + good)).fillna({"line": -1}).astype({"line": "int64"})
    )  # the other rows are not shown
    table["usable"] = table.index >= len(bad)
    return Suite(f"rejected_{split}", table, [rule]), len(bad)


def frame_suite(split: str, frames: pd.DataFrame, *, ava: bool) -> Suite:
    """``frames``: distinct key frames, with boxes or without."""
    table = frames.copy()
    time = seconds(table["time"])
    table["seconds"], table["fraction"] = time, (time - time // 1).round(6)
    identity = Rule("ava.id_syntax", MATCH, {"column": "video_id", "regex": rf"\A(?:{YOUTUBE_ID.pattern})"}, split)
    if ava:
        inside = {"column": "second", "min_value": FIRST_SECOND, "max_value": LAST_SECOND}
        rules = [
            Rule("ava.second", BETWEEN, inside, f"{split} range", show=("second",)),
            Rule("ava.second", MATCH, {"column": "time", "regex": _WHOLE}, f"{split} whole", show=("time",)),
        ]
    else:
        # The fraction that csvs and names lose. Listed rows would be half of the file.
        rules = [
            Rule("ava.time", MATCH, {"column": "time", "regex": _DECIMAL}, f"{split} text", show=("time",)),
            Rule("ava.time", BETWEEN, {"column": "seconds", "min_value": 0, "strict_min": True}, f"{split} positive",
                 show=("time",)),
            Rule("ava.whole_second", BETWEEN, {"column": "fraction", "max_value": 0}, split, show=("time",),
                 worst_by="fraction", list_rows=False),
            Rule("ava.whole_second", BETWEEN, {"column": "fraction", "max_value": 0.5, "strict_max": True},
                 f"{split} half", severity="warn", show=("time",), worst_by="fraction"),
        ]  # fmt: skip
    return Suite(f"frames_{split}", table, [identity, *rules], named=partial(key, split))


def row_suites(split: str, boxes: pd.DataFrame, actions: set[int], params: GateParams, *, ava: bool) -> Iterator[Suite]:
    """Every row of boxes; and in AVA every person and every box of a key frame."""
    table = boxes.assign(seconds=seconds(boxes["time"]))
    inside = (table["x1"] <= table["x2"]) & (table["y1"] <= table["y2"])
    for name in BOX:
        inside &= table[name].between(0, 1)
    table["inside"] = inside
    table["area"] = ((table["x2"] > table["x1"]) & (table["y2"] > table["y1"])) | ~inside  # ava.box reports it
    table["right_person"] = (table["person_id"] >= 0) if ava else (table["person_id"] == NOBODY)
    # Texts become numbers before rows are compared, which takes a tenth of the time.
    table["video"] = pd.factorize(table["video_id"])[0]
    table["box"] = numbered(*(table[name] for name in ("video", "seconds", *BOX)))
    table["repeated"] = pd.Series(numbered(table["box"], table["action_id"])).duplicated()

    def rule(check: str, column: str, good: bool, block: float | None = None) -> Rule:
        return Rule(check, IN_SET, {"column": column, "value_set": [good]}, split, show=ROW, block_share=block)

    known = Rule("ava.action", IN_SET, {"column": "action_id", "value_set": sorted(actions)}, split, show=ROW)
    yield Suite(
        f"rows_{split}",
        table,
        [
            rule("ava.columns", "right_person", True),
            rule("ava.box", "inside", True),
            rule("ava.area", "area", True),
            known,
            rule("ava.duplicate", "repeated", False, params.duplicate_error),
        ],
        named=partial(key, split),
    )
    if ava:
        people = table.drop_duplicates(["box", "person_id"])
        del table
        yield _single("ava.one_box", split, people, ["video", "seconds", "person_id"], "boxes")
        yield _single("ava.one_person", split, people, ["box"], "people")


def _single(check: str, split: str, people: pd.DataFrame, by: list[str], counted: str) -> Suite:
    """One row for each group of ``by``, with the number of (box, person) pairs in it."""
    table = people.drop_duplicates(by).reset_index(drop=True)
    table[counted] = pick(
        people.assign(n=people.groupby(by, sort=False)["box"].transform("size")), ~people.duplicated(by), "n"
    )["n"]
    rule = Rule(
        check, BETWEEN, {"column": counted, "max_value": 1}, split, show=("person_id", *BOX, counted), worst_by=counted
    )
    return Suite(f"{counted}_{split}", table, [rule], named=partial(key, split))
