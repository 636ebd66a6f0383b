"""The step ``pool_features``: arrays that any tool may have left, and csv of other programs."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry import layout
from clipquarry.annotations.video_features import pooled_csv
from clipquarry.errors import Exit
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step
from dying import dies_at

NAME = "v_-aaaaaaaaaa"


def scores(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 200), np.float32)


class Yard:
    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.csv = folder / f"A/out/{NAME}.csv"

    def put(self, kind: str, value: Any, suffix: str = ".pkl", name: str = NAME) -> Path:
        path = self.data / f"A/{kind}/{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npy":
            np.save(path, value)
        else:
            path.write_bytes(pickle.dumps(value))
        return path

    def run(self) -> dict[str, Any]:
        row = {
            "item_id": f"train/{NAME}", "video_id": NAME[2:], "clip_id": NAME, "split": "train", "label": None, "class_dir": None,
            "label_index": -1, "row": 1,
        }  # fmt: skip
        items, out = self.data / "items.parquet", self.data / "out/part-00000.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), [row])
        out.unlink(missing_ok=True)
        params = json.dumps({"root": "A", "rgb": "rgb", "flow": "flow", "out": "out"})
        done = run_step(make_step("pool_features"), items=items, params=params, out=out, data=self.data, jobs=1)
        assert done.exit is Exit.OK
        (found,) = read_rows(out)
        return found

    def aside(self) -> list[Path]:
        return [path for path in (self.data / ".clipquarry/set-aside").rglob("*") if path.is_file()]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_a_pickle_and_an_npy_give_one_csv_which_is_kept(yard: Yard) -> None:
    yard.put("rgb", scores(5))
    yard.put("flow", scores(4, 1), ".npy")
    row = yard.run()
    assert (row["status"], row["path"], row["rgb_clips"], row["flow_clips"]) == ("done", f"A/out/{NAME}.csv", 5, 4)
    assert yard.csv.read_text() == pooled_csv(scores(5), scores(4, 1))
    before = yard.csv.stat()
    assert yard.run()["status"] == "kept" and yard.csv.stat() == before


def test_new_scores_make_a_new_csv_and_nothing_is_set_aside(yard: Yard) -> None:
    yard.put("rgb", scores(5))
    yard.put("flow", scores(4, 1))
    yard.run()
    yard.put("rgb", scores(5, 2))
    assert yard.run()["status"] == "done" and yard.aside() == []
    assert yard.csv.read_text() == pooled_csv(scores(5, 2), scores(4, 1))


@pytest.mark.parametrize(
    ("files", "status", "reason", "says"),
    [
        ({}, "missing", "no_source", "no scores of its clips"),
        ({"rgb.pkl": scores(2)}, "missing", "no_source", "lie in rgb alone: extract those of flow too"),
        ({"flow.npy": scores(2)}, "missing", "no_source", "lie in flow alone: extract those of rgb too"),
        ({"rgb.pkl": scores(2), "rgb.npy": scores(2), "flow.pkl": scores(2)}, "failed", "duplicate", "remove the one that is wrong"),
        ({"rgb.pkl": scores(2)[0], "flow.pkl": scores(2)}, "failed", "corrupt", "--long-video-mode"),
        ({"rgb.pkl": scores(2), "flow.pkl": "text"}, "failed", "corrupt", "holds a str"),
    ],
)  # fmt: skip
def test_what_gives_no_csv_is_told(yard: Yard, files: dict[str, Any], status: str, reason: str, says: str) -> None:
    for place, value in files.items():
        kind, _, suffix = place.partition(".")
        yard.put(kind, value, f".{suffix}")
    row = yard.run()
    assert (row["status"], row["reason"]) == (status, reason) and says in row["evidence"]
    assert not yard.csv.exists() and not list(yard.data.rglob(f"{TEMPORARY_PREFIX}*"))


def test_a_csv_of_the_reference_is_kept_and_any_other_is_set_aside(yard: Yard) -> None:
    yard.put("rgb", scores(5))
    yard.put("flow", scores(4, 1))
    text = pooled_csv(scores(5), scores(4, 1))
    first = text.split("\n")[1].split(",")[0]
    theirs = text.replace(first, f"{float(first) + 1e-4:.4f}", 1) + "\n"  # another rounding, another end
    yard.csv.parent.mkdir(parents=True)
    yard.csv.write_text(theirs)
    assert yard.run()["status"] == "kept" and yard.csv.read_text() == theirs and yard.aside() == []
    yard.csv.write_text(text.replace(first, "9.0000", 1))
    os.utime(yard.csv, (1, 1))
    row = yard.run()
    assert row["status"] == "done" and "does not fit" in row["evidence"] and yard.csv.read_text() == text
    assert [path.name for path in yard.aside()] == [yard.csv.name]


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("call", ["publish", "_note"])
def test_a_kill_around_the_csv_leaves_the_same_in_the_end(yard: Yard, call: str, *, behind: bool) -> None:
    yard.put("rgb", scores(5))
    yard.put("flow", scores(4, 1))
    dies_at(layout, call, yard.run, behind=behind)
    assert yard.csv.exists() == (call == "publish" and behind)
    assert yard.run()["status"] in ("done", "kept") and yard.aside() == []
    assert yard.csv.read_text() == pooled_csv(scores(5), scores(4, 1))
