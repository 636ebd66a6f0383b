"""What a plan expects to lie on disk: no figure without a basis, and whether it fits."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DiskSize
from clipquarry.files import read_json, write_json
from clipquarry.manifest import Row
from clipquarry.pipeline import estimate as module
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.summary import run_summary
from clipquarry.settings import DataRoot, Settings
from estimate_world import CLIP, disk, places, told
from estimate_world import world as world
from families.made_run import FINE, MadeRun, item_row
from pipeline_world import World

# --- bytes, and where each figure comes from


def test_sizes_come_from_what_earlier_runs_brought(world: World) -> None:
    world.go(world.context("one", limit=4))
    estimate = told(world.context("two"))
    assert disk(estimate) == {"videos": (52, 52 * CLIP, "from 8 clips here")}
    (fetch,) = estimate["fetch"]
    assert (fetch["bytes"], fetch["basis"]) == (fetch["requests"] * CLIP, "from 8 requests")
    assert (estimate["need"], estimate["complete"], estimate["fits"]) == (52 * CLIP, True, True)


def test_without_a_state_the_files_are_measured(world: World) -> None:
    """A person's own copy, in the layout: no run has recorded it."""
    usable = [row for row in world.catalog if row["status"] == "done"]
    for row in usable[:5]:
        file = world.root / world.path_of(row)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(5000))
    assert disk(told(world.context()))["videos"] == (55, 55 * 8192, "from 5 files here"), "in blocks"


def test_a_damaged_state_stops_no_plan(world: World) -> None:
    world.go(world.context("one", limit=4))
    ctx = world.context("two")
    ctx.state.write_bytes(b"PAR1 half a file")
    assert disk(told(ctx))["videos"] == (52, 52 * 4096, "from 8 files here")


