"""mmaction2's own AVADataset over what is published of AVA's files with odd rows in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.action_list import publish_action_list
from clipquarry.annotations.ava_csv import write_key_frames
from clipquarry.annotations.box_csv import read_boxes
from clipquarry.annotations.proposals import write_proposals
from clipquarry.families.boxes.release_csv import write_release_csv
from PIL import Image
from real_readers import prove, skip_without_readers

pytestmark = pytest.mark.timeout(1200)

A = "AAAAAAAAAAA"
BOX = "0.077,0.151,0.283,0.811"
ROWS = (
    f"\ufeff{A},0902,{BOX},80,1\n{A},0904\n\n{A},0907,{BOX},12.0,1\n{A},0910,{BOX},99,1\n"
    f'"{A}",0911,{BOX},12,1\n{A},0903,{BOX},80,1\n{A},0903,{BOX},9,1,more\n{A},0905,{BOX},9,1\n{A},0912,.,0.1,0.5,0.9,12,0\n'
)
IMAGES = 300


def published(folder: Path, csv: bytes) -> Path:
    """A data root whose files of AVA v2.2 were published from odd ones; every second's image is the same."""
    annotations, odd = folder / "data/ava/annotations", folder / "odd"
    annotations.mkdir(parents=True)
    odd.mkdir()
    (odd / "a.csv").write_bytes(csv)
    table = read_boxes(odd / "a.csv", "ava")
    write_release_csv(
        table.boxes, table.rejected, annotations / "ava_train_v2.2.csv", odd / "left.csv", {A: IMAGES}.__getitem__
    )
    (odd / "x.csv").write_text(f"{A},0905\n\n{A},0906.5\n{A}\n")
    excluded = read_boxes(odd / "x.csv", "excluded").key_frames
    write_key_frames(excluded, annotations / "ava_train_excluded_timestamps_v2.2.csv")
    names = "".join(f'item {{\n\tname: "action {number}"\n\tid: {number}\n}}\n' for number in (9, 12, 80))
    (odd / "a.pbtxt").write_text(names)
    publish_action_list(odd / "a.pbtxt", annotations / "ava_action_list_v2.2_for_activitynet_2019.pbtxt")
    write_proposals(
        {f"{A},0902": np.array([[0.1, 0.1, 0.9, 0.9, 0.95]])},
        annotations / "ava_dense_proposals_train.FAIR.recall_93.9.pkl",
    )
    images = folder / "data/ava/rawframes" / A
    images.mkdir(parents=True)
    Image.new("RGB", (64, 48), (90, 120, 150)).save(images / "img_00001.jpg")
    for number in range(2, IMAGES + 1):
        os.link(images / "img_00001.jpg", images / f"img_{number:05d}.jpg")
    return folder / "data"


def read(folder: Path, csv: bytes) -> dict[str, Any]:
    skip_without_readers()
    found: dict[str, Any] = prove(published(folder, csv), folder, boxes=["ava_v2.2"], lists=[])["boxes"]["ava_v2.2"]
    return found["train"]


def test_the_reader_sees_the_checked_rows_only(tmp_path: Path) -> None:
    train = read(tmp_path, ROWS.encode())
    assert [told["img_key"] for told in train["told"]] == [f"{A},0902", f"{A},0903"], "0905 is excluded"
    assert [told["actions"] for told in train["told"]] == [[[80]], [[9, 80]]]
    assert train["files"]["absent"] == []


def test_the_reader_loads_the_case_that_crashed_it(shared: Path, tmp_path: Path) -> None:
    train = read(tmp_path, (shared / "cases/annotations/ava_rejected_rows/ava_train_v2.2.csv").read_bytes())
    assert [told["img_key"] for told in train["told"]] == [f"{A},0902"], "no other second has images here"
