"""BABEL's arrays and labels as a list: equal to the reference's loop, and a row or a sentence for everything else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.babel_skeletons import SUBSETS, BabelRow, read_points, write_subset
from clipquarry.errors import UserError
from clipquarry.reasons import Reason, Status

SMALL = SUBSETS["babel60_val"]


def points(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 3, 150, 25, 1)).astype(np.float32)


def labels(count: int) -> tuple[list[str], tuple[list[int], list[int], list[int], list[str]]]:
    ids = [f"{number}" for number in range(count)]
    return ids, ([number % 60 for number in range(count)], [7] * count, list(range(count)), ["u-1"] * count)


def placed(root: Path, x: np.ndarray, y: Any) -> tuple[Path, Path, Path]:
    np.save(root / SMALL.x, x)
    (root / SMALL.y).write_bytes(pickle.dumps(y))
    return root / SMALL.x, root / SMALL.y, root / SMALL.file


def written(root: Path, x: np.ndarray, y: Any) -> tuple[list[dict[str, Any]], list[BabelRow]]:
    rows: list[BabelRow] = []
    paths = placed(root, x, y)
    ended = write_subset(*paths, SMALL, rows.append)
    found = pickle.loads(paths[2].read_bytes())
    assert ended[Status.DONE] == len(found)
    assert len(rows) == len(x)
    return found, rows


def in_plain_python(x: np.ndarray, y: Any) -> list[dict[str, Any]]:
    """The specification, sample by sample."""
    found = []
    for number, sample in enumerate(x):
        names = [y[0][number], y[1][1][number], y[1][2][number], y[1][3][number]]
        found.append(
            {
                "keypoint": sample.transpose(3, 1, 2, 0).astype(np.float16),
                "label": y[1][0][number],
                "frame_dir": "_".join(str(name) for name in names),
                "total_frames": 150,
            }
        )
    return found


@pytest.mark.parametrize("how", ["lists", "arrays", "numbers of numpy", "float64", "big endian"])
def test_the_list_is_the_references(how: str, tmp_path: Path) -> None:
    x, y = points(9), labels(9)
    given: Any = y
    if how == "arrays":
        given = (y[0], (np.array(y[1][0]), np.array(y[1][1]), y[1][2], y[1][3]))
    if how == "numbers of numpy":
        given = (y[0], ([np.int64(label) for label in y[1][0]], *y[1][1:]))
    if how == "float64":
        x = x.astype(np.float64)
    if how == "big endian":
        x = x.astype(">f4")
    found, rows = written(tmp_path, x, given)
    for one, other in zip(found, in_plain_python(x, y), strict=True):
        assert one["keypoint"].tobytes() == other["keypoint"].tobytes()
        assert one["keypoint"].shape == (1, 150, 25, 3)
        assert list(one) == list(other)
        assert all(one[key] == other[key] for key in ("label", "frame_dir", "total_frames"))
        assert type(one["label"]) is int
    assert [row[:4] for row in rows] == [(n, f"{n}_7_{n}_u-1", Status.DONE, Reason.OK) for n in range(9)]


def test_the_four_subsets() -> None:
    assert sorted(SUBSETS) == ["babel120_train", "babel120_val", "babel60_train", "babel60_val"]
    assert (SUBSETS["babel120_train"].x, SUBSETS["babel120_train"].y) == ("train_ntu_sk_120.npy", "train_label_120.pkl")
    assert (SUBSETS["babel120_train"].file, SUBSETS["babel120_train"].classes) == ("babel120_train.pkl", 120)


def test_bad_samples_have_a_row(tmp_path: Path) -> None:
    x, (ids, (classes, a, b, c)) = points(8), labels(8)
    x[1, 0, 3, 4] = np.nan
    x[2, 1, 0, 0] = 1e6
    classes[3], classes[4] = 60, -1
    given = (["0", "1", "2", "3", "4", "new\nline", None, "0"], ([*classes[:7], 0], a, [*b[:7], 0], c))
    assert ids
    found, rows = written(tmp_path, x, given)
    assert [one["frame_dir"] for one in found] == ["0_7_0_u-1"] * 2
    assert [row.reason for row in rows] == [
        Reason.OK, Reason.CORRUPT, Reason.CORRUPT, Reason.UNKNOWN_LABEL, Reason.UNKNOWN_LABEL, Reason.BAD_ID, Reason.BAD_ID, Reason.OK,
    ]  # fmt: skip
    assert rows[3].sentence == "the label 60 is none of 0 to 59"
    assert rows[7].sentence == "sample 0 has the same name"
    assert all(row.name.isprintable() and row.sentence.isprintable() for row in rows)


def test_a_pair_that_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    x, y = points(3), labels(3)
    for given in (labels(2), (y[0], y[1][:3]), y[0], {}, (y[0], (*y[1][:3], ["u"] * 2)), (y[0], (*y[1][:3], "u-1"))):
        with pytest.raises(UserError, match=r"labels 2|is not \(ids"):
            write_subset(*placed(tmp_path, x, given), SMALL, lambda row: None)
    with pytest.raises(UserError, match="No sample of"):
        write_subset(*placed(tmp_path, x, (y[0], ([99] * 3, *y[1][1:]))), SMALL, lambda row: None)
    assert not (tmp_path / SMALL.file).exists()


def test_a_pickle_that_calls_something_is_refused(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path}/called",)

    paths = placed(tmp_path, points(1), (["a"], ([0], [1], [2], [Bad()])))
    with pytest.raises(UserError, match="not executed"):
        write_subset(*paths, SMALL, lambda row: None)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    "what",
    [
        "absent",
        "folder",
        "pipe",
        "empty",
        "text",
        "npz",
        "objects",
        "short",
        "shape",
        "whole numbers",
        "header",
        "none",
    ],
)
def test_an_array_that_is_none_is_one_sentence(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what in ("empty", "text"):
        path.write_bytes(b"" if what == "empty" else b"<html>" * 40)
    elif what == "npz":
        with open(path, "wb") as handle:
            np.savez(handle, a=points(1))
    elif what == "objects":
        np.save(path, np.array([{}, {}], dtype=object), allow_pickle=True)
    elif what == "short":
        np.save(path, points(2))
        path.write_bytes(path.read_bytes()[:-4])
    elif what == "shape":
        np.save(path, points(2)[..., 0])
    elif what == "whole numbers":
        np.save(path, points(2).astype(np.int32))
    elif what == "none":
        np.save(path, points(1)[:0])
    elif what == "header":
        head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3, 150, 25, 1), }" + b" " * 20
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    with pytest.raises(UserError) as caught:
        read_points(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
