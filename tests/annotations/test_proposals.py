"""Proposal pickles: written for old readers, read from hostile writers."""

from __future__ import annotations

import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipyard.annotations.proposals import lacking, merge_proposals, proposal_key, read_proposals, write_proposals
from clipyard.errors import UserError

GOOD = {
    "0f39OWEqJ24,0902": np.array([[0.011, 0.157, 0.655, 0.983, 0.998163], [0.5, 0.5, 0.6, 0.6, 0.28]]),
    "AAAAAAAAAAA,12457": np.array([[0.0, 0.0, 1.0, 1.0, 1.0]]),
}


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return list(left) == list(right) and all(np.array_equal(left[key], right[key]) for key in left)


def test_there_and_back(tmp_path: Path) -> None:
    write_proposals(GOOD, tmp_path / "p.pkl")
    found, rejected = read_proposals(tmp_path / "p.pkl")
    assert same(found, GOOD)
    assert rejected == {}
    assert same(pickle.loads((tmp_path / "p.pkl").read_bytes()), GOOD), "plain pickle reads it too"


def test_old_numpy_finds_its_names(tmp_path: Path) -> None:
    write_proposals(GOOD, tmp_path / "p.pkl")
    names = {arg for opcode, arg, _ in pickletools.genops((tmp_path / "p.pkl").read_bytes()) if opcode.name == "GLOBAL"}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4"])
def test_every_protocol_and_number(tmp_path: Path, protocol: int, dtype: str) -> None:
    given = {key: np.asfortranarray(value.astype(dtype)) for key, value in GOOD.items()}
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(given, protocol=protocol))
    found, rejected = read_proposals(tmp_path / "p.pkl")
    assert not rejected
    assert all(np.allclose(found[key], GOOD[key]) and found[key].dtype == np.float64 for key in GOOD)


def test_lists_are_boxes_too(tmp_path: Path) -> None:
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({"AAAAAAAAAAA,0001": [[0, 0, 0.5, 0.5]]}))
    assert read_proposals(tmp_path / "p.pkl")[0]["AAAAAAAAAAA,0001"].shape == (1, 4)


def test_bad_entries_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    bad = {
        "../x,0001": GOOD["AAAAAAAAAAA,12457"], "AAAAAAAAAAA": GOOD["AAAAAAAAAAA,12457"], 5: 5,
        "AAAAAAAAAAA,0001": np.zeros((0, 5)), "AAAAAAAAAAA,0002": np.zeros((0,)), "AAAAAAAAAAA,0003": np.ones((1, 6)),
        "AAAAAAAAAAA,0004": np.array([[0, 0, 1.5, 1, 1]]), "AAAAAAAAAAA,0005": np.array([[0, 0, np.nan, 1, 1]]),
        "AAAAAAAAAAA,0006": np.array([[0.5, 0, 0.5, 1, 1]]), "AAAAAAAAAAA,0007": "x", "AAAAAAAAAAA,0008": [["a"]],
    }  # fmt: skip
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({**bad, **GOOD}))
    found, rejected = read_proposals(tmp_path / "p.pkl")
    assert same(found, GOOD)
    assert set(rejected) == {str(key) for key in bad}


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hostile",)


class Getattr:
    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, ("text", "upper")


@pytest.mark.parametrize(
    "value", [Hostile(), Getattr(), np.array([Hostile()], dtype=object), b"".join, np.random.default_rng(0)]
)
def test_nothing_is_executed(tmp_path: Path, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({"AAAAAAAAAAA,0001": value}))
    with pytest.raises(UserError, match="was not executed"):
        read_proposals(tmp_path / "p.pkl")
    assert not (tmp_path / "hostile").exists()


def test_an_array_that_claims_too_much(tmp_path: Path) -> None:
    text = pickle.dumps({"AAAAAAAAAAA,0001": np.ones((2, 5))}, protocol=2)
    huge = text.replace(b"K\x02K\x05\x86", b"J\xff\xff\xff\x7fK\x05\x86")
    assert huge != text
    (tmp_path / "p.pkl").write_bytes(huge)
    found, rejected = read_proposals(tmp_path / "p.pkl")
    assert not found
    assert "does not fit" in rejected["AAAAAAAAAAA,0001"]


@pytest.mark.parametrize(
    "text", [b"", b"not a pickle", pickle.dumps([1]), pickle.dumps(GOOD)[:-40], b"\x80\x05B\xff\xff\xff\x7f"]
)
def test_damaged_files_are_one_sentence(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "p.pkl").write_bytes(text)
    with pytest.raises(UserError):
        read_proposals(tmp_path / "p.pkl")


@pytest.mark.parametrize(
    ("key", "boxes"),
    [("x", np.ones((1, 5))), ("AAAAAAAAAAA,0001", np.zeros((0, 5))), ("AAAAAAAAAAA,0001", np.ones((1, 5)) * 2)],
)
def test_what_readers_choke_on_is_never_written(tmp_path: Path, key: str, boxes: Any) -> None:
    with pytest.raises(ValueError):
        write_proposals({key: boxes}, tmp_path / "p.pkl")
    assert not (tmp_path / "p.pkl").exists()


def test_merge_and_what_is_lacking() -> None:
    ours = {"AAAAAAAAAAA,0001": np.ones((1, 4)), "AAAAAAAAAAA,12457": np.zeros((1, 4))}
    merged = merge_proposals(ours, GOOD)
    assert list(merged) == ["AAAAAAAAAAA,0001", "AAAAAAAAAAA,12457", "0f39OWEqJ24,0902"]
    assert merged["AAAAAAAAAAA,12457"] is GOOD["AAAAAAAAAAA,12457"]
    assert list(lacking({"b,0002", "a,0001", "AAAAAAAAAAA,0001"}, merged)) == ["a,0001", "b,0002"]
    assert proposal_key("AAAAAAAAAAA", 7) == "AAAAAAAAAAA,0007"


def test_the_real_sample(shared: Path) -> None:
    found, rejected = read_proposals(shared / "real/annotations/ava_proposals_sample.pkl")
    assert found
    assert not rejected
    for boxes in found.values():
        assert boxes.shape[1] == 5


def test_python_2(tmp_path: Path) -> None:
    old = (
        b"(dp0\nS'AAAAAAAAAAA,0001'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\ntp6\nRp7\n"
        b"(I1\n(I1\nI4\ntp8\ncnumpy\ndtype\np9\n(S'f8'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\n"
        + b"S" + repr(np.array([[0.0, 0.0, 1.0, 0.5]]).tobytes())[1:].encode() + b"\np15\ntp16\nbs."
    )  # fmt: skip
    (tmp_path / "p.pkl").write_bytes(old)
    found, rejected = read_proposals(tmp_path / "p.pkl")
    assert not rejected
    assert found["AAAAAAAAAAA,0001"].tolist() == [[0.0, 0.0, 1.0, 0.5]]
