"""What a plan expects of its run: every item in one place, and no figure without a basis."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DiskSize
from clipquarry.files import read_json, write_json
from clipquarry.manifest import Row
from clipquarry.pipeline import estimate as module
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.stages import run_stage
from clipquarry.pipeline.summary import run_summary
from clipquarry.settings import DataRoot, Settings
from clipquarry.steps.clips import KIND
from families.made_run import FINE, MadeRun, item_row, step_schema, write_manifest
from pipeline_world import World

CLIP = 3
"""Bytes of a clip of the world."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("CLIPQUARRY_DEMO_URL", "http://127.0.0.1:1")
    return World(tmp_path / "data")


def told(ctx: RunContext) -> dict[str, Any]:
    """The estimate of a run that is planned now."""
    run_stage("plan", ctx)
    return dict(read_json(ctx.plan_file)["estimate"])


def places(estimate: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(one["place"], one["name"]): one["items"] for one in estimate["items"]}


def disk(estimate: dict[str, Any]) -> dict[str, tuple[int, int | None, str]]:
    """Files, bytes and basis by kind."""
    return {one["kind"]: (one["files"], one["bytes"], one["basis"]) for one in estimate["disk"]}


def place_clips(root: Path, rows: Iterable[Row], world: World) -> None:
    """A folder of a person's clips."""
    root.mkdir(parents=True, exist_ok=True)
    for row in rows:
        (root / Path(world.path_of(row)).name).write_bytes(b"mine")


# --- where the items are


def test_where_nothing_is_known_all_is_to_come_and_no_figure_is_invented(world: World) -> None:
    estimate = told(world.context(resize=True, frames=True, flow=True))
    assert places(estimate) == {("source", "origin"): 60}
    assert disk(estimate) == dict.fromkeys(("videos", "resized", "rawframes", "flow"), (60, None, ""))
    assert (estimate["need"], estimate["complete"], estimate["fits"]) == (0, False, None)
    (fetch,) = estimate["fetch"]
    assert (fetch["items"], fetch["requests"], fetch["bytes"]) == (60, 30, None), "one request a video"
    assert estimate["youtube"] is None
    assert estimate["sentences"][:2] == [
        "Of 60 clips: 0 here, 60 to come from origin (files) first.", "To download: origin unknown.",
    ]  # fmt: skip
    assert estimate["sentences"][2].startswith("Disk: unknown for clips, resized copies, frames, optical flow; ")


def test_what_is_here_is_not_due_or_comes_is_told_apart(world: World) -> None:
    lost = {**world.clips_of(0, "transport"), **world.clips_of(1, "removed")}
    world.go(world.context("one", splits=["train"]), missing=lost)
    estimate = told(world.context("two"))
    # The video of the one is dead; of the other one clip was not to be had, so that its clip in val is due.
    held = {("held", "removed"): 2, ("held", "transport"): 1}
    assert places(estimate) == {("here", ""): 47, ("source", "origin"): 10, **held}
    assert "3 not due (2 removed, 1 transport)" in estimate["sentences"][0]


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("full", {}),
        ("full", {"splits": ["val"]}),
        ("full", {"limit": 3}),
        ("full", {"retry_all": True}),
        ("full", {"sources": ["local"]}),
        ("full", {"sources": ["local", "origin"]}),
        ("full", {"classes": ["zumba"]}),
        ("refresh", {}),
        ("refresh", {"as_of": (datetime(2027, 5, 1, tzinfo=UTC)).isoformat()}),
    ],
    ids=["all", "a split", "a limit", "again", "folders alone", "folders first", "a class", "refresh", "refresh later"],
)
def test_every_selected_item_is_in_one_place(kind: Any, params: dict[str, Any], world: World, tmp_path: Path) -> None:
    """The parts of an estimate add up, whatever was here before."""
    lost = {**world.clips_of(2, "transport"), **world.clips_of(5, "removed")}
    world.go(world.context("one", limit=20), missing=lost)
    usable = [row for row in world.catalog if row["status"] == "done"]
    (world.root / world.path_of(next(row for row in usable if row["item_id"] not in lost))).unlink()
    if "local" in params.get("sources", ()):
        place_clips(tmp_path / "mine", usable[30:33] + usable[:1], world)
        params = {**params, "local_folder": str(tmp_path / "mine")}
    ctx = world.context("two", kind, **params)
    estimate = told(ctx)
    counts = read_json(ctx.plan_file)["counts"]
    assert sum(places(estimate).values()) == estimate["selected"] == counts["selected"]
    assert all(count > 0 for count in places(estimate).values())
    held = {reason: count for (place, reason), count in places(estimate).items() if place == "held"}
    if kind == "full":
        assert held == counts["held"]
        assert places(estimate).get(("nowhere", ""), 0) == counts["absent"]


def test_a_folder_of_mine_comes_before_the_source(world: World, tmp_path: Path) -> None:
    usable = [row for row in world.catalog if row["status"] == "done"]
    place_clips(tmp_path / "mine", usable[:7], world)
    mine = {"local_folder": str(tmp_path / "mine")}
    alone = told(world.context("alone", sources=["local"], **mine))
    assert places(alone) == {("folders", ""): 7, ("nowhere", ""): 53}
    assert (alone["fetch"], disk(alone)["videos"][0]) == ([], 7)
    first = told(world.context("first", sources=["local", "origin"], **mine))
    assert places(first) == {("folders", ""): 7, ("source", "origin"): 53}
    assert "7 in local folders" in first["sentences"][0]


