"""Suites of what no two splits may share: windows, videos, and groups of clips of one scene (K-I7, C08)."""

from __future__ import annotations

import re

import pandas as pd
import pyarrow as pa

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import is_train, number_of, release_of
from clipquarry.errors import UserError
from clipquarry.families.clips.options import clips_options
from clipquarry.quality.catalog_suites import CSV_ROW, NO_WINDOW, window_name
from clipquarry.quality.engine import IN_SET, Rule, Suite
from clipquarry.quality.tables import among, extract, pick

_BEFORE = re.compile(r"(?:\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?!P<)|[^\\\[(])*", re.DOTALL)
"""What stands before the first group that is kept: no escaped bracket, none in a set of characters, none of ``(?:``."""
_NO_TRAIN = "train is not in the catalog"
_FALSE = {"value_set": [False]}


def splits(spec: DatasetSpec, usable: pd.DataFrame, *, apart: bool = True) -> Suite:
    """Rows of the other splits, compared with the train split of their number; unless ``apart``, of their release too."""
    train = usable["split"].map(is_train).astype(bool)
    if not train.any():
        names = ("split_disjoint", "video_shared")
        return Suite("other_splits", usable, skipped=[(f"annotations.{name}", _NO_TRAIN) for name in names])
    number = usable["split"].map(number_of if apart else release_of)
    window = number + "/" + window_name(usable)
    usable = usable.assign(label=usable["label"].fillna(""), window_in_train=among(window, window[train]))
    video = number + "/" + usable["video_id"]
    table = pick(usable, ~train, "item_id", *CSV_ROW, "window_in_train")
    table["video_in_train"] = among(video[~train], video[train]).to_numpy()
    shared = "annotations.video_shared"
    rules = [
        Rule("annotations.split_disjoint", IN_SET, {"column": "window_in_train", **_FALSE}, show=CSV_ROW),
        Rule(shared, IN_SET, {"column": "video_in_train", **_FALSE}, show=CSV_ROW),
    ]
    if spec.has_files:
        return Suite("other_splits", table, rules[:1], skipped=[(shared, NO_WINDOW)])
    return Suite("other_splits", table, rules)


def named(expression: str) -> str:
    """The expression whose only kept group is called ``name``, whatever it is called."""
    found = _BEFORE.match(expression)
    at = found.end() if found else 0
    return expression[:at] + re.sub(r"\A\((?:\?P<[^>]*>)?", "(?P<name>", expression[at:])


def groups(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    """Rows of the other splits: whether their group, which ``options.group`` finds in a clip's name, is in train."""
    check, expression = "annotations.group_disjoint", clips_options(spec).group
    train = usable["split"].map(is_train).astype(bool)
    if expression is None or not train.any():
        why = "the data set's YAML names no groups (options.group)" if expression is None else _NO_TRAIN
        return Suite("groups", pd.DataFrame(), skipped=[(check, why)])
    try:
        found = extract(usable["clip_id"], named(expression))["name"]
    except pa.ArrowInvalid as error:  # Python's expressions can do more than these, which take linear time
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"options.group of {spec.name}, {expression!r}, cannot be searched for ({said}): write it without looking "
            "around, without references to a group, and with '$' for the end."
        ) from error
    group = (usable["split"].map(number_of) + "/" + found).fillna("")
    table = pick(usable.assign(label=usable["label"].fillna("")), ~train, "item_id", *CSV_ROW)
    table["group"] = group[~train].to_numpy()
    table["group_in_train"] = (among(group[~train], group[train]) & (group[~train] != "")).to_numpy()
    rule = Rule(check, IN_SET, {"column": "group_in_train", **_FALSE}, show=(*CSV_ROW, "group"))
    return Suite("groups", table, [rule])
