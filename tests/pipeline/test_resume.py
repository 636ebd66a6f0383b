"""A run that was stopped goes on where it was: nobody is asked twice, nothing is counted twice, nothing is left lying about."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from clipquarry.files import TEMPORARY_PREFIX, owned_beside, read_json, temporary_beside, write_json
from clipquarry.pipeline.context import update_run_file
from clipquarry.pipeline.record import record
from clipquarry.pipeline.stage import begin
from clipquarry.pipeline.stages import NothingInThisRun, run_stage
from clipquarry.run_folder import result_path
from pipeline_world import World, catalog_row


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("CLIPQUARRY_DEMO_URL", "http://127.0.0.1:9")
    return World(tmp_path)


def shards_left(world: World, run: str = "one", **params: object) -> list[str]:
    ctx = world.context(run, **params)
    return [job["name"] for job in run_stage("fetch_shards", ctx)]


def finish(world: World, names: list[str]) -> None:
    """What the runner says of finished shards."""
    ctx = world.context(shards=3)
    for job in read_json(ctx.plan_file)["jobs"]["fetch"]:
        if job["name"] in names:
            write_json(result_path(world.root / job["out"]), {"exit": 0, "sentence": "done"})


def test_shards_that_were_finished_before_the_kill_are_not_done_again(world: World) -> None:
    ctx = world.context(shards=3)
    world.plan(ctx)
    every = shards_left(world, shards=3)
    world.fetch(ctx, missing=world.clips_of(0, "removed"))
    finish(world, every[:2])
    assert shards_left(world, shards=3) == every[2:], "the third one's result was never written"
    finish(world, every)
    assert shards_left(world, shards=3) == []
    for _ in range(3):  # killed while recording, and again
        assert record(ctx) == {"done": 58, "missing": 2}
    with ctx.ledger() as ledger:
        assert len(ledger.history("vid00000000")) == 2, "one attempt for each of its clips"


@pytest.mark.parametrize(
    ("verdict", "ended", "again"), [("block", True, True), ("pass", True, False), ("block", False, False)]
)
def test_a_run_that_is_over_asks_again_when_it_is_run_again(
    world: World, verdict: str, ended: bool, again: bool
) -> None:
    ctx = world.context(shards=3)
    world.plan(ctx)
    every = shards_left(world, shards=3)
    world.fetch(ctx)
    finish(world, every)
    write_json(ctx.folder / "gates/clips.json", {"verdict": verdict})
    update_run_file(ctx, ended="2026-11-28T00:00:00+00:00" if ended else None)
    begin(ctx)
    assert shards_left(world, shards=3) == (every if again else [])
    begin(ctx)
    assert shards_left(world, shards=3) == (every if again else [])


def test_half_made_things_are_swept_from_the_layout(world: World) -> None:
    ctx = world.context()
    folder = world.root / "kinetics_demo/rawframes_train/zumba"
    mine, dead, old = (owned_beside(folder / name) for name in ("mine", "dead", "old"))
    dead = dead.with_name(dead.name.replace(f"~{os.getpid()}-", f"~{2**22 + 1}-"))
    old = old.with_name(f"{TEMPORARY_PREFIX}0123-old")
    foreign = folder / f"{TEMPORARY_PREFIX}4567-foreign"
    whole = folder / "whole" / f"{TEMPORARY_PREFIX}of-somebody"
    for path in (mine, dead, old, foreign, whole):
        path.mkdir(parents=True)
        (path / "img_00001.jpg").touch()
    long_ago = time.time() - 7200
    os.utime(old, (long_ago, long_ago))
    begin(ctx)
    left = sorted(path.name for path in folder.iterdir())
    assert left == sorted([mine.name, foreign.name, "whole"]), "a dead process's and an old one go"
    assert whole.exists(), "a folder of images is not looked into"


def test_half_made_things_are_swept_wherever_they_lie(world: World) -> None:
    ctx = world.context()
    places = [
        ctx.folder / "gates", ctx.data.release("kinetics_demo"), *(ctx.data.private / name for name in ("state", "models", "scratch/sources", "store/unfinished")),
        world.root / "kinetics_demo", world.root / "kinetics_demo/annotations",
    ]  # fmt: skip
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for make, name in (
            (Path.touch, "file.json"),
            (Path.mkdir, "folder"),
            (lambda p: p.symlink_to(elsewhere), "link"),
        ):
            for beside in (temporary_beside, owned_beside):
                made = beside(place / name)
                make(made.with_name(made.name.replace(f"~{os.getpid()}-", f"~{2**22 + 1}-")))
    (ctx.folder / "gates" / f"{TEMPORARY_PREFIX}of-before.json").write_text("{")
    begin(ctx)
    left = [path for place in places for path in place.iterdir() if path.name.startswith(TEMPORARY_PREFIX)]
    assert [path.name for path in left] == [f"{TEMPORARY_PREFIX}of-before.json"], "whose process is unknown waits a day"
    assert (elsewhere / "kept").exists()


# What a refresh looks at


def test_a_refresh_looks_at_the_splits_that_were_asked_for(world: World) -> None:
    gone = next(row["item_id"] for row in world.catalog if row["split"] == "val" and row["status"] == "done")
    world.go(world.context("one", splits=["val"]), missing={gone: "transport"})
    ctx = world.context("two", "refresh", retry_all=True)
    assert ctx.splits == ["val"]
    assert world.context("three").splits == ["train", "val"]
    world.plan(ctx)
    assert [row["item_id"] for shard in world.asked(ctx) for row in shard] == [gone]


def test_a_refresh_before_the_first_run_does_nothing(world: World) -> None:
    ctx = world.context("one", "refresh")
    with pytest.raises(NothingInThisRun, match="was never run"):
        begin(ctx)


def test_a_refresh_asks_for_what_the_ledger_calls_due(tmp_path: Path) -> None:
    world = World(tmp_path, [catalog_row(n) for n in range(6)])
    lost = {row["item_id"]: "no_network" for row in world.catalog[:2]}
    world.go(world.context("one", limit=4), missing=lost)
    (world.root / world.path_of(world.catalog[3])).unlink()
    record(world.context("one", limit=4))  # notices that one has gone
    ctx = world.context("two", "refresh")
    world.plan(ctx)
    asked = sorted(row["item_id"] for shard in world.asked(ctx) for row in shard)
    keys = ["origin-key"]
    with ctx.ledger() as ledger:
        due = sorted(row["item_id"] for row in ledger.due(ctx.now(), "kinetics_demo", sources=keys))
        counted = sum(one.items for one in ledger.next_due("kinetics_demo", ctx.now(), sources=keys) if one.due)
    assert asked == due == sorted([*lost, world.catalog[3]["item_id"]])
    assert counted == 3, "not the two that nobody ever asked for"
