"""Suites of the gate ``clips`` of labelled intervals: the collected videos, and whether the intervals lie in them (C10)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.segments.gates import features
from clipquarry.families.segments.gates.annotations import INTERVAL
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.quality import clip_suites, disk
from clipquarry.quality.engine import BETWEEN, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, among, pick, present
from clipquarry.settings import DataRoot

LENGTH_SECONDS, LENGTH_SHARE = 2.0, 0.05
"""Seconds, and share of the annotated length, by which a video may be longer or shorter: the larger of the two."""
TOLERANCE = 1.0
"""Seconds that an interval may end behind its video: annotations are rounded, and tools disagree about the last frame."""


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``clips``."""
    if spec.item.medium == "array":
        yield from _arrays(spec, run, data, params)
        return
    yield from clip_suites.suites(spec, run, data, params)
    lengths = _lengths(run)
    yield _in_video(run, lengths)
    yield _as_annotated(run, lengths)


def _arrays(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The results, and every csv that is there."""
    recorded = run.load("recorded", (*clip_suites.TEXT, "bytes", "source"))
    yield from clip_suites.result_suites(spec, run, recorded, params, step="collect_features")
    files = pick(recorded, present(recorded))
    files["wanted_path"] = clip_suites.wanted_path(spec, "videos", files, suffixed=False) + ".csv"
    files["videos_with_these_bytes"] = clip_suites.same_bytes(files)
    looked = disk.look(files, data.root, run.seed)
    files["disk"] = looked.problems
    rules = [rule for rule in clip_suites.file_rules(("bytes",), looked.said) if rule.scope != "duration"]
    yield Suite("clips", files, rules)
    yield features.content_suite("features.published", files, data, run.seed)


def _lengths(run: RunTables) -> pd.Series[float]:
    """Seconds of each video that is there, by its ``item_id``."""
    recorded = run.load("recorded", ("item_id", "status", "duration"))
    return pick(recorded, present(recorded)).drop_duplicates("item_id").set_index("item_id")["duration"]


def _as_annotated(run: RunTables, lengths: pd.Series[float]) -> Suite:
    """Every video that is there and whose length the annotation says."""
    check = "intervals.video_length"
    told = run.load(SegmentFiles(run.run_dir).intervals, ("video_item", "seconds")).drop_duplicates("video_item")
    table = pick(told, (told["seconds"] > 0) & among(told["video_item"], list(lengths.index)))
    if table.empty:
        return Suite("lengths", table, skipped=[(check, "the annotation says no length of a video that is there")])
    table = table.rename(columns={"video_item": "item_id", "seconds": "annotated"})
    table["duration"] = table["item_id"].map(lengths).astype("float64")
    allowed = (table["annotated"] * LENGTH_SHARE).clip(lower=LENGTH_SECONDS)
    table["off"] = ((table["duration"] - table["annotated"]).abs() - allowed).round(6)
    rule = Rule(check, BETWEEN, {"column": "off", "max_value": 0}, show=("duration", "annotated"), worst_by="off")
    return Suite("lengths", table, [rule])


def _in_video(run: RunTables, lengths: pd.Series[float]) -> Suite:
    """Every interval of a video that is there."""
    intervals = run.load(SegmentFiles(run.run_dir).intervals, ("item_id", "video_item", *INTERVAL))
    table = pick(intervals, among(intervals["video_item"], list(lengths.index)))
    table["duration"] = table["video_item"].map(lengths).astype("float64")
    table["seconds_over"] = (table["end"] - table["duration"]).round(6)
    rule = Rule("intervals.in_video", BETWEEN, {"column": "seconds_over", "max_value": TOLERANCE},
                show=(*INTERVAL, "duration"), worst_by="seconds_over")  # fmt: skip
    return Suite("in_video", table, [rule])
