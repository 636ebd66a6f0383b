"""The step ``fetch`` where something lies in a clip's place already: adopted, repaired or set aside, never lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.steps.source_clip import find_clip, find_video
from clipquarry.store import Store
from fetch_world import Yard
from fetch_world import films as films
from fetch_world import yard as yard
from odd_places import ODD, put_odd


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
