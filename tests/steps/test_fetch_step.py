"""The step ``fetch`` against a real web server and real videos: what is done, kept, missing and why."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.breaker import Breaker
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.ids import clip_id
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.media.probe import probe
from clipquarry.microseconds import of
from clipquarry.reasons import Reason
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step
from clipquarry.steps.source_clip import find_clip, find_video
from clipquarry.store import Store
from dying import dies_at
from odd_places import ODD, put_odd

FPS = 10
VIDEO = "aaaaaaaaaaa"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A clip of 3 s, one of 2 s, a whole video of 20 s; small, because what matters is what happens to them."""
    folder = tmp_path_factory.mktemp("films")
    return {
        "clip": make_video(folder / "clip.mp4", 3, FPS, (64, 48), label="clip"),
        "short": make_video(folder / "short.mp4", 2, FPS, (64, 48), label="short"),
        "webm": make_video(folder / "clip.mkv", 3, FPS, (64, 48), label="mkv"),
        "whole": make_video(folder / "whole.mp4", 20, FPS, (64, 48), label="whole", gop=25),
    }


class Yard:
    """A data root, a mirror, and rows to ask for."""

    def __init__(self, folder: Path, films: dict[str, Path], origin: Origin) -> None:
        self.data, self.films, self.origin, self.served = folder / "data", films, origin, folder / "served"
        self.rows: list[dict[str, Any]] = []
        self.out = self.data / "out" / "part-00000.parquet"

    def serve(self, name: str, film: str = "clip") -> Path:
        path = self.served / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.films[film], path)
        return path

    def want(
        self, video: str = VIDEO, start: int = 5, end: int = 8, split: str = "val", label: str = "juggling balls"
    ) -> str:
        name, folder = clip_id(video, start, end), label.replace(" ", "_")
        self.rows.append(
            {
                "item_id": f"{split}/{folder}/{name}", "video_id": video, "clip_id": name, "split": split,
                "label": label, "class_dir": folder, "label_index": 0, "start": of(start), "end": of(end), "row": 2,
            }
        )  # fmt: skip
        return name

    def params(self, **more: Any) -> dict[str, Any]:
        mirror = {
            "id": "mirror", "kind": "http", "provides": "items", "content": "clip", "attempts": 1,
            "url": f"{self.origin.url}/clips/{{split}}/{{class}}/{{clip}}.mp4",
        }  # fmt: skip
        return {"root": "k", "sources": [mirror], "min_free_gb": 0, **more}

    def whole(self, **more: Any) -> dict[str, Any]:
        return {
            "id": "videos", "kind": "http", "provides": "items", "content": "video", "attempts": 1,
            "url": f"{self.origin.url}/videos/{{id}}.mp4", **more,
        }  # fmt: skip

    def run(self, *, out: Path | None = None, jobs: int = 2, **more: Any) -> StepResult:
        items = self.data / "items.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), self.rows)
        params = json.dumps(self.params(**more))
        return run_step(make_step("fetch"), items=items, params=params, out=out or self.out, data=self.data, jobs=jobs)

    def result(self, out: Path | None = None) -> dict[str, dict[str, Any]]:
        return {row["item_id"]: row for row in read_rows(out or self.out)}

    def only(self) -> dict[str, Any]:
        (row,) = self.result().values()
        return row

    def only_of(self, name: str) -> dict[str, Any]:
        (row,) = self.result(self.data / name).values()
        return row

    def file(self, index: int = 0) -> Path:
        row = self.rows[index]
        return self.data / "k" / f"videos_{row['split']}" / row["class_dir"] / f"{row['clip_id']}.mp4"


@pytest.fixture
def yard(tmp_path: Path, films: dict[str, Path]) -> Iterator[Yard]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as origin:
        yield Yard(tmp_path, films, origin)