def test_a_refresh_leaves_what_was_never_asked_for(world: World) -> None:
    gone = world.catalog[0]["item_id"]
    world.go(world.context("one", splits=["train"], limit=10), missing={gone: "transport"})
    later = (datetime.now(UTC) + timedelta(days=60)).isoformat()
    estimate = told(world.context("two", "refresh", as_of=later, resize=True))
    assert places(estimate) == {("here", ""): 9, ("later", ""): 40, ("source", "origin"): 1}
    assert disk(estimate)["resized"][0] == 1, "a refresh makes nothing of what is here"


def test_clips_of_another_data_set_are_here(world: World) -> None:
    """The store has their windows."""
    row = next(row for row in world.catalog if row["status"] == "done")
    bucket = world.root / ".clipquarry/store" / KIND / "ab"
    bucket.mkdir(parents=True)
    (bucket / f"{row['clip_id']}.0123456789abcdef.mp4").write_bytes(b"x")
    assert places(told(world.context())) == {("here", ""): 1, ("source", "origin"): 59}


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


def test_names_that_are_no_text_are_nobodys_clips(world: World) -> None:
    row = next(row for row in world.catalog if row["status"] == "done")
    folder = (world.root / world.path_of(row)).parent
    folder.mkdir(parents=True)
    for name in (b"\xff\xfe.mp4", b".mp4", b"no suffix", b"a\nb.mp4"):
        (folder / os.fsdecode(name)).write_bytes(b"x")
    (folder / f"{row['clip_id']}.mp4").mkdir()
    assert places(told(world.context())) == {("here", ""): 1, ("source", "origin"): 59}, (
        "the step says that it is no file"
    )
    assert disk(told(world.context("two")))["videos"][1] is None


# --- hours


def _youtube(tmp_path: Path, earlier: int = 0, **settings: Any) -> dict[str, Any]:
    """The estimate of 600 videos with two clips each, after ``earlier`` requests of 60 s and 5 MB."""
    made = Settings(DataRoot(tmp_path), f"sqlite:///{tmp_path}/.clipquarry/ledger.sqlite", **settings)
    ctx = make_context("kinetics400", "one", {"sources": ["youtube"]}, settings=made)
    videos = [f"{number:011d}" for number in range(600)]
    rows = [
        {
            **item_row(
                "val", video, start, start + 10, clip=f"{video}_{start:06d}_{start + 10:06d}", folder="a", label="a"
            ),
            **FINE,
        }
        for video in videos
        for start in (0, 20)
    ]
    MadeRun(ctx.folder).catalog(rows)
    with ctx.ledger() as ledger:
        ledger.sync_catalog(ctx.spec.name, ctx.catalog)
        at = datetime.now(UTC).isoformat()
        tried = {"source": "youtube", "at": at, "reason": "ok", "evidence": "", "seconds": 60.0, "bytes": 5_000_000}
        done = [{**row, "key": "k", "attempts": [tried]} for row in rows[: 2 * earlier : 2]]
        write_manifest(tmp_path / "done.parquet", step_schema("fetch"), done)
        ledger.record(ctx.spec.name, "before", "default", [tmp_path / "done.parquet"], datetime.now(UTC))
    return told(ctx)


def test_hours_at_the_budget(tmp_path: Path) -> None:
    estimate = _youtube(tmp_path)
    hours = {"requests": 600, "per_hour": 300, "hours": 2.0, "download_hours": None}
    told = {name: value for name, value in estimate["youtube"].items() if name != "forecast"}
    assert told == hours, "a video serves all its windows"
    assert (
        "YouTube: 600 requests at 300 an hour, 2.0 h; how long the downloads themselves take is unknown."
        in estimate["sentences"]
    )


def test_downloads_take_as_long_as_earlier_ones(tmp_path: Path) -> None:
    estimate = _youtube(tmp_path, earlier=4)
    assert estimate["youtube"]["download_hours"] == pytest.approx(10)
    (fetch,) = estimate["fetch"]
    assert (fetch["bytes"], fetch["basis"]) == (3_000_000_000, "from 4 requests")
    assert "To download: youtube 3.0 GB (from 4 requests)." in estimate["sentences"]
    assert any("themselves 10.0 h, one after the other" in sentence for sentence in estimate["sentences"])


@pytest.mark.parametrize(
    ("settings", "per_hour"),
    [
        ({"budget_per_hour": 100}, 100),
        ({"cookies": Path("/nowhere/cookies.txt"), "budget_pause": 0.0}, 2000),
        ({"budget_per_hour": 5000, "budget_pause": 4.0}, 800),
    ],
    ids=["a smaller budget", "an account", "pauses"],
)
def test_the_budget_is_that_of_the_crawl(settings: dict[str, Any], per_hour: float, tmp_path: Path) -> None:
    assert _youtube(tmp_path, **settings)["youtube"]["per_hour"] == pytest.approx(per_hour)


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
