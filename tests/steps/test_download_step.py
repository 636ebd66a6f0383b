"""The step ``download`` against a real web server: whole files, verified, kept, or missing with a reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry.steps.source_clip import find_video
from clipquarry.store import Store
from download_world import Yard
from download_world import films as films
from download_world import yard as yard


def test_a_film_comes_whole_with_its_facts_and_is_kept_the_next_time(yard: Yard) -> None:
    yard.want()
    yard.want("0f39OWEqJ24.mkv", "val")
    yard.want("_aBcDeFgH-1.mp4", "test")
    served = yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.serve("cvdf/trainval/0f39OWEqJ24.mkv", "mkv")
    yard.serve("cvdf/test/_aBcDeFgH-1.mp4")
    assert yard.run().exit is Exit.OK
    row, other, test = yard.result().values()
    assert [one["status"] for one in (row, other, test)] == ["done"] * 3
    assert (row["path"], row["source"]) == ("ava/videos/-5KQ66BBWC4.mp4", "cvdf")
    assert row["sha256"] == sha256_of(served) == sha256_of(yard.data / row["path"])
    assert (row["frames"], row["fps"], row["width"], row["height"], row["has_audio"]) == (60, 10.0, 64, 48, True)
    assert row["duration"] == pytest.approx(6.0)
    assert row["bytes"] == served.stat().st_size
    assert [(a["source"], a["reason"], a["bytes"]) for a in row["attempts"]] == [("cvdf", "ok", row["bytes"])]
    assert (other["path"], other["frames"]) == ("ava/videos/0f39OWEqJ24.mkv", 40)
    assert yard.scratch() == []
    found = find_video(Store(DataRoot(yard.data).store), "-5KQ66BBWC4.mp4", yard.file())
    assert found is not None
    assert found.sha256 == row["sha256"]
    asked, before = sum(yard.origin.asked.values()), yard.file().stat()
    yard.file().write_bytes(b"x" * before.st_size)
    os.utime(yard.file(), ns=(before.st_atime_ns, before.st_mtime_ns))
    yard.run()
    assert [one["status"] for one in yard.result().values()] == ["kept"] * 3
    again = yard.result()["train/-5KQ66BBWC4.mp4"]
    columns = ("bytes", "sha256", "duration", "frames", "fps", "width", "height", "has_audio", "path", "source")
    assert {name: again[name] for name in columns} == {name: row[name] for name in columns}, "no byte was read again"
    assert again["attempts"] == []
    assert sum(yard.origin.asked.values()) == asked


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ("404", Reason.NOT_FOUND), ("403", Reason.FORBIDDEN_MEDIA), ("503", Reason.HTTP_5XX),
        ("html", Reason.NOT_A_VIDEO), ("truncate", Reason.TRUNCATED), ("cut", Reason.TRUNCATED),
        ("garbage", Reason.NOT_A_VIDEO), ({"do": "slow", "seconds": 20}, Reason.TRANSPORT),
    ],
)  # fmt: skip
def test_every_dead_link_has_its_reason_and_leaves_nothing(yard: Yard, plan: Any, reason: Reason) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.origin.set_plan({"cvdf/*": plan})
    assert yard.run(sources=[yard.http(timeout_s=0.5)]).exit is Exit.OK
    row = yard.only()
    assert (row["status"], row["reason"], row["path"]) == ("missing", str(reason), None)
    assert row["evidence"].startswith("cvdf: ")
    assert [a["reason"] for a in row["attempts"]] == [str(reason)]
    assert not yard.file().exists()
    assert yard.scratch() == []
    yard.origin.set_plan({})
    yard.run()
    assert yard.only()["status"] == "done", "a link that came back"


def test_a_bad_answer_makes_the_next_source_be_asked(yard: Yard) -> None:
    yard.want()
    yard.serve("mirror/trainval/-5KQ66BBWC4.mp4")
    yard.origin.set_plan({"mirror/*": "cut"})
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.run(sources=[yard.http("mirror"), yard.http()])
    row = yard.only()
    assert (row["status"], row["source"]) == ("done", "cvdf")
    assert [(a["source"], a["reason"]) for a in row["attempts"]] == [("mirror", "truncated"), ("cvdf", "ok")]


def test_local_folders_are_read_in_the_usual_forms_and_never_changed(yard: Yard, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    names = {"aaaaaaaaaa1.mp4": "", "aaaaaaaaaa2.mp4": "trainval/", "aaaaaaaaaa3.mp4": "train/", "aaaaaaaaaa4.mp4": "videos/",
             "aaaaaaaaaa5.mp4": "videos_train/"}  # fmt: skip
    for name, folder in names.items():
        yard.want(name)
        (mine / folder).mkdir(parents=True, exist_ok=True)
        (mine / folder / name).write_bytes(yard.films["whole"])
    yard.want("aaaaaaaaaa6.mkv")
    (mine / "aaaaaaaaaa6.mp4").write_bytes(yard.films["whole"])
    before = {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in mine.rglob("*.mp4")}
    local = {"id": "local", "kind": "local", "provides": "items", "content": "video", "path": str(mine)}
    yard.run(sources=[local])
    rows = list(yard.result().values())
    assert [row["status"] for row in rows] == ["done"] * 5 + ["missing"], "another container is another file"
    assert {row["source"] for row in rows[:5]} == {"local"}
    assert rows[5]["reason"] == "not_found"
    assert yard.file("aaaaaaaaaa1.mp4").samefile(mine / "aaaaaaaaaa1.mp4"), "linked, not copied"
    assert {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in mine.rglob("*.mp4")} == before


def test_too_large_files_and_sources_of_other_kinds_are_said(yard: Yard) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    youtube = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
    yard.run(sources=[yard.http(), youtube], max_bytes=1000)
    assert "more than the limit of 1000" in yard.only()["evidence"]
    yard.run(sources=[youtube])
    row = yard.only()
    assert row["reason"] == "no_source"
    assert "whole files cannot be fetched from a source of kind 'youtube'" in row["evidence"]
    assert yard.run(order=["nope"]).exit is Exit.USAGE


@pytest.mark.parametrize(
    "change",
    [
        {"clip_id": "../../x.mp4"}, {"clip_id": "..mp4"}, {"clip_id": ".mp4"}, {"clip_id": "-5KQ66BBWC4.exe"},
        {"clip_id": "-5KQ66BBWC4"}, {"clip_id": None}, {"clip_id": "-5KQ66BBWC4.mp4\n"}, {"clip_id": "a/-5KQ66BBWC4.mp4"},
        {"video_id": "0f39OWEqJ24"}, {"video_id": None}, {"split": "../.."}, {"split": ".."}, {"class_dir": ".."},
        {"class_dir": "a/b"}, {"split": ".clipquarry"}, {"clip_id": "x" * 200 + ".mp4"},
    ],
)  # fmt: skip
def test_hostile_rows_are_rejected_and_the_others_go_on(yard: Yard, change: dict[str, Any]) -> None:
    yard.want(**change)
    yard.want("0f39OWEqJ24.mp4")
    yard.rows[0]["item_id"] = "bad"
    yard.serve("cvdf/trainval/0f39OWEqJ24.mp4")
    yard.run()
    rows = list(yard.result().values())
    assert [row["status"] for row in rows] == ["rejected", "done"]
    assert rows[0]["reason"] in ("bad_id", "bad_label")
