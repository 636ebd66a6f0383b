"""Large pickles are read item by item, and nothing in them is called."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.pickle_stream import PickleStream, shape_of
from clipquarry.errors import UserError

WHAT = "package"


def sample(number: int) -> dict[str, Any]:
    frames = 3 + number % 4
    return {
        "frame_dir": f"v{number}", "label": np.int64(number % 5) if number % 2 else number % 5, "total_frames": frames,
        "keypoint": np.arange(frames * 34, dtype=np.float32).reshape(1, frames, 17, 2),
        "keypoint_score": np.full((1, frames, 17), 0.5, np.float16), "img_shape": (100, 200), "valid": {0.5: 3, 0.9: 1},
        "tiny": np.array([1, -2], np.int16), "nothing": None, "yes": True, "big": 1 << 40, "share": 0.25,
    }  # fmt: skip


RICH = {*range(20), *range(990, 1010), *range(1080, 1100)}
SAMPLES = [sample(number) if number in RICH else {"frame_dir": f"v{number}"} for number in range(1100)]
"""More than the thousand that a pickler writes in one piece; arrays at both ends and around the joint."""
SPLIT = {
    "train": [str(one["frame_dir"]) for one in SAMPLES[:900]],
    "val": [str(one["frame_dir"]) for one in SAMPLES[900:]],
}


def write(folder: Path, value: Any, protocol: int = 4) -> Path:
    path = folder / "x.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def equal(stream: PickleStream, found: Any, wanted: dict[str, Any]) -> bool:
    arrays = {key: value for key, value in wanted.items() if isinstance(value, np.ndarray)}
    for key, value in arrays.items():
        array = stream.array(found[key])
        assert array.dtype == value.dtype and shape_of(found[key]) == value.shape
        assert np.array_equal(array, value)
    return all(found[key] == value for key, value in wanted.items() if key not in arrays)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("form", ["split first", "split last", "list"])
def test_items_of_all_protocols(tmp_path: Path, protocol: int, form: str) -> None:
    value: Any = {"split": SPLIT, "annotations": SAMPLES}
    if form == "split last":
        value = dict(reversed(value.items()))
    path = write(tmp_path, SAMPLES if form == "list" else value, protocol)
    with PickleStream(path, WHAT) as stream:
        count = 0
        for found, wanted in zip(stream.items("annotations"), SAMPLES, strict=True):
            assert equal(stream, found, wanted)
            count += 1
        assert count == len(SAMPLES)
        assert stream.value == ([] if form == "list" else {"split": SPLIT, "annotations": []})
        assert len(list(stream.items("annotations"))) == count, "it can be read again"


def test_one_item_and_none(tmp_path: Path) -> None:
    for samples in ([], SAMPLES[:1]):
        with PickleStream(write(tmp_path, {"split": {}, "annotations": samples}), WHAT) as stream:
            assert [one["frame_dir"] for one in stream.items("annotations")] == [one["frame_dir"] for one in samples]


def test_shared_values_are_kept_and_others_are_not(tmp_path: Path) -> None:
    shared = SAMPLES[0]
    with PickleStream(write(tmp_path, {"annotations": [shared, SAMPLES[1], shared]}), WHAT) as stream:
        assert [one["frame_dir"] for one in stream.items("annotations")] == ["v0", "v1", "v0"]


class _Calls:
    def __init__(self, what: Any, *arguments: Any) -> None:
        self.called = (what, arguments)

    def __reduce__(self) -> Any:
        return self.called


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("what", [os.system, eval, np.load, np.dtype, getattr])
def test_nothing_is_called(tmp_path: Path, protocol: int, what: Any) -> None:
    mark = tmp_path / "called"
    path = write(tmp_path, {"annotations": [_Calls(what, f"touch {mark}")]}, protocol)
    with PickleStream(path, WHAT) as stream:
        if what is np.dtype:  # a placeholder, which says nothing about a folder
            assert [type(one).__name__ for one in stream.items("annotations")] == ["Dtype"]
        else:
            with pytest.raises(UserError, match="was not executed: it wants to call"):
                list(stream.items("annotations"))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<!DOCTYPE html><html></html>", "no pickle of protocol 2 to 5"),
        (pickle.dumps([1], 0), "no pickle of protocol 2 to 5"),
        (pickle.dumps(SAMPLES, 4)[:-1], "it breaks off"),
        (pickle.dumps(SAMPLES, 4)[:5000], "breaks off|announces more data"),
        (pickle.dumps([1], 4) + b"x", "it goes on behind its end"),
        (b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little") + b".", "it announces more data than it holds"),
        (b"\x80\x04]h\x07a.", "it takes values that are not there"),
        (b"\x80\x04e.", "it takes values that are not there"),
        (b"\x80\x04a.", "it takes values that are not there"),
        (b"\x80\x04((.", "it ends in the middle of a value"),
        (b"\x80\x04K\x01K\x02a.", "it appends to what is no list"),
        (b"\x80\x04}]K\x01s.", "neither text nor a number"),
        (b"\x80\x04K\x01K\x02b.", "it changes what is no array"),
        (b"\x80\x04K\x01)R.", "it calls what is no name"),
        (b"\x80\x02}q\x00\x94.", "it remembers values in two ways"),
        (b"\x80\x04\x8a\x09" + b"\x01" * 9 + b".", "it holds a huge number"),
        (b"\x80\x04Pabc\n.", "it has the instruction PERSID, which no such file needs"),
        (b"\x80\x04\x8f.", "it has the instruction EMPTY_SET, which no such file needs"),
    ],
)
def test_damaged_and_hostile_pickles_are_one_sentence(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(data)
    with PickleStream(path, WHAT) as stream, pytest.raises(UserError, match=told) as error:
        list(stream.items("annotations"))
    assert str(error.value).startswith(f"{path} is no {WHAT}, and was not executed: ") and str(error.value).endswith(
        "."
    )


def test_a_small_file_cannot_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04" + b"]" * 1_500_000 + b".")
    with PickleStream(path, WHAT) as stream, pytest.raises(UserError, match="more than 1000000 values in one piece"):
        list(stream.items("annotations"))
    # Doubled again and again by reference: never copied, so that it takes no memory.
    path.write_bytes(
        b"\x80\x04]\x94" + b"]\x94(h\x00h\x00e" + b"".join(b"](h%ch%ce\x94" % (i, i) for i in range(1, 60)) + b"."
    )
    with PickleStream(path, WHAT) as stream, pytest.raises(UserError):
        list(stream.items("annotations"))


def test_empty_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").touch()
    with pytest.raises(UserError, match="is empty"):
        PickleStream(tmp_path / "x.pkl", WHAT)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        PickleStream(tmp_path / "y.pkl", WHAT)


@pytest.mark.parametrize(
    "state",
    [(1, (2, 2), None, False, b"1234"), (1, (3,), "x", False, b"123"), (1, (-1,), None, False, b""), (), None, 7],
)
def test_arrays_that_are_none(tmp_path: Path, state: Any) -> None:
    from clipquarry.annotations.safe_pickle import Array

    found = Array()
    found.__setstate__(state)
    with PickleStream(write(tmp_path, []), WHAT) as stream, pytest.raises(ValueError, match="arra"):
        stream.array(found)


def test_any_damage_is_a_sentence(tmp_path: Path) -> None:
    data = bytearray(pickle.dumps({"split": {"a": ["v0"]}, "annotations": SAMPLES[:3]}, 4))
    rng = np.random.default_rng(1)
    path = tmp_path / "x.pkl"
    for _ in range(400):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            broken[at] = rng.integers(0, 256)
        path.write_bytes(broken)
        with PickleStream(path, WHAT) as stream:
            try:
                for one in stream.items("annotations"):
                    for value in one.values() if isinstance(one, dict) else ():
                        shape_of(value)
                        with suppress(ValueError):
                            stream.array(value)
            except UserError:
                pass


_MEASURE = """
import resource, sys
from pathlib import Path
from clipquarry.annotations.pickle_stream import PickleStream
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with PickleStream(Path(sys.argv[1]), "package") as stream:
    before = peak()
    count = sum(1 for _ in stream.items("annotations"))
print(count, peak() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_items(tmp_path: Path) -> None:
    grown = []
    for number, count in enumerate((2_000, 40_000)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = write(folder, {"split": {}, "annotations": [sample(one) for one in range(count)]})
        done = subprocess.run([sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True)
        read, kilobytes = map(int, done.stdout.split())
        assert read == count
        grown.append(kilobytes)
    # The file's own pages count too, and belong to the system's cache.
    assert (grown[1] - grown[0]) * 1024 < path.stat().st_size + 38_000 * 300
