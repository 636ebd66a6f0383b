"""The step ``download`` where something lies in a file's place already: adopted as it is, or set aside and never deleted."""

from __future__ import annotations

from typing import Any

import pytest
from clipquarry.files import sha256_of
from download_world import Yard
from download_world import films as films
from download_world import yard as yard


def test_facts_are_about_the_file_that_lies_there(yard: Yard) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.run()
    yard.file().write_bytes(yard.films["mkv"])
    yard.run()
    row = yard.only()
    assert (row["status"], row["source"], row["frames"]) == ("kept", "existing", 40)
    assert row["sha256"] == sha256_of(yard.file())
    yard.file().unlink()
    yard.run()
    assert (yard.only()["status"], yard.only()["source"]) == ("done", "cvdf")


def test_a_good_file_that_lies_there_is_adopted_untouched_whatever_its_row_says(yard: Yard) -> None:
    yard.want()
    yard.file().parent.mkdir(parents=True)
    yard.file().write_bytes(yard.films["mkv"])
    before = yard.file().stat()
    yard.run()
    row = yard.only()
    assert (row["status"], row["source"], row["attempts"]) == ("kept", "existing", [])
    assert (yard.file().stat().st_ino, yard.file().stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert yard.sent == []


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>", "half"])
def test_a_bad_file_that_lies_there_is_set_aside_never_deleted(yard: Yard, content: Any) -> None:
    yard.want()
    data = yard.films["whole"][: len(yard.films["whole"]) // 2] if content == "half" else content
    yard.file().parent.mkdir(parents=True)
    yard.file().write_bytes(data)
    yard.run()
    row = yard.only()
    assert (row["status"], row["reason"]) == ("missing", "not_found")
    assert "was moved to" in row["evidence"]
    assert not yard.file().exists()
    assert (yard.data / ".clipquarry/set-aside/ava/videos/-5KQ66BBWC4.mp4").read_bytes() == data
    yard.file().symlink_to(yard.data / "unmounted.mp4")
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.run()
    assert yard.only()["status"] == "done"
    assert "was moved to" in yard.only()["evidence"]
    assert (yard.data / ".clipquarry/set-aside/ava/videos/-5KQ66BBWC4+.mp4").is_symlink()
