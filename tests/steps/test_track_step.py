"""The step ``track`` with the embedded detector, over folders of drawn people."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import pytest
from clipquarry.errors import Exit
from clipquarry.families.boxes.sample.walkers import box_of, people
from clipquarry.manifest import ITEM_FIELDS, Row, kind_of, read_rows, schema_of, write_rows
from clipquarry.people.rates import rate_of
from clipquarry.people.tracking.track_file import read_tracks
from clipquarry.settings import DataRoot
from clipquarry.steps import track as step
from clipquarry.steps.runner import run_step
from clipquarry.store import Store

FRAMES = 13
"""Two people: one stands at the right, one walks to and fro on the left."""


def walks(number: int) -> float:
    return 70 + 3 * (number - 1)


def row(clip: str) -> Row:
    return {
        "item_id": f"train/{clip}", "video_id": "hall", "clip_id": clip, "split": "train", "label": None, "class_dir": None,
        "label_index": -1, "start": 0, "end": 1_000_000, "row": None,
    }  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data/k/rawframes/x"
    folder.mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        assert cv2.imwrite(str(folder / f"img_{number:05d}.jpg"), people(walks(number), 230))
    return tmp_path / "data"


def track(data: Path, *clips: str, exit: Exit = Exit.OK, out: str = "part-00000", **params: Any) -> list[Row]:
    items, manifest = data.parent / "items.parquet", data.parent / f"out/{out}.parquet"
    manifest.unlink(missing_ok=True)
    write_rows(items, schema_of(ITEM_FIELDS, "items"), [row(clip) for clip in clips or ("x",)])
    given = json.dumps({"root": "k", "fps": 10, "every": 4, "least": 0.3} | params)
    done = run_step(step.TrackStep(), items=items, params=given, out=manifest, data=data, jobs=1)
    assert done.exit is exit, done.sentence
    return list(read_rows(manifest)) if exit is Exit.OK else []


def test_everybody_has_one_id_in_all_frames_also_between_those_that_were_looked_at(data: Path) -> None:
    (found,) = track(data)
    assert kind_of(data.parent / "out/part-00000.parquet") == "track"
    told = {name: found[name] for name in ("status", "path", "frames", "looked_at", "boxes", "filled", "people")}
    assert told == {
        "status": "done", "path": "k/tracks/x.csv", "frames": 13, "looked_at": 4, "boxes": 8, "filled": 18, "people": 2,
    }  # fmt: skip
    seen = list(read_tracks(data / "k/tracks/x.csv"))
    assert [(one.frame, one.person) for one in seen] == [(n, p) for n in range(1, 14) for p in (1, 2)]
    assert {one.frame for one in seen if one.detected} == {1, 5, 9, 13}
    for one in seen:
        truth = box_of(walks(one.frame)) if one.person == 1 else box_of(230)
        assert abs(sum(one.box[::2]) - sum(truth[::2])) / 2 < 0.05, one
    assert rate_of(Store(DataRoot(data).store), "hog").measured


def test_a_second_run_looks_at_nothing_again(data: Path) -> None:
    (first,) = track(data)
    before = rate_of(Store(DataRoot(data).store), "hog")
    (again,) = track(data, out="part-00001")
    assert (again["status"], again["sha256"]) == ("kept", first["sha256"])
    path = data / "k/tracks/x.csv"
    path.unlink()
    (mended,) = track(data, out="part-00002")
    assert (mended["status"], mended["sha256"]) == ("done", first["sha256"])
    assert rate_of(Store(DataRoot(data).store), "hog") == before, "all frames were noted"
    (data / "k/rawframes/x/img_00005.jpg").write_bytes((data / "k/rawframes/x/img_00006.jpg").read_bytes())
    os.utime(data / "k/rawframes/x")
    (changed,) = track(data, out="part-00003")
    assert changed["status"] == "done" and changed["sha256"] != first["sha256"]


def test_a_file_of_somebody_else_is_set_aside(data: Path) -> None:
    path = data / "k/tracks/x.csv"
    path.parent.mkdir()
    path.write_text("mine")
    (found,) = track(data)
    assert found["status"] == "done" and "moved to" in found["evidence"]
    assert [one.read_text() for one in DataRoot(data).set_aside.rglob("x.csv")] == ["mine"]


def test_clips_that_cannot_be_tracked_are_sentences(data: Path) -> None:
    broken = data / "k/rawframes/cut"
    broken.mkdir()
    whole = (data / "k/rawframes/x/img_00001.jpg").read_bytes()
    (broken / "img_00001.jpg").write_bytes(whole[: len(whole) // 2])
    gap = data / "k/rawframes/gap"
    gap.mkdir()
    for number in (1, 3):
        (gap / f"img_{number:05d}.jpg").write_bytes(whole)
    (data / "k/rawframes/empty").mkdir()
    found = {one["clip_id"]: one for one in track(data, "cut", "gap", "empty", "none", "../x")}
    told = {name: (one["status"], one["reason"]) for name, one in found.items()}
    assert told == {
        "cut": ("failed", "corrupt"), "gap": ("missing", "no_frames"), "empty": ("missing", "no_frames"),
        "none": ("missing", "no_frames"), "../x": ("rejected", "bad_row"),
    }  # fmt: skip
    assert "img_00001.jpg is cut off" in found["cut"]["evidence"] and "img_00002.jpg" in found["gap"]["evidence"]
    assert [path.name for path in data.rglob("tracks/*")] == []


def test_nobody_is_a_file_without_rows(data: Path) -> None:
    folder = data / "k/rawframes/wall"
    folder.mkdir()
    for number in range(1, 4):
        assert cv2.imwrite(str(folder / f"img_{number:05d}.jpg"), people())
    (found,) = track(data, "wall", every=1)
    assert (found["status"], found["people"], found["looked_at"]) == ("done", 0, 3)
    assert list(read_tracks(data / "k/tracks/wall.csv")) == []
