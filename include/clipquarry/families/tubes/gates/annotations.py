"""Suites of the gate ``annotations`` of tubes: the videos of the ground truth, its tubes, its classes (C22)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.tubes.options import tubes_options
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.quality import label_files
from clipquarry.quality.catalog_suites import COLUMNS, all_rows, counting, csv_rows, not_empty, source_rules
from clipquarry.quality.declared import counted, split_rows
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, pick
from clipquarry.settings import DataRoot

TOLERANCE = 1.0
"""Pixels by which a box may leave the picture: some files count pixels from 1, and corners as pixels or as edges."""
_TUBE = ("video", "label_index", "position")
"""Columns that name a tube to a person."""
_NONE = {"value_set": [""]}


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``annotations``."""
    catalog = run.load("catalog", COLUMNS, keep_null=("label",))
    usable = pick(catalog, catalog["status"] != REJECTED)
    yield not_empty(usable)
    yield split_rows(usable, params)
    yield all_rows(catalog, catalog["status"] != REJECTED, params)
    rows = {str(split): count for split, count in catalog["split"].value_counts(sort=False).items()}
    yield from csv_rows(spec.expected, counted(params, rows), params)
    yield from label_files.read_files(run, data, params)
    yield _names(spec, usable)
    place = TubeFiles(run.run_dir)
    columns = ("item_id", "video", "split", "named", "tubes", "frames", "height", "width", "problem")
    videos = run.load(place.videos, columns)
    yield _videos(videos)
    yield from _tubes(spec, run.load(place.tubes, (
        "item_id", "video_item", "video", "label", "label_index", "position", "frames", "of_frames", "first_frame", "last_frame",
        "outside", "disorder", "gaps", "flat", "over", "problem",
    )), videos)  # fmt: skip
    yield _classes(spec, run, usable, params)


def _names(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    """Every usable video, with the names that follow from the ground truth."""
    wanted = usable["split"] + "/" + usable["class_dir"] + "/" + usable["video_id"]
    rule = Rule("annotations.names", EQUAL, {"column_A": "item_id", "column_B": "wanted"}, show=("wanted",))
    return Suite("names", usable.assign(wanted=wanted, label=usable["label"].fillna("")), [*source_rules(spec), rule])


def _videos(videos: pd.DataFrame) -> Suite:
    """Every video that any part of the ground truth names."""
    table = videos.assign(without=(videos["tubes"] == 0) & (videos["problem"] == ""))
    return Suite(
        "videos",
        table,
        [
            Rule("truth.video", IN_SET, {"column": "problem", **_NONE}, show=("video", "problem")),
            Rule("truth.split", BETWEEN, {"column": "named", "min_value": 1, "max_value": 1}, show=("video", "named")),
            Rule("truth.some_tube", IN_SET, {"column": "without", "value_set": [False]}, show=("video",)),
        ],
    )  # fmt: skip


def _tubes(spec: DatasetSpec, tubes: pd.DataFrame, videos: pd.DataFrame) -> Iterator[Suite]:
    """Every tube: its form; and of the right ones class, frames and boxes."""
    form = Rule("truth.form", IN_SET, {"column": "problem", **_NONE}, show=(*_TUBE, "problem"))
    yield Suite("forms", tubes, [form])
    right = pick(tubes, tubes["problem"] == "")
    folder = right["video"].str.partition("/")[0] if len(right) else right["video"]
    right = right.assign(folder=folder, whole=(right["first_frame"] == 1) & (right["last_frame"] == right["of_frames"]))
    frames = (*_TUBE, "first_frame", "last_frame", "of_frames")

    def none(check: str, column: str, most: float = 0) -> Rule:
        return Rule(
            check, BETWEEN, {"column": column, "max_value": most}, column, show=(*frames, column), worst_by=column
        )

    yield Suite(
        "tubes",
        right,
        [
            Rule("truth.label", EQUAL, {"column_A": "label", "column_B": "folder"}, show=(*_TUBE, "label", "folder")),
            none("truth.frames", "outside"),
            none("truth.frames", "disorder"),
            none("truth.gaps", "gaps"),
            none("truth.boxes", "flat"),
            none("truth.in_picture", "over", TOLERANCE),
        ],
    )
    if not tubes_options(spec).whole_video:
        yield Suite("whole", pd.DataFrame(), skipped=[("truth.whole_video", "tubes may cover a part of their video")])
        return
    whole = right[right["whole"]].groupby("video_item").size() if len(right) else pd.Series(dtype="int64")
    table = pick(videos, videos["problem"] == "")
    covering = table["item_id"].map(whole).fillna(0).astype("int64")
    table = table.assign(one_whole=(covering == 1) & (table["tubes"] == 1))
    rule = Rule(
        "truth.whole_video", IN_SET, {"column": "one_whole", "value_set": [True]}, show=("video", "tubes", "frames")
    )
    yield Suite("whole", table, [rule])


def _classes(spec: DatasetSpec, run: RunTables, usable: pd.DataFrame, params: GateParams) -> Suite:
    """One row for each class of each split: its number of videos; and one for the number of classes."""
    facts = run.json(run.place.catalog_file)
    names = [str(name) for name in facts.get("label_names", [])]
    counts = usable.groupby(["split", "class_dir"]).size()
    rows = [
        (f"{split}/{name}", int(counts.get((split, name), 0)))
        for split in sorted(usable["split"].unique())
        for name in names
    ]
    wanted = spec.labels.count or len(names)
    table = pd.DataFrame(rows, columns=["item_id", "videos"]).assign(classes=len(names), published=wanted)
    table = table.assign(divisions=int(facts.get("divisions", 1)))
    severity = counting(params)
    return Suite(
        "classes",
        table,
        [
            Rule("truth.class", BETWEEN, {"column": "videos", "min_value": 1}, severity=severity, show=("videos",)),
            Rule("truth.classes", EQUAL, {"column_A": "classes", "column_B": "published"}, severity=severity,
                 show=("classes", "published")),
            Rule("truth.divisions", BETWEEN, {"column": "divisions", "max_value": 1}, show=("divisions",)),
        ],
    )  # fmt: skip
