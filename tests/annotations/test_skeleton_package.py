"""What is wrong with a sample of a package of skeletons."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.pickle_stream import PickleStream
from clipquarry.annotations.skeleton_package import Form, Seen, lists_of, points_problem, read_boxes, read_samples
from clipquarry.errors import UserError

FLAT = Form("samples", 17, 2, 60)
DEEP = Form("samples", 25, 3, 60)
CONTENTS = Form("contents", 17, 2, 400)


def flat(**changes: Any) -> dict[str, Any]:
    good = {
        "frame_dir": "S001C001P001R001A001", "label": 0, "total_frames": 4, "img_shape": (100, 200), "original_shape": (100, 200),
        "keypoint": np.full((2, 4, 17, 2), 50, np.float16), "keypoint_score": np.ones((2, 4, 17), np.float16),
    }  # fmt: skip
    return {key: value for key, value in (good | changes).items() if value is not ...}


def deep(**changes: Any) -> dict[str, Any]:
    good = {"frame_dir": "a", "label": 1, "total_frames": 4, "keypoint": np.zeros((1, 4, 25, 3), np.float32)}
    return good | changes


def contents(**changes: Any) -> dict[str, Any]:
    good = {
        "frame_dir": "a", "label": 399, "total_frames": 9, "img_shape": (100, 200), "original_shape": (100, 200),
        "frame_inds": np.array([0, 0, 1, 8], np.int16), "box_score": np.ones(4, np.float16),
        "valid": {0.5: 3, 0.6: 3, 0.7: 3, 0.8: 2, 0.9: 1},
    }  # fmt: skip
    return {key: value for key, value in (good | changes).items() if value is not ...}


def seen(folder: Path, item: Any, form: Form) -> Seen:
    path = folder / "x.pkl"
    path.write_bytes(pickle.dumps({"split": {}, "annotations": [item]}, 4))
    with PickleStream(path, "package") as stream:
        ((found, _),) = read_samples(stream, form)
    return found


def test_good_samples(tmp_path: Path) -> None:
    found = seen(tmp_path, flat(), FLAT)
    assert (found.name, found.label, found.frames, found.persons, found.kind) == (
        "S001C001P001R001A001",
        0,
        4,
        2,
        "float16",
    )
    assert (found.counts, found.problem) == ((136, 0, 0), "")
    assert seen(tmp_path, deep(), DEEP).problem == ""
    found = seen(tmp_path, contents(), CONTENTS)
    assert (found.problem, found.persons, found.boxes) == ("", 2, 4)


def test_a_sample_of_nobody_has_the_form(tmp_path: Path) -> None:
    nobody = deep(keypoint=np.zeros((0, 4, 25, 3), np.float16))
    assert (seen(tmp_path, nobody, DEEP).persons, seen(tmp_path, nobody, DEEP).problem) == (0, "")


@pytest.mark.parametrize(
    ("item", "form", "told"),
    [
        ("text", FLAT, "it is no dict of fields"),
        (flat(frame_dir=...), FLAT, "frame_dir is no name"),
        (flat(frame_dir="a\nb"), FLAT, "frame_dir is no name"),
        (flat(label="jump"), FLAT, "label is no whole number"),
        (flat(label=True), FLAT, "label is no whole number"),
        (flat(total_frames=0), FLAT, "total_frames is no positive whole number; keypoint has 4 frames, total_frames says 0"),
        (flat(total_frames=5), FLAT, "keypoint has 4 frames, total_frames says 5"),
        (flat(keypoint=...), FLAT, "keypoint is no array"),
        (flat(keypoint=[[1, 2]]), FLAT, "keypoint is no array"),
        (flat(keypoint=np.zeros((4, 17, 2))), FLAT, "keypoint has 3 dimensions, not 4"),
        (flat(), DEEP, "keypoint has 17 points of 2 numbers, not 25 of 3"),
        (flat(keypoint_score=...), FLAT, "keypoint_score is no array"),
        (flat(keypoint_score=np.ones((2, 17, 4))), FLAT, "keypoint_score has the shape 2×17×4, not 2×4×17"),
        (flat(keypoint_score=np.full((2, 4, 17), np.nan)), FLAT, "keypoint_score holds what is no finite number"),
        (flat(keypoint=np.zeros((2, 4, 17, 2), np.int32)), FLAT, "keypoint holds numbers of type int32"),
        (flat(img_shape=(0, 200)), FLAT, "img_shape is no height and width"),
        (flat(original_shape=...), FLAT, "original_shape is no height and width"),
        (contents(frame_inds=...), CONTENTS, "frame_inds is no array"),
        (contents(frame_inds=np.array([1, 0, 1, 8])), CONTENTS, "frame_inds goes back"),
        (contents(frame_inds=np.array([0, 0, 1, 9])), CONTENTS, "frame_inds names frames outside of 0 to 8"),
        (contents(box_score=np.ones(3)), CONTENTS, "box_score has 3 scores for 4 boxes"),
        (contents(valid={0.5: 3}), CONTENTS, "valid has no number of frames for each score of 0.5 to 0.9"),
    ],
)  # fmt: skip
def test_faults_of_form(tmp_path: Path, item: Any, form: Form, told: str) -> None:
    assert seen(tmp_path, item, form).problem == told


def test_points_outside_and_not_finite(tmp_path: Path) -> None:
    keypoint = np.full((2, 4, 17, 2), 50, np.float32)
    keypoint[0, 0, 0] = (200, 100)  # the edge
    keypoint[0, 0, 1] = (200.5, 1)
    keypoint[0, 0, 2] = (1, 100.5)
    keypoint[0, 0, 3] = (-1, 1)
    keypoint[0, 0, 4, 1] = np.nan
    found = seen(tmp_path, flat(keypoint=keypoint), FLAT)
    assert found.counts == (136, 1, 4) and found.problem == ""


def test_splits(tmp_path: Path) -> None:
    assert lists_of({"split": {"train": ["a", "b"], "val": ()}, "annotations": []}).names == {
        "train": ["a", "b"],
        "val": [],
    }
    assert lists_of([]).names == {}
    for value, told in (
        ({"annotations": []}, "it has no dict 'split'"),
        ({"split": {}}, "it has no list 'annotations'"),
        ({"split": {1: []}, "annotations": []}, "a split has no name"),
        ({"split": {"train": "abc"}, "annotations": []}, "the split 'train' is no list of names"),
        ({"split": {"train": [1]}, "annotations": []}, "the split 'train' holds what is no name"),
        ("x", "it has no list 'annotations'"),
    ):
        assert lists_of(value).problem == told


def test_files_of_key_points(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    for value, told in (
        ({"keypoint": np.zeros((4, 17, 3), np.float16)}, ""),
        ({"keypoint": np.zeros((3, 17, 3))}, "keypoint has the shape 3×17×3, not 4×17×3"),
        ({"keypoint": np.full((4, 17, 3), np.inf)}, "keypoint holds what is no finite number"),
        ({"points": 1}, "it is no dict with an array 'keypoint'"),
    ):
        path.write_bytes(pickle.dumps(value, 4))
        assert points_problem(path, 4, 17) == told
    path.write_bytes(b"x")
    assert "is no file of key points, and was not executed" in points_problem(path, 4, 17)
    assert "cannot be read" in points_problem(tmp_path / "b.pkl", 4, 17)


def test_boxes(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    good = np.tile(np.float32([1, 2, 30, 40]), (3, 1))
    path.write_bytes(
        pickle.dumps({"a": good, "b": np.ones((3, 6)), "c": 1, "d": good * np.nan, "e": [good, good[:0]]}, 4)
    )
    with PickleStream(path, "package") as stream:
        found = list(read_boxes(stream))
    assert [(name, frames) for name, frames, _ in found] == [("a", 3), ("b", 0), ("c", 0), ("d", 0), ("e", 2)]
    assert [bool(problem) for *_, problem in found] == [False, True, True, True, False]
    assert "not of 4 or 5 numbers" in found[1][2] and "no finite number" in found[3][2]
    path.write_bytes(pickle.dumps("x", 4))
    with (
        PickleStream(path, "package") as stream,
        pytest.raises(UserError, match="is no file of boxes: it holds no dict"),
    ):
        list(read_boxes(stream))
    path.write_bytes(pickle.dumps([1], 4))
    with PickleStream(path, "package") as stream, pytest.raises(UserError, match="it is a list"):
        list(read_boxes(stream))
