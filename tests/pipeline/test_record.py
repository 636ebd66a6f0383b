"""After the shards: every selected item has exactly one row, whatever became of its task."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from clipquarry.manifest import read_rows
from clipquarry.pipeline.record import counts_of, record
from clipquarry.pipeline.summary import run_summary
from pipeline_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_all_is_well(world: World) -> None:
    ctx = world.context(shards=3)
    assert world.go(ctx) == {"done": 60}
    assert len({row["item_id"] for row in read_rows(ctx.recorded)}) == 60
    counts = counts_of(ctx.recorded)
    assert counts["by_split"] == {"train": {"done": 50}, "val": {"done": 10}}
    assert counts["reasons"] == {}
    assert run_summary(ctx.data, "kinetics_demo", "one")["sentence"] == "kinetics_demo: 60 of 60 clips are there."
    with ctx.ledger() as ledger:
        assert {row.split: row.present for row in ledger.coverage("kinetics_demo") if row.label is None} == {
            "train": 50, "val": 10,
        }  # fmt: skip


def test_a_task_without_a_result_fails_its_items_by_name(world: World) -> None:
    ctx = world.context(shards=3)
    world.plan(ctx)
    lost = {row["item_id"] for row in world.asked(ctx)[1]}
    world.fetch(ctx, fail_shards=[1])
    assert record(ctx) == {"done": 60 - len(lost), "failed": len(lost)}
    failed = [row for row in read_rows(ctx.recorded) if row["status"] == "failed"]
    assert {row["item_id"] for row in failed} == lost
    assert {row["reason"] for row in failed} == {"task_failed"}
    assert "ended without a result" in failed[0]["evidence"]


def test_held_items_are_told_too(world: World) -> None:
    lost = world.clips_of(0, "removed")
    world.go(world.context("one"), missing=lost)
    ctx = world.context("two")
    assert world.go(ctx) == {"done": 58, "missing": 2}
    told = {row["item_id"]: row["reason"] for row in read_rows(ctx.recorded) if row["status"] == "missing"}
    assert told == lost


def test_a_refresh_is_judged_by_the_whole_data_set(world: World) -> None:
    gone = world.catalog[0]["item_id"]
    world.go(world.context("one"), missing={gone: "transport"})
    ctx = world.context("two", "refresh", retry_all=True)
    assert world.go(ctx) == {"done": 60}
    assert [row["item_id"] for row in read_rows(ctx.results)] == [gone]
    with ctx.ledger() as ledger:
        tried = Counter(row["reason"] for row in ledger.history(world.catalog[0]["clip_id"]))
    assert tried == {"transport": 1, "ok": 1}


def test_recording_twice_changes_nothing(world: World) -> None:
    ctx = world.context()
    world.go(ctx, missing={world.catalog[0]["item_id"]: "removed"})
    before = list(read_rows(ctx.state))
    assert record(ctx) == {"done": 59, "missing": 1}
    assert sorted(map(str, read_rows(ctx.state))) == sorted(map(str, before))
    with ctx.ledger() as ledger:
        assert len(list(ledger.history(world.catalog[0]["clip_id"]))) == 1
