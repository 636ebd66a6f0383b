"""Suites of the gate ``annotations`` of labelled clips: the invariants of the annotation csvs (K-I1, K-I2, K-I7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import release_of, train_splits
from clipquarry.families.clips import leaks
from clipquarry.families.clips.gates import divided, groups
from clipquarry.families.clips.options import clips_options
from clipquarry.families.clips.readers import reader_of
from clipquarry.ids import normalise_label
from clipquarry.quality import label_files, window_overlap
from clipquarry.quality.catalog_suites import (
    COLUMNS,
    CSV_ROW,
    NO_WINDOW,
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
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

UNLABELLED_DIR = "test"
"""Class folder of rows without a label, as the Kinetics crawler names it."""


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``annotations``."""
    catalog = run.load("catalog", COLUMNS, keep_null=("label",))
    usable = pick(catalog, catalog["status"] != REJECTED)
    yield not_empty(usable)
    yield split_rows(usable, params)
    meant = (catalog["status"] != REJECTED) | (catalog["reason"] == str(Reason.LEFT_OUT))
    yield all_rows(catalog, meant, params)
    rows = {str(part): rows for part, rows in catalog["split"].value_counts(sort=False).items()}
    yield from csv_rows(spec.expected, counted(params, rows), params)
    yield checksums(spec, sorted(catalog["split"].unique()), data)
    yield from label_files.read_files(run, data, params)
    del catalog
    if spec.parents:
        of_samples = ~usable["split"].isin(spec.parents)
        parents, usable = pick(usable, ~of_samples), pick(usable, of_samples)
        yield _parents(spec, parents)
    yield _windows(spec, usable)
    if spec.labels.groups:
        yield from groups.suites(spec, run, usable, params)
    elif spec.labels.several:
        yield from groups.of_several(spec, run, usable, params)
    else:
        for release, rows_of in _by_release(spec, usable):
            one = _with_classes(spec, release)
            yield _scoped(_classes(one, rows_of, params), release)
            yield _scoped(_labels(one, rows_of, params), release)
        yield label_files.label_map(spec, run, data, usable, params)
        yield _unlabelled(usable)
    yield divided.splits(spec, usable, apart=params.releases_apart)
    yield divided.groups(spec, usable)
    yield from _leaks(spec, data, usable)
    if not spec.has_files:
        yield window_overlap.suite(usable)


