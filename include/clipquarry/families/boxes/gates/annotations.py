"""The gate after the catalog of labelled person boxes was built (A-I1 to A-I3, AK-I1, AK-I8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from clipquarry.datasets.model import DatasetSpec, Expected
from clipquarry.datasets.splits import TRAIN
from clipquarry.families.boxes.gates import rows as box_rows
from clipquarry.families.boxes.gates import windows
from clipquarry.families.boxes.gates.listed import TEST, listed_videos, video_counts
from clipquarry.families.boxes.options import boxes_options
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.quality import label_files
from clipquarry.quality.catalog_suites import (
    COLUMNS,
    all_rows,
    checksums,
    counting,
    csv_rows,
    not_empty,
    source_rules,
)
from clipquarry.quality.declared import counted, split_rows
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, among, distinct, extract, pick
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

KEY_SECONDS = box_rows.LAST_SECOND - box_rows.FIRST_SECOND + 1


@dataclass
class _Seen:
    """Facts kept of the splits that were read; a value for each csv row would take too much memory."""

    rows: dict[str, int] = field(default_factory=dict)
    key_frames: dict[str, int] = field(default_factory=dict)
    rows_of: dict[str, pd.Series[int]] = field(default_factory=dict)
    """Rows by video, excluded ones too, in their splits; of AVA only."""
    annotated: dict[str, pd.Series[str]] = field(default_factory=dict)
    videos: dict[str, pd.Series[str]] = field(default_factory=dict)
    """Annotated or excluded."""


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``annotations``."""
    ava = boxes_options(spec).items == "videos"
    catalog = run.load("catalog", COLUMNS)
    usable = pick(catalog, catalog["status"] != REJECTED)
    yield not_empty(usable)
    yield split_rows(usable, params)
    yield _catalog(catalog, run, params)
    yield _names(spec, usable) if ava else windows.names(spec, usable)
    actions = run.json(BoxFiles(run.run_dir).actions)
    names = {int(number) for number in actions["names"]}
    evaluated = [int(number) for number in actions["evaluated"]]
    yield _actions(spec, names, evaluated, params)
    seen = _Seen()
    for split in BoxFiles(run.run_dir).annotated_splits():
        yield from _split(split, run, seen, names, evaluated, params, ava=ava)
    unlabelled = TEST if ava else ""
    rows = {split: count for split, count in counted(params, seen.rows).items() if split != unlabelled}
    yield _csvs(catalog, rows, unlabelled)
    yield from csv_rows(_published(spec, params), rows, params)
    yield from _key_frame_counts(spec, seen)
    yield from video_counts(spec, params, seen.annotated, usable)
    yield checksums(spec, sorted(seen.rows), data)
    yield from label_files.read_files(run, data, params)
    yield action_names(actions)
    if ava:
        yield _listed(usable, seen, params)
        yield listed_videos(spec, data, params, {split: ids for split, ids in seen.videos.items() if split != TEST})
    yield _splits(seen)
    if not ava:
        yield from windows.suites(spec, run, data, usable, seen.videos.get(TRAIN))


def _catalog(catalog: pd.DataFrame, run: RunTables, params: GateParams) -> Suite:
    """Rejected rows of the csvs of boxes, key frames without a window, and annotated videos without a file are each
    reported by their own checks.
    """
    elsewhere = catalog["item_id"].str.contains("/#key-", regex=False) | (catalog["reason"] == Reason.NOT_FOUND)
    place = BoxFiles(run.run_dir)
    for split in place.annotated_splits("rejected"):
        lines = run.plain(place.annotated(split, "rejected"), ["line"])["line"]
        elsewhere |= among(catalog["item_id"], f"{split}/#row-" + lines.astype(str))
    return all_rows(catalog, (catalog["status"] != REJECTED) | elsewhere, params)


