"""Suites of the gate ``annotations`` of labelled intervals: the catalog of videos, their intervals, the classes."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.annotations.interval_files import NO_CLASS
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.segments.options import segments_options
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.quality import label_files
from clipquarry.quality.catalog_suites import COLUMNS, all_rows, counting, csv_rows, not_empty, source_rules
from clipquarry.quality.declared import counted, split_rows
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, pick
from clipquarry.settings import DataRoot

INTERVAL = ("video_id", "label", "start", "end", "file", "line")
"""Columns that name an interval to a person."""
TOLERANCE = 0.5
"""Seconds that an interval may end behind the length that the annotation says."""


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``annotations``."""
    catalog = run.load("catalog", COLUMNS, keep_null=("label",))
    usable = pick(catalog, catalog["status"] != REJECTED)
    yield not_empty(usable)
    yield split_rows(usable, params)
    yield all_rows(catalog, catalog["status"] != REJECTED, params)
    # A rejected row is a line, not a video.
    videos = {str(split): rows for split, rows in usable["split"].value_counts(sort=False).items()}
    yield from csv_rows(spec.expected, counted(params, videos), params)
    yield from label_files.read_files(run, data, params)
    yield _videos(spec, usable)
    yield _disjoint(usable)
    columns = ("item_id", "split", "label_index", "ambiguous", "seconds", *INTERVAL)
    intervals = run.load(SegmentFiles(run.run_dir).intervals, columns)
    yield _intervals(spec, intervals)
    labelled = [split for split in sorted(usable["split"].unique()) if split not in segments_options(spec).unlabelled]
    yield _classes(spec, intervals, labelled, params)


def _videos(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    options = segments_options(spec)
    wrong, file = options.wrong_annotations, options.name_prefix + usable["video_id"]
    table = usable.assign(
        wanted_clip=file,
        wanted_item=usable["split"] + "/" + file,
        known_wrong=usable["video_id"].isin(wrong),
        label=usable["label"].fillna(""),
    )
    suite = Suite(
        "videos",
        table,
        [
            *source_rules(spec),
            Rule("annotations.names", EQUAL, {"column_A": "clip_id", "column_B": "wanted_clip"}, "clip_id",
                 show=("clip_id", "wanted_clip")),
            Rule("annotations.names", EQUAL, {"column_A": "item_id", "column_B": "wanted_item"}, "item_id",
                 show=("wanted_item",)),
        ],
    )  # fmt: skip
    if wrong:
        suite.rules.append(Rule("intervals.known_wrong", IN_SET, {"column": "known_wrong", "value_set": [False]}))
    else:
        suite.skipped.append(("intervals.known_wrong", "the data set's YAML names no such video"))
    return suite


def _disjoint(usable: pd.DataFrame) -> Suite:
    """One row for each video: the number of splits that have it."""
    grouped = usable.groupby("video_id")["split"]
    table = pd.DataFrame(
        {"splits": grouped.nunique(), "which": grouped.agg(lambda found: ", ".join(sorted(set(found))))}
    )
    table = table.reset_index().rename(columns={"video_id": "item_id"})
    rule = Rule("intervals.split_disjoint", BETWEEN, {"column": "splits", "max_value": 1}, show=("which",))
    return Suite("disjoint", table, [rule])


def _intervals(spec: DatasetSpec, intervals: pd.DataFrame) -> Suite:
    """Every interval: its order, and its label."""
    last = len(segments_options(spec).numbered()) - 1
    table = intervals.assign(
        over=(intervals["end"] - intervals["seconds"]).round(6).where(intervals["seconds"] > 0, 0.0),
        annotated=intervals["seconds"],
        seconds=(intervals["end"] - intervals["start"]).round(6),
        fits=intervals["label_index"]
        .between(0, last)
        .where(~intervals["ambiguous"], intervals["label_index"] == NO_CLASS),
    )
    return Suite(
        "intervals",
        table,
        [
            Rule("intervals.order", BETWEEN, {"column": "seconds", "min_value": 0, "strict_min": True}, show=INTERVAL),
            Rule("intervals.in_annotation", BETWEEN, {"column": "over", "max_value": TOLERANCE},
                 show=(*INTERVAL, "annotated"), worst_by="over"),
            Rule("intervals.label", IN_SET, {"column": "fits", "value_set": [True]}, show=(*INTERVAL, "label_index")),
        ],
    )  # fmt: skip


def _classes(spec: DatasetSpec, intervals: pd.DataFrame, splits: list[str], params: GateParams) -> Suite:
    """One row for each class of each split: its number of intervals."""
    counts = intervals.groupby(["split", "label_index"]).size()
    rows = [
        (f"{split}/{name}", int(counts.get((split, index), 0)))
        for split in splits
        for index, name in enumerate(segments_options(spec).numbered())
    ]
    table = pd.DataFrame(rows, columns=["item_id", "intervals"])
    rule = Rule("intervals.class", BETWEEN, {"column": "intervals", "min_value": 1}, severity=counting(params),
                show=("intervals",))  # fmt: skip
    return Suite("classes", table, [rule])