def _by_release(spec: DatasetSpec, usable: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows that number their classes alike: those of each release, where the data set holds several."""
    releases = clips_options(spec).releases
    if not releases:
        yield "", usable
        return
    of = usable["split"].map(release_of)
    for release in releases:
        if (mask := of == release).any():
            yield release, pick(usable, mask)


def _with_classes(spec: DatasetSpec, release: str) -> DatasetSpec:
    if not release:
        return spec
    labels = spec.labels.model_copy(update={"count": clips_options(spec).releases[release].classes})
    return spec.model_copy(update={"labels": labels})


def _scoped(suite: Suite, release: str) -> Suite:
    """The suite under the release's name, and its rules in its scope."""
    if release:
        suite.name = f"{suite.name}_{release}"
        suite.rules = [replace(rule, scope=f"{release} {rule.scope}".strip()) for rule in suite.rules]
    return suite


def _leaks(spec: DatasetSpec, data: DataRoot, usable: pd.DataFrame) -> Iterator[Suite]:
    """One row for each training clip, for each csv of another release's evaluation."""
    check = "annotations.leak"
    if not clips_options(spec).kept_apart:
        why = "the data set's YAML names no release (options.kept_apart)"
        yield Suite("leaks_none", pd.DataFrame(), skipped=[(check, why)])
    for dataset, split, table in leaks.compared(spec, data, usable):
        name = f"leaks_{dataset}_{split}"
        if isinstance(table, str):
            yield Suite(name, pd.DataFrame(), skipped=[(check, table)])
            continue
        rule = Rule(
            check, IN_SET, {"column": "video_leaked", "value_set": [False]}, f"{dataset} {split}",
            show=("split", "window_leaked"),
        )  # fmt: skip
        yield Suite(name, table, [rule])


def _windows(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    clip = _clip_name(reader_of(spec).NAMES, usable)
    folders = {label: normalise_label(label) for label in usable["label"].dropna().unique()}
    if spec.labels.groups:  # an item has no class folder
        folder = pd.Series("", index=usable.index, dtype="str")
    elif spec.labels.several:
        folder = usable["class_dir"]
    else:
        folder = looked_up(usable["label"], folders).fillna(UNLABELLED_DIR)
    table = usable.assign(
        seconds=usable["end"] - usable["start"],
        wanted_clip=clip,
        wanted_folder=folder,
        wanted_item=usable["split"] + "/" + (folder + "/").where(folder != "", "") + clip,
        label=usable["label"].fillna(""),
    )
    windows = ("annotations.time_order", "annotations.window_length", window_overlap.CHECK)
    return Suite(
        "windows",
        table,
        [
            *source_rules(spec),
            *([] if spec.has_files else [length_rule(spec)]),
            Rule("annotations.names", EQUAL, {"column_A": "clip_id", "column_B": "wanted_clip"}, "clip_id",
                 show=("row", "clip_id", "wanted_clip")),
            Rule("annotations.names", EQUAL, {"column_A": "class_dir", "column_B": "wanted_folder"}, "class_dir",
                 show=("row", "class_dir", "wanted_folder")),
            Rule("annotations.names", EQUAL, {"column_A": "item_id", "column_B": "wanted_item"}, "item_id",
                 show=("row", "wanted_item")),
            Rule("annotations.same_clip", "ExpectCompoundColumnsToBeUnique", {"column_list": ["split", "clip_id"]},
                 show=CSV_ROW),
        ],
        skipped=[(check, NO_WINDOW) for check in windows if spec.has_files],
    )  # fmt: skip


def _clip_name(names: str, usable: pd.DataFrame) -> pd.Series[str]:
    """The names that the rows' windows give; where clips have names of their own, these."""
    if names == "own":
        return usable["clip_id"]
    if names == "window":
        return window_name(usable)
    # Times are seconds here: a tenth of them is a whole number but for the last digit of a float.
    tenths = {name: np.floor(usable[name].to_numpy() * 10 + 1e-5).astype(np.int64) for name in ("start", "end")}
    return window_name(usable.assign(**tenths))


def _parents(spec: DatasetSpec, parents: pd.DataFrame) -> Suite:
    """Windows in which those of samples lie: they have a name and times, and neither class nor label."""
    table = parents.assign(seconds=parents["end"] - parents["start"], label=parents["label"].fillna(""))
    rules = [
        *source_rules(spec),
        length_rule(spec),
        Rule("annotations.same_clip", "ExpectCompoundColumnsToBeUnique", {"column_list": ["split", "clip_id"]},
             show=CSV_ROW),
        Rule("annotations.label_index", IN_SET, {"column": "label_index", "value_set": [-1]}, show=CSV_ROW),
    ]  # fmt: skip
    return Suite("parents", table, rules)


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
    trains = train_splits(usable["split"].unique())
    trained = labelled.loc[labelled["split"].isin(trains)].groupby("label_index").size().reindex(range(count))
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
    observed = len(indices_of) if spec.labels.unique else int((pairs["size"] > 0).sum())
    suite = Suite(
        "classes",
        table,
        [
            Rule("annotations.label_complete", BETWEEN,
                 {"column": "classes", "min_value": 1}, "gap", severity=severity, show=("clips",)),
            Rule("annotations.label_complete", BETWEEN,
                 {"column": "classes", "max_value": 1}, "double", show=("class_dir", "classes")),
        ],
    )  # fmt: skip
    if spec.labels.unique:
        limit = {"column": "indices", "max_value": 1}
        shared = Rule("annotations.label_complete", BETWEEN, limit, "indices", show=("class_dir", "indices"))
        suite.rules.append(shared)
    suite.table["total"] = observed
    limits = {"min_value": count, "max_value": count} if spec.labels.count is not None else {"min_value": 1}
    suite.rules.append(
        Rule("annotations.label_count", "ExpectColumnMaxToBeBetween", {"column": "total", **limits}, severity=severity)
    )
    if trains:
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
    trains = train_splits(labelled["split"].unique())
    train = set(labelled.loc[labelled["split"].isin(trains), "class_dir"].unique())
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
                 {"column": "in_train", "value_set": [True]}, show=show,
                 severity=counting(params) if spec.labels.order == "given" else None)
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
    if labelled["label_index"].nunique() != published:
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
