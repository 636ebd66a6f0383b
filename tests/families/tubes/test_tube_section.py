"""The section "Tubes" of the report, from whole tables and from damaged ones."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from clipquarry.annotations.tube_measures import measure
from clipquarry.annotations.tube_pickle import read_truth
from clipquarry.datasets.load import find_spec
from clipquarry.families.tubes.report.section import SECTION, SHOWN, ClassRow, SplitRow, collect, plots
from clipquarry.families.tubes.report.shown import write_shown
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.families.tubes.sample import VIDEOS, tree, truth
from clipquarry.families.tubes.tables import write_tables

SPEC = find_spec("jhmdb_demo")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A data root, with the run's tables in ``run``."""
    (tmp_path / "GT.pkl").write_bytes(truth())
    found, place = read_truth(tmp_path / "GT.pkl"), TubeFiles(tmp_path / "run")
    place.root.mkdir()
    write_tables(found, measure(found), place.videos, place.tubes)
    write_shown(found, place.shown)
    for name, content in tree():
        path = tmp_path / SPEC.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_tubes_by_split_and_class(run: Path) -> None:
    found = collect(SPEC, run, run / "run", {})
    assert found is not None and found.problems == ()
    assert found.splits == (SplitRow("train", 3, 3, 0, 24), SplitRow("test", 2, 2, 0, 14))
    assert found.classes == (
        ClassRow("catch", {"train": 2, "test": 1}, (7, 7.5, 8, 8.5, 9)),
        ClassRow("wave", {"train": 1, "test": 1}, (6, 6.5, 7, 7.5, 8)),
    )
    assert "wave" in (plots(found)["lengths"] or "")


def test_videos_are_drawn_over_time(run: Path) -> None:
    found = collect(SPEC, run, run / "run", {})
    assert found is not None and len(found.drawn) == min(SHOWN, len(VIDEOS))
    assert {one.split for one in found.drawn[:2]} == {"train", "test"}
    for one in found.drawn:
        numbers = [frame["number"] for frame in one.frames]
        assert numbers[0] == 1 and numbers[-1] == VIDEOS[one.video][1] and len(numbers) == 5
        assert all(len(frame["boxes"]) == 1 for frame in one.frames)
    images = [image for _, strip in SECTION.values(found, run)["strips"] for image in strip]
    assert all(image and not problem for image, problem in images)


def test_only_videos_with_frames_are_drawn(run: Path) -> None:
    (run / SPEC.root / "Frames/wave/hand_wave_01/00001.png").unlink()
    found = collect(SPEC, run, run / "run", {"splits": ["train"]})
    assert found is not None and [row.split for row in found.splits] == ["train"]
    assert {one.video for one in found.drawn} == {"catch/ball_catch_01", "catch/ball_catch_02"}


def test_damaged_tables_are_named(run: Path) -> None:
    place = TubeFiles(run / "run")
    place.tubes.write_bytes(place.tubes.read_bytes()[:100])
    place.shown.write_text("{")
    place.flow.write_bytes(b"no table")
    found = collect(SPEC, run, run / "run", {})
    assert found is not None and len(found.problems) == 2 and found.drawn == ()
    assert plots(found)["lengths"] is None


def test_a_run_without_tubes_has_no_section(tmp_path: Path) -> None:
    assert collect(SPEC, tmp_path, tmp_path, {}) is None


def test_boxes_that_are_no_numbers_are_not_drawn(tmp_path: Path) -> None:
    value = pickle.loads(truth())
    value["gttubes"]["wave/hand_wave_01"][1][0][2, 1] = float("nan")
    (tmp_path / "GT.pkl").write_bytes(pickle.dumps(value))
    write_shown(read_truth(tmp_path / "GT.pkl"), tmp_path / "shown.json")
    assert "NaN" not in (tmp_path / "shown.json").read_text()
