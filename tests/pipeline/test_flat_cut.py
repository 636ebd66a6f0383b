"""AVA-Kinetics' flat layouts out of Kinetics-700's clips on the disk, every step real."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from box_world import KINETICS, NET, SHORT, VAL, BoxWorld, link_films, place_cut
from clipquarry.files import read_json
from clipquarry.manifest import read_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HEAR = f"{KINETICS}_12_17_0125"
START = f"{KINETICS}_12_13_0100"
LATE = f"{NET}_50_58_0125"
EARLY = f"{NET}_50_54_0125"


@pytest.fixture(scope="module")
def films(box_films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_films(box_films, tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, films: Path) -> BoxWorld:
    world = BoxWorld(tmp_path_factory.mktemp("world") / "data")
    place_cut(world.root)
    world.go("ava_kinetics_flat_700", local_folder=str(films), sources=["kinetics700", "local"])
    return world


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="gray").astype(int) for frame in file.decode(video=0)]


def attempts(run: Path, clip: str) -> list[dict[str, Any]]:
    (found,) = (row["attempts"] for row in read_rows(run / "results.parquet") if row["clip_id"] == clip)
    return list(found)


def test_what_lies_on_the_disk_is_cut_and_the_rest_comes_from_elsewhere(world: BoxWorld) -> None:
    root = world.root / "ava_kinetics_flat_700"
    clips = {HEAR, START, LATE, EARLY, f"{SHORT}_17_20_0125", f"{SHORT}_17_25_0125", f"{VAL}_15_20_0125"}
    assert set(world.tree("ava_kinetics_flat_700/videos")) == {f"{clip}.mp4" for clip in clips}
    run = world.settings.data.run("ava_kinetics_flat_700", "one")
    rows = {row["clip_id"]: row for row in read_rows(run / "recorded.parquet")}
    assert {name: row["source"] for name, row in rows.items() if row["source"]} == {
        HEAR: "kinetics700", START: "kinetics700", EARLY: "kinetics700", LATE: "local",
        f"{SHORT}_17_20_0125": "local", f"{SHORT}_17_25_0125": "local", f"{VAL}_15_20_0125": "local",
    }  # fmt: skip
    first, *_ = attempts(run, LATE)
    assert (first["source"], first["reason"]) == ("kinetics700", "too_short")
    assert "the clip has 6.00 s where its name says 10 s" in first["evidence"]
    (lost,) = (row for row in read_rows(run / "catalog.parquet") if row["status"] == "rejected")
    assert lost["item_id"] == f"train/#key-{KINETICS}-0090"
    assert f"is 73 s from the middle of its nearest clip, {KINETICS}_000012_000022" in lost["evidence"]
    assert rows["test_clip-0_02_07_0125"]["reason"] == "no_source"
    images = [name.partition("/")[0] for name in world.tree("ava_kinetics_flat_700/rawframes")]
    counts = {clip: images.count(clip) for clip in clips}
    assert set(counts.values()) <= {74, 75, 76}, "2.5 s at 30 a second; a source of 25 has 62 or 63 frames in them"
    train = (root / "ava_kinetics_700_updated_csv/kinetics_train_v1.0.csv").read_text().splitlines()
    assert [line.split(",")[:2] + line.split(",")[-2:] for line in train] == [
        [HEAR, "1.250000", "12", str(counts[HEAR])], [START, "1.000000", "80", str(counts[START])],
        [LATE, "1.250000", "12", str(counts[LATE])], [EARLY, "1.250000", "12", str(counts[EARLY])],
    ]  # fmt: skip
    val = (root / "ava_kinetics_700_updated_csv/kinetics_val_v1.0.csv").read_text().splitlines()
    assert val[1] == f"{SHORT}_17_25_0125,1.250000"
    assert not (root / "ava_kinetics_csv").exists(), "the download list is that of the six seconds"


def test_the_gates_pass_and_the_release_says_what_is_left_out(world: BoxWorld) -> None:
    run = world.settings.data.run("ava_kinetics_flat_700", "one")
    gates = {path.stem: read_json(path) for path in (run / "gates").glob("*.json")}
    assert {"annotations", "clips", "frames", "boxes"} <= set(gates)
    broken = {
        (name, check["id"])
        for name, gate in gates.items()
        for check in gate["checks"]
        if check["success"] is False and check["severity"] == "error"
    }
    assert broken <= {("annotations", "annotations.rejected")}, broken
    release = world.settings.data.release("ava_kinetics_flat_700") / "one"
    with open(release / "missing_key_frames_train.csv") as handle:
        (left,) = csv.DictReader(handle)
    assert (left["video_id"], left["time"], left["reason"]) == (KINETICS, "90.000000", "bad_time")
    assert "is 73 s from the middle of its nearest clip" in left["evidence"]
    with open(release / "missing_key_frames_test.csv") as handle:
        assert [row["reason"] for row in csv.DictReader(handle)] == ["no_source"]
    assert (release / "kinetics_train_v1.0.csv").exists()


@pytest.mark.parametrize(("clip", "first", "last"), [(HEAR, 96, 157), (START, 0, 62)])
def test_the_frames_are_those_of_the_window_to_the_frame(world: BoxWorld, clip: str, first: int, last: int) -> None:
    """At 25 a second 15.82 s is between frames 95 (15.80 s) and 96 of a clip from 12 s on; 18.32 s between 157 and 158."""
    source = pictures(world.root / f"kinetics700/videos_train/it's_(a)_class/{KINETICS}_000012_000022.mp4")
    made = pictures(world.root / f"ava_kinetics_flat_700/videos/{clip}.mp4")
    assert len(made) == last - first + 1

    def nearest(picture: np.ndarray) -> int:
        return int(np.argmin([np.abs(picture - one).mean() for one in source]))

    assert (nearest(made[0]), nearest(made[-1])) == (first, last)


def test_a_second_run_makes_nothing_anew(world: BoxWorld, films: Path) -> None:
    before = world.tree("ava_kinetics_flat_700")
    stamps = {path: path.stat().st_mtime_ns for path in (world.root / "ava_kinetics_flat_700/videos").iterdir()}
    world.go("ava_kinetics_flat_700", "two", local_folder=str(films), sources=["kinetics700", "local"])
    assert world.tree("ava_kinetics_flat_700") == before
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_six_seconds_come_from_a_clip_that_holds_them(world: BoxWorld, films: Path) -> None:
    world.go("ava_kinetics_flat", local_folder=str(films), sources=["kinetics700", "local"])
    run = world.settings.data.run("ava_kinetics_flat", "one")
    rows = {row["clip_id"]: row for row in read_rows(run / "recorded.parquet")}
    assert rows[f"{KINETICS}_000017"]["source"] == "kinetics700"
    assert rows[f"{KINETICS}_000013"]["reason"] == "no_source", "its six seconds begin before the clip"
    assert rows[f"{NET}_000054"]["source"] == "local", "the clip ends within the six seconds"
    assert attempts(run, f"{NET}_000054")[0]["reason"] == "too_short"
    source = pictures(world.root / f"kinetics700/videos_train/it's_(a)_class/{KINETICS}_000012_000022.mp4")
    made = pictures(world.root / f"ava_kinetics_flat/videos/{KINETICS}_000017.mp4")
    assert len(made) == 150
    assert int(np.argmin([np.abs(made[0] - one).mean() for one in source])) == 50


def test_a_folder_of_clips_that_a_person_names(tmp_path: Path) -> None:
    world = BoxWorld(tmp_path / "data")
    place_cut(world.root)
    mine = tmp_path / "mine"
    (world.root / "kinetics700/videos_train").rename(mine)
    (mine / f"it's_(a)_class/{NET}_000050_000060.mp4").unlink()
    world.go("ava_kinetics_flat_700", local_folder=str(mine), sources=["local"], splits=["train"])
    assert set(world.tree("ava_kinetics_flat_700/videos")) == {f"{clip}.mp4" for clip in (HEAR, START)}
