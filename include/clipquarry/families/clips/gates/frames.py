"""Suites of the gate ``frames`` of labelled clips: resized copies (K-I5), frames (K-I6) and sound."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.checks import CHECKS
from clipquarry.families.clips.gates.audio import audio_suites
from clipquarry.families.clips.gates.encoded import encoded_suites
from clipquarry.quality import disk
from clipquarry.quality.clip_suites import one_result, wanted_path
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.flow_suites import flow_suites
from clipquarry.quality.frame_suites import (
    FRAME_CHECKS,
    ITEM,
    asked_clips,
    frame_suites,
    is_off,
    made,
    on_disk,
    short_side,
    with_clip,
)
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, among, extract, pick, present
from clipquarry.settings import DataRoot

KEYFRAME_GAP = 16
"""Frames from one key frame to the next in a dense copy, at most."""


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``frames``. The checks of a stage that was off are skipped."""
    clips = asked_clips(run, spec)
    for step, wanted, make in (("resize", params.resize, _resized), ("frames", params.frames, frame_suites)):
        if is_off(run, step, wanted):
            ids = [*FRAME_CHECKS, *(check.id for check in CHECKS)]
            off = [(name, f"the {step} stage was off") for name in ids if name.startswith(f"{step}.")]
            yield Suite(step, pd.DataFrame(), skipped=off)
        else:
            yield from make(spec, run, clips, data, params)
    yield from encoded_suites(spec, run, clips, data, params)
    yield from audio_suites(spec, run, clips, data, params)
    yield from flow_suites(spec, run, clips, data, params, step="flow" if spec.has_folders else "frames")


def _resized(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    columns = (*ITEM, "bytes", "sha256", "duration", "frames", "width", "height", "has_audio", "keyframe_gap")
    rows = run.shards("resize", columns)
    yield one_result("resize.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    yield made("resize", rows[among(rows["item_id"], clips["item_id"])], params)
    table = with_clip(pick(rows, present(rows)), clips)
    del rows
    short = params.short_edge or spec.recipe.short_edge
    size = ("width", "height")
    table["wanted_path"], table["short_side"] = _wanted_copy(spec, table), short_side(table)
    looked = disk.look(table, data.root, run.seed)
    table["disk"] = looked.problems
    facts = [
        Rule("resize.facts", BETWEEN, {"column": name, "min_value": 0, "strict_min": True}, name, show=(name,))
        for name in ("bytes", "frames", "duration")
    ]
    yield Suite(
        "resized",
        table,
        [
            *facts,
            Rule("resize.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, show=("path", "wanted_path")),
            on_disk("resize", looked.said),
            Rule("resize.short_side", IN_SET, {"column": "short_side", "value_set": [short]}, show=size),
            Rule("resize.keyframe_gap", BETWEEN, {"column": "keyframe_gap", "min_value": 1, "max_value": KEYFRAME_GAP},
                 show=("keyframe_gap",), worst_by="keyframe_gap"),
            Rule("resize.no_audio", IN_SET, {"column": "has_audio", "value_set": [False]}, show=("has_audio",)),
            Rule("resize.frame_count", EQUAL, {"column_A": "frames", "column_B": "clip_frames"},
                 show=("frames", "clip_frames")),
        ],
    )  # fmt: skip


def _wanted_copy(spec: DatasetSpec, table: pd.DataFrame) -> pd.Series[str]:
    """The path of a copy: with its clip's suffix, in any case, or as an mp4."""
    stem, usual = (wanted_path(spec, "resized", table, suffixed=suffixed) for suffixed in (False, True))
    own = extract(table["path"], r"(?P<suffix>\.[^./]+)\z")["suffix"].fillna("")
    return usual.where(~own.str.lower().isin([".mp4", *(f".{name.lower()}" for name in spec.item.ext)]), stem + own)
