"""Optical flow by the steps ``frames`` (from videos, in one decode) and ``flow`` (from folders of frames)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from clipquarry.errors import Exit, UserError
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.manifest import Row, read_rows
from clipquarry.media.frame_folder import count_flow, count_frames
from clipquarry.steps.flow import FlowStep
from clipquarry.steps.frames import FramesStep
from clipquarry.steps.runner import run_step
from steps.test_frames_step import bytes_in, clip_path, items, own_images
from steps.test_frames_step import data as data

FLOW = {"flow": True, "flow_type": "dis"}


def run(step: FramesStep | FlowStep, data: Path, jobs: int = 2, **params: object) -> list[Row]:
    out = data.parent / "out" / f"{step.name}-00000.parquet"
    chosen = json.dumps({"root": "k"} | params)
    result = run_step(step, items=data.parent / "items.parquet", params=chosen, out=out, data=data, jobs=jobs)
    assert result.exit is Exit.OK, result.sentence
    return list(read_rows(out))


def both(data: Path, **params: object) -> list[Row]:
    return run(FramesStep(), data, **({"short_edge": 64} | FLOW | params))


def from_frames(data: Path, **params: object) -> list[Row]:
    return run(FlowStep(), data, **({"flow_type": "dis"} | params))


def statuses(rows: list[Row]) -> list[str]:
    return [row["status"] for row in rows]


def test_frames_and_flow_lie_in_one_folder_and_are_facts(data: Path) -> None:
    rows = both(data)
    assert statuses(rows) == ["done"] * 3
    for row, count in zip(rows, (60, 50, 20), strict=True):
        facts = (row["frames"], row["flow_x"], row["flow_y"], row["flow_type"], row["flow_tool"], row["start_index"])
        assert facts == (count, count - 1, count - 1, "dis", "opencv", 1)
        assert count_frames(data / row["path"])[0] == count
        assert count_flow(data / row["path"])[0] == count - 1
    assert statuses(both(data)) == ["kept"] * 3
    assert [row["flow_x"] for row in both(data)] == [59, 49, 19]


def test_numbers_begin_where_the_data_set_says(data: Path) -> None:
    row = both(data, start_index=0)[0]
    names = {path.name for path in (data / row["path"]).iterdir()}
    assert {"img_00000.jpg", "img_00059.jpg", "flow_x_00000.jpg", "flow_y_00058.jpg"} <= names
    assert not {"img_00060.jpg", "flow_x_00059.jpg"} & names
    assert row["start_index"] == 0
    assert statuses(both(data, start_index=0)) == ["kept"] * 3
    assert statuses(both(data)) == ["done"] * 3
    assert not (data / ".clipquarry/set-aside").exists(), "ours go without a copy"


def test_frames_without_flow_get_it(data: Path) -> None:
    assert statuses(both(data, flow=False)) == ["done"] * 3
    rows = both(data)
    assert (statuses(rows), rows[0]["flow_x"]) == (["done"] * 3, 59)
    assert not (data / ".clipquarry/set-aside").exists()


def test_a_run_without_flow_keeps_it_and_new_frames_get_new_flow(data: Path) -> None:
    first = both(data)
    kept = both(data, flow=False)
    assert (statuses(kept), [row["flow_x"] for row in kept]) == (["kept"] * 3, [None] * 3)
    assert count_flow(data / first[0]["path"])[0] == 59
    sampled = both(data, flow=False, fps=5)
    assert [(row["frames"], row["flow_x"], row["flow_type"]) for row in sampled] == [(10, 9, "dis")] * 3
    assert [count_flow(data / row["path"])[0] for row in sampled] == [9] * 3


@pytest.mark.parametrize("name", ["flow_x_00007.jpg", "flow_y_00059.jpg"])
def test_lost_flow_is_made_again(data: Path, name: str) -> None:
    row = both(data)[0]
    (data / row["path"] / name).unlink()
    assert statuses(both(data)) == ["done", "kept", "kept"]
    assert count_flow(data / row["path"])[0] == 59


def test_another_type_is_made_anew(data: Path) -> None:
    both(data)
    rows = both(data, flow_type="farneback")
    assert [(row["status"], row["flow_type"]) for row in rows] == [("done", "farneback")] * 3
    assert statuses(both(data, flow_type="farneback")) == ["kept"] * 3


def test_a_persons_frames_stay_and_get_flow(data: Path) -> None:
    mine = own_images(data, items()[0])
    before = bytes_in(mine)
    row = both(data)[0]
    assert (row["status"], row["flow_x"]) == ("done", 59)
    after = bytes_in(mine)
    assert {name: after[name] for name in before} == before
    assert count_flow(mine)[0] == 59
    assert statuses(both(data)) == ["kept"] * 3
    assert not (data / ".clipquarry/set-aside").exists()


def put_flow(folder: Path, count: int) -> None:
    for number in range(1, count + 1):
        for direction in "xy":
            cv2.imwrite(str(folder / f"flow_{direction}_{number:05d}.jpg"), np.full((64, 85), 7, np.uint8))


def test_a_persons_flow_is_never_overwritten(data: Path) -> None:
    rows = both(data, flow=False)
    folder = data / rows[0]["path"]
    put_flow(folder, 59)
    mine = bytes_in(folder)
    assert statuses(both(data, flow=False)) == ["kept"] * 3
    row = both(data)[0]
    assert (row["status"], "of no run" in row["evidence"]) == ("done", True)
    assert bytes_in(data / ".clipquarry/set-aside" / row["path"]) == mine
    assert (folder / "flow_x_00001.jpg").read_bytes() != mine["flow_x_00001.jpg"]


def test_flow_of_frames_is_made_beside_them(data: Path) -> None:
    frames = both(data, flow=False)
    before = [bytes_in(data / row["path"]) for row in frames]
    rows = from_frames(data)
    assert [(row["status"], row["frames"], row["flow_x"], row["width"]) for row in rows] == [
        ("done", 60, 59, 85), ("done", 50, 49, 85), ("done", 20, 19, 85),
    ]  # fmt: skip
    for row, was in zip(rows, before, strict=True):
        now = bytes_in(data / row["path"])
        assert {name: now[name] for name in was} == was
        assert len(now) == len(was) + 2 * row["flow_x"]
    assert statuses(from_frames(data)) == ["kept"] * 3
    assert statuses(both(data, flow=False)) == ["kept"] * 3


def official(data: Path, count: int) -> Path:
    """Frames as Jester ships them."""
    folder = data / "k/rawframes_val" / items()[0]["class_dir"] / items()[0]["clip_id"]
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        image = np.roll(np.tile(np.arange(100, dtype=np.uint8), (64, 1)), number, 1)
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), image)
    return folder


def test_only_frames_are_read_never_flow_or_notes(data: Path) -> None:
    folder = official(data, 6)
    (folder / "note.txt").write_text("mine")
    rows = from_frames(data, pattern="%05d.jpg")
    assert [(row["status"], row["frames"], row["flow_x"]) for row in rows] == [
        ("done", 6, 5), ("missing", None, None), ("missing", None, None),
    ]  # fmt: skip
    again = from_frames(data, pattern="%05d.jpg", flow_type="farneback")
    assert (again[0]["status"], again[0]["flow_x"]) == ("done", 5), "the flow of the first run is no frame"
    assert (folder / "note.txt").read_text() == "mine"
    assert len(list(folder.iterdir())) == 6 + 10 + 1


def test_a_persons_flow_beside_frames_is_set_aside(data: Path) -> None:
    folder = official(data, 6)
    put_flow(folder, 5)
    mine = bytes_in(folder)
    row = from_frames(data, pattern="%05d.jpg")[0]
    assert (row["status"], "of no run" in row["evidence"]) == ("done", True)
    assert bytes_in(data / ".clipquarry/set-aside" / row["path"]) == mine
    assert bytes_in(folder)["00001.jpg"] == mine["00001.jpg"]


@pytest.mark.parametrize(
    ("spoil", "evidence"),
    [
        (lambda folder: (folder / "00003.jpg").unlink(), "00003.jpg is not there"),
        (lambda folder: (folder / "00003.jpg").write_bytes(b"torn"), "00003.jpg does not decode"),
        (lambda folder: cv2.imwrite(str(folder / "00003.jpg"), np.zeros((9, 9), np.uint8)), "another size"),
    ],
)
def test_bad_frames_are_told_and_the_folder_stays(data: Path, spoil: object, evidence: str) -> None:
    folder = official(data, 6)
    spoil(folder)  # type: ignore[operator]
    before = bytes_in(folder)
    row = from_frames(data, pattern="%05d.jpg")[0]
    assert (row["status"], evidence in row["evidence"]) == ("failed", True), row["evidence"]
    assert bytes_in(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_clip_of_one_frame_has_no_flow_and_is_kept(data: Path) -> None:
    official(data, 1)
    for status in ("done", "kept"):
        row = from_frames(data, pattern="%05d.jpg")[0]
        assert (row["status"], row["frames"], row["flow_x"], row["flow_y"]) == (status, 1, 0, 0)


def test_still_clips_are_measured(data: Path) -> None:
    still = clip_path(data, items()[2])
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=gray:s=160x120:r=10:d=1", str(still)], check=True
    )
    rows = both(data)
    assert rows[2]["flow_still"] == 1.0
    assert rows[0]["flow_still"] < 1.0


def test_what_no_tool_can_make_is_one_sentence(data: Path) -> None:
    with pytest.raises(UserError, match="denseflow makes no DIS"):
        both(data, flow_tool="denseflow")
    with pytest.raises(UserError, match="denseflow makes no DIS"):
        from_frames(data, flow_tool="denseflow")


@pytest.mark.parametrize("step", ["FramesStep", "FlowStep"])
def test_kill_9_changes_nothing_and_a_rerun_finishes(data: Path, step: str) -> None:
    both(data, flow=False)
    before = bytes_in(data / both(data, flow=False)[0]["path"])
    module = {"FramesStep": "frames", "FlowStep": "flow"}[step]
    params = {"root": "k"} | ({"short_edge": 64, "flow": True} if module == "frames" else {})
    code = (
        "import sys; from pathlib import Path; from clipquarry.steps.runner import run_step; "
        f"from clipquarry.steps.{module} import {step}; root = Path(sys.argv[1]); "
        f"run_step({step}(), items=root.parent / 'items.parquet', params='{json.dumps(params)}', "
        "out=root.parent / 'out' / 'killed.parquet', data=root)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(data)], stderr=subprocess.DEVNULL)
    place = data / "k" / "rawframes_val" / items()[0]["class_dir"]
    deadline = time.monotonic() + 60
    while not list(place.glob(f"{TEMPORARY_PREFIX}*/flow_x_00003.jpg")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert bytes_in(place / items()[0]["clip_id"]) == before
    rows = both(data) if module == "frames" else from_frames(data)
    assert [row["flow_x"] for row in rows] == [59, 49, 19]
    assert [path.name for path in place.iterdir()] == [items()[0]["clip_id"]]
