"""The step ``fetch`` against a real web server and real videos: what is done, kept, missing and why."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.videos import read_frame_numbers
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.ids import clip_id
from clipquarry.media.probe import probe
from clipquarry.microseconds import of
from clipquarry.reasons import Reason
from fetch_world import FPS, VIDEO, Yard
from fetch_world import films as films
from fetch_world import yard as yard


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
