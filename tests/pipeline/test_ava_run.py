"""Whole runs of AVA and AVA-Kinetics, every step real: films of a drawn person, whom the embedded detector finds."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from box_world import (
    AVA_SECONDS,
    FILM,
    GONE,
    KINETICS,
    NET,
    OTHER,
    SHORT,
    VAL,
    BoxWorld,
    link_films,
    place_ava,
    place_flat,
    place_kinetics,
    serve,
    unpickled,
)
from clipquarry.errors import UserError
from clipquarry.files import read_json
from clipquarry.manifest import read_rows


@pytest.fixture(scope="module")
def films(box_films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_films(box_films, tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def mirror(films: Path) -> Iterator[str]:
    server, url = serve(films)
    yield url
    server.shutdown()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, films: Path, mirror: str) -> BoxWorld:
    """Both data sets, prepared one after the other."""
    world = BoxWorld(tmp_path_factory.mktemp("world") / "data")
    place_ava(world.root)
    place_kinetics(world.root)
    world.go("ava", mirror_url=f"{mirror}/{{clip}}", sources=["mirror"])
    world.go("ava_kinetics", local_folder=str(films), sources=["kinetics700", "local"], detector="hog", score=0.5)
    return world


def test_ava(world: BoxWorld) -> None:
    images = world.tree("ava/rawframes")
    assert {name.split("/")[0] for name in images} == {FILM, VAL}
    assert len([name for name in images if name.startswith(FILM)]) == 30 * 8
    assert len([name for name in images if name.startswith(VAL)]) == 30 * 7
    assert set(world.tree("ava/videos_15min")) == {f"{FILM}.mkv", f"{VAL}.mp4"}
    assert (world.root / "ava/annotations/ava_train_excluded_timestamps_v2.2.csv").read_text() == f"{FILM},0904\n"
    run = world.settings.data.run("ava", "one")
    verdicts = {
        name: read_json(run / f"gates/{name}.json")["verdict"]
        for name in ("annotations", "clips", "frames", "proposals")
    }
    assert "block" not in verdicts.values(), verdicts
    with open(run / "report/missing.csv") as handle:
        missing = {row["video_id"]: row["reason"] for row in csv.DictReader(handle)}
    assert missing == {GONE: "not_found"}
    assert (run / "report/index.html").exists()
    release = world.settings.data.release("ava") / "one"
    rows = (release / "ava_train_v2.2.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[::2]] == [[FILM, f"{second:04d}"] for second in AVA_SECONDS]
    with open(release / "left_out_of_ava_train_v2.2.csv") as handle:
        left = [(row["video_id"], int(row["second"]), int(row["rows"])) for row in csv.DictReader(handle)]
    assert left == [(film, second, 2) for film in (SHORT, GONE) for second in AVA_SECONDS]


def test_ava_kinetics(world: BoxWorld) -> None:
    clips = {f"{KINETICS}_000015_000019", f"{OTHER}_000031_000035", f"{NET}_000053_000057"}
    assert set(world.tree("ava_kinetics/videos")) == {f"{clip}.mp4" for clip in clips}
    frames = world.tree("ava_kinetics/rawframes")
    for clip in clips:
        assert len([name for name in frames if name.startswith(clip)]) == 120
    rows = (world.root / "ava_kinetics/kinetics_train.csv").read_text().splitlines()
    assert len(rows) == 6
    assert rows[0].startswith(f"{KINETICS}_000015_000019,17,") and rows[0].endswith(",12,-1")
    proposals = unpickled(world.root / "ava_kinetics/kinetics_proposal.pkl")
    assert {f"{KINETICS},{second:04d}" for second in (16, 17, 18)} <= set(proposals)
    assert all(len(boxes) and boxes.shape[1] == 5 for boxes in proposals.values())
    merged = (world.root / "ava_kinetics/annotations/ava_train_v2.2.csv").read_text()
    assert merged == "\n".join(rows) + "\n" + (world.root / "ava/annotations/ava_train_v2.2.csv").read_text()
    both = unpickled(world.root / "ava_kinetics/annotations/ava_dense_proposals_train.FAIR.recall_93.9.pkl")
    assert set(both) == {*proposals, *(f"{film},{s:04d}" for film in (FILM, SHORT, GONE) for s in AVA_SECONDS)}
    link = world.root / "ava_kinetics/rawframes" / FILM
    assert link.is_symlink() and link.readlink() == world.root / "ava/rawframes" / FILM
    run = world.settings.data.run("ava_kinetics", "one")
    gates = ("annotations", "clips", "frames", "boxes", "proposals", "merged")
    verdicts = {name: read_json(run / f"gates/{name}.json")["verdict"] for name in gates}
    assert "block" not in verdicts.values(), verdicts
    release = world.settings.data.release("ava_kinetics") / "one"
    assert len((release / "ava_train_v2.2.csv").read_text().splitlines()) == 6 + 6
    times = (release / "kinetics_train_times.csv").read_text()
    assert f"{KINETICS}_000015_000019,17,17.070000\n" in times


def test_the_flat_layout(tmp_path: Path, films: Path) -> None:
    world = BoxWorld(tmp_path / "data")
    place_flat(world.root)
    world.go("ava_kinetics_flat", local_folder=str(films), sources=["local"])
    root = world.root / "ava_kinetics_flat"
    clips = [f"{film}_{second:06d}" for film, second in ((NET, 55), (NET, 2), (SHORT, 20), (SHORT, 25))]
    assert set(world.tree("ava_kinetics_flat/videos")) == {f"{clip}.mp4" for clip in [*clips, f"{VAL}_000020"]}
    images = world.tree("ava_kinetics_flat/rawframes")
    assert {clip: len([name for name in images if name.startswith(clip)]) for clip in clips} == dict.fromkeys(
        clips, 180
    )
    assert f"{clips[0]}/000001.jpg" in images
    train = (root / "ava_kinetics_updated_csv/kinetics_train_v1.0.csv").read_text().splitlines()
    assert [line.split(",")[:2] + line.split(",")[-2:] for line in train] == [
        [clips[0], "3.400000", "12", "180"], [clips[1], "2.000000", "80", "180"]
    ]  # fmt: skip
    val = (root / "ava_kinetics_updated_csv/kinetics_val_v1.0.csv").read_text().splitlines()
    assert val[1] == f"{clips[3]},3.250000"
    listed = (root / "ava_kinetics_csv/videos_to_download.csv").read_text().splitlines()
    assert listed[0] == "youtube_id,time_start,time_end"
    assert len(listed) == 6
    assert not list(root.glob("*.pkl"))


def test_a_second_run_makes_nothing_anew(world: BoxWorld, films: Path, mirror: str) -> None:
    before = {folder: world.tree(folder) for folder in ("ava", "ava_kinetics")}
    stamps = {path: path.stat().st_mtime_ns for path in (world.root / "ava_kinetics/videos").iterdir()}
    world.said.clear()
    world.go("ava", "two", mirror_url=f"{mirror}/{{clip}}", sources=["mirror"])
    world.go(
        "ava_kinetics", "two", local_folder=str(films), sources=["kinetics700", "local"], detector="hog", score=0.5
    )
    assert {folder: world.tree(folder) for folder in before} == before
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert any("0 shards of new ones to look at" in line for line in world.said), world.said


def test_people_of_ava_are_found_here_when_asked_for(world: BoxWorld, mirror: str) -> None:
    how = {
        "mirror_url": f"{mirror}/{{clip}}",
        "sources": ["mirror"],
        "proposals": "detect",
        "detector": "hog",
        "score": 0.5,
        "splits": ["train"],
        "videos": [FILM],
    }
    ctx = world.go("ava", "own", **how)
    own = unpickled(world.root / "ava/annotations/ava_dense_proposals_train.hog.pkl")
    assert set(own) == {f"{FILM},{second:04d}" for second in AVA_SECONDS}
    images = [row["image"] for row in read_rows(ctx.folder / "detect/part-00000.parquet")]
    assert [Path(image).name for image in images] == ["img_00061.jpg", "img_00091.jpg", "img_00151.jpg"]
    world.go("ava", "own", **how, frame_offset="mmaction2")
    images = [row["image"] for row in read_rows(ctx.folder / "detect/part-00000.parquet")]
    assert [Path(image).name for image in images] == ["img_00062.jpg", "img_00092.jpg", "img_00152.jpg"]
    published = unpickled(world.root / "ava/annotations/ava_dense_proposals_train.FAIR.recall_93.9.pkl")
    assert len(published) == 9, "those are left alone"


def test_a_film_that_comes_back_is_taken_by_the_refresh(world: BoxWorld, films: Path, mirror: str) -> None:
    os.link(films / f"{VAL}.mp4", films / f"{GONE}.mp4")
    how = {"mirror_url": f"{mirror}/{{clip}}", "sources": ["mirror"]}
    world.go("ava", "back", kind="refresh", retry_all=True, **how)
    assert len([name for name in world.tree("ava/rawframes") if name.startswith(GONE)]) == 30 * 7
    rows = (world.settings.data.release("ava") / "back/ava_train_v2.2.csv").read_text().splitlines()
    assert {row.split(",")[0] for row in rows} == {FILM, GONE}


def test_mmdet_that_is_not_there_is_told_before_any_work(tmp_path: Path) -> None:
    world = BoxWorld(tmp_path / "data")
    place_ava(world.root)
    place_kinetics(world.root)
    with pytest.raises(UserError, match="detector=hog"):
        world.go("ava_kinetics", sources=["kinetics700"])
    assert not (world.root / "ava_kinetics/videos").exists()