def test_a_clip_of_a_mirror_is_stored_as_it_is_and_kept_the_next_time(yard: Yard) -> None:
    name = yard.want()
    served = yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    assert yard.run().exit is Exit.OK
    row = yard.only()
    assert (row["status"], row["reason"], row["source"]) == ("done", "ok", "mirror")
    assert row["path"] == f"k/videos_val/juggling_balls/{name}.mp4"
    assert row["sha256"] == sha256_of(served) == sha256_of(yard.data / row["path"])
    assert (row["frames"], row["fps"], row["width"], row["height"], row["has_audio"]) == (30, 10.0, 64, 48, True)
    assert row["duration"] == pytest.approx(3.0)
    (attempt,) = row["attempts"]
    assert (attempt["source"], attempt["reason"], attempt["bytes"]) == ("mirror", "ok", served.stat().st_size)
    asked = sum(yard.origin.asked.values())
    yard.run()
    assert yard.only()["status"] == "kept"
    assert yard.only()["attempts"] == []
    assert sum(yard.origin.asked.values()) == asked, "what is there is not asked for again"
    left = [path for path in (yard.data / ".clipquarry/scratch").rglob("*") if path.is_file()]
    assert left == []


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_set_aside_and_never_waited_for(yard: Yard, odd: str) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    put_odd(yard.file(), odd)
    aside = yard.data / ".clipquarry/set-aside" / yard.file().relative_to(yard.data)
    put_odd(aside, "nowhere")  # of an earlier time
    assert yard.run().exit is Exit.OK
    row = yard.only()
    assert (row["status"], "was moved to" in row["evidence"]) == ("done", True), row
    assert yard.file().is_file() and not yard.file().is_symlink()
    assert len(list(aside.parent.iterdir())) == 2, "nothing of a person's is lost"


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_no_clip_to_work_on(tmp_path: Path, odd: str) -> None:
    put_odd(tmp_path / "clip.mp4", odd)
    row = {"video_id": "clip", "start": 0, "end": 1}
    assert find_clip(Store(tmp_path / "store"), row, tmp_path / "clip.mp4") is None
    assert find_video(Store(tmp_path / "store"), "clip.mp4", tmp_path / "clip.mp4") is None


@pytest.mark.parametrize("content", ["clip", "video"])
def test_a_clip_that_came_before_a_kill_is_told_once(yard: Yard, content: str) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    sources = [yard.params()["sources"][0] if content == "clip" else yard.whole()]
    dies_at(Store, "put", lambda: yard.run(sources=sources), behind=True)
    yard.run(sources=sources)
    assert sum(yard.origin.asked.values()) == 1, "what is in the store is not asked for again"
    (attempt,) = yard.only()["attempts"]
    assert (attempt["reason"], attempt["source"]) == ("ok", sources[0]["id"])
    assert [path for path in (yard.data / ".clipquarry/scratch/work").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ("404", Reason.NOT_FOUND), ("410", Reason.GONE), ("403", Reason.FORBIDDEN_MEDIA), ("500", Reason.HTTP_5XX),
        ({"do": "429", "retry_after": 3600}, Reason.HTTP_429), ("html", Reason.NOT_A_VIDEO),
        ("truncate", Reason.TRUNCATED),
        ("cut", Reason.TRUNCATED), ("garbage", Reason.NOT_A_VIDEO), ({"do": "slow", "seconds": 20}, Reason.TRANSPORT),
    ],
)  # fmt: skip
def test_every_dead_link_has_its_reason_and_leaves_nothing(yard: Yard, plan: Any, reason: Reason) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    yard.origin.set_plan({f"clips/val/juggling_balls/{name}.mp4": plan})
    sources = yard.params()["sources"]
    sources[0]["timeout_s"] = 0.5
    assert yard.run(sources=sources).exit is Exit.OK
    row = yard.only()
    assert (row["status"], row["reason"]) == ("missing", str(reason))
    assert row["evidence"].startswith("mirror: ")
    assert row["path"] is None
    assert [a["reason"] for a in row["attempts"]] == [str(reason)]
    assert not yard.file().exists()
    assert not list((yard.data / ".clipquarry/store").rglob("*.mp4"))


def test_a_link_that_came_back_is_fetched_by_the_next_run(yard: Yard) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    yard.origin.set_plan({"clips/*": "404"})
    yard.run()
    assert yard.only()["reason"] == "not_found"
    yard.origin.set_plan({})
    yard.run()
    assert yard.only()["status"] == "done"


