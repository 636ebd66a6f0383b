"""Suites that users bring to the gates of labelled intervals."""

from __future__ import annotations

from typing import Any

import pytest
from clipquarry.errors import UserError
from clipquarry.families.segments.gate_tables import TABLES
from clipquarry.quality.params import GateParams
from own_suites import own_gate, write_own
from segments_world import SegmentsWorld, make_thumos

PARAMS = GateParams(splits=("val", "test"), frames=True, flow=True)


@pytest.fixture(scope="module")
def thumos(tmp_path_factory: pytest.TempPathFactory) -> SegmentsWorld:
    return make_thumos(tmp_path_factory.mktemp("thumos"))


def own(world: SegmentsWorld, gate: str, table: str, kind: str, **kwargs: Any) -> dict[str, tuple[bool, list[str]]]:
    """By id, whether a check of one's own holds, and the rows that a person is shown."""
    path = write_own(world, gate, "mine.yaml", {"table": table, "severity": "warn", "expectations": [{"type": kind, "kwargs": kwargs}]})  # fmt: skip
    try:
        checks = own_gate(world, gate, PARAMS).checks
    finally:
        path.unlink()
    mine = (one for one in checks if one.id.startswith("own."))
    return {f"{one.id} {one.scope}".strip(): (one.success, [str(row["item_id"]) for row in one.worst]) for one in mine}


def test_intervals_can_be_checked_by_oneself(thumos: SegmentsWorld) -> None:
    told = own(thumos, "annotations", "intervals", "expect_column_values_to_be_between", column="seconds", min_value=1)
    assert told == {"own.mine.yaml#1": (False, ["val/video_validation_0000053#1"])}


def test_videos_of_two_splits_are_another_table_than_the_chosen_splits(thumos: SegmentsWorld) -> None:
    for table, column in (("splits", "rows"), ("disjoint", "splits")):
        told = own(thumos, "annotations", table, "expect_column_values_to_be_between", column=column, min_value=1)
        assert told == {"own.mine.yaml#1": (True, [])}


def test_lists_of_proposals_are_checked_by_split(thumos: SegmentsWorld) -> None:
    told = own(
        thumos, "proposals", "*_blocks", "expect_column_values_to_be_between", column="listed_frames", max_value=59
    )
    assert {name: len(rows) for name, (_, rows) in told.items()} == {
        "own.mine.yaml#1 test_blocks": 2,
        "own.mine.yaml#1 val_blocks": 3,
    }


def test_flow_can_be_checked_by_oneself(thumos: SegmentsWorld) -> None:
    told = own(thumos, "frames", "flow", "expect_column_values_to_be_in_set", column="flow_x", value_set=[59])
    assert told == {"own.mine.yaml#1": (True, [])}


@pytest.mark.parametrize("gate", sorted(set(TABLES) - {"features", "lists"}))  # gates of all data sets of the family
def test_a_table_that_no_run_has_is_an_error(thumos: SegmentsWorld, gate: str) -> None:
    with pytest.raises(UserError, match=f"the gate has no table 'people': it has .*{next(iter(TABLES[gate]))[:4]}"):
        own(thumos, gate, "people", "expect_column_values_to_be_unique", column="item_id")
