from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import Exit, UserError
from clipquarry.files import TEMPORARY_PREFIX, sha256_of
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.media.frames import count_frames
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of
from clipquarry.settings import DataRoot
from clipquarry.steps import frames as frames_module
from clipquarry.steps.frames import FramesStep
from clipquarry.steps.runner import run_step
from clipquarry.store import Store, content_key

FOLDERS = ["massaging_person's_head", "passing_American_football_(in_game)", "100%d_sure"]


def items() -> list[Row]:
    clip = "-wR5jVB-WPk_000001_000003"
    return [
        {
            "item_id": f"val/{folder}/{clip}", "video_id": clip[:11], "clip_id": clip, "split": "val", "label": folder,
            "class_dir": folder, "label_index": number, "start": of(1), "end": of(3), "row": number + 2,
        }
        for number, folder in enumerate(FOLDERS)
    ]  # fmt: skip


def clip_path(data: Path, row: Row) -> Path:
    return data / "k" / "videos_val" / row["class_dir"] / f"{row['clip_id']}.mp4"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data root with three clips in the layout: 2 s at 30, 25 and 10 fps."""
    root = tmp_path / "data"
    for row, fps in zip(items(), (30, 25, 10), strict=True):
        path = clip_path(root, row)
        path.parent.mkdir(parents=True)
        make_video(path, 2, fps, size=(160, 120), label=row["class_dir"])
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "items"), items())
    return root


def frames(data: Path, **params: object) -> list[Row]:
    out = data.parent / "out" / "part-00000.parquet"
    chosen = json.dumps({"root": "k", "short_edge": 64} | params)
    result = run_step(FramesStep(), items=data.parent / "items.parquet", params=chosen, out=out, data=data, jobs=2)
    assert result.exit is Exit.OK, result.sentence
    return list(read_rows(out))


def test_folders_lie_in_the_layout_and_are_facts(data: Path) -> None:
    rows = frames(data)
    assert [(row["status"], row["frames"], row["fps"]) for row in rows] == [
        ("done", 60, 30.0), ("done", 50, 25.0), ("done", 20, 10.0),
    ]  # fmt: skip
    for row in rows:
        assert row["path"] == f"k/rawframes_val/{row['class_dir']}/{row['clip_id']}"
        assert (row["width"], row["height"], row["source_duration"]) == (85, 64, 2.0)
        names = sorted(path.name for path in (data / row["path"]).iterdir())
        assert names == [f"img_{number:05d}.jpg" for number in range(1, row["frames"] + 1)]
        shown = [read_frame_numbers(data / row["path"] / name) for name in (names[0], names[-1])]
        assert shown == [[0], [row["frames"] - 1]]


def test_a_second_run_keeps_and_other_params_make_again(data: Path) -> None:
    frames(data)
    assert [row["status"] for row in frames(data)] == ["kept"] * 3
    sampled = frames(data, fps=5)
    assert [(row["status"], row["frames"], row["fps"]) for row in sampled] == [("done", 10, 5.0)] * 3
    assert [count_frames(data / row["path"])[0] for row in sampled] == [10] * 3
    back = frames(data)  # the notes of the first run are still there, but no longer fit the folders
    assert [(row["status"], row["frames"]) for row in back] == [("done", 60), ("done", 50), ("done", 20)]


def test_lost_and_damaged_images_are_made_again(data: Path) -> None:
    first = frames(data)
    (data / first[0]["path"] / "img_00007.jpg").unlink()
    (data / first[1]["path"] / "img_00007.jpg").write_bytes(b"torn")
    rows = frames(data)
    assert [row["status"] for row in rows] == ["done", "done", "kept"]
    assert [count_frames(data / row["path"])[0] for row in rows] == [60, 50, 20]


def own_images(data: Path, row: Row, *, quality: int = 12, film: Path | None = None) -> Path:
    """Images as a person made them, in the folder of the layout; returns it."""
    folder = data / "k/rawframes_val" / row["class_dir"] / row["clip_id"]
    folder.mkdir(parents=True)
    argv = [
        ffmpeg().path,
        "-v",
        "error",
        "-i",
        film or clip_path(data, row),
        "-vf",
        "scale=85:64",
        "-q:v",
        str(quality),
    ]
    subprocess.run([*argv, "-fps_mode", "passthrough", "img_%05d.jpg"], check=True, cwd=folder)
    return folder


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_persons_images_are_kept_when_they_fit_and_else_moved_away(data: Path, tmp_path: Path) -> None:
    fits, note, other = (own_images(data, row) for row in items())
    (note / "note.txt").write_text("mine")
    for path in other.iterdir():
        path.unlink()
    other.rmdir()
    own_images(data, items()[2], film=make_video(tmp_path / "other.mp4", 2, 10, size=(160, 120), label="another one"))
    before = [bytes_in(folder) for folder in (fits, note, other)]
    rows = frames(data)
    assert [row["status"] for row in rows] == ["kept", "done", "done"]
    assert bytes_in(fits) == before[0]
    aside = data / ".clipquarry/set-aside"
    for folder, was, row in zip((note, other), before[1:], rows[1:], strict=True):
        moved = aside / folder.relative_to(data)
        assert bytes_in(moved) == was
        assert str(moved) in row["evidence"]
        assert count_frames(folder)[0] == row["frames"]
    assert "note.txt" in rows[1]["evidence"]
    assert "shows something else" in rows[2]["evidence"]
    assert [row["status"] for row in frames(data)] == ["kept"] * 3
    assert bytes_in(fits) == before[0]


def test_what_we_made_with_another_recipe_goes_without_a_copy(data: Path) -> None:
    frames(data)
    frames(data, fps=5)
    frames(data)
    assert not (data / ".clipquarry/set-aside").exists()


def test_a_persons_images_stay_where_ours_cannot_be_made(data: Path) -> None:
    mine = own_images(data, items()[0])
    (mine / "note.txt").write_text("mine")
    before = bytes_in(mine)
    clip_path(data, items()[0]).write_bytes(b"<!DOCTYPE html>")
    assert frames(data)[0]["status"] == "failed"
    assert bytes_in(mine) == before


def test_a_fixed_size_and_the_original_size(data: Path) -> None:
    assert {(row["width"], row["height"]) for row in frames(data, width=50, height=41)} == {(50, 41)}
    assert {(row["width"], row["height"]) for row in frames(data, short_edge=0)} == {(160, 120)}


def test_the_flat_layout_has_other_names_and_sizes(data: Path) -> None:
    flat = {"pattern": "%06d.jpg", "short_edge": 256, "fps": 30, "quality": 1, "even": True}
    rows = frames(data, **flat)
    assert [(row["status"], row["frames"], row["width"], row["height"]) for row in rows] == [("done", 60, 160, 120)] * 3
    for row in rows:
        assert sorted(path.name for path in (data / row["path"]).iterdir()) == [f"{n:06d}.jpg" for n in range(1, 61)]
    assert [row["status"] for row in frames(data, **flat)] == ["kept"] * 3
    assert [(row["width"], row["height"]) for row in frames(data, **(flat | {"short_edge": 64}))] == [(86, 64)] * 3


def note_as_before(data: Path, row: Row, recipe: dict[str, object]) -> None:
    """Note a folder as versions did that knew another rule of sizes, and forget today's note."""
    store, sha256 = Store(DataRoot(data).store), sha256_of(clip_path(data, row))
    facts = next(iter(store.all_noted("frames", row["clip_id"])))
    for path in (DataRoot(data).store / "frames").rglob("*.json"):
        path.unlink()
    key = content_key(kind="frames", version=1, source=sha256, folder=row["path"], recipe=recipe)
    count, size = count_frames(data / row["path"])
    told = {"path": row["path"], "frames": count, "bytes": size, "width": row["width"], "height": row["height"]}
    store.note("frames", row["clip_id"], key, facts | told)


