"""Which items a run asks for, and in which shard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clipquarry.errors import UserError
from clipquarry.files import read_json
from clipquarry.manifest import read_rows
from clipquarry.microseconds import of
from clipquarry.pipeline.params import RunParams
from clipquarry.pipeline.plan import shard_count
from pipeline_world import World, catalog_row


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_everything_usable_is_asked_for_once(world: World) -> None:
    ctx = world.context(shards=7)
    counts = world.plan(ctx)
    asked = [row["item_id"] for shard in world.asked(ctx) for row in shard]
    assert sorted(asked) == sorted(row["item_id"] for row in world.catalog if row["status"] == "done")
    assert (counts["catalog"], counts["selected"], counts["asked"], counts["videos"]) == (61, 60, 60, 30)
    assert counts["by_split"] == {"train": 50, "val": 10}
    assert counts["shards"] == len(world.asked(ctx)) <= 7


def test_all_clips_of_a_video_meet_in_one_shard_as_neighbours(world: World) -> None:
    ctx = world.context(shards=7)
    world.plan(ctx)
    home: dict[str, int] = {}
    for number, shard in enumerate(world.asked(ctx)):
        videos = [row["video_id"] for row in shard]
        assert videos == sorted(videos)
        assert all(home.setdefault(video, number) == number for video in videos)
        assert {row["start"] for row in shard if row["video_id"] == videos[0]} == {0, of(20)}
    assert len(home) == 30


def test_splits_classes_and_limit(world: World) -> None:
    ctx = world.context(splits=["val"])
    world.plan(ctx)
    assert {row["split"] for shard in world.asked(ctx) for row in shard} == {"val"}
    for name in ("riding a bike", "riding_a_bike"):
        ctx = world.context(name, classes=[name])
        assert world.plan(ctx)["asked"] == 20
        assert {row["label"] for shard in world.asked(ctx) for row in shard} == {"riding a bike"}
    ctx = world.context("limited", limit=4, shards=1)
    assert world.plan(ctx)["by_split"] == {"train": 4, "val": 4}
    first = [row["row"] for row in world.catalog if row["split"] == "train"][:4]
    assert sorted(row["row"] for row in world.asked(ctx)[0] if row["split"] == "train") == sorted(first)


def test_an_empty_field_of_the_form_is_the_default(world: World) -> None:
    empty = dict.fromkeys(RunParams.model_fields)
    assert world.context(**empty).params == world.context(sources=[]).params


def test_an_unknown_class_is_a_sentence(world: World) -> None:
    with pytest.raises(UserError, match="kinetics_demo has no class 'curling'; write it as in the csv"):
        world.plan(world.context(classes=["zumba", "curling"]))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"splits": ["holdout"]}, "has no split 'holdout'; it has train, val"),
        ({"sources": ["nowhere"]}, "has no source 'nowhere'"),
        ({"limit": 0}, "Parameter 'limit'"),
        ({"short_edge": 255}, "Parameter 'short_edge' of .*multiple of 2"),
        ({"shards": 1001}, "Parameter 'shards'"),
        ({"colour": 1}, "has no parameter 'colour'"),
        ({"as_of": "2026-11-21T00:00:00"}, "as_of needs a time zone"),
        ({"frame_width": 10}, "needs both"),
    ],
)
def test_wrong_parameters_are_sentences(params: dict[str, object], words: str, world: World) -> None:
    with pytest.raises(UserError, match=words):
        world.context(**params)


@pytest.mark.parametrize(
    ("videos", "asked", "shards"),
    [(0, None, 1), (1, None, 1), (400, None, 1), (401, None, 2), (650_000, None, 1000), (10, 3, 3), (10, 1000, 1000)],
)
def test_how_many_shards(videos: int, asked: int | None, shards: int) -> None:
    assert shard_count(videos, asked) == shards


def test_nothing_selected_is_a_plan_too(tmp_path: Path) -> None:
    world = World(tmp_path, [catalog_row(1)])
    ctx = world.context(splits=["val"])
    assert world.plan(ctx)["asked"] == 0
    assert world.asked(ctx) == []


def test_the_plan_of_a_run_is_kept_and_other_params_plan_anew(world: World) -> None:
    ctx = world.context(shards=4)
    world.plan(ctx)
    before = {path: path.stat().st_mtime_ns for path in ctx.place.items.glob("shard-*")}
    world.fetch(ctx)
    world.plan(world.context(shards=4))
    assert {path: path.stat().st_mtime_ns for path in ctx.place.items.glob("shard-*")} == before
    assert list((ctx.folder / "fetch").glob("part-*"))
    assert world.plan(world.context(shards=2))["shards"] == 2
    assert not (ctx.folder / "fetch").exists(), "parts of other shards would be taken for these"
    assert read_json(ctx.plan_file)["params"]["shards"] == 2


def test_what_is_not_due_is_held_with_the_ledgers_reason(world: World) -> None:
    lost = {**world.clips_of(0, "transport"), **world.clips_of(1, "removed")}
    world.go(world.context("one"), missing=lost)
    ctx = world.context("two")
    counts = world.plan(ctx)
    held = {row["item_id"]: row["reason"] for row in read_rows(ctx.folder / "plan/held.parquet")}
    assert held == lost
    assert (counts["asked"], counts["held"]) == (56, {"transport": 2, "removed": 2})
    assert world.plan(world.context("three", retry_all=True))["asked"] == 60


def test_a_refresh_asks_about_the_dead_that_are_due_and_no_others(world: World) -> None:
    gone = world.catalog[0]["item_id"]
    never = {row["item_id"] for row in world.catalog if row["split"] == "val"}
    world.go(world.context("one", splits=["train"]), missing={gone: "transport"})
    assert world.plan(world.context("soon", "refresh"))["asked"] == 0
    later = (datetime.now(UTC) + timedelta(days=60)).isoformat()
    ctx = world.context("later", "refresh", as_of=later)
    world.plan(ctx)
    asked = {row["item_id"] for shard in world.asked(ctx) for row in shard}
    assert asked == {gone}
    assert not asked & never, "what was never asked for is a full run's business"


def test_a_vanished_file_is_planned_by_a_refresh(world: World) -> None:
    world.go(world.context("one"))
    lost = world.catalog[5]
    (world.root / world.path_of(lost)).unlink()
    ctx = world.context("two", "refresh")
    world.plan(ctx)
    assert [row["item_id"] for shard in world.asked(ctx) for row in shard] == [lost["item_id"]]
