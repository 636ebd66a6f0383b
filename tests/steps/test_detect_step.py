"""The step ``detect`` with the embedded detector, over folders of JPEGs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clipquarry.errors import Exit, UserError
from clipquarry.manifest import ITEM_FIELDS, Row, kind_of, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.steps.detect import BLOCK, DetectStep
from clipquarry.steps.runner import run_step

CLIP = "-wR5jVB-WPk_000010_000014"
AVA = "-5KQ66BBWC4"


def key_row(clip: str, second: int, split: str = "train") -> Row:
    return {
        "item_id": f"{split}/{clip[:11]},{second:04d}", "video_id": clip[:11], "clip_id": clip, "split": split, "label": None,
        "class_dir": None, "label_index": -1, "start": of(second), "end": of(second + 1), "row": None,
    }  # fmt: skip


def picture(seed: int, height: int = 180, width: int = 240) -> np.ndarray:
    """A wall of some colour: nobody."""
    return np.full((height, width, 3), np.random.default_rng(seed).integers(0, 255, 3), np.uint8)


def save(
    data: Path,
    clip: str,
    number: int,
    *,
    root: str = "k",
    name: str = "img_{:05d}.jpg",
    seed: int = 0,
    height: int = 180,
) -> Path:
    path = data / root / "rawframes" / clip / name.format(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture(seed, height))
    return path


def detect(data: Path, rows: list[Row], *, exit: Exit = Exit.OK, jobs: int = 2, **params: Any) -> list[Row]:
    items, out = data.parent / "items.parquet", data.parent / "out" / "part-00000.parquet"
    write_rows(items, schema_of(ITEM_FIELDS, "items"), rows)
    done = run_step(DetectStep(), items=items, params=json.dumps({"root": "k"} | params), out=out, data=data, jobs=jobs)
    assert done.exit is exit, done.sentence
    return list(read_rows(out)) if exit is Exit.OK else []


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for second in range(4):
        save(root, CLIP, 30 * second + 1, seed=second)
    return root


SECONDS = (10, 11, 12, 13)


def test_nobody_is_done_with_no_boxes(data: Path) -> None:
    rows = detect(data, [key_row(CLIP, second) for second in SECONDS])
    assert kind_of(data.parent / "out/part-00000.parquet") == "detect"
    assert [row["image"] for row in rows] == [f"k/rawframes/{CLIP}/img_{n:05d}.jpg" for n in (1, 31, 61, 91)]
    assert {(row["status"], row["reason"], row["width"], row["height"]) for row in rows} == {("done", "ok", 240, 180)}
    assert [row["boxes"] for row in rows] == [[]] * 4
    assert all(row["detector"].startswith("hog opencv-4.") for row in rows)
    assert len({row["key"] for row in rows}) == 4
    assert [row["item_id"] for row in rows] == [f"train/-wR5jVB-WPk,{second:04d}" for second in SECONDS]


def test_real_people_at_the_right_second(shared: Path, data: Path) -> None:
    with av.open(str(shared / "real/videos/demo_skeleton.mp4")) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for number, frame in ((1, frames[0]), (31, frames[40]), (61, np.zeros_like(frames[0]))):
        path = data / "ava/rawframes" / AVA / f"img_{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), frame)
    rows = detect(data, [key_row(AVA, second) for second in (900, 901, 902)], root="ava", start=900)
    assert [len(row["boxes"]) > 0 for row in rows] == [True, True, False]
    for boxes in (row["boxes"] for row in rows[:2]):
        assert all(len(box) == 5 and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for box in boxes)
        assert all(0.5 < box[4] <= 1 for box in boxes)
    strict = detect(data, [key_row(AVA, 900)], root="ava", start=900, least=0.999999)
    assert [(row["status"], row["boxes"]) for row in strict] == [("done", [])], "another threshold looks again"


def test_offset_and_pattern(data: Path) -> None:
    save(data, CLIP, 32)
    save(data, CLIP, 30)
    save(data, CLIP, 31, name="{:06d}.jpg")
    images = {
        detect(data, [key_row(CLIP, 11)], **params)[0]["image"].rpartition("/")[2]
        for params in ({"offset": 1}, {"offset": -1}, {"pattern": "{:06d}.jpg"}, {"pattern": "img_{:05}.jpg"})
    }
    assert images == {"img_00032.jpg", "img_00030.jpg", "000031.jpg", "img_00031.jpg"}
    (row,) = detect(data, [key_row(CLIP, 10)], offset=-1)
    assert (row["status"], row["reason"], row["evidence"]) == (
        "missing", "no_frames", "second 10 lies before the first frame",
    )  # fmt: skip


def test_what_is_not_there_or_broken_has_its_row(data: Path) -> None:
    frames = data / "k/rawframes"
    (frames / CLIP / "img_00031.jpg").write_bytes(b"<html>")
    whole = (frames / CLIP / "img_00061.jpg").read_bytes()
    (frames / CLIP / "img_00061.jpg").write_bytes(whole[: len(whole) // 2])
    (frames / CLIP / "img_00091.jpg").write_bytes(b"")
    other = CLIP.replace("10_", "20_").replace("14", "24")
    rows = detect(data, [*(key_row(CLIP, second) for second in (*SECONDS, 14)), key_row(other, 21)])
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("done", "ok"), *[("failed", "corrupt")] * 3, *[("missing", "no_frames")] * 2,
    ]  # fmt: skip
    evidence = [row["evidence"] for row in rows[1:]]
    assert evidence[0] == "img_00031.jpg is no frame (6 bytes)"
    assert evidence[1].startswith("img_00061.jpg is cut off after")
    assert evidence[2] == "img_00091.jpg is no frame (0 bytes)"
    assert evidence[3] == f"second 14 is frame 121: img_00121.jpg is not in k/rawframes/{CLIP}"
    assert evidence[4] == f"there is no folder k/rawframes/{other}"
    (frames / CLIP / "img_00061.jpg").write_bytes(whole)
    again = detect(data, [key_row(CLIP, second) for second in SECONDS])
    assert [row["status"] for row in again] == ["kept", "failed", "done", "failed"]


@pytest.mark.parametrize("clip", ["../../etc_000010_000014", "a/b_000010_000014", "..", "no_times", "", None])
def test_hostile_and_wrong_names_are_rejected(data: Path, clip: str | None) -> None:
    bad = key_row(CLIP, 10) | {"clip_id": clip}
    rows = detect(data, [bad, key_row(CLIP, 11)])
    assert [(row["status"], row["reason"]) for row in rows] == [("rejected", "bad_row"), ("done", "ok")]
    assert rows[0]["evidence"]


def test_a_second_run_keeps_and_what_changed_is_looked_at_again(data: Path) -> None:
    keys = [key_row(CLIP, second) for second in SECONDS]
    first = detect(data, keys)
    assert [row["status"] for row in detect(data, keys)] == ["kept"] * 4
    path = save(data, CLIP, 31, seed=9)
    os.utime(path, ns=(1, 1))
    again = detect(data, keys)
    assert [row["status"] for row in again] == ["kept", "done", "kept", "kept"]
    assert [row["key"] == old["key"] for row, old in zip(again, first, strict=True)] == [True, False, True, True]
    assert [row["status"] for row in detect(data, keys)] == ["kept"] * 4
    assert [row["status"] for row in detect(data, keys, least=0.25)] == ["done"] * 4
    assert [row["status"] for row in detect(data, keys, batch=1, device="cpu")] == ["kept"] * 4, "only how it is done"
    for note in (data / ".clipquarry/store/people").rglob("*.json"):
        note.write_text("{}")
    assert [row["status"] for row in detect(data, keys)] == ["done"] * 4


def test_one_clip_in_two_groups(data: Path) -> None:
    for second in range(10, 10 + 2 * BLOCK, 16):
        save(data, CLIP, 30 * (second - 10) + 1, seed=second)
    keys = [key_row(CLIP, second) for second in range(10, 10 + 2 * BLOCK, 16)]
    alone = detect(data, keys, jobs=1)
    assert [row["status"] for row in alone] == ["done"] * 4
    assert len(list((data / ".clipquarry/store/people").rglob("*.json"))) == 2
    assert [row["status"] for row in detect(data, keys, jobs=4)] == ["kept"] * 4


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"pattern": "../{:05d}.jpg"}, "not a pattern of frame names"), ({"pattern": "img.jpg"}, "not a pattern of frame names"),
        ({"pattern": "{0.__class__}.jpg"}, "not a pattern of frame names"), ({"backend": "mmdet"}, "needs a checkpoint"),
        ({"device": "gpu"}, "device"), ({"batch": 0}, "batch"), ({"least": 1}, "least"), ({"sha256": "x"}, "sha256"),
        ({"backend": "magic"}, "backend"),
    ],
)  # fmt: skip
def test_wrong_params_are_one_sentence(data: Path, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as told:
        detect(data, [key_row(CLIP, 10)], **params)
    assert "\n" not in str(told.value)


def test_a_checkpoint_outside_the_data_root_by_a_relative_path(data: Path) -> None:
    detect(data, [key_row(CLIP, 10)], exit=Exit.USAGE, backend="mmdet", checkpoint="../x.pth")


CODE = (
    "import sys; from pathlib import Path; from clipquarry.steps.runner import run_step; "
    "from clipquarry.steps.detect import DetectStep; root = Path(sys.argv[1]); "
    'run_step(DetectStep(), items=root.parent / \'items.parquet\', params=\'{"root": "k", "start": 900}\', '
    "out=root.parent / 'out' / 'part-00000.parquet', data=root)"
)


def test_a_killed_step_goes_on_where_it_was(data: Path) -> None:
    keys = []
    for second in range(900, 900 + 4 * BLOCK):
        # At first pictures that are too low for anybody, which takes no time.
        save(data, AVA, 30 * (second - 900) + 1, seed=second, height=20 if second < 900 + 3 * BLOCK else 180)
        keys.append(key_row(AVA, second))
    write_rows(data.parent / "items.parquet", schema_of(ITEM_FIELDS, "items"), keys)
    step = subprocess.Popen([sys.executable, "-c", CODE, str(data)], stderr=subprocess.DEVNULL)
    journal = data.parent / "out/part-00000.journal.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2 * BLOCK) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(step.pid, signal.SIGKILL)
    step.wait()
    assert not (data.parent / "out/part-00000.parquet").exists()
    begun = journal.read_bytes().count(b"\n")
    assert 2 * BLOCK <= begun < len(keys)
    looked_at = {path: path.stat().st_mtime_ns for path in (data / ".clipquarry/store/people").rglob("*.json")}
    rows = detect(data, keys, start=900)
    assert [row["start"] for row in rows] == [key["start"] for key in keys]
    assert {row["status"] for row in rows} <= {"done", "kept"}
    assert [row["status"] for row in rows][:begun] == ["done"] * begun, "from the journal, as they were"
    assert {path: path.stat().st_mtime_ns for path in looked_at} == looked_at, "nothing is looked at twice"
