"""The gate of AVA-Kinetics' prepared boxes: each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from ava_world import (
    BOX,
    NAMES,
    VIDEOS,
    BoxWorld,
    box_row,
    csv_line,
    key_row,
    proposal,
    said,
)
from quality_world import broken


def write_csv(world: BoxWorld) -> None:
    """The csv of the prepared rows, as they are now."""
    text = "".join(f"{csv_line(row)}\n" for row in world.prepared["train"])
    world.touch("ava_kinetics/kinetics_train.csv", content=text.encode())


def test_seeded_prepared_rows_are_all_named(ava_kinetics: BoxWorld) -> None:
    rows = ava_kinetics.prepared["train"]
    rows[0]["video_id"] = VIDEOS[0]
    rows[1]["person_id"] = 4
    rows[3] |= {"time": "204.000000", "second": 204}
    rows.append(dict(rows[6]))
    ava_kinetics.boxes["train"].append(box_row(VIDEOS[1], "204.000000", BOX, 80, -1))
    ava_kinetics.dropped["train"] = 1
    write_csv(ava_kinetics)
    found = said(ava_kinetics, "boxes")
    assert found == {
        "boxes.clip_name [train]": [f"train/{VIDEOS[0]},102"],
        "boxes.person [train]": [f"train/{NAMES[0]},102"],
        "boxes.second [train]": [f"train/{NAMES[1]},204"],
        "boxes.in_raw [train]": [f"train/{NAMES[2]},12459"],
        # The row that was moved is lacking from its own key frame.
        "boxes.whole_key [train]": [f"train/{NAMES[1]},202"],
        "boxes.folder [train]": [f"train/{VIDEOS[0]},102"],
        "boxes.images [train]": [f"train/{NAMES[1]},204"],
        "boxes.csv_columns [train]": ["train/#line-2"],
    }


def test_a_fractional_time_in_the_clips_first_second_belongs_to_it(ava_kinetics: BoxWorld) -> None:
    for rows in (ava_kinetics.boxes["train"], ava_kinetics.prepared["train"]):
        rows[0] |= {"time": "100.400000", "second": 100}
    write_csv(ava_kinetics)
    assert ava_kinetics.gate("boxes").verdict == "pass"
    for rows in (ava_kinetics.boxes["train"], ava_kinetics.prepared["train"]):
        rows[0]["time"] = "100.000000"
    assert said(ava_kinetics, "boxes") == {"boxes.second [train]": [f"train/{NAMES[0]},100"]}


def test_rows_that_the_csv_had_twice_may_stay_twice(ava_kinetics: BoxWorld) -> None:
    for rows in (ava_kinetics.boxes["train"], ava_kinetics.prepared["train"]):
        rows.append(dict(rows[8] if len(rows) == 9 else rows[0]))
    ava_kinetics.boxes["train"][-1] = dict(ava_kinetics.boxes["train"][8])
    write_csv(ava_kinetics)
    assert ava_kinetics.gate("boxes").verdict == "pass"


def test_lost_rows_and_half_key_frames(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.prepared["train"].pop(1)
    write_csv(ava_kinetics)
    assert said(ava_kinetics, "boxes") == {
        "boxes.whole_key [train]": [f"train/{NAMES[0]},102"], "boxes.balance [train]": ["train/csv"]
    }  # fmt: skip
    ava_kinetics.dropped["train"] += 1
    assert said(ava_kinetics, "boxes") == {"boxes.whole_key [train]": [f"train/{NAMES[0]},102"]}


def test_images_that_readers_need_and_strays(ava_kinetics: BoxWorld) -> None:
    folder = ava_kinetics.folder / "rawframes"
    (folder / NAMES[0] / "img_00090.jpg").unlink()
    (folder / NAMES[1] / "img_00091.jpg").unlink()  # one behind: nobody needs it
    (folder / NAMES[2]).rename(folder / "old_clip000_000001_000005")
    assert said(ava_kinetics, "boxes") == {
        "boxes.images [train]": [f"train/{NAMES[0]},102"],
        "boxes.folder [train]": [f"train/{NAMES[2]},12459"],
        "boxes.stray": ["old_clip000_000001_000005"],
    }


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda text: text.replace(b"\n", b"", 1), {"boxes.csv": ["train/kinetics_train.csv"], "boxes.csv_columns": ["train/#line-1"]}),
        (lambda text: text.rstrip(b"\n"), {"boxes.csv": ["train/kinetics_train.csv"]}),
        (lambda text: text.replace(b",0.077,", b",0.0771,", 1), {"boxes.csv_row": ["train/#line-1"]}),
        (lambda text: text.replace(b",0.077,", b",0.078,", 1), {"boxes.csv_row": ["train/#line-1"]}),
        (lambda text: text.replace(b",102,", b",101,", 1), {"boxes.csv_row": ["train/#line-1"]}),
        (lambda text: text.replace(b",0.077,", b",\xff,", 1), {"boxes.csv_row": ["train/#line-1"]}),
        (lambda text: text.replace(b",80,-1", b",80,1", 1), {"boxes.csv_columns": ["train/#line-1"]}),
        (lambda text: text.replace(b",80,-1", b",-1", 1), {"boxes.csv_columns": ["train/#line-1"]}),
        (lambda text: text.split(b"\n", 1)[1], {"boxes.csv": ["train/kinetics_train.csv"]}),
        (lambda text: text.replace(b"\n", b"\r\n"), {}),
    ],
    ids=["fused", "no newline", "four decimals", "moved", "second", "bytes", "person", "seven columns", "lost", "windows"],
)  # fmt: skip
def test_the_written_csv_is_the_table(ava_kinetics: BoxWorld, edit: Any, expected: dict[str, list[str]]) -> None:
    path = ava_kinetics.folder / "kinetics_train.csv"
    path.write_bytes(edit(path.read_bytes()))
    assert said(ava_kinetics, "boxes") == {f"{name} [train]": found for name, found in expected.items()}


def test_no_csv_and_no_rows(ava_kinetics: BoxWorld) -> None:
    (ava_kinetics.folder / "kinetics_train.csv").unlink()
    check = broken(ava_kinetics.gate("boxes"))["boxes.csv [train]"]
    assert check.worst[0] == {"item_id": "train/kinetics_train.csv", "problem": "it is not there"}
    ava_kinetics.prepared["train"], ava_kinetics.dropped["train"] = [], 10
    write_csv(ava_kinetics)
    assert list(broken(ava_kinetics.gate("boxes"))) == ["boxes.not_empty"]


def test_a_split_of_key_frames_without_anybody(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.prepared, ava_kinetics.dropped = {"test": []}, {}
    ava_kinetics.prepared_key_frames["test"] = [key_row("vvid5000000_000050_000054", "52.000000")]
    ava_kinetics.touch("ava_kinetics/kinetics_test.csv")
    ava_kinetics.proposals = {"test": [proposal("vvid5000000", second) for second in (51, 52, 53)]}
    assert ava_kinetics.gate("boxes").verdict == "pass"
    assert ava_kinetics.gate("proposals").verdict == "pass"
    ava_kinetics.proposals["test"].append(proposal("vvid5000000", 54))
    assert set(said(ava_kinetics, "proposals")) == {"proposals.known [test]", "proposals.three_keys [test]"}


def test_without_frames_nobody_looks_for_images(ava_kinetics: BoxWorld) -> None:
    shutil.rmtree(ava_kinetics.folder / "rawframes")
    result = ava_kinetics.gate("boxes", frames=False)
    assert result.verdict == "pass" and {c.id for c in result.checks if c.skipped} == {"boxes.folder", "boxes.images"}
