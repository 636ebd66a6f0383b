"""The ground truth of tubes: its six parts, its videos, its tubes, and what is wrong with them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.tube_measures import FAR, measure
from clipquarry.annotations.tube_pickle import TubeTruth, read_truth
from clipquarry.errors import UserError
from clipquarry.reasons import Reason


def boxes(*numbers: float, left: float = 10, dtype: str = "<f4") -> np.ndarray[Any, Any]:
    return np.array([(number, left, 20, left + 40, 90.5) for number in numbers], dtype)


def good() -> dict[str, Any]:
    """As python 2 wrote them: two classes, a video with two tubes."""
    return {
        "labels": ["catch", "wave"],
        "gttubes": {"catch/a": {0: [boxes(1, 2, 3)]}, "wave/b": {1: [boxes(2, 3), boxes(4, 5, 6, dtype="<f8")]}},
        "nframes": {"catch/a": 3, "wave/b": 8},
        "train_videos": [["catch/a"]],
        "test_videos": [["wave/b"]],
        "resolution": {"catch/a": (240, 320), "wave/b": (240, 320)},
    }


def read(folder: Path, value: Any, protocol: int = 2) -> TubeTruth:
    (folder / "GT.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    return read_truth(folder / "GT.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_videos_and_tubes(tmp_path: Path, protocol: int) -> None:
    found = read(tmp_path, good(), protocol)
    assert (found.labels, found.divisions) == (("catch", "wave"), 1)
    assert [(one.key, one.class_dir, one.name, one.frames, one.height, one.width, one.splits, one.problem) for one in found.videos] == [
        ("catch/a", "catch", "a", 3, 240, 320, ("train",), None), ("wave/b", "wave", "b", 8, 240, 320, ("test",), None),
    ]  # fmt: skip
    tubes = found.tubes
    assert (tubes.video.tolist(), tubes.label.tolist(), tubes.position.tolist()) == ([0, 1, 1], [0, 1, 1], [0, 0, 1])
    assert (tubes.length.tolist(), tubes.problem, tubes.begins().tolist()) == ([3, 2, 3], ["", "", ""], [0, 3, 5])
    assert tubes.boxes[5].tolist() == [4, 10, 20, 50, 90.5]
    told = measure(found)
    assert (told.first.tolist(), told.last.tolist()) == ([1, 2, 4], [3, 3, 6])
    assert not any(np.any(one) for one in (told.outside, told.disorder, told.gaps, told.flat, told.over))


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in good().items() if name != key}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1], "it holds a list, not a dict"),
        ({}, "it lacks labels and gttubes and nframes"),
        (without("resolution"), "it lacks resolution"),
        ({**good(), "more": 1}, "the key 'more' besides its six"),
        ({**good(), 7: 1}, "the key 7 besides its six"),
        ({**good(), "labels": []}, "labels is no list"),
        ({**good(), "labels": ["catch", "../wave"]}, "the class 1 is called '../wave'"),
        ({**good(), "labels": ["catch", None]}, "the class 1 is called None"),
        ({**good(), "labels": ["wave", "wave"]}, "has the name of an earlier one"),
        ({**good(), "nframes": [3, 8]}, "nframes is a list"),
        ({**good(), "gttubes": None}, "gttubes is a NoneType"),
        ({**good(), "train_videos": ["catch/a"]}, "train_videos is no list with a list"),
        ({**good(), "test_videos": []}, "test_videos is no list"),
        ({**good(), "test_videos": [["wave/b"], []]}, "another number of divisions"),
    ],
)
def test_other_files_are_one_sentence(tmp_path: Path, value: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, value)
    assert told in str(error.value) and "GT.pkl" in str(error.value)


class Touch:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hostile",)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"was not executed: it wants to call \w+\.system"):
        read(tmp_path, {**good(), "labels": Touch()})
    assert not (tmp_path / "hostile").exists()


@pytest.mark.parametrize(
    ("part", "key", "value", "reason", "told"),
    [
        ("nframes", "wave/b", 0, Reason.BAD_ROW, "nframes says 0"),
        ("nframes", "wave/b", True, Reason.BAD_ROW, "nframes says True"),
        ("nframes", "wave/b", 8.0, Reason.BAD_ROW, "nframes says 8.0"),
        ("nframes", "wave/b", None, Reason.BAD_ROW, "it is not in nframes"),
        ("resolution", "wave/b", (240,), Reason.BAD_ROW, "resolution says (240,)"),
        ("resolution", "wave/b", (240, -1), Reason.BAD_ROW, "resolution says (240, -1)"),
        ("gttubes", "wave/b", [], Reason.BAD_ROW, "gttubes has a list"),
        ("nframes", "wave/c", 5, Reason.BAD_ROW, "it is not in resolution nor in gttubes nor in train_videos and test_videos"),
        ("nframes", "wave", 5, Reason.BAD_ID, "it is no <class>/<name>"),
        ("nframes", "wave/x/y", 5, Reason.BAD_ID, "its name holds a slash"),
        ("nframes", "wave/..", 5, Reason.BAD_ID, "its name begins with a dot"),
        ("nframes", "/etc/passwd", 5, Reason.BAD_ID, "no <class>/<name>"),
        ("nframes", 7, 5, Reason.BAD_ID, "no <class>/<name>"),
        ("nframes", "jump/x", 5, Reason.UNKNOWN_LABEL, "its folder 'jump' is none of the classes"),
    ],
)  # fmt: skip
def test_videos_that_no_run_can_use(tmp_path: Path, part: str, key: Any, value: Any, reason: Reason, told: str) -> None:
    changed = good()
    changed[part][key] = value
    wrong = [one.problem for one in read(tmp_path, changed).videos if one.problem]
    assert len(wrong) == 1 and wrong[0][0] is reason and told in wrong[0][1]


def test_videos_of_no_split_and_of_both(tmp_path: Path) -> None:
    changed = good()
    changed["train_videos"] = [["catch/a", "wave/b", "catch/a"]]
    changed["test_videos"] = [["wave/b", ["odd"]]]
    found = {one.key: one.splits for one in read(tmp_path, changed).videos}
    assert found["catch/a"] == ("train", "train") and found["wave/b"] == ("train", "test")
    assert found["['odd']"] == ("test",), "an entry that is no name is a row too"


@pytest.mark.parametrize(
    ("tube", "told"),
    [
        (np.ones((3, 4), "<f4"), "its shape is (3, 4), not (n, 5)"),
        (np.ones(5, "<f4"), "its shape is (5,)"),
        (np.ones((0, 5), "<f4"), "it has no frame"),
        (np.ones((3, 5), "<i8"), "its values are int64, not floats"),
        (np.ones((2, 5), object), "something else than numbers"),
        ([[1, 2, 3, 4, 5]], "it is a list, not an array"),
        (None, "it is a NoneType"),
    ],
)
def test_what_is_no_tube(tmp_path: Path, tube: Any, told: str) -> None:
    changed = good()
    changed["gttubes"]["wave/b"][1].insert(0, tube)
    found = read(tmp_path, changed)
    assert found.tubes.length.tolist() == [3, 0, 2, 3] and told in found.tubes.problem[1]
    assert measure(found).first.tolist() == [1, -1, 2, 4], "the others are measured"


@pytest.mark.parametrize("label", ["1", None, 1.0, True, 1 << 40])
def test_classes_that_are_no_numbers(tmp_path: Path, label: Any) -> None:
    changed = good()
    changed["gttubes"]["catch/a"] = {label: [boxes(1, 2, 3)]}
    found = read(tmp_path, changed)
    assert found.tubes.label.tolist()[0] == -1 and "no number" in found.tubes.problem[0]


def test_tubes_outside_of_a_list(tmp_path: Path) -> None:
    changed = good()
    changed["gttubes"]["catch/a"] = {0: boxes(1, 2)}
    assert "no list of tubes" in read(tmp_path, changed).tubes.problem[0]


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        (boxes(0, 1), {"outside": 1}),
        (boxes(7, 8, 9), {"outside": 1}),
        (boxes(1.5, 2), {"outside": 1}),
        (boxes(float("nan"), 2), {"outside": 1, "disorder": 1}),
        (boxes(float("inf"), 2), {"outside": 1, "disorder": 1}),
        (boxes(2, 2), {"disorder": 1}),
        (boxes(3, 2, 1), {"disorder": 2}),
        (boxes(1, 3, 6), {"gaps": 2}),
        (np.array([[1, 50, 20, 50, 90]], "<f4"), {"flat": 1}),
        (np.array([[1, 50, 90, 60, 20]], "<f4"), {"flat": 1}),
        (np.array([[1, -3, 20, 50, 90]], "<f4"), {"over": 3}),
        (np.array([[1, 10, 20, 322, 90]], "<f4"), {"over": 2}),
        (np.array([[1, 10, 20, 50, 244.5]], "<f4"), {"over": 4.5}),
        (np.array([[1, 10, float("nan"), 50, 90]], "<f4"), {"flat": 1, "over": FAR}),
    ],
)
def test_frames_and_boxes_are_measured(tmp_path: Path, rows: Any, wrong: dict[str, float]) -> None:
    """Those before and behind it are right, and nothing of one counts for another."""
    changed = good()
    changed["gttubes"]["wave/b"][1] = [boxes(1, 2), rows, boxes(1, 2)]
    found = measure(read(tmp_path, changed))
    for name in ("outside", "disorder", "gaps", "flat", "over"):
        assert getattr(found, name).tolist() == [0, 0, wrong.get(name, 0), 0], name


def test_no_tubes_at_all(tmp_path: Path) -> None:
    found = read(tmp_path, {**good(), "gttubes": {"catch/a": {}, "wave/b": {}}})
    assert measure(found).first.tolist() == []


@pytest.mark.parametrize("name", ["JHMDB-GT", "UCF101v2-GT"])
def test_the_examples_of_the_reference(shared: Path, name: str) -> None:
    found = read_truth(shared / f"oracles/gt_pickle_schema_examples/inputs/{name}.pkl")
    assert not any(one.problem for one in found.videos) and not any(found.tubes.problem)
