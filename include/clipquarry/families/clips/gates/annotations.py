"""Suites of the gate ``annotations`` of labelled clips: the invariants of the annotation csvs (K-I1, K-I2, K-I7)."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.readers import reader_of
from clipquarry.ids import normalise_label
from clipquarry.quality import label_files, window_overlap
from clipquarry.quality.catalog_suites import (
    COLUMNS,
    CSV_ROW,
    TRAIN,
    all_rows,
    checksums,
    counting,
    csv_rows,
    length_rule,
    not_empty,
    source_rules,
    window_name,
)
from clipquarry.quality.declared import counted, split_rows
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, among, distinct, looked_up, pick
from clipquarry.settings import DataRoot

UNLABELLED_DIR = "test"
"""Class folder of rows without a label, as the Kinetics crawler names it."""


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``annotations``."""
    catalog = run.load("catalog", COLUMNS, keep_null=("label",))
    usable = pick(catalog, catalog["status"] != REJECTED)
    yield not_empty(usable)
    yield split_rows(usable, params)
    yield all_rows(catalog, catalog["status"] != REJECTED, params)
    rows = {str(part): rows for part, rows in catalog["split"].value_counts(sort=False).items()}
    yield from csv_rows(spec.expected, counted(params, rows), params)
    yield checksums(spec, sorted(catalog["split"].unique()), data)
    yield from label_files.read_files(run, data, params)
    del catalog
    yield _windows(spec, usable)
    yield _classes(spec, usable, params)
    yield _labels(spec, usable, params)
    yield label_files.label_map(spec, run, data, usable, params)
    yield _unlabelled(usable)
    yield _splits(usable)
    yield window_overlap.suite(usable)