def test_the_description_of_the_data_set_is_the_last_basis(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {
        "videos": DiskSize(gb=2, items=1000),
        "rawframes": DiskSize(gb=6, items=1000, provenance="estimate"),
        "flow": DiskSize(gb=4, items=1000, provenance="memory"),
    }
    ctx = world.context(frames=True, flow=True)
    spec = ctx.spec.model_copy(update={"disk": sizes})
    object.__setattr__(ctx, "spec", spec)
    assert disk(told(ctx)) == {
        "videos": (60, 120_000_000, "from the data set's description"),
        "rawframes": (60, 360_000_000, "from the data set's description, an estimate"),
        "flow": (60, 240_000_000, "from the data set's description, unverified"),
    }
    other = world.context("other", frames=True, short_edge=128)
    object.__setattr__(other, "spec", spec)
    assert disk(told(other))["rawframes"][1] is None, "published frames are of the usual size"


def test_frames_and_flow_that_are_published_together(world: World) -> None:
    ctx = world.context(frames=True, flow=True)
    object.__setattr__(ctx, "spec", ctx.spec.model_copy(update={"disk": {"rawframes_flow": DiskSize(gb=1, items=100)}}))
    assert disk(told(ctx))["rawframes_flow"] == (60, 600_000_000, "from the data set's description")
    assert not {"rawframes", "flow"} & disk(told(world.context("frames", frames=True))).keys() - {"rawframes"}


def _frames(world: World, row: Row, images: int, size: int, *, flow: int = 0) -> Path:
    folder = world.root / f"kinetics_demo/rawframes_{row['split']}/{row['class_dir']}/{row['clip_id']}"
    folder.mkdir(parents=True)
    for number in range(1, images + 1):
        (folder / f"img_{number:05d}.jpg").write_bytes(bytes(size))
        if number < images and flow:
            for direction in "xy":
                (folder / f"flow_{direction}_{number:05d}.jpg").write_bytes(bytes(flow))
    return folder


def test_frames_and_flow_are_measured_in_the_folders_that_are_there(world: World) -> None:
    world.go(world.context("one"))
    usable = [row for row in world.catalog if row["status"] == "done"]
    for place, row in enumerate(usable[:4]):
        _frames(world, row, 10, 5000, flow=100 if place < 2 else 0)
    estimate = told(world.context("two", frames=True, flow=True))
    # 56 clips lack frames; of those with frames a half lacks flow.
    assert disk(estimate) == {
        "rawframes": (56, 56 * 10 * 8192, "from 4 folders here"),
        "flow": (58, 58 * 18 * 4096, "from 2 folders here"),
    }


def test_a_repeated_frame_takes_its_place_once(world: World) -> None:
    world.go(world.context("one"))
    row = next(row for row in world.catalog if row["status"] == "done")
    folder = _frames(world, row, 1, 4096)
    for number in range(2, 11):
        os.link(folder / "img_00001.jpg", folder / f"img_{number:05d}.jpg")
    assert disk(told(world.context("two", frames=True)))["rawframes"] == (59, 59 * 4096, "from 1 folder here")


def test_a_file_of_many_splits_counts_once(tmp_path: Path) -> None:
    """UCF101's three divisions name the same files; its archive comes whole, or was placed."""
    settings = Settings(DataRoot(tmp_path), f"sqlite:///{tmp_path}/.clipquarry/ledger.sqlite")
    rows = [
        {
            **item_row(f"{part}_split_{number}", clip, 0, 0, clip=clip, folder="Archery"),
            **FINE,
            "start": None,
            "end": None,
        }
        for number in (1, 2, 3)
        for part, clips in (("train", ("v_a_g01_c01", "v_a_g02_c01")), ("val", ("v_a_g03_c01",)))
        for clip in clips
    ]
    rows = [{**row, "item_id": f"{row['split']}/{row['clip_id']}"} for row in rows]

    def planned(run: str, **params: Any) -> dict[str, Any]:
        ctx = make_context("ucf101", run, params, settings=settings)
        object.__setattr__(ctx, "spec", ctx.spec.model_copy(update={"disk": {"videos": DiskSize(gb=1, items=1000)}}))
        MadeRun(ctx.folder).catalog(rows)
        with ctx.ledger() as ledger:
            ledger.sync_catalog(ctx.spec.name, ctx.catalog)
        return told(ctx)

    whole = planned("whole", limit=1)
    assert places(whole) == {("source", "crcv"): 6}
    assert disk(whole)["videos"][:2] == (2, 2_000_000)
    assert disk(whole)["archives"] == (1, 3_000_000, "from the data set's description"), (
        "all files, of which some are wanted"
    )
    assert "crcv (archives)" in whole["sentences"][0]
    (tmp_path / "ucf101").mkdir(exist_ok=True)
    (tmp_path / "ucf101/UCF101.rar").write_bytes(b"rar")
    placed = planned("placed")
    assert (placed["fetch"][0]["bytes"], placed["fetch"][0]["basis"]) == (0, "it lies there already")
    assert "archives" not in disk(placed)


def test_whole_videos_and_what_is_made_of_them(tmp_path: Path) -> None:
    """AVA: names with a suffix; excerpts keep it, folders of frames have none."""
    settings = Settings(DataRoot(tmp_path), f"sqlite:///{tmp_path}/.clipquarry/ledger.sqlite")
    names = ["-5KQ66BBWC4.mkv", "053oq2xB3oU.mp4", "0f39OWEqJ24.webm"]
    rows = [
        {**item_row("train", name.partition(".")[0], 0, 0, clip=name), **FINE, "start": None, "end": None}
        for name in names
    ]
    for folder in ("videos", "videos_15min"):
        (tmp_path / "ava" / folder).mkdir(parents=True)
        (tmp_path / "ava" / folder / names[0]).write_bytes(bytes(10_000))
    (tmp_path / "ava/videos" / names[1]).write_bytes(bytes(30_000))
    frames = tmp_path / "ava/rawframes" / names[0].partition(".")[0]
    frames.mkdir(parents=True)
    for number in (1, 2, 3):
        (frames / f"img_{number:05d}.jpg").write_bytes(b"x")
    ctx = make_context("ava", "one", {"proposals": "none"}, settings=settings)
    MadeRun(ctx.folder).catalog(rows)
    with ctx.ledger() as ledger:
        ledger.sync_catalog(ctx.spec.name, ctx.catalog)
    estimate = told(ctx)
    assert places(estimate) == {("here", ""): 2, ("source", "cvdf"): 1}
    assert disk(estimate) == {
        "videos": (1, (12_288 + 32_768) // 2, "from 2 files here"),
        "excerpts": (2, 2 * 12_288, "from 1 file here"),
        "rawframes": (2, 2 * 3 * 4096, "from 1 folder here"),
    }
    assert estimate["sentences"][0] == "Of 3 videos: 2 here, 1 to come from cvdf (files) first."


# --- does it fit?


def test_a_disk_that_is_too_small_is_told_everywhere(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.go(world.context("one", limit=4))
    monkeypatch.setattr(module, "_free", lambda root: 100)
    ctx = world.context("two", dry_run=True, frames=True)
    with caplog.at_level(logging.INFO):
        estimate = told(ctx)
    assert (estimate["fits"], estimate["disks"]) == (False, [{"path": str(world.root), "need": 52 * CLIP, "free": 100}])
    last = estimate["sentences"][-1]
    lack = 52 * CLIP - 100
    assert last.startswith(f"That will not fit: {world.root} lacks at least {lack} B. Choose fewer splits"), last
    assert "the largest part is clips" in last
    logged = {record.getMessage(): record.levelno for record in caplog.records}
    assert [logged[sentence] for sentence in estimate["sentences"]] == [logging.INFO] * 3 + [logging.WARNING]
    assert run_summary(world.settings.data, "kinetics_demo", "two")["sentence"].endswith(last)
    plan = read_json(ctx.plan_file)
    del plan["estimate"]
    write_json(ctx.plan_file, plan)
    assert "fit" not in run_summary(world.settings.data, "kinetics_demo", "two")["sentence"], (
        "an earlier version's plan"
    )


def test_a_folder_on_another_disk_is_counted_there(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Frames on an SSD: the data root need not hold them. Clips on another disk are copies of the store's."""
    world.go(world.context("one", limit=4))
    row = next(row for row in world.catalog if row["status"] == "done")
    _frames(world, row, 2, 10)
    monkeypatch.setattr(module, "_free", lambda place: 200_000 if "rawframes" in place.name else 160)
    monkeypatch.setattr(module, "_device", lambda place: 7 if "rawframes" in place.name else 1)
    estimate = told(world.context("two", frames=True))
    place = str(world.root / "kinetics_demo/rawframes_train")
    frames = 59 * 2 * 4096
    assert estimate["disks"] == [
        {"path": str(world.root), "need": 52 * CLIP, "free": 160},
        {"path": place, "need": frames, "free": 200_000},
    ]
    assert estimate["fits"] is False
    assert estimate["sentences"][-1].startswith(
        f"That will not fit: {place} lacks {(frames - 200_000) / 1000:.0f} kB. "
    )
    assert f"; 160 B are free in {world.root} and 200 kB are free in {place}." in estimate["sentences"][-2]
    monkeypatch.setattr(module, "_device", lambda place: 7 if "videos" in place.name else 1)
    moved = told(world.context("three"))
    assert [one["need"] for one in moved["disks"]] == [52 * CLIP, 52 * CLIP]


def test_the_free_bytes_are_those_of_the_folder_that_will_hold_the_data(tmp_path: Path) -> None:
    assert module._free(tmp_path / "not" / "made" / "yet") > 0


def test_sizes_on_disk_make_no_other_data_set() -> None:
    spec = find_spec("kinetics400")
    assert spec.disk and spec.content() == spec.model_copy(update={"disk": {}}).content()
