"""The gate after videos or windows of labelled person boxes were fetched and recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.quality import disk
from clipquarry.quality.clip_suites import (
    NUMBERS,
    TEXT,
    clip_suite,
    content_suites,
    file_rules,
    height_suite,
    result_suites,
    same_bytes,
    shorter_suite,
)
from clipquarry.quality.engine import BETWEEN, Rule, Suite
from clipquarry.quality.params import GateParams, share_of_several
from clipquarry.quality.tables import RunTables, pick, present
from clipquarry.settings import DataRoot

SHORT_SECONDS: Final = 0.75
"""Seconds that a window may lack; the reference discards shorter clips."""
RATE_TOLERANCE: Final = 0.01


def videos(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``clips`` of AVA: whole videos, with the facts of their headers."""
    recorded = run.load("recorded", (*TEXT, *NUMBERS, "source"))
    yield from result_suites(spec, run, recorded, params, step="download")
    table = pick(recorded, present(recorded))
    # The name is the file's own, with its suffix.
    table["wanted_path"] = f"{spec.root}/{spec.folder('videos')}/" + table["clip_id"]
    table["videos_with_these_bytes"] = same_bytes(table)
    looked = disk.look(table, data.root, run.seed)
    table["disk"] = looked.problems
    table["seconds_missing"] = (table["end"] - table["duration"]).round(6)
    tolerance = {"column": "seconds_missing", "max_value": spec.recipe.duration_tolerance}
    reach = Rule("clips.reach", BETWEEN, tolerance, show=("end", "duration"), worst_by="seconds_missing")
    yield Suite("clips", table, [*file_rules(("bytes", "width", "height"), looked.said), reach])
    yield height_suite(spec, run, params)


def windows(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``clips`` of AVA-Kinetics: windows that were cut."""
    recorded = run.load("recorded", (*TEXT, *NUMBERS, "fps", "source"))
    yield from result_suites(spec, run, recorded, params)
    suite = clip_suite(spec, run, recorded, data, params)
    yield suite
    yield shorter_suite(spec, recorded, params)
    yield height_suite(spec, run, params)
    yield _rate(spec, suite.table, params)
    yield from content_suites(spec, run, data, params)


def _rate(spec: DatasetSpec, table: pd.DataFrame, params: GateParams) -> Suite:
    rate = spec.recipe.fps
    if rate is None:
        why = "clips keep the rate of their source"
        return Suite("rate", table, skipped=[("clips.rate", why), ("clips.frame_count", why)])
    least = (table["end"] - table["start"] - SHORT_SECONDS) * rate
    table["frames_lacking"] = (least - table["frames"]).clip(lower=0)
    near = {"column": "fps", "min_value": rate - RATE_TOLERANCE, "max_value": rate + RATE_TOLERANCE}
    return Suite(
        "rate",
        table,
        [
            Rule("clips.rate", BETWEEN, near, show=("fps", "source")),
            Rule("clips.frame_count", BETWEEN, {"column": "frames_lacking", "max_value": 0}, worst_by="frames_lacking",
                 show=("start", "end", "frames", "source"),
                 block_share=share_of_several(params.short_error, len(table))),
        ],
    )  # fmt: skip
