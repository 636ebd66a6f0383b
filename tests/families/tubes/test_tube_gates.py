"""Checks of the ground truth of tubes: each defect is caught by its check, and a clean one by none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotations.test_tube_pickle import boxes, good, read
from clipquarry.annotations.tube_measures import measure
from clipquarry.annotations.tube_pickle import TubeTruth, read_truth
from clipquarry.datasets.load import find_spec
from clipquarry.families.tubes.family import FAMILY
from clipquarry.families.tubes.gates.annotations import _tubes, _videos
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.families.tubes.tables import TUBE_FIELDS, VIDEO_FIELDS, write_tables
from clipquarry.quality.engine import Engine
from clipquarry.quality.tables import RunTables

UCF, JHMDB = find_spec("ucf101_24"), find_spec("jhmdb")


def broken(folder: Path, truth: TubeTruth, spec: Any = UCF) -> dict[str, tuple[str, list[str]]]:
    """Severity and rows of each check that does not hold."""
    place = TubeFiles(folder)
    write_tables(truth, measure(truth), place.videos, place.tubes)
    run = RunTables(folder)
    videos = run.load(place.videos, [field.name for field in VIDEO_FIELDS])
    suites = [_videos(videos), *_tubes(spec, run.load(place.tubes, [field.name for field in TUBE_FIELDS]), videos)]
    engine, found = Engine({check.id: check for check in FAMILY.checks()}), {}
    for suite in suites:
        for one in engine.run(suite):
            if not one.result.success:
                rows = [] if one.rows is None else list(one.rows["item_id"])
                found[one.result.id] = (one.result.severity, rows)
    return found


def test_nothing_is_wrong_with_the_right_one(tmp_path: Path) -> None:
    assert broken(tmp_path, read(tmp_path, good())) == {}


def tube(*rows: Any) -> Callable[[dict[str, Any]], None]:
    def change(truth: dict[str, Any]) -> None:
        truth["gttubes"]["wave/b"][1][0] = np.array(rows, "<f4")

    return change


def in_train(truth: dict[str, Any]) -> None:
    truth["train_videos"][0].append("wave/b")


def in_none(truth: dict[str, Any]) -> None:
    truth["test_videos"] = [[]]


DEFECTS: dict[str, tuple[Callable[[dict[str, Any]], None], str, str]] = {
    "a part is lacking": (lambda t: t["resolution"].pop("wave/b"), "truth.video", "test/wave/b"),
    "in two splits": (in_train, "truth.split", "train/wave/b"),
    "no tube": (lambda t: t["gttubes"].update({"wave/b": {}}), "truth.some_tube", "test/wave/b"),
    "another form": (lambda t: t["gttubes"]["wave/b"][1].append(np.ones((2, 4))), "truth.form", "test/wave/b#2"),
    "a class that is not there": (lambda t: t["gttubes"].update({"wave/b": {5: [boxes(1)]}}), "truth.label", "test/wave/b#0"),
    "a class below zero": (lambda t: t["gttubes"].update({"wave/b": {-1: [boxes(1)]}}), "truth.label", "test/wave/b#0"),
    "another class": (lambda t: t["gttubes"].update({"wave/b": {0: [boxes(1)]}}), "truth.label", "test/wave/b#0"),
    "a frame behind the end": (tube((9, 1, 1, 9, 9)), "truth.frames", "test/wave/b#0"),
    "a frame zero": (tube((0, 1, 1, 9, 9), (1, 1, 1, 9, 9)), "truth.frames", "test/wave/b#0"),
    "not in order": (tube((2, 1, 1, 9, 9), (1, 1, 1, 9, 9)), "truth.frames", "test/wave/b#0"),
    "a gap": (tube((1, 1, 1, 9, 9), (3, 1, 1, 9, 9)), "truth.gaps", "test/wave/b#0"),
    "x1 behind x2": (tube((1, 9, 1, 9, 9)), "truth.boxes", "test/wave/b#0"),
    "outside of the picture": (tube((1, 1, 1, 321.5, 9)), "truth.in_picture", "test/wave/b#0"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_is_caught_by_its_check(tmp_path: Path, name: str) -> None:
    change, check, row = DEFECTS[name]
    value = good()
    change(value)
    severity = "warn" if check == "truth.gaps" else "error"
    assert broken(tmp_path, read(tmp_path, value)) == {check: (severity, [row])}


def test_a_pixel_outside_is_allowed(tmp_path: Path) -> None:
    value = good()
    tube((1, -1, -1, 321, 241))(value)
    assert broken(tmp_path, read(tmp_path, value)) == {}


def test_a_video_of_no_split_is_named_as_the_file_names_it(tmp_path: Path) -> None:
    value = good()
    in_none(value)
    found = broken(tmp_path, read(tmp_path, value))
    assert found["truth.split"] == ("error", ["wave/b"])


def test_one_tube_over_the_whole_video_where_the_data_set_has_that(tmp_path: Path) -> None:
    value = good()
    assert broken(tmp_path, read(tmp_path, value), JHMDB) == {"truth.whole_video": ("warn", ["test/wave/b"])}
    value["gttubes"]["wave/b"] = {1: [boxes(*range(1, 9))]}
    assert broken(tmp_path, read(tmp_path, value), JHMDB) == {}


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("bad_missing_resolution", "truth.video"),
        ("bad_label_out_of_range", "truth.label"),
        ("bad_split_overlap", "truth.split"),
        ("bad_x2_le_x1", "truth.boxes"),
        ("bad_frame_after_nframes", "truth.frames"),
    ],
)
def test_the_bad_examples_of_the_reference(shared: Path, tmp_path: Path, name: str, check: str) -> None:
    found = broken(tmp_path, read_truth(shared / f"oracles/gt_pickle_schema_examples/inputs/{name}.pkl"))
    assert found.keys() == {check} and found[check][0] == "error"
