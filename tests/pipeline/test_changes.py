"""What ran is not what changed: releases, announcements and old run folders."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.files import read_json, write_json
from clipquarry.pipeline import old_runs, reporting
from clipquarry.pipeline.announce import announcement
from clipquarry.pipeline.context import RunContext, update_run_file
from clipquarry.pipeline.old_runs import remove_old_runs
from clipquarry.pipeline.publish import SameRelease, publish_release
from clipquarry.pipeline.stages import NothingInThisRun, NothingToDo, run_stage
from pipeline_world import World, catalog_row

LOST = catalog_row(1)["item_id"]
ANNOTATIONS = {"splits": {split: {"sha256": split * 4} for split in ("train", "val")}, "label_names": ["a"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data", [catalog_row(0), catalog_row(1), catalog_row(2, "val")])


def run(world: World, name: str, *, missing: dict[str, str] | None = None, **params: Any) -> RunContext:
    """A run up to its record."""
    ctx = world.context(name, **params)
    write_json(ctx.folder / "catalog.json", ANNOTATIONS)
    world.go(ctx, missing=missing)
    return ctx


def publish(ctx: RunContext, text: str = "list") -> Path:
    def fill(folder: Path) -> None:
        (folder / "list.txt").write_text(text)
        (folder / "missing.csv").write_text(f"told by {ctx.run}")
        write_json(folder / "download_report_val.json", [ctx.run])

    return publish_release(ctx, fill)


def latest(ctx: RunContext) -> str:
    return (ctx.data.release(ctx.spec.name) / "latest").read_text().strip()


def test_a_release_of_the_same_is_not_published_again(world: World) -> None:
    first, second = (
        run(world, "one", missing={LOST: "private"}),
        run(world, "two", missing={LOST: "removed"}, retry_all=True),
    )
    folder = publish(first)
    with pytest.raises(SameRelease) as same:
        publish(second)
    assert same.value.folder == folder and latest(second) == "one"
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["one"]
    write_json(second.folder / "fetch/part-00000.result.json", {"tools": {"yt-dlp": "2099.1"}})
    with pytest.raises(SameRelease):
        publish(second)
    assert publish(first) == folder, "a run may publish its own release again"
    assert publish(second, "another list").name == latest(second) == "two"
    third = run(world, "three", retry_all=True)
    assert publish(third, "another list").name == latest(third) == "three", "a clip came back"
    write_json(
        third.folder / "catalog.json", {**ANNOTATIONS, "splits": {"train": {"sha256": "x"}, "val": {"sha256": "y"}}}
    )
    fourth = dataclasses.replace(third, run="four")
    write_json(fourth.folder / "catalog.json", read_json(third.folder / "catalog.json"))
    assert publish(fourth, "another list").name == "four", "other annotation files"


def test_only_what_changed_is_announced(world: World) -> None:
    first = run(world, "one", missing={LOST: "private"})
    told = announcement(first, "videos")
    assert told is not None
    assert (told["run"], told["release"], told["present"], told["expected"]) == ("one", "one", 2, 3)
    assert told["by_split"] == {"train": {"present": 1, "expected": 2}, "val": {"present": 1, "expected": 1}}
    assert announcement(first, "videos") == told, "the task is tried again"
    second = run(world, "two", missing={LOST: "private"}, retry_all=True)
    assert announcement(second, "videos") is None
    with_frames = run(world, "three", missing={LOST: "private"}, retry_all=True, frames=True)
    assert announcement(with_frames, "frames") is not None
    assert announcement(run(world, "four", missing={LOST: "private"}, retry_all=True, frames=True), "frames") is None
    assert announcement(
        run(world, "five", missing={LOST: "private"}, retry_all=True, frames=True, frame_rate=5), "frames"
    )
    back = announcement(run(world, "six", retry_all=True), "videos")
    assert back is not None and back["present"] == 3 and back["lock"] != told["lock"]
    (world.root / ".clipquarry/announced/kinetics_demo.json").write_text("{torn")
    assert announcement(run(world, "seven", retry_all=True), "videos"), "rather once more than never"


@pytest.mark.parametrize(
    "params",
    [{"limit": 1}, {"classes": ["abseiling"]}, {"splits": ["val"]}, {"dry_run": True}],
    ids=lambda value: next(iter(value)),
)
def test_a_part_of_a_data_set_is_not_announced(world: World, params: dict[str, Any]) -> None:
    run(world, "one")
    assert announcement(world.context("trial", **params), "videos") is None
    assert announcement(world.context("whole", splits=["val", "train"]), "videos") is not None


def test_a_refresh_with_nothing_to_ask_ends_after_its_plan(world: World) -> None:
    """No gate, no release, no list; its report tells of the whole data set."""
    publish(run(world, "one", missing={LOST: "private"}))
    ctx = world.context("two", "refresh")
    write_json(ctx.folder / "catalog.json", ANNOTATIONS)
    update_run_file(ctx, started="2026-11-28T00:00:00+00:00")
    with pytest.raises(NothingToDo, match="annotation files and the YAML are those of the newest release"):
        run_stage("gate_annotations", ctx)
    with pytest.raises(NothingInThisRun, match="Nothing of kinetics_demo is due"):
        world.plan(ctx)
    verdict = read_json(ctx.folder / "report/report.json")["verdict"]
    assert (verdict["level"], verdict["word"]) == ("warn", "Nothing due")
    assert "2 of 3 clips are here" in verdict["headline"]
    with pytest.raises(NothingInThisRun):
        world.plan(ctx)  # a task that is tried again


@pytest.mark.parametrize("why", ["no release", "other annotations", "gone from the disk", "frames", "dry"])
def test_a_refresh_goes_on_when_something_is_to_be_done(world: World, why: str) -> None:
    first = run(world, "one", missing={LOST: "private"})
    if why != "no release":
        publish(first)
    params = {"frames": {"frames": True}, "dry": {"dry_run": True}}.get(why, {})
    ctx = world.context("two", "refresh", **params)
    write_json(ctx.folder / "catalog.json", ANNOTATIONS)
    if why == "other annotations":
        write_json(
            ctx.folder / "catalog.json", {**ANNOTATIONS, "splits": {"train": {"sha256": "x"}, "val": {"sha256": "y"}}}
        )
    if why == "gone from the disk":
        (world.root / world.path_of(catalog_row(0))).unlink()
    assert world.plan(ctx)["asked"] == (1 if why == "gone from the disk" else 0)


def test_old_run_folders_are_removed_by_a_setting(world: World) -> None:
    for day in range(1, 7):
        ctx = world.context(f"run{day}")
        ended = {} if day == 2 else {"ended": "2026-11-20T00:00:00+00:00"}  # the second one still runs
        year = 2030 if day == 3 else 2026  # the clock was ahead
        update_run_file(ctx, number=day, started=f"{year}-11-{day:02d}T00:00:00+00:00", **ended)
    runs = ctx.data.runs("kinetics_demo")
    (runs / "mine").mkdir()
    (runs / "mine/notes.txt").write_text("a person's own")
    write_json(ctx.folder / "catalog.json", ANNOTATIONS)
    lock, latest = (
        ctx.data.release("kinetics_demo") / "run1/kinetics_demo.lock",
        ctx.data.latest_release("kinetics_demo"),
    )
    lock.parent.mkdir(parents=True)
    lock.touch()
    latest.write_text("run1\n")
    assert remove_old_runs(ctx) == []
    keeping = dataclasses.replace(ctx, settings=dataclasses.replace(ctx.settings, keep_runs=2))
    for damaged in ("", "../run1", "run9", "\0\0\0"):
        latest.write_text(damaged)
        assert remove_old_runs(keeping) == [], "nobody can tell whose release is the newest"
    latest.write_text("run1\n")
    assert remove_old_runs(keeping) == ["run4", "run3"]
    assert sorted(path.name for path in runs.iterdir()) == ["mine", "run1", "run2", "run5", "run6"]
    assert remove_old_runs(keeping) == []


def test_a_run_that_writes_its_report_is_no_old_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (world.context(name) for name in ("old", "new"))
    for number, ctx in enumerate((old, new), 1):
        update_run_file(ctx, number=number, started="2026-11-01T00:00:00+00:00")
    keeping = dataclasses.replace(new, settings=dataclasses.replace(new.settings, keep_runs=1))
    write, removed = reporting.write_report, []

    def other_run_ends_meanwhile(*args: Any) -> Path:
        removed.append(remove_old_runs(keeping))
        return write(*args)

    monkeypatch.setattr(reporting, "write_report", other_run_ends_meanwhile)
    assert Path(run_stage("report", old)).is_file()
    assert removed == [[]]
    assert remove_old_runs(keeping) == ["old"], "its report is there"


def test_two_runs_that_end_together_remove_old_folders_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(1, 4):
        ctx = world.context(f"run{day}")
        update_run_file(ctx, number=day, started=f"2026-11-{day:02d}T00:00:00+00:00", ended="2026-11-20T00:00:00+00:00")
    keeping = dataclasses.replace(ctx, settings=dataclasses.replace(ctx.settings, keep_runs=1))
    name = old_runs.owned_beside

    def other_run_comes_first(folder: Path) -> Path:
        shutil.rmtree(folder) if folder.name == "run2" else None
        return name(folder)

    monkeypatch.setattr(old_runs, "owned_beside", other_run_comes_first)
    assert remove_old_runs(keeping) == ["run1"]
    assert [path.name for path in ctx.data.runs("kinetics_demo").iterdir()] == ["run3"]


def test_missing_and_coverage_are_of_what_was_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Val was asked for, of which a clip is lost; nothing of train ever was."""
    other = catalog_row(5, "val")
    world.catalog.append(other)
    run(world, "one", missing={other["item_id"]: "private"}, splits=["val"])
    monkeypatch.setenv("CLIPQUARRY_DATA", str(world.root))
    monkeypatch.delenv("CLIPQUARRY_LEDGER", raising=False)

    def rows(*arguments: str) -> list[list[str]]:
        done = CliRunner().invoke(main, list(arguments))
        assert done.exit_code == 0, done.output
        return [line.split("\t") for line in done.stdout.splitlines()[1:]]

    assert [row[0] for row in rows("missing", "kinetics_demo")] == [other["item_id"]]
    assert len(rows("missing", "kinetics_demo", "--all")) == 3
    assert len(rows("missing", "kinetics_demo", "--reason", "not_asked")) == 2
    assert rows("coverage", "kinetics_demo") == [["val", "", "2", "1", "0.5000"]]
    assert [row[0] for row in rows("coverage", "kinetics_demo", "--all")] == ["train", "val"]
    assert {(row[1], row[2]) for row in rows("coverage", "kinetics_demo", "--classes")} == {("", "2"), ("zumba", "2")}


