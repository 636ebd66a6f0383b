"""The gate after labels were read (C-I2 to C-I5), over the projects and the csv files as they lie on the disk."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.annotations.action_list import read_action_list
from clipquarry.annotations.own_ava.final_files import ACTIONS, split_names
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.gates.proposals import PROPOSAL_COLUMNS, key_of
from clipquarry.families.boxes.own.action_gate import of_actions
from clipquarry.families.boxes.own.project_gate import of_projects
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.quality.engine import EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables
from clipquarry.settings import DataRoot

_COLUMNS = ("name", "second", "x1", "y1", "x2", "y2", "action", "person")
_BOX = ["x1", "y1", "x2", "y2"]
_TRUE = [True]


def of_labels(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``labels``."""
    place = OwnFiles(run.run_dir)
    folder = data.dataset(spec.root, "annotations")
    rows = pd.read_csv(place.labels, dtype={"name": "str"}, keep_default_na=False)
    splits = list(params.splits or sorted(rows["split"].unique()))
    parts = []
    for split in splits:
        part = pd.read_csv(
            folder / split_names(split)["labels"], names=_COLUMNS, dtype={"name": "str"}, keep_default_na=False
        )
        parts.append(part.assign(split=split, item_id=[f"{split}/line-{line}" for line in range(1, len(part) + 1)]))
    lines = pd.concat(parts, ignore_index=True)
    actions = read_action_list(folder / ACTIONS)
    yield of_projects(spec, run, data, rows)
    yield _counts(rows, lines, splits)
    yield _lines(run, lines, set(actions))
    yield of_actions(lines, actions, splits, params.imbalance_warn)


def _counts(rows: pd.DataFrame, lines: pd.DataFrame, splits: list[str]) -> Suite:
    """One row for each split."""
    table = pd.DataFrame(
        {
            "item_id": [f"{split}/labels" for split in splits],
            "chosen": [int((rows["split"] == split).sum()) for split in splits],
            "lines": [int((lines["split"] == split).sum()) for split in splits],
        }
    )
    rule = Rule("labels.rows", EQUAL, {"column_A": "chosen", "column_B": "lines"}, show=("chosen", "lines"))
    return Suite("label_counts", table, [rule])


def _lines(run: RunTables, lines: pd.DataFrame, actions: set[int]) -> Suite:
    """One row for each line of the csv files."""
    keys = run.load(OwnFiles(run.run_dir).key_frames, ("clip_id", "split", "second", "labelled"))
    wanted = set((keys["split"] + "/" + keys["clip_id"] + "," + keys["second"].astype(str))[keys["labelled"]])
    at = lines["split"] + "/" + lines["name"] + "," + lines["second"].astype(str)
    box = lines[_BOX].astype(float)
    fine = (box >= 0).all(axis=1) & (box <= 1).all(axis=1) & (box["x1"] < box["x2"]) & (box["y1"] < box["y2"])
    lines["right"] = at.isin(wanted) & lines["action"].isin(actions) & fine & (lines["person"] >= 0)
    where = lines[_BOX].astype(str).agg(" ".join, axis=1)
    boxes = where.groupby([at, lines["person"]]).transform("nunique")
    people = lines["person"].groupby([at, where]).transform("nunique")
    lines["alone"] = (boxes == 1) & (people == 1)
    show = ("name", "second", "action", "person")
    rules = [
        Rule("labels.row", IN_SET, {"column": "right", "value_set": _TRUE}, show=(*show, *_BOX)),
        Rule("labels.person", IN_SET, {"column": "alone", "value_set": _TRUE}, show=show),
    ]
    place = BoxFiles(run.run_dir)
    splits = place.proposal_splits()
    if not splits:
        return Suite("lines", lines, rules, skipped=[("labels.proposed", "nobody asked for proposals")])
    tables = [run.plain(place.proposals(split), PROPOSAL_COLUMNS)["key"] for split in splits]
    named = lines.rename(columns={"name": "video_id"})
    lines["proposed"] = key_of(named).isin(pd.concat(tables))
    rules.append(Rule("labels.proposed", IN_SET, {"column": "proposed", "value_set": _TRUE}, show=show))
    return Suite("lines", lines, rules)