def test_a_clip_that_is_too_short_is_measured_and_the_next_source_is_asked(yard: Yard) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4", "short")
    yard.run()
    row = yard.only()
    assert row["reason"] == "too_short"
    assert "2.00 s where 3 s were wanted" in row["evidence"]
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    yard.run(sources=[*yard.params()["sources"], yard.whole()])
    row = yard.only()
    assert (row["status"], row["source"]) == ("done", "videos")
    assert [(a["source"], a["reason"]) for a in row["attempts"]] == [("mirror", "too_short"), ("videos", "ok")]
    assert read_frame_numbers(yard.file()) == list(range(5 * FPS, 8 * FPS)), "the exact window"


def test_a_mirror_is_asked_below_every_folder_in_which_the_clip_belongs(yard: Yard) -> None:
    name = yard.want(label="yoga", split="train")
    yard.want(label="juggling balls")
    yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    yard.run()
    assert [row["status"] for row in yard.result().values()] == ["done", "done"]
    first, second = yard.result().values()
    assert [a["reason"] for a in first["attempts"]] == ["not_found", "ok"]
    assert (first["sha256"], first["path"]) == (second["sha256"], f"k/videos_train/yoga/{name}.mp4")


def test_short_clips_are_taken_when_asked_for(yard: Yard) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4", "short")
    yard.run(accept_short=True)
    assert yard.only()["status"] == "done"
    assert yard.only()["duration"] == pytest.approx(2.0)
    yard.run()
    assert yard.only()["reason"] == "too_short", "without the switch the same file is not good enough"


def test_one_download_serves_all_windows_splits_and_classes_of_a_video(yard: Yard) -> None:
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    yard.want(start=0, end=3)
    yard.want(start=0, end=3, split="train")
    yard.want(start=0, end=3, label="yoga")
    yard.want(start=9, end=12)
    yard.want(start=17, end=20)
    yard.want(start=19, end=22)  # beyond the end
    yard.run(sources=[yard.whole()])
    rows = yard.result()
    assert [row["status"] for row in rows.values()] == ["done"] * 5 + ["missing"]
    assert list(rows.values())[-1]["reason"] == "too_short"
    assert yard.origin.asked == {f"videos/{VIDEO}.mp4": 1}
    assert sum(a["bytes"] for row in rows.values() for a in row["attempts"]) == yard.films["whole"].stat().st_size
    assert yard.file(0).samefile(yard.file(1))
    assert yard.file(0).samefile(yard.file(2))
    for index, first in ((0, 0), (3, 90), (4, 170)):
        assert read_frame_numbers(yard.file(index)) == list(range(first, first + 30))
    # Another data set, another window: the video is in the cache, the old window in the store.
    yard.rows = []
    yard.want(start=0, end=3)
    yard.want(start=4, end=7)
    yard.run(sources=[yard.whole()], root="other", out=yard.data / "other.parquet")
    statuses = [row["status"] for row in yard.result(yard.data / "other.parquet").values()]
    assert statuses == ["kept", "done"]
    assert yard.origin.asked == {f"videos/{VIDEO}.mp4": 1}
    other = yard.data / "other/videos_val/juggling_balls"
    assert (other / f"{clip_id(VIDEO, 0, 3)}.mp4").samefile(yard.file(0))
    assert read_frame_numbers(other / f"{clip_id(VIDEO, 4, 7)}.mp4")[0] == 40


def test_other_codecs_and_containers_become_mp4(yard: Yard) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4", "webm")
    yard.run()
    assert yard.only()["status"] == "done"
    assert yard.file().read_bytes()[4:8] == b"ftyp"
    assert read_frame_numbers(yard.file()) == list(range(30))


