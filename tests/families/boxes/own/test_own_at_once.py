"""Two runs that link the frames of one crop at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.families.boxes.own import key_frames
from clipquarry.media.frame_folder import frame_name
from clipquarry.settings import DataRoot


def test_frames_that_another_run_replaces_at_this_moment_are_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, spec, raw = DataRoot(tmp_path), find_spec("custom_ava"), tmp_path / "raw"
    raw.mkdir()
    for number in (1, 2):
        (raw / frame_name(number)).write_bytes(b"%d" % number)
    frames = data.dataset(spec.root, spec.layout["frames"], "a")
    assert key_frames._link(data, spec, "a", raw, 1, [])["frames"] == 1
    look = Path.is_dir

    def other_run_has_moved_it(path: Path) -> bool:
        if path == frames and path.exists():
            path.rename(tmp_path / "old")
        return look(path)

    monkeypatch.setattr(key_frames, "_is_linked", lambda *_: False)
    monkeypatch.setattr(Path, "is_dir", other_run_has_moved_it)
    assert key_frames._link(data, spec, "a", raw, 2, [])["frames"] == 2
    assert not data.set_aside.exists()


def test_what_is_not_ours_alone_is_moved_away(tmp_path: Path) -> None:
    data, spec, raw = DataRoot(tmp_path), find_spec("custom_ava"), tmp_path / "raw"
    raw.mkdir()
    (raw / frame_name(1)).write_bytes(b"1")
    for number, what in enumerate(("file", "folder", "broken link", "link")):
        frames = data.dataset(spec.root, spec.layout["frames"], str(number))
        frames.parent.mkdir(parents=True, exist_ok=True)
        if what == "folder":
            frames.mkdir()
        (frames / "note.txt" if what == "folder" else raw / "x").write_text("mine")
        if what == "file":
            frames.write_text("mine")
        if "link" in what:
            frames.symlink_to(tmp_path / "nowhere" if what == "broken link" else raw)
        assert key_frames._link(data, spec, str(number), raw, 1, [])["frames"] == 1
        assert (data.set_aside / frames.relative_to(tmp_path)).is_symlink() == ("link" in what)
        assert not frames.is_symlink()
