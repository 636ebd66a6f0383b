"""Proposal pickles: written for old readers, read from hostile writers."""

from __future__ import annotations

import os
import pickle
import pickletools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations import proposals
from clipquarry.annotations.proposals import lacking, merge_proposals, proposal_key, read_proposals, write_proposals
from clipquarry.errors import UserError
from memory import traced_peak

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


def test_the_sentences_are_those_of_each_array_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "_AT_ONCE", 4)
    well = np.array([[0.1, 0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1, 0]])
    odd = [
        np.zeros((0, 5)), np.ones((2, 3)), np.ones(5), np.array([[0, 0, np.inf, 1, 1]]), np.array([[0, 0, 320, 240.0]]),
        np.array([[0, 0, 1, 1, 98.5]]), np.array([[-0.1, 0, 1, 1]]), np.array([[0, 0, 1.5, 1, 1]]),
        np.array([[0, 0, 1, 1, 0.5], [0.5, 0, 0.5, 1, 1]]), np.array([[0, np.nan, 1, 1, 1]]),
    ]  # fmt: skip
    given = {f"AAAAAAAAAAA,{n:04d}": array for n, array in enumerate([well, *odd, well[:, :4], well])}
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(given))
    found, rejected = read_proposals(tmp_path / "p.pkl")
    alone = {key: proposals.boxes_problem(array) for key, array in given.items()}
    assert rejected == {key: problem for key, problem in alone.items() if problem}
    assert list(rejected) == [key for key in given if key in rejected]
    assert same(found, {key: array for key, array in given.items() if not alone[key]})
    for key, problem in rejected.items():
        with pytest.raises(ValueError, match=f"^{key}: ") as caught:
            write_proposals({**found, key: given[key]}, tmp_path / "q.pkl")
        assert str(caught.value) == f"{key}: {problem}"


def test_boxes_are_not_looked_at_key_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    concatenate = np.concatenate
    monkeypatch.setattr(np, "concatenate", lambda arrays: looked.append(len(arrays)) or concatenate(arrays))
    many = {f"AAAAAAAAAAA,{n:04d}": np.array([[0, 0, 1, 1, 1.0]]) for n in range(3000)}
    write_proposals(many, tmp_path / "p.pkl")
    assert len(read_proposals(tmp_path / "p.pkl")[0]) == 3000
    assert looked == [3000, 3000]


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


def bomb_of_lists() -> bytes:
    """Each list holds the one before it twice."""
    value: list[Any] = []
    for _ in range(24):
        value = [value, value]
    return pickle.dumps({"AAAAAAAAAAA,0001": value})


def nested(depth: int, end: bytes = b"N") -> bytes:
    return b"\x80\x04" + end + b"\x85" * depth + b"."


BOMBS = {
    "lists that share their parts": bomb_of_lists(),
    "tuples that share their parts, as a key": b"\x80\x04}N" + b"\x94h\x00\x86".replace(b"h\x00", b"2").replace(b"\x94", b"") * 40 + b"Ks.",
    "a memo of sixteen gigabytes": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a memo by text": b"Np2000000000\n.",
    "deep tuples": nested(1_000_000),
    "deep lists": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "lists that hold themselves": b"\x80\x02]q\x00h\x00a.",
    "lists that grow after they were used": b"\x80\x02]q\x00]q\x01h\x00ah\x00h\x01aa.",
    "one large array under many keys": b"\x80\x03}(U\x03key" + b"B" + (100_000).to_bytes(4, "little") + b"x" * 100_000 + b"q\x00"
        + b"".join(b"X\x08\x00\x00\x00%08dh\x00" % n for n in range(10_000)) + b"u.",
    "a text longer than the file": b"\x80\x04X\xff\xff\xff\x7fabc.",
    "bytes longer than the file": b"\x80\x04\x8e" + b"\xff" * 8 + b".",
    "a frame longer than the file": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7fN.",
    "a huge number": b"\x80\x02\x8b\x00\x10\x00\x00" + b"\x01" * 4096 + b".",
    "a huge number by text": b"L" + b"9" * 4000 + b"L\n.",
    "more marks than values": b"((((t.",
    "an instance": b"(i__main__\nX\n.",
    "a set": b"\x80\x04\x8f(K\x01\x90.",
    "a value from nowhere": b"h\x05.",
    "nothing to take": b"a.",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_anything_of_them_is_built(tmp_path: Path, name: str) -> None:
    (tmp_path / "p.pkl").write_bytes(BOMBS[name])
    before = time.process_time()

    def refused() -> None:
        with pytest.raises(UserError, match="was not executed"):
            read_proposals(tmp_path / "p.pkl")

    assert traced_peak(refused, warm=False) < 100 * len(BOMBS[name]) + 10_000_000
    assert time.process_time() - before < 30


def test_the_bomb_that_went_off_once(shared: Path) -> None:
    with pytest.raises(UserError, match="share their parts"):
        read_proposals(shared / "cases/hostile/shared_lists_24.pkl")


def test_what_people_share_is_no_bomb(tmp_path: Path) -> None:
    """The same array for many keys, and lists in lists."""
    whole = np.array([[0.0, 0.0, 1.0, 1.0, 1.0]])
    given: dict[str, Any] = {f"AAAAAAAAAAA,{second:04d}": whole for second in range(500)}
    given |= {f"BBBBBBBBBBB,{second:04d}": [[0.1, 0.2, 0.3, 0.4]] for second in range(500)}
    for protocol in (0, 2, 4):
        (tmp_path / "p.pkl").write_bytes(pickle.dumps(given, protocol=protocol))
        found, rejected = read_proposals(tmp_path / "p.pkl")
        assert (len(found), rejected) == (1000, {})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_empty_array_is_rejected_alone(tmp_path: Path, protocol: int) -> None:
    empty = {"AAAAAAAAAAA,0001": np.zeros((0, 5)), "AAAAAAAAAAA,0002": np.zeros((0,))}
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({**empty, **GOOD}, protocol=protocol))
    found, rejected = read_proposals(tmp_path / "p.pkl")
    assert same(found, GOOD)
    assert set(rejected) == set(empty)


def test_pixels_and_per_cents_are_named(tmp_path: Path) -> None:
    bad = {
        "AAAAAAAAAAA,0001": np.array([[10, 20, 300, 400, 0.9]]), "AAAAAAAAAAA,0002": np.array([[0.1, 0.2, 0.3, 0.4, 95.0]]),
        "AAAAAAAAAAA,0003": np.array([[0.1, 0.2, 1.1, 0.4, 0.9]]),
    }  # fmt: skip
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(bad))
    found, rejected = read_proposals(tmp_path / "p.pkl")
    assert not found
    assert [text.split(" (")[0] for text in rejected.values()] == [
        "its boxes are in pixels", "its scores are in per cent", "it holds numbers outside 0..1"
    ]  # fmt: skip
