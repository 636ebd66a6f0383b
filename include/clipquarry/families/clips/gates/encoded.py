"""Suites of the videos that were made of folders of frames."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.checks import CHECKS
from clipquarry.quality import disk
from clipquarry.quality.clip_suites import one_result, wanted_path
from clipquarry.quality.engine import BETWEEN, EQUAL, Rule, Suite
from clipquarry.quality.frame_suites import ITEM, is_off, made, on_disk, with_clip
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, among, pick, present
from clipquarry.settings import DataRoot

STEP = "encode_video"


def encoded_suites(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    """Nothing for data sets whose items are no folders of frames."""
    if not spec.has_folders:
        return
    if is_off(run, STEP, params.encode):
        off = [
            (check.id, "no videos were to be made of the frames") for check in CHECKS if check.id.startswith(f"{STEP}.")
        ]
        yield Suite(STEP, pd.DataFrame(), skipped=off)
        return
    rows = run.shards(STEP, (*ITEM, "bytes", "sha256", "duration", "frames"))
    yield one_result(f"{STEP}.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    yield made(STEP, rows[among(rows["item_id"], clips["item_id"])], params)
    table = with_clip(pick(rows, present(rows)), clips)
    table["wanted_path"] = wanted_path(spec, "videos", table, suffixed=False) + ".mp4"
    looked = disk.look(table, data.root, run.seed)
    table["disk"] = looked.problems
    yield Suite(
        STEP,
        table,
        [
            *(
                Rule(f"{STEP}.facts", BETWEEN, {"column": name, "min_value": 0, "strict_min": True}, name, show=(name,))
                for name in ("bytes", "duration")
            ),
            Rule(f"{STEP}.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, show=("path", "wanted_path")),
            on_disk(STEP, looked.said),
            Rule(f"{STEP}.frame_count", EQUAL, {"column_A": "frames", "column_B": "clip_frames"},
                 show=("frames", "clip_frames")),
        ],
    )  # fmt: skip
