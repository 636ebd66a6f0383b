"""The section "Intervals" of the report, from whole tables and from damaged ones."""

from __future__ import annotations

from pathlib import Path

from clipquarry.annotations.interval_files import Interval
from clipquarry.datasets.load import find_spec
from clipquarry.families.segments.intervals import IntervalWriter
from clipquarry.families.segments.report.section import ClassRow, SplitRow, collect, plots
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.files import write_json

SPEC = find_spec("thumos14_demo")


def interval(video: str, number: int, start: int, end: int) -> Interval:
    name = "Ambiguous" if number < 0 else ("Diving", "LongJump")[number]
    return Interval(video, number, name, start, end, "", "", f"{name}_val.txt", 1)


def run_with(folder: Path) -> Path:
    with IntervalWriter(SegmentFiles(folder).intervals) as table:
        table.add("val", 0, interval("a", 0, 0, 1_500_000))
        table.add("val", 1, interval("a", 1, 2_000_000, 1_000_000))
        table.add("val", 0, interval("b", -1, 0, 9_000_000))
        table.add("test", 0, interval("c", 1, 0, 2_000_000))
    return folder


def test_intervals_are_counted_by_class_and_split(tmp_path: Path) -> None:
    found = collect(SPEC, tmp_path, run_with(tmp_path), {})
    assert found is not None and found.problems == ()
    assert found.splits == (SplitRow("val", 2, 2, 1, 1.5), SplitRow("test", 1, 1, 0, 2.0)), "no negative lengths"
    assert found.classes == (
        ClassRow("Diving", 26, {"val": 1, "test": 0}),
        ClassRow("LongJump", 51, {"val": 1, "test": 1}),
    )
    drawn = plots(found)["classes"]
    assert drawn is not None and "LongJump" in drawn


def test_only_the_splits_of_the_run_count(tmp_path: Path) -> None:
    found = collect(SPEC, tmp_path, run_with(tmp_path), {"splits": ["test"]})
    assert found is not None and [row.split for row in found.splits] == ["test"]
    assert found.classes[0].intervals == 0


def test_a_run_without_intervals_has_no_section(tmp_path: Path) -> None:
    assert collect(SPEC, tmp_path, tmp_path, {}) is None


def test_damaged_tables_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    place = SegmentFiles(run_with(tmp_path))
    place.intervals.write_bytes(place.intervals.read_bytes()[:200])
    place.blocks("val").parent.mkdir()
    place.blocks("val").touch()
    write_json(place.proposal_facts("val"), {"path": ["no"], "videos": "many", "proposals": 4})
    found = collect(SPEC, tmp_path, tmp_path, {})
    assert found is not None and found.problems[0].startswith("The table of intervals cannot be read: ")
    assert [(row.videos, row.proposals) for row in found.proposals] == [(0, 4)]
    assert plots(found) == {"classes": None}
