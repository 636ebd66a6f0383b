"""A plan that was damaged between two runs: it is made anew while nothing was asked for, and refused in a sentence after that."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from clipquarry.errors import ManifestError, UserError
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.manifest import read_rows, schema_of, write_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan_files import check_job
from clipquarry.pipeline.record import record
from clipquarry.pipeline.stages import run_stage
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step
from families.made_run import step_schema
from odd_places import put_odd
from pipeline_world import World

FILES = (
    "plan/absent.parquet", "plan/held.parquet", "plan/known.parquet", "plan/wanted.parquet", "plan/items/shard-00000.parquet",
    "plan/params/fetch-shard.json", "plan.json",
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("CLIPQUARRY_DEMO_URL", "http://127.0.0.1:9")
    return World(tmp_path / "data")


def _odd(what: str) -> Callable[[Path, Path], None]:
    def put(path: Path, _: Path) -> None:
        path.unlink()
        put_odd(path, what)

    return put


def _cut(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Callable[[Path, Path], None]] = {
    "gone": lambda path, _: path.unlink(),
    "empty": lambda path, _: path.write_bytes(b""),
    "cut off": _cut,
    "of another run": lambda path, other: shutil.copy(other, path) and None,
    **{what: _odd(what) for what in ("pipe", "folder", "nowhere", "loop")},
}


def planned(world: World) -> RunContext:
    """A run, beside one that asks for as many items of another class."""
    world.plan(world.context("other", shards=1, classes=["zumba"]))
    ctx = world.context(shards=1, classes=["abseiling"])
    world.plan(ctx)
    return ctx


def damage(ctx: RunContext, name: str, how: str) -> Path:
    path = ctx.folder / name
    DAMAGES[how](path, ctx.folder.with_name("other") / name)
    return path


def content(ctx: RunContext) -> list[dict[str, object]]:
    return [dict(row) for path in ctx.place.planned() for row in read_rows(path)]


@pytest.mark.parametrize(
    ("name", "how"),
    [*((name, how) for name in FILES for how in ("gone", "of another run")), *((FILES[-3], how) for how in DAMAGES),
     *(("plan.json", how) for how in ("empty", "pipe", "folder"))],
)  # fmt: skip
def test_before_anything_was_asked_for_it_is_made_anew(world: World, name: str, how: str) -> None:
    ctx = planned(world)
    before = content(ctx)
    path = damage(ctx, name, how)
    if path != ctx.plan_file and path.exists() and how == "of another run" and _same(path, ctx):
        return  # an empty table is the same in both
    counts = world.plan(ctx)
    assert counts["asked"] == 20 and content(ctx) == before
    assert path.is_file() and not path.is_symlink()
    assert [job["name"] for job in run_stage("fetch_shards", ctx)] == ["shard-00000"]
    world.fetch(ctx)
    assert record(ctx) == {"done": 20}


def _same(path: Path, ctx: RunContext) -> bool:
    told = read_json(ctx.plan_file)["files"]
    return bool(told[path.relative_to(ctx.place.plan).as_posix()] == sha256_of(path))


@pytest.mark.parametrize(
    ("name", "how"),
    [*(("plan/items/shard-00000.parquet", how) for how in ("gone", "of another run", "pipe", "folder")),
     ("plan/params/fetch-shard.json", "of another run"), ("plan/absent.parquet", "gone"), ("plan.json", "empty"), ("plan.json", "folder")],
)  # fmt: skip
def test_after_it_was_asked_from_it_is_refused_until_a_person_deletes_it(world: World, name: str, how: str) -> None:
    ctx = planned(world)
    world.fetch(ctx, missing=world.clips_of(0, "removed"))
    job = read_json(ctx.plan_file)["jobs"]["fetch"][0]
    if name == "plan/params/fetch-shard.json":
        other = ctx.folder.with_name("other") / name
        write_json(other, {**read_json(other), "root": "elsewhere"})
    path = damage(ctx, name, how)
    for stage in ("plan", "fetch_shards", "record"):
        with pytest.raises(UserError, match=f"{path}.*"):
            run_stage(stage, ctx)
    with pytest.raises(UserError, match="is planned anew, and what it asked for is asked for again"):
        run_stage("plan", ctx)
    if name in job.values() or name.startswith(("plan/items", "plan/params")):
        with pytest.raises(UserError, match=str(path)):
            check_job(world.root, job)
    shutil.rmtree(ctx.plan_file) if ctx.plan_file.is_dir() else ctx.plan_file.unlink()
    assert world.plan(ctx)["asked"] == 20
    assert not ctx.place.manifests("fetch"), "they may be of other items than the new plan's shards"


def test_a_link_in_the_place_of_the_plan_is_not_followed(world: World) -> None:
    ctx = planned(world)
    other = ctx.folder.with_name("other") / "plan"
    before = sorted(path.read_bytes() for path in other.rglob("*.parquet"))
    shutil.rmtree(ctx.place.plan)
    ctx.place.plan.symlink_to(other)
    world.plan(ctx)
    assert not ctx.place.plan.is_symlink()
    assert sorted(path.read_bytes() for path in other.rglob("*.parquet")) == before


def test_a_plan_of_an_earlier_version_goes_on(world: World) -> None:
    ctx = planned(world)
    plan = read_json(ctx.plan_file)
    del plan["files"]
    write_json(ctx.plan_file, plan)
    world.plan(ctx)
    assert "files" not in read_json(ctx.plan_file), "it is kept"
    world.fetch(ctx)
    assert record(ctx) == {"done": 20}


def test_other_parameters_plan_anew_whatever_is_damaged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ctx = planned(world)
    world.fetch(ctx)
    damage(ctx, "plan/items/shard-00000.parquet", "empty")
    assert world.plan(world.context(shards=1, classes=["zumba"]))["asked"] == 20
    with caplog.at_level(logging.WARNING):
        ctx.plan_file.unlink()
        world.plan(world.context(shards=1, classes=["zumba"]))
    assert "planned anew" not in caplog.text, "no step has begun"


@pytest.mark.parametrize("what", ["fewer", "of another run", "none of the words"])
def test_a_table_of_other_items_is_not_recorded(world: World, what: str) -> None:
    ctx = planned(world)
    world.fetch(ctx)
    part = ctx.place.manifest("fetch", 0)
    rows = list(read_rows(part))
    changed = {
        "fewer": rows[1:],
        "of another run": [{**row, "item_id": f"train/zumba/{number}"} for number, row in enumerate(rows)],
        "none of the words": [{**row, "status": "perhaps"} for row in rows],
    }
    write_rows(part, step_schema("fetch"), changed[what])
    with pytest.raises(ManifestError, match=r"part-00000\.parquet is not what the step made of .*: delete it"):
        record(ctx)
    part.unlink()
    assert record(ctx) == {"failed": 20}, "as after a task that ended without a result"


@pytest.mark.parametrize("what", ["items", "params"])
def test_a_step_by_hand_refuses_what_it_cannot_read(world: World, what: str) -> None:
    ctx = planned(world)
    items, params = ctx.place.items / "shard-00000.parquet", ctx.place.params("fetch", "shard")
    out = world.root / "out.parquet"

    def sentence() -> str:
        try:
            return run_step(make_step("fetch"), items=items, params=f"@{params}", out=out, data=world.root).sentence
        except UserError as error:
            return str(error)

    path = items if what == "items" else params
    path.unlink()
    os.mkfifo(path)
    assert f"{path} is a pipe and no file" in sentence()
    path.unlink()
    if what == "items":
        shutil.copy(_no_items(world.root), path)
        assert f"{path} has no column 'split', so it holds no items" in sentence()
    assert not out.exists()


def _no_items(folder: Path) -> Path:
    """A manifest whose rows are no items."""
    path = folder / "toy.parquet"
    write_rows(path, schema_of([pa.field("item_id", pa.string())], "toy"), [{"item_id": "a"}])
    return path
