"""Pickles written one sample at a time: what plain pickle reads from them, and the memory that writing takes."""

from __future__ import annotations

import io
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations import safe_pickle
from clipquarry.annotations.streamed_pickle import writing_list, writing_package
from memory import traced_peak


def sample(number: int, frames: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    return {
        "frame_dir": f"sample_{number}",
        "label": number % 60,
        "keypoint": rng.normal(size=(number % 3, frames, 25, 3)).astype(np.float16),
        "img_shape": (1080, 1920),
        "total_frames": frames,
    }


def assert_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        if isinstance(value, np.ndarray):
            assert (found[key].dtype, found[key].shape) == (value.dtype, value.shape)
            assert found[key].tobytes() == value.tobytes()
            assert found[key].flags.writeable, "transforms change arrays in place"
        else:
            assert found[key] == value
            assert type(found[key]) is type(value)


def test_plain_pickle_reads_a_package(tmp_path: Path) -> None:
    split: dict[str, list[str]] = {"train": [], "val": []}
    samples = [sample(number) for number in range(300)]
    with writing_package(tmp_path / "x.pkl", split) as append:
        for one in samples:
            append(one)
            split["train" if one["label"] % 2 else "val"].append(one["frame_dir"])
    found = pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert sorted(found) == ["annotations", "split"]
    assert found["split"] == split
    for one, wanted in zip(found["annotations"], samples, strict=True):
        assert_same(one, wanted)


def test_plain_pickle_reads_a_list(tmp_path: Path) -> None:
    with writing_list(tmp_path / "x.pkl") as append:
        for number in range(5):
            append(sample(number))
    found = pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert isinstance(found, list)
    for one, number in zip(found, range(5), strict=True):
        assert_same(one, sample(number))


def test_nothing_is_a_pickle_too(tmp_path: Path) -> None:
    with writing_list(tmp_path / "list.pkl"):
        pass
    with writing_package(tmp_path / "package.pkl", {"train": []}):
        pass
    assert pickle.loads((tmp_path / "list.pkl").read_bytes()) == []
    assert pickle.loads((tmp_path / "package.pkl").read_bytes()) == {"annotations": [], "split": {"train": []}}


def test_pythons_own_unpickler_and_our_safe_reader_agree(tmp_path: Path) -> None:
    with writing_package(tmp_path / "x.pkl", {"train": ["a"]}) as append:
        for number in range(20):
            append(sample(number))
    with open(tmp_path / "x.pkl", "rb") as handle:
        plain = pickle._Unpickler(handle).load()
    safe = safe_pickle.load(tmp_path / "x.pkl", "package")
    for one, other in zip(plain["annotations"], safe["annotations"], strict=True):
        assert one["keypoint"].tobytes() == other["keypoint"].numpy().tobytes()


def test_the_file_has_the_names_that_an_older_numpy_knows(tmp_path: Path) -> None:
    with writing_list(tmp_path / "x.pkl") as append:
        append(sample(1))
        append(sample(2))
    content = (tmp_path / "x.pkl").read_bytes()
    names = {argument for op, argument, _ in pickletools.genops(content) if op.name == "GLOBAL"}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
    assert max(op.proto for op, _, _ in pickletools.genops(content)) <= 3
    pickletools.dis(content, out=io.StringIO())  # its checks are stricter than the unpickler's


def test_big_endian_and_other_orders_of_memory_become_plain(tmp_path: Path) -> None:
    array = np.arange(24, dtype=">f4").reshape(2, 3, 4).transpose(2, 0, 1)
    with writing_list(tmp_path / "x.pkl") as append:
        append({"keypoint": array})
    found = pickle.loads((tmp_path / "x.pkl").read_bytes())[0]["keypoint"]
    assert found.dtype == np.dtype("<f4")
    assert (found == array).all()
    with pytest.raises(TypeError, match="not of numbers"), writing_list(tmp_path / "y.pkl") as append:
        append({"keypoint": np.array([object()])})
    assert not (tmp_path / "y.pkl").exists()


def test_an_error_leaves_the_older_file(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"before")
    with pytest.raises(RuntimeError), writing_list(tmp_path / "x.pkl") as append:
        append(sample(1))
        raise RuntimeError
    assert (tmp_path / "x.pkl").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["x.pkl"]


def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    def write(count: int) -> None:
        with writing_list(tmp_path / "x.pkl") as append:
            for number in range(count):
                append(sample(number % 5, frames=40))

    assert traced_peak(lambda: write(500)) - traced_peak(lambda: write(50)) < 100_000, "450 samples more have 3 MB"


def test_a_writer_that_is_killed_leaves_the_older_file(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from clipquarry.annotations.streamed_pickle import writing_list
with writing_list(Path(sys.argv[1])) as append:
    append({"label": 1})
    os.kill(os.getpid(), signal.SIGKILL)
"""
    (tmp_path / "x.pkl").write_bytes(b"before")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.pkl")], check=False)
    assert done.returncode == -9
    assert (tmp_path / "x.pkl").read_bytes() == b"before"
