"""Merging, the flat layout, and seconds against images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clipquarry.annotations.ava_kinetics import merge_csv
from clipquarry.annotations.ava_kinetics_flat import (
    FlatClip,
    assign_flat_clips,
    clip_time,
    flat_clips,
    frame_number,
    write_download_list,
    write_updated_csv,
)
from clipquarry.annotations.ava_time import frame_of, second_of
from clipquarry.annotations.box_csv import read_boxes
from clipquarry.annotations.proposals import merge_proposals
from clipquarry.errors import UserError

KINETICS = "AAAAAAAAAAA_000015_000019,17,0.100,0.200,0.300,0.401,12,-1"
AVA = "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\n"


def test_merge_ends_every_line(tmp_path: Path) -> None:
    kinetics, ava, out = tmp_path / "k.csv", tmp_path / "a.csv", tmp_path / "out" / "ava_train_v2.2.csv"
    kinetics.write_text(KINETICS)  # without its last newline two lines would fuse
    ava.write_text(AVA)
    assert merge_csv(kinetics, ava, out) == (1, 1)
    assert out.read_text() == f"{KINETICS}\n{AVA}"
    assert ava.read_text() == AVA
    with pytest.raises(UserError, match="cannot be read"):
        merge_csv(tmp_path / "none.csv", ava, out)
    assert out.read_text().count("\n") == 2, "what was there stays"


def test_the_merge_of_the_reference(shared: Path, tmp_path: Path) -> None:
    case = shared / "oracles" / "avak_merge"
    merge_csv(case / "inputs/kinetics_train.csv", case / "inputs/ava_train_v2.2.csv", tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text() == (case / "expected/ava_train_v2.2.csv").read_text()
    ours, theirs = (
        {key: np.array(value) for key, value in json.loads((case / "inputs" / name).read_text()).items()}
        for name in ("kinetics_proposal.json", "ava_proposals.json")
    )
    merged = {key: value.tolist() for key, value in merge_proposals(ours, theirs).items()}
    assert merged == json.loads((case / "expected/merged_proposals.json").read_text())


@pytest.mark.parametrize(
    ("time", "start", "tau", "image"),
    [("17.070270", 14, "3.070270", 93), ("2.500000", 0, "2.500000", 76), ("3.000000", 0, "3.000000", 91), ("0.400000", 0, "0.400000", 13),
     ("4.033333", 1, "3.033333", 91), ("12457.000000", 12454, "3.000000", 91)],
)  # fmt: skip
def test_the_key_frame_of_a_flat_clip(time: str, start: int, tau: str, image: int) -> None:
    clip = FlatClip("AAAAAAAAAAA", int(float(time)))
    assert clip.start == start
    assert str(clip_time(time)) == tau
    assert frame_number(time) == image
    assert clip.name == f"AAAAAAAAAAA_{int(float(time)):06d}"


def test_the_download_list_has_every_key_second_once(shared: Path, tmp_path: Path) -> None:
    case = shared / "oracles" / "gurkirt_download_list"
    by_name = {path.stem: read_boxes(path, "ava_kinetics") for path in (case / "inputs").glob("*.csv")}
    assert len(by_name) == 3
    train, others = by_name["kinetics_train_v1.0"], [by_name["kinetics_val_v1.0"], by_name["kinetics_test_v1.0"]]
    clips = flat_clips([train.boxes, *(table for one in others for table in (one.boxes, one.key_frames))])
    write_download_list(clips, tmp_path / "list.csv")
    ours = (tmp_path / "list.csv").read_text().split("\n")
    theirs = (case / "expected/videos_to_download.csv").read_text().split("\n")
    assert ours[0] == theirs[0]
    assert len(set(ours)) == len(ours)
    assert set(theirs) <= set(ours), "all of the reference's"
    assert {line for line in ours if line.startswith("CCCCCCCCCCC")} >= {
        "CCCCCCCCCCC,104.000000,-1.000000",
        "CCCCCCCCCCC,107.000000,-1.000000",
    }


def test_the_updated_csv(tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_text(
        "AAAAAAAAAAA,17.070270,0.1,0.2,0.3,0.4,12\nAAAAAAAAAAA,30.500000,0.1,0.2,0.3,0.4,7\nBBBBBBBBBBB,2.000000\nCCCCCCCCCCC,9.000000\n"
    )
    table = read_boxes(raw, "ava_kinetics")
    images = {"AAAAAAAAAAA_000017": 180, "AAAAAAAAAAA_000030": 124, "BBBBBBBBBBB_000002": 80}
    kept = []
    for rows, left in ((table.boxes, 1), (table.key_frames, 1)):
        clips = assign_flat_clips(rows, images)
        assert clips.null_count == left
        kept.append(rows.set_column(0, "video_id", clips).filter(clips.is_valid()))
    write_updated_csv(*kept, images, tmp_path / "u.csv")
    assert (tmp_path / "u.csv").read_text() == (
        "AAAAAAAAAAA_000017,3.070270,0.100000,0.200000,0.300000,0.400000,12,180\nBBBBBBBBBBB_000002,2.000000\n"
    )


def test_seconds_and_images() -> None:
    assert (frame_of(902), frame_of(1798)) == (61, 26_941)
    assert (frame_of(902, reader="ava"), frame_of(17, start=15, reader="ava_kinetics")) == (62, 60)
    assert second_of(61) == 902
    assert [second_of(frame_of(second)) for second in range(900, 910)] == list(range(900, 910))
    with pytest.raises(ValueError, match="before"):
        frame_of(899)
    with pytest.raises(ValueError, match="count from 1"):
        second_of(0)
