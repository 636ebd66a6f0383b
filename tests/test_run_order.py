"""Runs have numbers, because clocks go wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clipquarry.files import write_json
from clipquarry.run_order import next_number, run_order


def test_numbers_go_up_also_when_many_begin_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: next_number(tmp_path / "runs"), range(40)))
    assert sorted(numbers) == list(range(1, 41))


def test_a_lost_counter_is_found_again_from_the_runs(tmp_path: Path) -> None:
    write_json(tmp_path / "a/one/run.json", {"number": 41})
    write_json(tmp_path / "b/two/run.json", {"number": 7})
    assert next_number(tmp_path) == 42
    (tmp_path / ".number").write_text("garbage")
    assert next_number(tmp_path) == 42, "nobody wrote 42 into a run"
    (tmp_path / ".number").unlink()
    assert next_number(tmp_path) == 42


def test_runs_without_a_number_come_first_by_their_time(tmp_path: Path) -> None:
    for name, about in {
        "c": {"number": 2, "started": "2026-01-01T00:00:00+00:00"}, "b": {"number": 1, "started": "2028-01-01"},
        "a": {"started": "2027-01-01T00:00:00+01:00"}, "z": {"started": "2026-12-31T00:00:00Z"},
    }.items():  # fmt: skip
        write_json(tmp_path / name / "run.json", about)
    assert sorted((path.name for path in tmp_path.iterdir()), key=lambda n: run_order(tmp_path / n)) == [
        "z",
        "a",
        "b",
        "c",
    ]
