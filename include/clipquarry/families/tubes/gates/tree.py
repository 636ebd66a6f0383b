"""Suites of the gate ``tubes``: whether the stored frames and the optical flow are those of the ground truth."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.quality.engine import EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, pick, present
from clipquarry.settings import DataRoot


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``tubes``: one row for each video that is there."""
    place = TubeFiles(run.run_dir)
    recorded = run.load("recorded", ("item_id", "status", "path", "frames", "width", "height"))
    there = pick(recorded, present(recorded)).drop_duplicates("item_id")
    truth = run.load(place.videos, ("item_id", "video", "frames", "height", "width")).drop_duplicates("item_id")
    truth = truth.rename(columns={"frames": "nframes", "height": "wanted_height", "width": "wanted_width"})
    table = there.merge(truth, on="item_id", how="inner")
    table = table.assign(
        size=table["height"].astype("str") + "x" + table["width"].astype("str"),
        resolution=table["wanted_height"].astype("str") + "x" + table["wanted_width"].astype("str"),
    )
    yield Suite(
        "stored",
        table,
        [
            Rule("tubes.frames", EQUAL, {"column_A": "frames", "column_B": "nframes"}, show=("path", "frames", "nframes")),
            Rule("tubes.picture", EQUAL, {"column_A": "size", "column_B": "resolution"}, show=("path", "size", "resolution")),
        ],
    )  # fmt: skip
    if not place.flow.is_file():
        yield Suite("flow", pd.DataFrame(), skipped=[("tubes.flow", "the flow was not counted")])
        return
    flow = run.load(place.flow, ("item_id", "path", "images", "problem")).merge(
        truth[["item_id", "nframes"]], on="item_id", how="inner"
    )
    yield Suite(
        "flow",
        flow,
        [
            Rule("tubes.flow", EQUAL, {"column_A": "images", "column_B": "nframes"}, "count",
                 show=("path", "images", "nframes", "problem")),
            Rule("tubes.flow", IN_SET, {"column": "problem", "value_set": [""]}, "numbers", show=("path", "problem")),
        ],
    )  # fmt: skip
