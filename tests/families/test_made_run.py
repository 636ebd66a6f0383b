"""The one writer of made runs: nobody else who makes runs says what a table of the product holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pyarrow as pa
import pytest
from clipquarry.manifest import read_rows
from clipquarry.pipeline.state import STATE_SCHEMA
from families.boxes.made_boxes import MadeBoxes, box_row, rect
from families.made_run import FINE, MadeRun, item_row

TESTS = Path(__file__).parents[1]
BENCH = TESTS.parent / "bench"
COLUMNS = {
    "RESULT_FIELDS", "CATALOG_FIELDS", "STATE_SCHEMA", "RESULTS_SCHEMA", "MISSING_FIELDS", "KEY_FRAMES", "REJECTED",
}  # fmt: skip
"""The product's columns of a run's tables."""


def test_worlds_and_benches_write_a_runs_tables_through_it() -> None:
    makers = [path for end in ("world", "fixture", "helpers") for path in TESTS.rglob(f"*_{end}.py")]
    assert len(makers) > 5
    assert [
        f"{path.relative_to(TESTS.parent)}:{node.lineno} imports {name.name}"
        for path in (*sorted(makers), *sorted(BENCH.glob("*.py")))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("clipquarry.")
        for name in node.names
        if name.name in COLUMNS
    ] == []


def test_a_table_has_all_columns_of_the_product_and_no_other(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    row = {**item_row("train", "a" * 11, 1, 2.5, clip="a" * 11 + "_000001_000002"), **FINE, "key": "k"}
    run.recorded(pa.Table.from_pylist([row]))
    (read,) = read_rows(run.place.recorded)
    assert set(read) == set(STATE_SCHEMA.names) and (read["end"], read["bytes"]) == (2_500_000, None)
    run.recorded([row])
    assert list(read_rows(run.place.recorded)) == [read]
    for rows in ([{**row, "former": 1}], pa.Table.from_pylist([{**row, "former": 1}])):
        with pytest.raises(ValueError, match="former"):
            run.recorded(rows)


def test_a_table_of_boxes_lacks_no_column(tmp_path: Path) -> None:
    run = MadeBoxes(tmp_path)
    row = box_row("a" * 11, "0902", rect(0.1, 0.2, 0.3, 0.4), 12)
    run.annotated("train", "boxes", [row])
    del row["person_id"]
    with pytest.raises(AssertionError, match="person_id"):
        run.annotated("train", "boxes", [row])