def test_a_release_is_published_whatever_a_person_wrote_into_latest_or_a_result(world: World) -> None:
    ctx = run(world, "one")
    for text in ("{}", "../../elsewhere", "x\0"):
        ctx.data.release(ctx.spec.name).mkdir(parents=True, exist_ok=True)
        ctx.data.latest_release(ctx.spec.name).write_text(text)
        for result in ("[]", "null", '{"tools": [1]}'):
            path = ctx.place.step("fetch") / "part-00000.result.json"
            path.write_text(result)
            assert publish(ctx).name == "one"
            assert latest(ctx) == "one"


@pytest.mark.parametrize("change", [{"run": "other"}, {"run": "../one"}, {"kind": "half"}])
def test_the_folder_of_another_run_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    """A copied or edited folder must not make the command work on another run's."""
    ctx = run(world, "one")
    update_run_file(ctx)
    write_json(ctx.place.run_file, read_json(ctx.place.run_file) | change)
    monkeypatch.setenv("CLIPQUARRY_DATA", str(world.root))
    for command in ("report", "release"):
        done = CliRunner().invoke(main, [command, "kinetics_demo"])
        assert done.exit_code == 2 and isinstance(done.exception, SystemExit), done.output
        assert "run.json" in done.output or "cannot name a run" in done.output
