"""Folders are looked into once, before shards are cut: no task for what lies nowhere, no clock for what nobody was asked."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from clipquarry.manifest import Row, read_rows
from clipquarry.pipeline.context import Kind, RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.plan import _allotted
from clipquarry.pipeline.record import record
from clipquarry.pipeline.stages import run_stage
from clipquarry.settings import Settings
from clipquarry.steps.clips import Clips, Window
from families.made_run import MadeRun
from pipeline_world import World, catalog_row

DATASET = "kinetics400"


class Lab(World):
    """A data set with folders, a mirror and YouTube."""

    def __init__(self, root: Path, count: int = 12) -> None:
        super().__init__(root, [catalog_row(n, "val" if n % 4 == 0 else "train") for n in range(count)])
        self.mine = root.parent / "mine"
        self.mine.mkdir(exist_ok=True)
        self.dataset = DATASET

    def context(self, run: str = "one", kind: Kind = "full", **params: Any) -> RunContext:
        params = {"sources": ["local"], "local_folder": str(self.mine), **params}
        ctx = make_context(self.dataset, run, params, kind=kind, settings=self.settings)
        MadeRun(ctx.folder).catalog(self.catalog)
        with ctx.ledger() as ledger:
            ledger.sync_catalog(ctx.spec.name, ctx.catalog)
        return ctx

    def planned(self, ctx: RunContext) -> set[str]:
        self.plan(ctx)
        return {row["clip_id"] for shard in self.asked(ctx) for row in shard}

    def _result(self, row: Row, reason: str | None) -> Row:
        result = super()._result(row, reason)
        return {**result, "attempts": [{**tried, "source": "mirror"} for tried in result["attempts"]]}

    def put(self, name: str) -> None:
        path = self.mine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "data")


def clips_of(rows: list[Row]) -> set[str]:
    return {row["clip_id"] for row in rows}


def test_an_empty_folder_makes_no_task_and_sets_no_clock(lab: Lab) -> None:
    ctx = lab.context()
    counts = lab.plan(ctx)
    assert (counts["asked"], counts["absent"], counts["shards"]) == (0, 12, 0)
    assert lab.asked(ctx) == []
    assert record(ctx) == {"missing": 12}
    rows = list(read_rows(ctx.results))
    assert {(row["reason"], len(row["attempts"] or [])) for row in rows} == {("no_source", 0)}
    assert "'local'" in rows[0]["evidence"]
    with ctx.ledger() as ledger:
        assert list(ledger.history("vid00000003")) == []
    asks = lab.context("two", sources=["local", "mirror"], mirror_url="http://127.0.0.1:9/{clip}.mp4")
    assert lab.planned(asks) == clips_of(lab.catalog), "nobody has said a thing about them"


def test_only_what_lies_in_the_folder_gets_a_task(lab: Lab) -> None:
    first, second, third, fourth, fifth = lab.catalog[:5]
    lab.put(f"{first['clip_id']}.MP4")
    lab.put(f"train/{second['label']}/{second['clip_id']}.mov")
    lab.put(f"{third['class_dir']}/{third['clip_id']}.m4v")
    lab.put(f"val/{fourth['clip_id']}.Ts")  # of train
    lab.put(f"{fifth['video_id']}.mkv")
    lab.put(f"._{lab.catalog[6]['clip_id']}.mp4")
    lab.put(f"{lab.catalog[7]['clip_id']}.txt")
    ctx = lab.context()
    assert lab.planned(ctx) == clips_of([first, second, third, fifth])
    assert len(list(read_rows(ctx.place.absent))) == 8


def test_somebody_to_ask_leaves_nothing_out(lab: Lab) -> None:
    ctx = lab.context(sources=["local", "mirror"], mirror_url="http://127.0.0.1:9/{clip}.mp4")
    assert lab.planned(ctx) == clips_of(lab.catalog)
    assert list(read_rows(ctx.place.absent)) == []


def test_what_lies_in_its_place_or_in_the_store_is_kept(lab: Lab) -> None:
    there, stored = lab.catalog[2], lab.catalog[5]
    place = lab.root / DATASET / f"videos_{there['split']}" / there["class_dir"] / f"{there['clip_id']}.mp4"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x")
    ctx = lab.context()
    clips = Clips(ctx.data, ctx.spec.recipe)
    entry = clips.path(Window(stored["video_id"], stored["start"], stored["end"]))
    entry.parent.mkdir(parents=True)
    entry.with_suffix(".json").write_text(json.dumps({"bytes": 1}))
    assert lab.planned(ctx) == {there["clip_id"], stored["clip_id"]}


def test_of_what_is_not_due_only_what_was_found_gets_a_task(lab: Lab) -> None:
    mirror = {"sources": ["local", "mirror"], "mirror_url": "http://127.0.0.1:9/{clip}.mp4"}
    lost = {row["item_id"]: "removed" for row in lab.catalog}
    ctx = lab.context("one", **mirror)
    lab.go(ctx, missing=lost)
    lab.put(f"{lab.catalog[4]['clip_id']}.avi")
    later = lab.context("two", **mirror)
    counts = lab.plan(later)
    assert lab.asked(later) != []
    assert clips_of([row for shard in lab.asked(later) for row in shard]) == {lab.catalog[4]["clip_id"]}
    assert (counts["asked"], counts["shards"]) == (0, 1)


def test_archives_are_somebody_to_ask_where_they_are_read(lab: Lab, tmp_path: Path) -> None:
    """Their clips come into the store after the plan was made; a split of which little is wanted is not read."""
    (tmp_path / "paths.txt").write_text("".join(f"part_{n}.tar.gz\n" for n in range(150)))
    text = (Path(__file__).parents[2] / "include/clipquarry/datasets/kinetics400.yaml").read_text()
    begin = "https://s3.amazonaws.com/kinetics/400"
    for split in ("train", "val", "test"):
        text = text.replace(f"{begin}/{split}/k400_{split}_path.txt", str(tmp_path / "paths.txt"))
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/k.yaml").write_text(text.replace("name: kinetics400", "name: kinetics400_boxed"))
    lab.settings = Settings(lab.settings.data, lab.settings.ledger_url, dataset_folders=(tmp_path / "specs",))
    lab.dataset = "kinetics400_boxed"
    ctx = lab.context(sources=["local", "cvdf"])
    assert lab.planned(ctx) == clips_of(lab.catalog)
    jobs = run_stage("unpack_shards", ctx)
    assert len(jobs) == 150, "two parts each, of two splits: at most 200 shards of all archives"
    parts = [row["item_id"] for job in jobs for row in read_rows(lab.root / job["items"])]
    assert len(set(parts)) == len(parts) == 300
    assert len({job["out"] for job in jobs}) == len(jobs)


def test_a_folder_that_only_the_steps_have_hides_nothing(lab: Lab) -> None:
    ctx = lab.context(local_folder=str(lab.mine / "mounted elsewhere"))
    assert lab.planned(ctx) == clips_of(lab.catalog)


def test_each_folder_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(tmp_path / "data", 3000)
    lab.put(f"train/{lab.catalog[1]['class_dir']}/{lab.catalog[1]['clip_id']}.mp4")
    ctx = lab.context()
    read: Counter[str] = Counter()
    real = os.scandir

    def scandir(path: Any = ".") -> Any:
        read[str(path)] += 1
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert lab.planned(ctx) == {lab.catalog[1]["clip_id"]}
    mine = {folder: times for folder, times in read.items() if folder.startswith(str(lab.mine))}
    assert set(mine.values()) == {1}
    assert str(lab.mine) in mine


@pytest.mark.parametrize(
    ("sizes", "asked"),
    [
        ([650_000, 104_000], None),
        ([650_000, 104_000], 1000),
        ([1, 3_000_000], None),
        ([400_000, 1], 1000),
        ([5, 0], 1000),
    ],
)
def test_airflow_maps_the_sum(sizes: list[int], asked: int | None) -> None:
    counts = _allotted(sizes, asked)
    assert sum(counts) <= 1000
    assert [bool(count) for count in counts] == [bool(size) for size in sizes]
