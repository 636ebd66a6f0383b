"""Files of an item in the layout, while another run works there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from clipquarry.settings import DataRoot
from clipquarry.steps.source_clip import item_files


def test_a_file_that_another_run_sets_aside_at_this_moment_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"clip_id": "abc", "split": "val", "class_dir": None}
    places = [tmp_path / f"k/val/abc{suffix}" for suffix in (".mp4", ".avi")]
    places[0].parent.mkdir(parents=True)
    for place in places:
        place.write_bytes(b"x")
    look = os.access

    def other_run_comes_next(path: str, *args: Any, **how: Any) -> bool:
        found = look(path, *args, **how)
        if path == str(places[0]):
            places[0].unlink()
        return found

    monkeypatch.setattr(os, "access", other_run_comes_next)
    assert item_files(DataRoot(tmp_path), "k", "{split}", row, [".mp4"]) == [places[1]]
