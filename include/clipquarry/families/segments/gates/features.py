"""Suites of the gate ``features`` of labelled intervals: the csv of pooled features, read again from the disk (C21)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from clipquarry.annotations.video_features import clips_of, read_pooled
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.quality import disk
from clipquarry.quality.clip_suites import one_result, wanted_path
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.frame_suites import ITEM, asked_clips
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, among, pick, present
from clipquarry.settings import DataRoot

STEP = "pool_features"
CONTENTS = 500
"""Csv that are read whole; the step has read each one that it made."""
CLIPS_OFF = 1
"""Clips that a video may have more or fewer than its frames say: tools disagree about the last frame."""


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``features``."""
    videos = asked_clips(run, spec)
    rows = run.shards(STEP, (*ITEM, "bytes", "sha256", "rgb_clips", "flow_clips"))
    yield one_result("features.one_row", videos.loc[videos["asked"], "item_id"], rows["item_id"])
    yield _made(rows[among(rows["item_id"], videos["item_id"])])
    table = pick(rows, present(rows))
    table["wanted_path"] = wanted_path(spec, "features", table, suffixed=False) + ".csv"
    looked = disk.look(table, data.root, run.seed)
    table["disk"] = looked.problems
    frames = videos.drop_duplicates("item_id").set_index("item_id")["frames"]
    table["wanted_clips"] = [clips_of(int(n)) if n == n else -1 for n in table["item_id"].map(frames)]
    known = table["wanted_clips"] >= 0  # the scores of a video that is not here may well be
    for name in ("rgb", "flow"):
        table[f"{name}_off"] = (table[f"{name}_clips"] - table["wanted_clips"]).abs().where(known, 0)
    shown = ("rgb_clips", "flow_clips", "wanted_clips")
    yield Suite("features", table, [
        Rule("features.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, show=("path", "wanted_path")),
        Rule("features.on_disk", IN_SET, {"column": "disk", "value_set": [""]}, show=("path", "disk"), note=looked.said),
        *(
            Rule("features.clips", BETWEEN, {"column": f"{name}_off", "max_value": CLIPS_OFF}, name, show=shown,
                 worst_by=f"{name}_off")
            for name in ("rgb", "flow")
        ),
    ])  # fmt: skip
    yield content_suite("features.form", table, data, run.seed)


def _made(rows: pd.DataFrame) -> Suite:
    """Every video that is there: whether it has a csv. Scores come from elsewhere, so that a gap never blocks."""
    why = ("status", "reason", "evidence")
    rule = Rule("features.made", IN_SET, {"column": "made", "value_set": [True]}, show=why)
    return Suite("features_made", rows[["item_id", *why]].assign(made=present(rows)), [rule])


def content_suite(check: str, table: pd.DataFrame, data: DataRoot, seed: str) -> Suite:
    """Rule ``check`` for some csv, drawn by the run's name: what is wrong with their form."""
    chosen = disk.sample(len(table), CONTENTS, seed)
    read = table.iloc[chosen][["item_id", "path"]].reset_index(drop=True)
    read["problem"] = pd.Series([_problem(data, path) for path in read["path"]], dtype="str")
    said = f"{len(chosen)} of {len(table)} were read."
    rule = Rule(check, IN_SET, {"column": "problem", "value_set": [""]}, show=("path", "problem"), note=said)
    return Suite("features_content", read, [rule])


def _problem(data: DataRoot, path: str) -> str:
    where = disk.place(data.root, path)
    if where is None:
        return "the path leaves the data root"
    try:
        read_pooled(Path(where))
    except UserError as error:
        return str(error)
    return ""
