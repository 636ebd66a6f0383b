"""Features of videos: what a file of scores must hold, and the pooled csv, byte for byte that of the reference."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.video_features import clips_of, pool, pooled_csv, read_pooled, read_scores
from clipquarry.errors import UserError

CASE = Path(__file__).parents[2].parent / "shared" / "oracles" / "activitynet_feature_postprocessing"


def scores(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 200)).astype(np.float32)


def in_plain_python(table: np.ndarray) -> list[list[float]]:
    """The rule of the specification, one number at a time."""
    rows = [[float(value) for value in row] for row in table]
    if len(rows) == 1:
        return rows * 100
    width = (len(rows) - 1 - 2e-4) / 100
    found, begin = [], 1e-4
    for _ in range(100):
        points = []
        for third in range(3):
            place = begin + width * third / 3
            below = min(int(place), len(rows) - 2)
            points.append([a + (b - a) * (place - below) for a, b in zip(rows[below], rows[below + 1], strict=True)])
        found.append([sum(values) / 3 for values in zip(*points, strict=True)])
        begin += width
    return found


@pytest.mark.shared
@pytest.mark.parametrize("name", ["v_len1", "v_len2", "v_len5", "v_len37", "v_difflen"])
@pytest.mark.parametrize("suffix", [".npy", ".pkl"])
def test_the_pooled_csv_has_the_references_bytes(name: str, suffix: str, tmp_path: Path) -> None:
    halves = []
    for folder in ("rgb_feat", "flow_feat"):
        path = CASE / "inputs" / folder / f"{name}.npy"
        if suffix == ".pkl":
            (tmp_path / folder).with_suffix(".pkl").write_bytes(pickle.dumps(np.load(path)))
            path = (tmp_path / folder).with_suffix(".pkl")
        halves.append(read_scores(path))
    assert pooled_csv(*halves).encode() == (CASE / f"expected/csv/mmaction_feat/{name}.csv").read_bytes()


@pytest.mark.parametrize("count", [1, 2, 3, 99, 100, 101, 1500])
def test_pooling_is_the_mean_along_the_line_through_the_clips(count: int) -> None:
    table = scores(count)
    assert np.allclose(pool(table), in_plain_python(table), atol=1e-5)


def test_lengths_of_frames_and_flow_may_differ_and_the_csv_is_right(tmp_path: Path) -> None:
    path = tmp_path / "v_a.csv"
    path.write_text(pooled_csv(scores(9), scores(4, 1)))
    wanted = np.hstack((pool(scores(9)), pool(scores(4, 1))))
    assert np.abs(read_pooled(path) - wanted).max() <= 5.01e-5
    path.write_text(path.read_text() + "\n")  # as published ones may end
    assert read_pooled(path).shape == (100, 400)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("f399", "f400", 1), "header"),
        (lambda text: text.rpartition("\n")[0], "99 rows"),
        (lambda text: text + "\n" + text.rpartition("\n")[2], "101 rows"),
        (lambda text: text.rpartition(",")[0], "line 101 has 399 values"),
        (lambda text: text.rpartition(",")[0] + ",nan", "line 101 holds a number that is not finite"),
        (lambda text: text.rpartition(",")[0] + ",x", "line 101 holds what is no number"),
        (lambda text: "", "header"),
        (lambda text: text + "é", "no text"),
    ],
    ids=["header", "short", "long", "narrow", "nan", "word", "empty", "bytes"],
)
def test_what_is_wrong_with_a_csv_is_one_sentence(tmp_path: Path, change: Callable[[str], str], says: str) -> None:
    path = tmp_path / "v_a.csv"
    path.write_text(change(pooled_csv(scores(2), scores(2))), encoding="latin-1")
    with pytest.raises(UserError, match=says):
        read_pooled(path)


class Calls:
    def __reduce__(self) -> Any:
        return print, ("executed",)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros(200, np.float32), "--long-video-mode"),
        (np.zeros((1, 1, 200), np.float32), "--long-video-mode"),
        (np.zeros((3, 400), np.float32), r"an array \[3, 400\], not \[T, 200\]"),
        (np.zeros((0, 200), np.float32), r"an array \[0, 200\]"),
        (np.full((2, 200), np.nan, np.float32), "no finite numbers"),
        ({"a": 1}, "holds a dict"),
        ([], "holds a list"),
        (np.array([["a"] * 200]), "values of type"),
        (Calls(), "was not executed"),
    ],
    ids=["mean", "means", "wide", "none", "nan", "dict", "list", "text", "program"],
)
def test_a_file_of_other_values_is_refused(tmp_path: Path, value: Any, says: str, capsys: Any) -> None:
    path = tmp_path / "v_a.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(UserError, match=says):
        read_scores(path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "value", [scores(3), scores(3).astype(np.float64), list(scores(3)), np.asfortranarray(scores(3))]
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_arrays_and_lists_of_rows_are_read(tmp_path: Path, value: Any, protocol: int) -> None:
    path = tmp_path / "v_a.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    found = read_scores(path)
    assert found.dtype == np.float32 and (found == scores(3)).all()


def _header(shape: tuple[int, ...]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue()


def _several() -> bytes:
    out = io.BytesIO()
    np.savez(out, scores(2))
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x05\x00{'des", b"\x93NUMPY\x09\x00", b"PK\x03\x04junk", _several(),
     _header((50_000_000, 200)), _header((10**23, 200)), _header((2, 200)) + b"123", pickle.dumps(Calls())],
    ids=["empty", "text", "cut", "cut header", "version", "junk zip", "several", "promises much", "overflows", "torn", "pickle"],
)  # fmt: skip
def test_a_damaged_npy_is_one_sentence(tmp_path: Path, content: bytes, capsys: Any) -> None:
    (tmp_path / "v_a.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"v_a\.npy is no array"):
        read_scores(tmp_path / "v_a.npy")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(("frames", "clips"), [(1, 0), (8, 0), (9, 1), (24, 1), (25, 2), (1000, 62)])
def test_the_number_of_clips(frames: int, clips: int) -> None:
    assert clips_of(frames) == clips
