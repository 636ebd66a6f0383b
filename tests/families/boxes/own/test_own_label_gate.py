"""The gate of labels: projects on the disk (C-I3, C-I4), and what warns before anybody trains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from clipquarry.families.boxes.own.action_gate import of_actions
from clipquarry.families.boxes.own.project_gate import of_projects
from clipquarry.families.boxes.own.to_label import labelled_as_via
from clipquarry.pipeline.gates import run_gate
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import GateResult
from clipquarry.quality.tables import RunTables
from made_own import LEFT, RIGHT, STANDS, WALKS, MadeOwn, labelled


def gate(made: MadeOwn, **params: Any) -> GateResult:
    splits = tuple(sorted(set(made.crops.values())))
    return run_gate("labels", made.spec, made.folder, made.data, GateParams(splits=splits, **params))


def said(result: GateResult) -> dict[str, list[str]]:
    """By check that does not hold, with its scope: the first of the rows."""
    return {
        " ".join(filter(None, (check.id, check.scope))): [str(row["item_id"]) for row in check.worst]
        for check in result.checks
        if not check.success and not check.skipped
    }


def test_actions_that_nobody_can_learn_or_measure_warn_and_stop_nobody(tmp_path: Path) -> None:
    result = gate(labelled(tmp_path), imbalance_warn=2)
    assert result.verdict == "warn"
    assert said(result) == {
        "labels.trained": ["action/4"],
        "labels.val_trained": ["action/4"],
        "labels.balance": ["action/2", "action/3"],
    }
    sentences = {check.id: check.sentence for check in result.checks}
    assert "1 of 4 actions has no label in train" in sentences["labels.trained"]


def test_what_is_whole_and_even_passes(tmp_path: Path) -> None:
    made = MadeOwn(tmp_path, groups={"posture": ["stand", "walk"]})
    made.key_frames()
    for crop in made.crops:
        made.label(crop, {1: [(LEFT, STANDS), (RIGHT, WALKS)], 2: [(LEFT, STANDS)]})
    made.read()
    result = gate(made)
    assert result.verdict == "pass" and "labels.project" in {check.id for check in result.checks}


def test_one_split_alone() -> None:
    lines = pd.DataFrame({"split": ["val"], "action": [1]})
    assert {check for check, _ in of_actions(lines, {1: "sit"}, ["val"], 20).skipped} == {
        "labels.trained", "labels.balance", "labels.val_trained",
    }  # fmt: skip
    of_train = of_actions(lines.assign(split="train"), {1: "sit", 2: "run"}, ["train"], 20)
    assert [check for check, _ in of_train.skipped] == ["labels.val_trained"]
    assert of_train.table["times"].tolist() == [1.0, 1.0], "an action without any label has its own check"


def projects(made: MadeOwn) -> list[dict[str, Any]]:
    rows = pd.read_csv(made.place.labels, dtype={"name": "str"})
    return of_projects(made.spec, RunTables(made.folder), made.data, rows).table.to_dict("records")


def _other_frame(value: Any) -> None:
    value["file"]["1"]["fname"], value["file"]["2"]["fname"] = value["file"]["2"]["fname"], value["file"]["1"]["fname"]


def _view_less(value: Any) -> None:
    del value["view"]["2"]


def _unknown_option(value: Any) -> None:
    next(iter(value["metadata"].values()))["av"]["1"] = "7"


def _outside(value: Any) -> None:
    next(iter(value["metadata"].values()))["xy"][1] = 900


@pytest.mark.parametrize("change", [_other_frame, _view_less, _unknown_option, _outside])
def test_a_project_that_changed_since_it_was_read_is_named(tmp_path: Path, change: Callable[[Any], None]) -> None:
    made = labelled(tmp_path)
    path = labelled_as_via(made.spec, made.data, "a")
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    rows = {row["item_id"]: row for row in projects(made)}
    assert rows["train/a"]["fault"].startswith("a_finish.json, ") and not rows["train/a"]["whole"]
    assert rows["val/b"]["whole"]


def test_a_label_more_and_a_project_less_than_the_rows(tmp_path: Path) -> None:
    made = labelled(tmp_path)
    path = labelled_as_via(made.spec, made.data, "a")
    value = json.loads(path.read_text())
    next(iter(value["metadata"].values()))["av"]["2"] = "0,1"
    path.write_text(json.dumps(value))
    assert [(row["chosen"], row["rows"], row["whole"]) for row in projects(made)] == [(6, 5, True), (2, 2, True)]
    path.unlink()
    result = gate(made)
    assert result.verdict == "block" and said(result)["labels.project"] == ["train/a"]
    assert said(result)["labels.rows projects"] == ["train/a"]
