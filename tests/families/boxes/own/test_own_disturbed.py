"""Runs of a person's own AVA that do not follow upon each other quietly: tracks deleted, another rate, a crop of nobody."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from box_world import BoxWorld
from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.annotations.own_ava.via_reading import read_project
from clipquarry.errors import UserError
from clipquarry.families.boxes.own import tracks
from clipquarry.families.boxes.own.label_page import PROJECT
from clipquarry.families.boxes.own.sample import RATE, SAMPLE, SECONDS, make, write_video
from clipquarry.families.boxes.own.tracks import tracked_crops, untracked
from clipquarry.families.boxes.sample.walkers import people
from clipquarry.labelling.project import Project
from clipquarry.manifest import read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.run import run_all
from clipquarry.pipeline.stages import run_stage
from clipquarry.settings import DataRoot

CROPS = ("1", "door_1", "3")


def world(tmp_path: Path) -> DataRoot:
    make(tmp_path / "made").place(tmp_path / "data" / SAMPLE.dataset)
    return DataRoot(tmp_path / "data")


def context(data: DataRoot, run: str, **params: Any) -> RunContext:
    return BoxWorld(data.root).context(SAMPLE.dataset, run, **{**SAMPLE.params, "score": 0.3, **params})


def files(folder: Path, *names: str) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.slow
def test_deleted_tracks_are_made_again_and_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = world(tmp_path)
    first = context(data, "one")
    run_all(first)
    folder = data.dataset(SAMPLE.dataset)
    names = [*(f"tracks/{crop}.csv" for crop in CROPS), *(f"annotations/{split}.csv" for split in ("train", "val"))]
    before = files(folder, *names)
    (folder / "tracks/1.csv").unlink()
    (folder / "tracks/3.csv").write_text("mine\n")
    with pytest.raises(UserError, match="deleted or changed since this run made them: start a new run"):
        run_stage("labels", first)  # cleared in Airflow
    run_all(context(data, "two"))
    assert files(folder, *names) == before
    assert [path.read_text() for path in data.set_aside.rglob("3.csv")] == ["mine\n"]

    read: list[Path] = []
    again = tracks.read_rows
    monkeypatch.setattr(tracks, "read_rows", lambda path: read.append(path) or again(path))
    assert list(untracked(first, [*CROPS, "x"])) == [
        ("x", "The task 'track' ended without a result for it; its log says why.")
    ]
    assert len(read) == len(set(read)) == len([*first.place.manifests("track")]), "each manifest is read once"
    assert set(tracked_crops(first)) == {*CROPS}


@pytest.mark.slow
def test_another_rate_begins_anew_and_keeps_what_was_labelled(tmp_path: Path) -> None:
    data = world(tmp_path)
    run_all(context(data, "one"))
    folder, middle = data.dataset(SAMPLE.dataset), data.dataset(SAMPLE.dataset, MIDDLE)
    labels = files(middle, *(f"{crop}/{crop}_finish.json" for crop in CROPS))
    with pytest.raises(UserError, match="3 of 3 crops are not labelled"):
        run_all(context(data, "two", fps=5))
    for crop in CROPS:
        (aside,) = (middle / crop).glob(f"{crop}_finish.2*.json")
        assert aside.read_bytes() == labels[f"{crop}/{crop}_finish.json"], "labels of other pictures, whole"
        named = {path.name for path in (middle / crop).glob("*.jpg")}
        assert (
            named == {f"{crop}_000006.jpg", f"{crop}_000011.jpg"} and len([*(folder / "frames" / crop).iterdir()]) == 20
        )
        with (folder / f"tracks/{crop}.csv").open() as handle:
            assert {int(row["frame"]) for row in csv.DictReader(handle)} <= set(range(1, 21))
    project = Project(data.labelling(SAMPLE.dataset, PROJECT))
    assert [one.name for one in project.material("1").clip.frames] == ["1_000006.jpg", "1_000011.jpg"]
    assert "at 5 frames a second" in project.material("1").shown.source
    # Back to the former rate, with the labels of it: as if nothing had been.
    for crop in CROPS:
        (aside,) = (middle / crop).glob(f"{crop}_finish.2*.json")
        aside.rename(middle / crop / f"{crop}_finish.json")
    (folder / "annotations").rename(folder / "annotations.before")
    run_all(context(data, "three"))
    names = [f"{split}.csv" for split in ("train", "val")]
    assert files(folder / "annotations", *names) == files(folder / "annotations.before", *names)


def crop_sums(ctx: RunContext) -> dict[str, str]:
    return {row["clip_id"]: row["sha256"] for path in ctx.place.manifests("fetch") for row in read_rows(path)}


@pytest.mark.slow
def test_another_raw_video_under_the_same_name_begins_anew(tmp_path: Path) -> None:
    data = world(tmp_path)
    first, second, third = (context(data, name, tracker="none") for name in ("one", "two", "three"))
    run_all(first)
    folder, middle = data.dataset(SAMPLE.dataset), data.dataset(SAMPLE.dataset, MIDDLE)
    finish, frame = middle / "door_1/door_1_finish.json", middle / "door_1/door_1_000011.jpg"
    labels, picture, train = finish.read_bytes(), frame.read_bytes(), (folder / "annotations/train.csv").read_bytes()
    door = folder / "videos/door.mp4"
    door.rename(tmp_path / "former.mp4")
    shown = (people(250 - 3 * number, 60) for number in range(RATE * SECONDS))
    write_video(door, (av.VideoFrame.from_ndarray(one, format="rgb24") for one in shown))
    with pytest.raises(UserError, match=r"1 of 3 crops are not labelled.*crop door_1"):
        run_all(second)
    before, now = crop_sums(first), crop_sums(second)
    assert {name for name in before if before[name] != now[name]} == {"door_1"}
    assert frame.read_bytes() != picture
    (aside,) = finish.parent.glob("door_1_finish.2*.json")
    assert aside.read_bytes() == labels, "labels of other pictures, whole"

    (tmp_path / "former.mp4").replace(door)  # it was the wrong one
    aside.rename(finish)
    run_all(third)
    assert crop_sums(third) == before and frame.read_bytes() == picture
    assert (folder / "annotations/train.csv").read_bytes() == train


@pytest.mark.slow
def test_another_copy_of_the_same_raw_video_keeps_its_labels(tmp_path: Path) -> None:
    data = world(tmp_path)
    plain = {"shards": 1, "fps": RATE, "margin": 1, "labels": True, "proposals": "none"}
    first, second = (BoxWorld(data.root).context(SAMPLE.dataset, name, **plain) for name in ("one", "two"))
    run_all(first)
    hall = data.dataset(SAMPLE.dataset, "videos/hall.mp4")
    with av.open(hall) as film:
        pictures = [picture.reformat(320, 240, format="rgb24") for picture in film.decode(video=0)]
    hall.unlink()
    write_video(hall, (av.VideoFrame.from_ndarray(np.maximum(one.to_ndarray(), 8), format="rgb24") for one in pictures))
    done = run_all(second)
    before, now = crop_sums(first), crop_sums(second)
    assert {name for name in before if before[name] != now[name]} == {"1", "3"}
    assert done["gates"]["labels"] in ("pass", "warn")


@pytest.mark.slow
def test_a_crop_of_nobody_goes_through_whole(tmp_path: Path) -> None:
    """Nobody is found in it, and nobody draws anybody. It is called as its raw video, and has a project, tracks without rows, and no label."""
    data = world(tmp_path)
    wall = (av.VideoFrame.from_ndarray(people(), format="rgb24") for _ in range(RATE * SECONDS))
    write_video(data.dataset(SAMPLE.dataset, "videos/wall.mp4"), wall)
    with data.dataset(SAMPLE.dataset, "crops.csv").open("a") as handle:
        handle.write("wall.mp4,0,3,wall\n")
    with pytest.raises(UserError, match=r"1 of 4 crops are not labelled.*crop wall"):
        run_all(context(data, "one", val_videos=["door"]))
    assert len(data.dataset(SAMPLE.dataset, "tracks/wall.csv").read_text().splitlines()) == 1
    proposed = data.dataset(SAMPLE.dataset, MIDDLE, "wall/wall_proposal.json")
    found = read_project(proposed)
    assert not found.refused and not found.project.regions and len(found.project.files) == 2
    proposed.with_name("wall_finish.json").write_bytes(proposed.read_bytes())
    done = run_all(context(data, "two", val_videos=["door"]))
    assert done["gates"]["labels"] in ("pass", "warn"), done
    release = data.release(SAMPLE.dataset) / "two"
    text = (release / "train.csv").read_text() + (release / "people.csv").read_text()
    assert "wall" not in text and "wall" in (release / "key_frames.csv").read_text()
    assert json.loads(proposed.read_text())["metadata"] == {}