FORMER = {"short_edge": 64, "width": 0, "height": 0, "fps": 0.0, "quality": 2}


def test_folders_of_the_former_rule_are_kept_where_the_size_is_that_of_today(data: Path) -> None:
    row = frames(data)[0]
    before = {path.name: path.stat().st_ino for path in (data / row["path"]).iterdir()}
    note_as_before(data, row, FORMER)
    assert frames(data)[0]["status"] == "kept"
    assert {path.name: path.stat().st_ino for path in (data / row["path"]).iterdir()} == before
    assert frames(data)[0]["status"] == "kept", "it was noted again, under today's key"


def test_folders_of_the_former_rule_are_made_anew_where_the_size_is_another(data: Path) -> None:
    large = frames(data, short_edge=128, parity=True)[0]  # enlarged: the clips are 160 x 120
    assert (large["width"], large["height"]) == (170, 128)
    note_as_before(data, large, FORMER | {"short_edge": 128})
    assert frames(data, short_edge=128, parity=True)[0]["status"] == "kept", "parity is the former rule"
    again = frames(data, short_edge=128)[0]
    assert (again["status"], again["width"], again["height"]) == ("done", 160, 120)
    assert not (data / ".clipquarry/set-aside").exists()


def test_notes_of_the_flat_layout_and_of_other_sizes_count_as_before(data: Path) -> None:
    flat = {"pattern": "%06d.jpg", "short_edge": 64, "fps": 5.0, "quality": 1}
    plain = {"width": 0, "height": 0}
    for params, recipe in (
        (flat | {"even": True}, flat | plain | {"enlarge": False, "even": True}),
        ({"short_edge": 0}, FORMER | {"short_edge": 0}),
        ({"short_edge": 0, "width": 50, "height": 40}, FORMER | {"short_edge": 0, "width": 50, "height": 40}),
        ({"parity": True}, FORMER),
    ):
        row = frames(data, **params)[0]
        key = content_key(
            kind="frames", version=1, source=sha256_of(clip_path(data, row)), folder=row["path"], recipe=recipe
        )
        assert Store(DataRoot(data).store).noted("frames", row["clip_id"], key) is not None, params