def _names(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    """AVA's catalog: one row for each video, whose ``clip_id`` is its file's name."""
    parts = extract(usable["clip_id"], r"\A(?P<stem>[^./]*)\.(?P<suffix>[^./]*)\z").fillna("")
    table = usable.assign(
        stem=parts["stem"], suffix=parts["suffix"], wanted_item=usable["split"] + "/" + usable["video_id"]
    )
    show = ("row", "clip_id")
    return Suite(
        "names",
        table,
        [
            *source_rules(spec),
            Rule("annotations.names", EQUAL, {"column_A": "stem", "column_B": "video_id"}, "clip_id", show=show),
            Rule(
                "annotations.names", IN_SET, {"column": "suffix", "value_set": list(spec.item.ext)}, "suffix", show=show
            ),
            Rule("annotations.names", EQUAL, {"column_A": "item_id", "column_B": "wanted_item"}, "item_id", show=show),
        ],
    )


def _actions(spec: DatasetSpec, names: set[int], evaluated: list[int], params: GateParams) -> Suite:
    """One row for each evaluated action; and how many actions there are."""
    table = pd.DataFrame(
        {
            "item_id": pd.Series([f"action/{number}" for number in evaluated], dtype="str"),
            "listed": pd.Series([number in names for number in evaluated], dtype="bool"),
            "actions": len(names),
        }
    )
    count = spec.labels.count
    limits = {"min_value": count, "max_value": count} if count is not None else {"min_value": 1}
    return Suite(
        "actions",
        table,
        [
            Rule("ava.action_list", IN_SET, {"column": "listed", "value_set": [True]}, "evaluated"),
            Rule("ava.action_list", "ExpectColumnMaxToBeBetween", {"column": "actions", **limits}, "count",
                 severity=counting(params, "error")),
        ],
    )  # fmt: skip


def action_names(actions: Mapping[str, Any]) -> Suite:
    """One row for each evaluated action: its name has the same number in the whole list, or is not in it."""
    check = "ava.action_names"
    evaluated = actions.get("evaluated_names")
    if not isinstance(evaluated, dict):
        return Suite("action_names", pd.DataFrame(), skipped=[(check, "the run did not record the evaluated names")])
    names = {int(number): str(name).strip() for number, name in actions["names"].items()}
    at = {name: number for number, name in names.items()}
    rows = [
        {"item_id": f"action/{number}", "name": str(name), "listed_as": at.get(str(name).strip(), int(number)),
         "number": int(number)}
        for number, name in evaluated.items()
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["item_id", "name", "listed_as", "number"])
    rule = Rule(check, EQUAL, {"column_A": "number", "column_B": "listed_as"}, show=("name", "number", "listed_as"))
    return Suite("action_names", table, [rule])


def _published(spec: DatasetSpec, params: GateParams) -> Expected:
    version = params.version or spec.default_variant
    return spec.expected.variants.get(version or "", spec.expected)


def _split(
    split: str, run: RunTables, seen: _Seen, names: set[int], evaluated: list[int], params: GateParams, *, ava: bool
) -> Iterator[Suite]:
    """One split's csvs. Only the names of its videos are kept afterwards."""
    boxes = box_rows.read_boxes(run, split)
    place = BoxFiles(run.run_dir)
    others = box_rows.read_frames(run, place.annotated(split, "key_frames"))
    excluded = box_rows.read_frames(run, place.annotated(split, "excluded"))
    suite, bad = box_rows.rejected(run, split, len(boxes) + len(others) + len(excluded), params)
    yield suite
    seen.rows[split] = len(boxes) + len(others) + bad
    frames = pd.concat([boxes[list(box_rows.FRAME_COLUMNS)], others], ignore_index=True)
    if ava:
        seen.rows_of[split] = pd.concat([frames["video_id"], excluded["video_id"]]).value_counts(sort=False)
    frames = distinct(frames, "video_id", "time")
    seen.key_frames[split] = len(frames)
    seen.annotated[split] = frames["video_id"].drop_duplicates().reset_index(drop=True)
    seen.videos[split] = pd.concat([frames["video_id"], excluded["video_id"]]).drop_duplicates().reset_index(drop=True)
    yield box_rows.frame_suite(split, frames, ava=ava)
    if ava:
        yield _excluded(split, boxes, excluded, evaluated)
        yield _key_frames(split, frames, excluded)
    yield from box_rows.row_suites(split, boxes, names, params, ava=ava)


def _excluded(split: str, boxes: pd.DataFrame, excluded: pd.DataFrame, evaluated: list[int]) -> Suite:
    """One row for each excluded key frame, with its number of rows that would be evaluated."""
    table = excluded.drop_duplicates(["video_id", "second"]).reset_index(drop=True)
    table["item_id"] = box_rows.key(split, table)
    scored = boxes.loc[
        boxes["action_id"].isin(evaluated) & boxes["video_id"].isin(table["video_id"]), ["video_id", "second"]
    ]
    counts = scored.value_counts().rename("rows").reset_index()
    table = table.merge(counts, on=["video_id", "second"], how="left")
    table["rows"] = table["rows"].fillna(0).astype("int64")
    rule = Rule("ava.excluded", BETWEEN, {"column": "rows", "max_value": 0}, split, show=("rows",), worst_by="rows")
    return Suite(f"excluded_{split}", table, [rule])


def _key_frames(split: str, frames: pd.DataFrame, excluded: pd.DataFrame) -> Suite:
    """One row for each video, with its key frames and its excluded ones."""

    def count(table: pd.DataFrame) -> pd.Series[int]:
        return table.drop_duplicates(["video_id", "second"])["video_id"].value_counts()

    found = count(frames)
    table = pd.DataFrame({"video_id": found.index.astype("str"), "key_frames": found.to_numpy()})
    table["item_id"] = f"{split}/" + table["video_id"]
    table["excluded"] = table["video_id"].map(count(excluded)).fillna(0).astype("int64")
    table["used"] = table["key_frames"] + table["excluded"]
    rule = Rule("ava.key_frames", BETWEEN, {"column": "used", "max_value": KEY_SECONDS}, split,
                show=("key_frames", "excluded"), worst_by="used")  # fmt: skip
    return Suite(f"videos_{split}", table, [rule])


def _csvs(catalog: pd.DataFrame, rows: Mapping[str, int], unlabelled: str) -> Suite:
    """One row for each declared split and each of the catalog, with the ``rows`` of its csv; one was published without."""
    splits = sorted({*catalog["split"], *rows} - {unlabelled})
    table = pd.DataFrame(
        {"item_id": [f"{split}/csv" for split in splits], "rows": [rows.get(split, 0) for split in splits]}
    )
    return Suite("csvs", table.astype({"item_id": "str", "rows": "int64"}),
                 [Rule("ava.csv", BETWEEN, {"column": "rows", "min_value": 1}, show=("rows",))])  # fmt: skip


def _listed(usable: pd.DataFrame, seen: _Seen, params: GateParams) -> Suite:
    """One row for each annotated or excluded video. It blocks by the share of csv rows: one misspelt id is one row."""
    parts = [pd.DataFrame({"item_id": f"{split}/" + ids, "video_id": ids}) for split, ids in seen.videos.items()]
    table = pd.concat([pd.DataFrame({"item_id": [], "video_id": []}, dtype="str"), *parts], ignore_index=True)
    table["rows"] = [int(seen.rows_of[split][video]) for split, ids in seen.videos.items() for video in ids]
    table["listed"] = among(table["item_id"], usable["item_id"])
    lost, rows = table.loc[~table["listed"], "rows"].sum(), table["rows"].sum()
    rule = Rule("ava.in_list", IN_SET, {"column": "listed", "value_set": [True]}, show=("rows",),
                severity="error" if lost > params.rejected_error * rows else "warn")  # fmt: skip
    return Suite("listed", table, [rule])


def _key_frame_counts(spec: DatasetSpec, seen: _Seen) -> Iterator[Suite]:
    """One row for each split whose number of key frames is published."""
    for split, count in seen.key_frames.items():
        expected = spec.expected.key_frames.get(split)
        if expected is None:
            why = f"no number of key frames is published for {split}"
            yield Suite(f"key_frames_{split}", pd.DataFrame(), skipped=[("ava.key_frame_count", why)])
            continue
        table = pd.DataFrame({"item_id": [f"{split}/csv"], "key_frames": [count]})
        published = {"column": "key_frames", "value_set": expected.counts}
        yield Suite(
            f"key_frames_{split}", table, [Rule("ava.key_frame_count", IN_SET, published, split, show=("key_frames",))]
        )


def _splits(seen: _Seen) -> Suite:
    """One row for each video of the other splits."""
    others = {split: ids for split, ids in seen.videos.items() if split != TRAIN}
    if TRAIN not in seen.videos or not others:
        why = "train is not in the run" if others else "there is no other split than train"
        return Suite("other_splits", pd.DataFrame(), skipped=[("ava.split_disjoint", why)])
    table = pd.concat([pd.DataFrame({"item_id": f"{split}/" + ids, "video_id": ids}) for split, ids in others.items()])
    table["in_train"] = among(table["video_id"], seen.videos[TRAIN])
    rule = Rule("ava.split_disjoint", IN_SET, {"column": "in_train", "value_set": [False]})
    return Suite("other_splits", table.reset_index(drop=True), [rule])
