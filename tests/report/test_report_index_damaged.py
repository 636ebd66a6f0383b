"""One damaged file is that data set's problem, not the index's; and a clock that was ahead does not choose the latest run."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from clipquarry.files import write_json
from clipquarry.report.history import bucket
from clipquarry.report.index import data_set_lines, list_runs, read_summary, render_index
from clipquarry.settings import DataRoot

NOW = datetime(2026, 11, 28, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "dataset": "good", "title": "Good", "run": "r", "at": NOW.isoformat(), "level": "good", "word": "Good",
    "headline": "All is well.", "gates": {"clips": "pass"},
    "counts": {"expected": 4, "present": 3, "missing": 1, "rejected": 0, "failed": 0, "not_asked": 0},
}  # fmt: skip


def run(data: DataRoot, dataset: str, name: str, about: Any, summary: str | dict[str, Any]) -> Path:
    folder = data.run(dataset, name)
    write_json(folder / "run.json", about)
    (folder / "report").mkdir()
    if isinstance(summary, dict):
        write_json(folder / "report/summary.json", summary)
    else:
        (folder / "report/summary.json").write_text(summary, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "summary",
    [
        "", "{", "[]", "null", "[" * 100_000, "7" * 5000, "\ud7ff\x00",
        GOOD | {"counts": {"expected": "four"}},
        GOOD | {"counts": {**GOOD["counts"], "present": 10**400}},
        GOOD | {"counts": {**GOOD["counts"], "present": None}},
        GOOD | {"counts": {**GOOD["counts"], "present": -1.5}},
        GOOD | {"counts": [1, 2]},
        GOOD | {"counts": {"colour": 1}},
        GOOD | {"gates": ["clips"]},
        GOOD | {"at": "9999-12-31T23:59:59-12:00"},
        GOOD | {"at": {"a": 1}, "title": ["x"], "headline": {"a": 1}, "word": None},
        {"title": "half"},
    ],
    ids=range(17),
)  # fmt: skip
def test_a_damaged_summary_leaves_the_other_data_sets_alone(tmp_path: Path, summary: str | dict[str, Any]) -> None:
    data = DataRoot(tmp_path)
    run(data, "good", "r", {"started": NOW.isoformat()}, GOOD)
    run(data, "bad", "r", {"started": NOW.isoformat()}, summary)
    lines = {line.dataset: line for line in data_set_lines(data, [], None)}
    page = render_index(lines.values(), NOW)
    assert "Good" in page and "bad" in page
    assert (lines["good"].last.headline, lines["good"].last.counts and lines["good"].last.counts.present) == (
        "All is well.", 3,
    )  # fmt: skip
    if not isinstance(summary, dict) or summary.get("counts") != GOOD["counts"]:
        assert "cannot be read" in lines["bad"].last.headline and "clipquarry report" in lines["bad"].last.headline


@pytest.mark.parametrize(
    "about", [[], "x", {"started": "0001-01-01T00:00:00+14:00"}, {"number": "x"}, {"number": True}]
)
def test_a_damaged_run_file_leaves_the_other_runs_alone(tmp_path: Path, about: Any) -> None:
    data = DataRoot(tmp_path)
    run(data, "good", "first", {"started": NOW.isoformat(), "number": 1}, GOOD)
    run(data, "good", "second", about, GOOD)
    assert {path.name for path in list_runs(data, "good")} == {"first", "second"}
    lines = data_set_lines(data, [], None)
    assert "Good" in render_index(lines, NOW)
    assert lines[0].last.counts is not None


def test_the_latest_run_is_the_one_that_began_last_whatever_its_clock_said(tmp_path: Path) -> None:
    data = DataRoot(tmp_path)
    run(data, "good", "old", {"started": "2025-01-01T00:00:00+00:00"}, GOOD)
    run(data, "good", "ahead", {"started": "2028-01-01T00:00:00+00:00", "number": 1}, GOOD)
    run(data, "good", "right", {"started": "2026-11-28T00:00:00+00:00", "number": 2}, GOOD)
    assert [path.name for path in list_runs(data, "good")] == ["right", "ahead", "old"]


def test_a_run_whose_folder_another_one_removes_at_this_moment_is_a_line_without_a_time(tmp_path: Path) -> None:
    told = read_summary(DataRoot(tmp_path).run("good", "gone"), "good")
    assert (told.run, told.at, told.word) == ("gone", None, "No report")


def test_only_what_a_refresh_would_ask_for_is_due_now() -> None:
    today = date(2026, 11, 28)
    assert bucket(today, today, due=True) == "now"
    assert bucket(today, today, due=False) == "week", "a later hour of today"
    assert bucket(None, today, due=False) == "never"
    assert bucket(date(2027, 1, 28), today, due=False) == "later"
