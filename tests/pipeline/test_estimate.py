"""What a plan expects of its run: every item in one place, and how long it takes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clipquarry.files import read_json
from clipquarry.manifest import Row
from clipquarry.pipeline.make_context import make_context
from clipquarry.settings import DataRoot, Settings
from clipquarry.steps.clips import KIND
from estimate_world import disk, places, told
from estimate_world import world as world
from families.made_run import FINE, MadeRun, item_row, step_schema, write_manifest
from pipeline_world import World


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
