"""Suites over the optical flow beside frames (C14) that families share."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.quality import flow_folders
from clipquarry.quality.clip_suites import one_result
from clipquarry.quality.engine import EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams, share_of_several
from clipquarry.quality.shared_checks import CHECKS
from clipquarry.quality.tables import RunTables, among, pick, present
from clipquarry.reasons import Status
from clipquarry.settings import DataRoot

FLOW_CHECKS = tuple(check.id for check in CHECKS if check.id.startswith("flow."))
"""Ids of the checks of optical flow."""
_COLUMNS = (
    "item_id",
    "status",
    "reason",
    "evidence",
    "path",
    "frames",
    "width",
    "height",
    "flow_x",
    "flow_y",
    "flow_still",
)


def flow_suites(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams, step: str = "frames"
) -> Iterator[Suite]:
    """Suites of the flow of ``clips`` (see :func:`clipquarry.quality.frame_suites.asked_clips`), which ``step`` made."""
    rows = run.optional_shards(step, _COLUMNS) if params.flow else None
    if rows is None:
        yield Suite("flow", pd.DataFrame(), skipped=[(check, "no optical flow was asked for") for check in FLOW_CHECKS])
        return
    if step == "frames":
        told = "the frames and their flow have one result: see frames.one_row"
        yield Suite("flow_result", pd.DataFrame(), skipped=[("flow.one_row", told)])
    else:
        yield one_result("flow.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    rows = rows[among(rows["item_id"], clips["item_id"])]
    # Where there are no frames, the check of the step that makes them says so.
    has_frames = present(rows) if step == "frames" else rows["status"] != str(Status.MISSING)
    rows = rows[has_frames].reset_index(drop=True)
    is_made = present(rows) & (rows["flow_x"] >= 0)
    why = ("status", "reason", "evidence")
    rule = Rule("flow.made", IN_SET, {"column": "made", "value_set": [True]}, show=why, block_share=params.made_error)
    yield Suite("flow_made", rows[["item_id", *why]].assign(made=is_made), [rule])
    table = pick(rows, is_made)
    del rows
    table["wanted"] = (table["frames"] - 1).clip(lower=0)
    still = (table["flow_still"] >= 1) & (table["flow_x"] > 0)
    table["moves"] = ~still
    share = share_of_several(params.flow_still_warn, len(table))
    yield Suite(
        "flow",
        table,
        [
            Rule("flow.pairs", EQUAL, {"column_A": "flow_x", "column_B": "flow_y"}, show=("path", "flow_x", "flow_y")),
            Rule("flow.count", EQUAL, {"column_A": "flow_x", "column_B": "wanted"}, show=("path", "flow_x", "frames")),
            Rule("flow.still", IN_SET, {"column": "moves", "value_set": [True]}, max_share=share,
                 show=("path", "flow_still")),
        ],
    )  # fmt: skip
    there = pick(table, table["flow_x"] > 0)
    looked = flow_folders.look(spec.item, there, data.root, params.sample_folders, run.seed)
    there["gap"], there["disk"] = looked.gaps, looked.odd
    yield Suite(
        "flow_on_disk",
        there,
        [
            Rule("flow.contiguous", IN_SET, {"column": "gap", "value_set": [""]}, show=("path", "flow_x", "gap")),
            Rule("flow.on_disk", IN_SET, {"column": "disk", "value_set": [""]}, show=("path", "disk"), note=looked.said),
        ],
    )  # fmt: skip
