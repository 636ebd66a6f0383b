"""Checks of labelled intervals that no run of a whole data set needs: what two splits share, classes that were lost, wrong labels."""

from __future__ import annotations

import pandas as pd
import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.families.segments.family import FAMILY
from clipquarry.families.segments.gates.annotations import _classes, _disjoint, _intervals
from clipquarry.quality.engine import Engine, Suite
from clipquarry.quality.params import GateParams

SPEC = find_spec("thumos14_demo")
COLUMNS = [
    "item_id",
    "split",
    "video_id",
    "label",
    "label_index",
    "seconds",
    "start",
    "end",
    "ambiguous",
    "file",
    "line",
]


def broken(suite: Suite) -> dict[str, tuple[str, list[str]]]:
    """Severity and rows of each check that does not hold."""
    found = [one for one in Engine({check.id: check for check in FAMILY.checks()}).run(suite) if not one.result.success]
    return {
        one.result.id: (one.result.severity, [] if one.rows is None else list(one.rows["item_id"])) for one in found
    }


def intervals(*rows: tuple[str, int, float, float, bool]) -> pd.DataFrame:
    table = [
        (f"{split}/a#{n}", split, "a", "x", index, 1.5, start, end, ambiguous, "f", n)
        for n, (split, index, start, end, ambiguous) in enumerate(rows)
    ]
    return pd.DataFrame(table, columns=COLUMNS)


def test_a_video_in_two_splits_blocks() -> None:
    usable = pd.DataFrame({"video_id": ["a", "b", "a"], "split": ["val", "val", "test"]})
    assert broken(_disjoint(usable)) == {"intervals.split_disjoint": ("error", ["a"])}


@pytest.mark.parametrize(("counts", "severity"), [("strict", "error"), ("warn", "warn")])
def test_a_class_without_an_interval_in_a_split_is_told(counts: str, severity: str) -> None:
    table = intervals(
        ("val", 0, 1, 2, False), ("val", 1, 1, 2, False), ("test", 1, 1, 2, False), ("test", -1, 1, 2, True)
    )
    params = GateParams.model_validate({"annotation_counts": counts})
    assert broken(_classes(SPEC, table, ["test", "val"], params)) == {"intervals.class": (severity, ["test/Diving"])}


def test_labels_and_the_order_of_times() -> None:
    table = intervals(
        ("val", 0, 1, 1.1, False), ("val", 2, 1, 2, False), ("val", -1, 1, 2, True), ("val", -1, 1, 2, False),
        ("val", 0, 1, 2, True), ("val", 1, 2, 2, False), ("val", 1, 3, 2.5, False),
    )  # fmt: skip
    assert broken(_intervals(SPEC, table)) == {
        "intervals.label": ("error", ["val/a#1", "val/a#3", "val/a#4"]), "intervals.order": ("warn", ["val/a#5", "val/a#6"]),
        # Of a video of 1.5 s; half a second is allowed.
        "intervals.in_annotation": ("warn", ["val/a#6"]),
    }  # fmt: skip