def _windows(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    clip = window_name(usable) if reader_of(spec).NAMES == "window" else usable["clip_id"]
    folders = {label: normalise_label(label) for label in usable["label"].dropna().unique()}
    folder = looked_up(usable["label"], folders).fillna(UNLABELLED_DIR)
    table = usable.assign(
        seconds=usable["end"] - usable["start"],
        wanted_clip=clip,
        wanted_folder=folder,
        wanted_item=usable["split"] + "/" + folder + "/" + clip,
        label=usable["label"].fillna(""),
    )
    return Suite(
        "windows",
        table,
        [
            *source_rules(spec),
            length_rule(spec),
            Rule("annotations.names", EQUAL, {"column_A": "clip_id", "column_B": "wanted_clip"}, "clip_id",
                 show=("row", "clip_id", "wanted_clip")),
            Rule("annotations.names", EQUAL, {"column_A": "class_dir", "column_B": "wanted_folder"}, "class_dir",
                 show=("row", "class_dir", "wanted_folder")),
            Rule("annotations.names", EQUAL, {"column_A": "item_id", "column_B": "wanted_item"}, "item_id",
                 show=("row", "wanted_item")),
            Rule("annotations.same_clip", "ExpectCompoundColumnsToBeUnique", {"column_list": ["split", "clip_id"]},
                 show=CSV_ROW),
        ],
    )  # fmt: skip


def _number_of_classes(spec: DatasetSpec, labelled: pd.DataFrame) -> int:
    if spec.labels.count is not None:
        return spec.labels.count
    return int(labelled["label_index"].max()) + 1 if len(labelled) else 0


def _classes(spec: DatasetSpec, usable: pd.DataFrame, params: GateParams) -> Suite:
    """One table row per label index, 0..K-1."""
    labelled = pick(usable, usable["label"].notna(), "class_dir", "label_index", "split")
    checks = ("annotations.label_count", "annotations.label_complete", "annotations.class_in_train")
    if labelled.empty:
        return Suite("classes", pd.DataFrame(), skipped=[(check, "no row has a label") for check in checks])
    count = min(max(_number_of_classes(spec, labelled), 1), 1_000_000)
    different = distinct(labelled, "label_index", "class_dir")
    pairs = different.groupby("label_index")["class_dir"].agg(["size", "first"]).reindex(range(count))
    clips = labelled["label_index"].value_counts().reindex(range(count))
    trained = labelled.loc[labelled["split"] == TRAIN].groupby("label_index").size().reindex(range(count))
    table = pd.DataFrame(
        {
            "item_id": [f"class/{index}" for index in range(count)],
            "class_dir": pairs["first"].fillna("").to_numpy(),
            "classes": pairs["size"].fillna(0).astype(int).to_numpy(),
            "clips": clips.fillna(0).astype(int).to_numpy(),
            "train_clips": trained.fillna(0).astype(int).to_numpy(),
        }
    )
    severity = counting(params, "error" if spec.labels.count is not None else "info")
    indices_of = different["class_dir"].value_counts()
    table["indices"] = table["class_dir"].map(indices_of).fillna(0).astype(int)
    observed = len(indices_of)
    suite = Suite(
        "classes",
        table,
        [
            Rule("annotations.label_complete", BETWEEN,
                 {"column": "classes", "min_value": 1}, "gap", severity=severity, show=("clips",)),
            Rule("annotations.label_complete", BETWEEN,
                 {"column": "classes", "max_value": 1}, "double", show=("class_dir", "classes")),
            Rule("annotations.label_complete", BETWEEN,
                 {"column": "indices", "max_value": 1}, "indices", show=("class_dir", "indices")),
        ],
    )  # fmt: skip
    suite.table["total"] = observed
    limits = {"min_value": count, "max_value": count} if spec.labels.count is not None else {"min_value": 1}
    suite.rules.append(
        Rule("annotations.label_count", "ExpectColumnMaxToBeBetween", {"column": "total", **limits}, severity=severity)
    )
    if (usable["split"] == TRAIN).any():
        suite.rules.append(
            Rule("annotations.class_in_train", BETWEEN, {"column": "train_clips", "min_value": 1},
                 show=("class_dir", "clips"))
        )  # fmt: skip
    else:
        suite.skipped.append(("annotations.class_in_train", "train is not in the catalog"))
    return suite


def _labels(spec: DatasetSpec, usable: pd.DataFrame, params: GateParams) -> Suite:
    """Every labelled row: its index, and whether train has its class."""
    labelled = pick(usable, usable["label"].notna(), "item_id", "split", "row", "label", "class_dir", "label_index")
    count = _number_of_classes(spec, labelled)
    train = set(labelled.loc[labelled["split"] == TRAIN, "class_dir"].unique())
    show = ("split", "row", "label", "label_index")
    suite = Suite("labels", labelled)
    if labelled.empty:
        names = ("label_index", "label_odd", "label_in_train", "label_order")
        for check in (f"annotations.{name}" for name in names):
            suite.skipped.append((check, "no row has a label"))
        return suite
    # The check of the number of classes reports an additional class; rows of the last class are not at fault.
    most = max(count, labelled["class_dir"].nunique()) - 1
    suite.rules.append(
        Rule("annotations.label_index", BETWEEN,
             {"column": "label_index", "min_value": 0, "max_value": max(most, 0)}, show=show)
    )  # fmt: skip
    suite.rules.append(_odd(labelled, spec.labels.count, show))
    if train:
        labelled["in_train"] = among(labelled["class_dir"], train)
        suite.rules.append(
            Rule("annotations.label_in_train", IN_SET,
                 {"column": "in_train", "value_set": [True]}, show=show)
        )  # fmt: skip
    else:
        suite.skipped.append(("annotations.label_in_train", "train is not in the catalog"))
    classes = train or set(labelled["class_dir"].unique())
    given = params.label_map or spec.labels.source != "annotation" or spec.labels.order != "codepoint"
    if given or (not train and len(classes) != spec.labels.count):
        why = "a label map numbers the classes" if given else "neither train nor all classes are in the catalog"
        suite.skipped.append(("annotations.label_order", why))
        return suite
    position = {name: index for index, name in enumerate(sorted(classes))}
    labelled["wanted_index"] = (
        looked_up(labelled["class_dir"], position).fillna(labelled["label_index"]).astype("int64")
    )
    suite.rules.append(
        Rule("annotations.label_order", EQUAL,
             {"column_A": "label_index", "column_B": "wanted_index"}, show=(*show, "wanted_index"))
    )  # fmt: skip
    return suite


_ALIKE, _RARE = 0.85, 0.25


def _odd(labelled: pd.DataFrame, published: int | None, show: tuple[str, ...]) -> Rule:
    """Marks rows of classes with hardly a row beside a class of nearly the same name. If there are as many classes
    as published, no class is odd.
    """
    rows = labelled["class_dir"].value_counts()
    alike: dict[str, str] = {}
    if len(rows) != published:
        for name, count in rows[rows <= rows.max() * _RARE].items():
            larger = [other for other in rows.index[rows * _RARE >= count] if other != name]
            if found := get_close_matches(str(name), larger, 1, _ALIKE):
                alike[str(name)] = found[0]
    labelled["alike"] = looked_up(labelled["class_dir"], alike).fillna("")
    told = [
        f"'{name}' ({rows[name]:,} rows) resembles '{other}' ({rows[other]:,} rows)" for name, other in alike.items()
    ]
    note = f"{'; '.join(told[:5])}{' and others' * (len(told) > 5)}." if told else ""
    return Rule(
        "annotations.label_odd", IN_SET, {"column": "alike", "value_set": [""]}, show=(*show, "alike"), note=note
    )


def _unlabelled(usable: pd.DataFrame) -> Suite:
    table = pick(usable, usable["label"].isna(), "item_id", "split", "row", "label_index")
    wanted = {"column": "label_index", "value_set": [-1]}
    rule = Rule("annotations.label_index", IN_SET, wanted, "unlabelled", show=("row", "label_index"))
    return Suite("unlabelled", table, [rule] if len(table) else [])


def _splits(usable: pd.DataFrame) -> Suite:
    """Rows of the other splits, compared with train."""
    if not (usable["split"] == TRAIN).any():
        why = "train is not in the catalog"
        return Suite(
            "splits", usable, skipped=[(f"annotations.{name}", why) for name in ("split_disjoint", "video_shared")]
        )
    train = usable["split"] == TRAIN
    window = window_name(usable)
    usable = usable.assign(label=usable["label"].fillna(""), window_in_train=among(window, window[train]))
    table = pick(usable, ~train, "item_id", *CSV_ROW, "window_in_train")
    table["video_in_train"] = among(table["video_id"], usable.loc[train, "video_id"])
    return Suite(
        "splits",
        table,
        [
            Rule("annotations.split_disjoint", IN_SET,
                 {"column": "window_in_train", "value_set": [False]}, show=CSV_ROW),
            Rule("annotations.video_shared", IN_SET,
                 {"column": "video_in_train", "value_set": [False]}, show=CSV_ROW),
        ],
    )  # fmt: skip
