"""The step ``fetch`` with a person's own videos: another video under the same name gives other clips."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.files import sha256_of
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step

FPS = 10
OWN = {"id": "raw", "kind": "local", "provides": "items", "content": "video"}


class Lab:
    """Two windows of the video ``film``, one inside the other, cut out of a folder of a person's own."""

    def __init__(self, root: Path) -> None:
        self.data, self.videos, self.runs = root / "data", root / "videos", 0
        self.videos.mkdir()
        self.source = {**OWN, "path": str(self.videos)}

    def film(self, seconds: int, name: str = "film.mp4", **more: Any) -> Path:
        path = self.videos / name
        path.unlink(missing_ok=True)
        return make_video(path, seconds, FPS, (64, 48), **more)

    def run(self, **more: Any) -> list[dict[str, Any]]:
        self.runs += 1
        rows = [
            {"item_id": f"train/{name}", "video_id": "film", "clip_id": name, "split": "train", "label": None,
             "class_dir": "", "label_index": None, "start": of(start), "end": of(end), "row": 2}
            for name, start, end in (("long", 1, 5), ("short", 2, 4))
        ]  # fmt: skip
        write_rows(self.data / "items.parquet", schema_of(ITEM_FIELDS, "plan"), rows)
        params = {"root": "k", "sources": [self.source], "namespace": "lab", "names": "own", "min_free_gb": 0, **more}
        out = self.data / f"out-{self.runs}" / "part-00000.parquet"
        items = self.data / "items.parquet"
        run_step(make_step("fetch"), items=items, params=json.dumps(params), out=out, data=self.data)
        return list(read_rows(out))

    def clip(self, name: str) -> Path:
        return self.data / "k" / "videos_train" / f"{name}.mp4"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_another_video_under_the_same_name_is_cut_anew(lab: Lab) -> None:
    lab.film(8)
    first = lab.run()
    assert [row["status"] for row in first] == ["done", "done"]
    assert [row["status"] for row in lab.run()] == ["kept", "kept"]

    lab.film(9, label="other")
    second = lab.run()
    assert [(row["status"], row["source"]) for row in second] == [("done", "raw")] * 2
    for before, now in zip(first, second, strict=True):
        assert sha256_of(lab.clip(now["clip_id"])) == now["sha256"] != before["sha256"]
    assert list(read_frame_numbers(lab.clip("short"))) == list(range(20, 40))
    assert [row["status"] for row in lab.run()] == ["kept", "kept"]


def test_a_video_that_was_only_touched_gives_the_same_clips(lab: Lab) -> None:
    film = lab.film(8)
    before = lab.run()
    os.utime(film, (1_700_000_000, 1_700_000_000))
    assert [row["sha256"] for row in lab.run()] == [row["sha256"] for row in before]


def test_a_folder_that_is_mounted_elsewhere_holds_the_same_videos(lab: Lab) -> None:
    lab.film(8)
    lab.run()
    lab.videos = lab.videos.rename(lab.videos.with_name("mounted"))
    lab.source = {**OWN, "path": str(lab.videos)}
    assert [row["status"] for row in lab.run()] == ["kept", "kept"]


def test_the_clips_of_a_video_that_is_gone_stay(lab: Lab) -> None:
    film = lab.film(8)
    lab.run()
    film.unlink()
    assert [row["status"] for row in lab.run()] == ["kept", "kept"]


def test_another_video_that_cannot_be_cut_leaves_no_clip_of_the_former_one(lab: Lab) -> None:
    lab.film(8)
    lab.run()
    (lab.videos / "film.mp4").write_bytes(b"no film" * 1000)
    told = lab.run()
    assert [(row["status"], row["reason"]) for row in told] == [("missing", "not_a_video")] * 2
    assert not lab.clip("long").exists() and "was moved to" in told[0]["evidence"]
    lab.film(8)
    assert [row["status"] for row in lab.run()] == ["done", "done"]


def test_a_new_recipe_does_not_fall_back_to_the_former_video(lab: Lab) -> None:
    lab.film(8)
    lab.run()
    lab.film(3, label="other")  # too short for both
    told = lab.run(recipe={"crf": 30})
    assert [row["reason"] for row in told] == ["too_short", "too_short"]


def test_a_clip_that_came_as_it_is_follows_its_file(lab: Lab) -> None:
    lab.source = {**OWN, "content": "clip", "path": str(lab.videos)}
    for name, seconds in (("long", 4), ("short", 2)):
        lab.film(seconds, f"{name}.mp4")
    before = lab.run()
    lab.film(2, "short.mp4", label="other")
    now = lab.run()
    assert [row["status"] for row in now] == ["kept", "done"]
    assert now[0]["sha256"] == before[0]["sha256"] and now[1]["sha256"] != before[1]["sha256"]
    assert sha256_of(lab.clip("short")) == sha256_of(lab.videos / "short.mp4")
