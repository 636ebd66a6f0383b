"""The step ``track`` is killed with -9 in the middle of a clip, and between two: a rerun ends as an undisturbed one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from clipquarry.families.boxes.sample.walkers import people
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.settings import DataRoot

CLIPS = {"x": 70, "y": 5}
"""Frames: more than are noted together in the first."""


def made(root: Path) -> Path:
    rows: list[Row] = []
    for clip, frames in CLIPS.items():
        folder = root / "data/k/rawframes" / clip
        folder.mkdir(parents=True)
        for number in range(1, frames + 1):
            path = folder / f"img_{number:05d}.jpg"
            assert cv2.imwrite(str(path), people(70 + number, 230))
        rows.append(
            {"item_id": f"train/{clip}", "video_id": "hall", "clip_id": clip, "split": "train", "label": None, "class_dir": None,
             "label_index": -1, "start": 0, "end": 1_000_000, "row": None}
        )  # fmt: skip
    write_rows(root / "items.parquet", schema_of(ITEM_FIELDS, "items"), rows)
    return root / "data"


def start(data: Path) -> subprocess.Popen[bytes]:
    params = json.dumps({"root": "k", "fps": 10, "every": 1, "least": 0.3})
    out = data.parent / "out/part-00000.parquet"
    argv = ["step", "track", "--items", data.parent / "items.parquet", "--params", params, "--out", out, "--data", data]
    return subprocess.Popen(
        [sys.executable, "-m", "clipquarry", *map(str, argv), "--jobs", "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def killed_when(data: Path, reached: Callable[[], bool]) -> None:
    run = start(data)
    while not reached() and run.poll() is None:
        time.sleep(0.005)
    assert run.poll() is None, "it is killed in the middle of its work"
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def told(data: Path) -> list[dict[str, Any]]:
    done = data.parent / "out/part-00000.parquet"
    own = ("clip_id", "reason", "path", "sha256", "frames", "looked_at", "boxes", "filled", "people")
    rows = list(read_rows(done))
    assert {row["status"] for row in rows} <= {"done", "kept"}, "kept, where the killed one had made it whole"
    return [{name: row[name] for name in own} for row in rows]


@pytest.mark.slow
def test_a_killed_step_ends_as_an_undisturbed_one_and_looks_at_nothing_that_was_noted_again(tmp_path: Path) -> None:
    undisturbed, data = made(tmp_path / "one"), made(tmp_path / "other")
    assert start(undisturbed).wait(300) == 0

    def notes() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in DataRoot(data).store.rglob("x+*.json")}

    killed_when(data, lambda: bool(notes()))
    assert not list((data / "k").rglob("tracks/*.csv")), "the clip is not whole"
    first = notes()
    inodes = {path: path.stat().st_ino for path in first}
    killed_when(data, lambda: (data / "k/tracks/x.csv").exists())
    assert {path: path.stat().st_ino for path in first} == inodes, "the first block was not looked at again"
    assert start(data).wait(300) == 0
    for path in (undisturbed / "k/tracks").iterdir():
        assert (data / "k/tracks" / path.name).read_bytes() == path.read_bytes(), path.name
    assert told(data) == told(undisturbed)
    assert not list((data / "k").rglob(f"{TEMPORARY_PREFIX}*")), "what the killed ones left is swept"
