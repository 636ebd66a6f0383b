"""Boxes of FineGYM's athletes: the forms that an estimation of poses takes, and a sentence for all others."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.finegym_boxes import read_boxes
from clipquarry.errors import UserError

NAME = "0LtLS9wROrk_E_002407_002435_A_0003_0005"
BOX = [10.0, 20.0, 110.0, 220.0]


def read(tmp_path: Path, value: Any) -> tuple[dict[str, list[np.ndarray]], dict[str, str]]:
    (tmp_path / "boxes.pkl").write_bytes(pickle.dumps(value))
    return read_boxes(tmp_path / "boxes.pkl")


@pytest.mark.parametrize(
    "value",
    [
        np.array([BOX, [0] * 4, BOX], np.float32),
        np.array([[*BOX, 1], [0] * 5, [*BOX, 1]]),
        np.array([[BOX, [0] * 4], [[0] * 4] * 2, [[0] * 4, BOX]]),
        [np.array([BOX]), np.zeros((0, 4)), np.array([[*BOX, 1.0]])],
        [np.array(BOX), np.array([]), np.array(BOX)],
        [[BOX], [], [BOX]],
    ],
    ids=["frames", "scores", "several", "arrays", "flat", "lists"],
)
def test_one_entry_for_each_frame(value: Any, tmp_path: Path) -> None:
    good, rejected = read(tmp_path, {NAME: value})
    assert not rejected
    frames = good[NAME]
    assert [frame.shape for frame in frames] == [(1, 5), (0, 5), (1, 5)]
    assert all(frame.dtype == np.float32 for frame in frames)
    assert frames[0].tolist() == frames[2].tolist() == [[*BOX, 1.0]]


def test_bad_clips_have_a_reason(tmp_path: Path) -> None:
    bad = {
        "no_area": np.array([[10.0, 20, 10, 40]]),
        "width_height": np.array([[100.0, 200, 50, 80]]),
        "nan": np.array([[1.0, 2, np.nan, 4]]),
        "fractions": np.array([[0.1, 0.2, 0.5, 0.9]]),
        "six": np.zeros((3, 6)) + 1,
        "numbers": np.zeros(4) + 1,
        "score": np.array([[*BOX, 7]]),
        "frames": {1: BOX},
        "text": "boxes",
        "none": [],
        "words": [["a", "b", "c", "d"]],
        "../../etc": np.array([BOX]),
        3: np.array([BOX]),
    }
    good, rejected = read(tmp_path, {NAME: np.array([BOX]), **bad})
    assert list(good) == [NAME]
    assert set(rejected) == {str(name) for name in bad}
    assert rejected["frames"] == "a dict, not boxes by frame"
    assert all(why and why.isprintable() for why in rejected.values())


def test_a_file_of_something_else_is_one_sentence(tmp_path: Path) -> None:
    for value in ([], {}, {"six": np.zeros((3, 6)) + 1}, None):
        with pytest.raises(UserError, match="get it again"):
            read(tmp_path, value)