def test_a_plan_of_an_earlier_version_still_runs(data: Path) -> None:
    assert [row["status"] for row in frames(data, enlarge=True)] == ["done"] * 3


def test_bad_clips_are_told_and_the_rest_goes_on(data: Path) -> None:
    gone, page, _ = (clip_path(data, row) for row in items())
    gone.unlink()
    page.write_bytes(b"<!DOCTYPE html>")
    rows = frames(data)
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("missing", "no_source"), ("failed", "not_a_video"), ("done", "ok"),
    ]  # fmt: skip
    assert not [path for path in data.rglob("*") if path.name.startswith(".clipquarry-tmp-")]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [({"width": 10}, "both width and height"), ({"fps": -1}, "fps"), ({"quality": 0}, "quality")],
)
def test_wrong_params_are_one_sentence(data: Path, params: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        frames(data, **params)


def test_kill_9_leaves_no_finished_looking_folder_and_a_rerun_finishes(data: Path) -> None:
    make_video(clip_path(data, items()[0]), 30, size=(640, 360), tone=False)
    code = (
        "import sys; from pathlib import Path; from clipquarry.steps.runner import run_step; "
        "from clipquarry.steps.frames import FramesStep; root = Path(sys.argv[1]); "
        'run_step(FramesStep(), items=root.parent / \'items.parquet\', params=\'{"root": "k", "short_edge": 480}\', '
        "out=root.parent / 'out' / 'part-00000.parquet', data=root)"
    )
    step = subprocess.Popen([sys.executable, "-c", code, str(data)], stderr=subprocess.DEVNULL)
    place = data / "k" / "rawframes_val" / items()[0]["class_dir"]
    deadline = time.monotonic() + 60
    while not list(place.glob(".clipquarry-tmp-*/img_00020.jpg")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(step.pid, signal.SIGKILL)
    step.wait()
    assert [path.name.startswith(TEMPORARY_PREFIX) for path in place.iterdir()] == [True]
    assert not (data.parent / "out" / "part-00000.parquet").exists()
    left = next(place.iterdir())
    rows = frames(data)
    assert [row["frames"] for row in rows] == [900, 50, 20]
    assert not left.exists(), "whoever made it is dead"
    assert [path.name for path in place.iterdir()] == [items()[0]["clip_id"]]


def test_a_folder_that_a_person_puts_there_meanwhile_is_kept(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, row = frames_module.extract_frames, items()[0]
    folder = data / "k/rawframes_val" / row["class_dir"] / row["clip_id"]

    def person_comes_meanwhile(*args: Any, **how: Any) -> Any:
        if row["clip_id"] in str(args[0]) and row["class_dir"] in str(args[0]):
            folder.mkdir(parents=True)
            (folder / "note.txt").write_text("mine")
        return make(*args, **how)

    monkeypatch.setattr(frames_module, "extract_frames", person_comes_meanwhile)
    told = frames(data)[0]
    assert told["status"] == "done" and "was moved to" in told["evidence"]
    aside = data / ".clipquarry/set-aside" / folder.relative_to(data)
    assert bytes_in(aside) == {"note.txt": b"mine"}