def test_a_good_file_that_lies_there_is_adopted_untouched(yard: Yard) -> None:
    yard.want()
    yard.file().parent.mkdir(parents=True)
    shutil.copyfile(yard.films["clip"], yard.file())
    before = yard.file().stat()
    yard.run()
    row = yard.only()
    assert (row["status"], row["source"], row["attempts"]) == ("kept", "existing", [])
    assert (yard.file().stat().st_ino, yard.file().stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sum(yard.origin.asked.values()) == 0


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>", "short"])
def test_a_bad_file_that_lies_there_is_set_aside_never_counted_never_deleted(yard: Yard, content: Any) -> None:
    yard.want()
    yard.file().parent.mkdir(parents=True)
    data = yard.films[content].read_bytes() if isinstance(content, str) else content
    yard.file().write_bytes(data)
    yard.run()
    row = yard.only()
    assert row["status"] == "missing"
    assert "was moved to" in row["evidence"]
    assert not yard.file().exists()
    aside = yard.data / ".clipquarry/set-aside" / yard.file().relative_to(yard.data)
    assert aside.read_bytes() == data


@pytest.mark.parametrize("kind", ["dead link", "folder"])
def test_what_is_no_file_in_a_clips_place_is_set_aside(yard: Yard, kind: str) -> None:
    yard.serve(f"clips/val/juggling_balls/{yard.want()}.mp4")
    yard.file().parent.mkdir(parents=True)
    if kind == "folder":
        (yard.file() / "mine").mkdir(parents=True)
    else:
        yard.file().symlink_to("/a disk that is not mounted/clip.mp4")
    yard.run()
    assert yard.only()["status"] == "done"
    assert "was moved to" in yard.only()["evidence"]
    assert yard.file().is_file() and not yard.file().is_symlink()
    aside = yard.data / ".clipquarry/set-aside" / yard.file().relative_to(yard.data)
    assert (aside / "mine").is_dir() if kind == "folder" else aside.is_symlink()


def test_damage_in_the_store_is_noticed_and_repaired(yard: Yard) -> None:
    name = yard.want()
    served = yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    yard.run()
    with open(yard.file(), "r+b") as handle:  # a hard link: the store's copy is damaged too
        handle.truncate(1000)
    yard.run()
    assert yard.only()["status"] == "done"
    assert sha256_of(yard.file()) == sha256_of(served)


def test_a_new_recipe_makes_new_clips_and_falls_back_to_the_old_ones(yard: Yard) -> None:
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    yard.want()
    yard.run(sources=[yard.whole()], source_cache_gb=0)
    old = sha256_of(yard.file())
    yard.run(sources=[yard.whole()], source_cache_gb=0, recipe={"crf": 35})
    assert yard.only()["status"] == "done"
    assert sha256_of(yard.file()) != old
    yard.origin.set_plan({"videos/*": "404"})
    yard.run(sources=[yard.whole()], source_cache_gb=0, recipe={"crf": 45})
    row = yard.only()
    assert (row["status"], row["reason"]) == ("kept", "ok")
    assert "earlier recipe" in row["evidence"]
    assert probe(yard.file()).frames == 30


def test_local_folders_are_read_and_never_changed(yard: Yard, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "juggling balls").mkdir(parents=True)
    first, second = yard.want(start=5, end=8), yard.want(start=10, end=13)
    shutil.copyfile(yard.films["clip"], mine / "juggling balls" / f"{first}.mp4")
    shutil.copyfile(yard.films["whole"], mine / f"{VIDEO}.mp4")
    before = {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in mine.rglob("*.mp4")}
    local = {"id": "local", "kind": "local", "provides": "items", "content": "clip", "path": "${NOT_SET}"}
    assert yard.run(sources=[local]).exit is Exit.OK
    assert {row["reason"] for row in yard.result().values()} == {"no_source"}
    assert "NOT_SET is not set" in next(iter(yard.result().values()))["evidence"]
    yard.run(sources=[local], overrides={"local": str(mine)})
    assert [row["status"] for row in yard.result().values()] == ["done", "done"]
    assert read_frame_numbers(yard.file(1)) == list(range(100, 130)), second
    assert {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in mine.rglob("*.mp4")} == before
    result = yard.run(sources=[local], overrides={"local": str(tmp_path / "gone")})
    assert result.exit is Exit.USAGE
    assert "mount it" in result.sentence


def test_hostile_rows_are_rejected_and_the_others_go_on(yard: Yard) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    good = yard.rows.pop()
    for change in (
        {"video_id": "../../../etc"}, {"class_dir": "../../up"}, {"class_dir": ".."}, {"start": of(9), "end": of(3)},
        {"clip_id": "../x"}, {"split": "a/../../b"}, {"video_id": None}, {"end": None}, {"clip_id": None},
        {"clip_id": f"{VIDEO}_000006_000009"}, {"clip_id": f"{VIDEO}_00006"}, {"clip_id": f"{VIDEO}_000006/../x"},
        {"clip_id": f"bbbbbbbbbbb_{6:06d}"}, {"clip_id": f"{VIDEO}_000006\n"}, {"clip_id": f"{VIDEO}_٠٠٠٠٠٦"},
        {"split": ""},
    ):  # fmt: skip
        yard.rows.append({**good, **change, "item_id": f"bad-{len(yard.rows)}"})
    yard.rows.append(good)
    yard.run()
    rows = list(yard.result().values())
    assert [row["status"] for row in rows] == ["rejected"] * 16 + ["done"]
    assert {row["reason"] for row in rows[:-1]} == {"bad_id", "bad_label", "bad_time", "bad_row"}
    assert not (yard.data.parent / "up").exists()


def test_without_a_class_folder_clips_lie_flat_under_the_name_of_their_row(yard: Yard) -> None:
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    window, flat = yard.want(start=5, end=8), f"{VIDEO}_{12:06d}"
    yard.want(start=9, end=15)
    for row, name, label in zip(yard.rows, (window, flat), ("juggling balls", None), strict=True):
        row |= {"item_id": f"val/{name}", "clip_id": name, "class_dir": None, "label": label}
    yard.rows.append({**yard.rows[1], "item_id": "again", "class_dir": ""})
    sources = [yard.whole()]
    yard.run(sources=sources, videos="videos")
    rows = list(yard.result().values())
    assert [row["status"] for row in rows] == ["done"] * 3
    assert [row["path"] for row in rows] == [f"k/videos/{window}.mp4", *[f"k/videos/{flat}.mp4"] * 2]
    assert read_frame_numbers(yard.data / rows[1]["path"]) == list(range(90, 150))
    stored = [path.name.partition(".")[0] for path in (yard.data / ".clipquarry/store/clips").rglob("*.mp4")]
    assert sorted(stored) == [window, clip_id(VIDEO, 9, 15)], "the store names the window"
    yard.run(sources=sources, videos="videos")
    assert [row["status"] for row in yard.result().values()] == ["kept"] * 3


def test_flat_clips_are_found_under_their_own_name_on_mirrors_and_disks(yard: Yard, tmp_path: Path) -> None:
    name = f"{VIDEO}_{8:06d}"
    yard.want(start=5, end=8)
    yard.rows[0] |= {"item_id": f"val/{name}", "clip_id": name, "class_dir": None, "label": None}
    yard.serve(f"flat/{name}.mp4")
    mirror = {**yard.params()["sources"][0], "url": f"{yard.origin.url}/flat/{{clip}}.mp4"}
    yard.run(sources=[mirror])
    assert yard.only()["status"] == "done"
    assert (yard.data / f"k/videos_val/{name}.mp4").exists()


def clips_of_another(yard: Yard, folder: str, name: str, film: str = "whole") -> Path:
    path = yard.data / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(yard.films[film], path)
    return path


OTHER = {
    "id": "kinetics700", "kind": "dataset", "provides": "items", "dataset": "kinetics700",
    "path": "kinetics.700/videos_{split}",
}  # fmt: skip


def test_windows_are_cut_from_the_clips_of_another_data_set_which_stay_as_they_are(yard: Yard) -> None:
    folder = "kinetics.700/videos_val/passing_American_football_(not_in_game)"
    other = clips_of_another(yard, folder, f"{VIDEO}_000100_000120.mp4")
    (yard.data / folder / f"{VIDEO}_000100_000112.mp4").write_bytes(b"shorter, and never looked at")
    before = (other.stat().st_mtime_ns, sha256_of(other))
    label = 'passing "American" football (not in game)'
    for start, end in ((103, 107), (110, 113)):
        yard.want(start=start, end=end, label=label)
    for row in yard.rows:
        row |= {"class_dir": None, "item_id": f"val/{row['clip_id']}"}
    yard.want(start=119, end=122, label=label)
    yard.run(sources=[OTHER])
    first, second, third = yard.result().values()
    assert [row["status"] for row in (first, second, third)] == ["done", "done", "missing"]
    assert third["reason"] == "not_found"
    assert (first["source"], first["path"]) == ("kinetics700", f"k/videos_val/{clip_id(VIDEO, 103, 107)}.mp4")
    assert read_frame_numbers(yard.data / first["path"]) == list(range(30, 70)), "absolute seconds in the name"
    assert read_frame_numbers(yard.data / second["path"]) == list(range(100, 130))
    assert (other.stat().st_mtime_ns, sha256_of(other), other.stat().st_nlink) == (*before, 1)
    left = [path for path in (yard.data / ".clipquarry/scratch").rglob("*") if path.is_file()]
    assert left == []


def test_a_clip_that_is_shorter_than_its_name_says_makes_the_next_source_be_asked(yard: Yard) -> None:
    clips_of_another(yard, "kinetics.700/videos_val/juggling_balls", f"{VIDEO}_000004_000014.mp4", "short")
    yard.want(start=5, end=8)
    yard.run(sources=[OTHER])
    assert yard.only()["reason"] == "too_short"
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    yard.run(sources=[OTHER, yard.whole()])
    row = yard.only()
    assert (row["status"], row["source"]) == ("done", "videos")
    assert [(a["source"], a["reason"]) for a in row["attempts"]] == [("kinetics700", "too_short"), ("videos", "ok")]


def test_another_data_set_that_is_not_there_or_not_known_is_no_error(yard: Yard) -> None:
    yard.want()
    assert yard.run(sources=[OTHER]).exit is Exit.OK
    assert yard.only()["reason"] == "not_found"
    assert "kinetics.700/videos_val/juggling_balls" in yard.only()["evidence"]
    unknown = {name: value for name, value in OTHER.items() if name != "path"}
    assert yard.run(sources=[unknown]).exit is Exit.OK
    assert "no path is set for the clips of 'kinetics700'" in yard.only()["evidence"]


def test_a_shard_goes_on_where_it_was_interrupted(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [yard.want(video=f"bbbbbbbbbb{n}") for n in range(4)]
    for name in names:
        yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    yard.origin.set_plan({f"*{names[1]}.mp4": {"do": "500", "times": 1}, f"*{names[3]}.mp4": "404"})
    from clipquarry.steps.fetch import FetchStep

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FetchStep, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            yard.run(jobs=1)
    assert not yard.out.exists()
    yard.run(jobs=1)
    rows = list(yard.result().values())
    assert [row["status"] for row in rows] == ["done", "done", "done", "missing"]
    assert [a["reason"] for a in rows[1]["attempts"]] == ["http_5xx", "ok"], "attempts of both tries"
    assert yard.origin.asked[f"clips/val/juggling_balls/{names[0]}.mp4"] == 1
    assert yard.origin.asked[f"clips/val/juggling_balls/{names[3]}.mp4"] == 1, "a settled no is not asked again"


def test_while_the_breaker_is_open_the_rest_is_done_and_the_step_waits(yard: Yard) -> None:
    there, absent = yard.want(video="ccccccccccc"), yard.want(video="ddddddddddd")
    yard.serve(f"clips/val/juggling_balls/{there}.mp4")
    breaker = Breaker(yard.data / ".clipquarry/egress/default")
    opened = breaker.open(Reason.BOT_CHECK, "Sign in to confirm you're not a bot")
    assert opened is not None
    youtube = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
    sources = [*yard.params()["sources"], youtube]
    result = yard.run(sources=sources)
    assert (result.exit, result.reason) == (Exit.WAIT, "bot_check")
    assert result.resume_at is not None
    assert abs(datetime.fromisoformat(result.resume_at) - opened.resume_at).total_seconds() < 2
    assert not yard.out.exists(), "not finished: no manifest"
    assert yard.file(0).exists(), "what did not need YouTube is done"
    assert yard.run(sources=sources, wait=False).exit is Exit.OK
    rows = yard.result()
    assert rows[f"val/juggling_balls/{absent}"]["reason"] == "waiting"
    assert [a["reason"] for a in rows[f"val/juggling_balls/{absent}"]["attempts"]][-2:] == ["not_found", "waiting"]


def test_two_data_sets_that_want_the_same_video_at_once_fetch_it_once(yard: Yard) -> None:
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    yard.origin.set_plan({"videos/*": {"do": "slow", "seconds": 0.5}})
    yard.want()
    results: list[StepResult] = []
    threads = [
        threading.Thread(
            target=lambda n=n: results.append(  # type: ignore[misc]
                yard.run(sources=[yard.whole()], root=f"set{n}", out=yard.data / f"out{n}.parquet")
            )
        )
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.exit for result in results] == [Exit.OK] * 3
    statuses = sorted(yard.only_of(f"out{n}.parquet")["status"] for n in range(3))
    assert statuses == ["done", "kept", "kept"]
    assert yard.origin.asked == {f"videos/{VIDEO}.mp4": 1}


RUN = (
    "import sys; from pathlib import Path; from clipquarry.steps.registry import make_step; "
    "from clipquarry.steps.runner import run_step; "
    "run_step(make_step('fetch'), items=Path(sys.argv[1]), params=sys.argv[2], out=Path(sys.argv[3]), "
    "data=Path(sys.argv[4]), jobs=2)"
)


def test_a_killed_step_that_is_run_again_equals_an_undisturbed_one(yard: Yard, tmp_path: Path) -> None:
    """Takes some seconds: the step is a program of its own, so that it can be killed for real."""
    for n in range(6):
        yard.serve(f"videos/eeeeeeeeee{n}.mp4", "whole")
        for start in (0, 5, 11):
            yard.want(video=f"eeeeeeeeee{n}", start=start, end=start + 3)
    yard.want(video="fffffffffff")
    undisturbed, data = yard.data, tmp_path / "killed"
    yard.run(sources=[yard.whole()])
    data.mkdir()
    argv = [sys.executable, "-c", RUN, str(undisturbed / "items.parquet")]
    argv += [json.dumps(yard.params(sources=[yard.whole()])), str(data / "out.parquet"), str(data)]
    moments = random.Random(7)
    for _ in range(2):
        child = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not list((data / ".clipquarry/store").rglob("*.mp4")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.5))
        child.send_signal(signal.SIGKILL)
        child.wait()
        for path in (data / "k").rglob("*.mp4"):
            assert probe(path).frames == 30, "whatever is in the layout is whole"
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
    columns = ("item_id", "reason", "sha256", "bytes", "frames", "path", "source")
    there = [
        [{name: row[name] for name in columns} for row in read_rows(out)] for out in (yard.out, data / "out.parquet")
    ]
    assert there[0] == there[1]
    assert sorted(p.relative_to(data) for p in (data / "k").rglob("*")) == sorted(
        p.relative_to(undisturbed) for p in (undisturbed / "k").rglob("*")
    )


def test_too_little_disk_is_a_sentence_that_says_retry(yard: Yard) -> None:
    yard.want()
    result = yard.run(min_free_gb=1e9)
    assert result.exit is Exit.RETRY
    assert "free some space" in result.sentence


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/shm").exists(), reason="needs root to mount a small file system"
)
def test_a_disk_that_fills_up_stops_the_step_and_leaves_nothing_half_done(yard: Yard) -> None:
    yard.data.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(yard.data)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this sandbox does not let root mount a tmpfs")
    try:
        yard.serve(f"videos/{VIDEO}.mp4", "whole")
        for start in range(16):
            yard.want(start=start, end=start + 3)
        filler = yard.data / "filler"
        filler.write_bytes(b"x" * 400_000)
        result = yard.run(sources=[yard.whole()])
        assert result.exit is Exit.RETRY, result.sentence
        assert "free some space" in result.sentence
        filler.unlink()
        assert yard.run(sources=[yard.whole()], source_cache_gb=0).exit in (Exit.OK, Exit.RETRY)
        for path in (yard.data / "k").rglob("*.mp4"):
            assert probe(path).frames == 30
    finally:
        subprocess.run(["umount", str(yard.data)], check=True)
