"""``missing.csv``: what is not there, with the times as the annotation has them."""

from __future__ import annotations

import csv
from pathlib import Path

from clipquarry.manifest import CATALOG_FIELDS, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.report.missing import write_missing


def test_times_are_seconds_as_the_annotation_has_them(tmp_path: Path) -> None:
    def row(name: str, **more: object) -> dict[str, object]:
        return {"item_id": name, "split": "val", "status": "missing", "reason": "gone", "evidence": "", **more}

    rows = [
        row("whole", start=of(417), end=of(427)),
        row("written", start=of(5), end=of(15), start_text="5.0", end_text="15.9"),
        row("tenths", start=of("0.3"), end=of("12.5")),
        row("none"),
    ]
    write_rows(tmp_path / "recorded.parquet", schema_of(CATALOG_FIELDS, "recorded"), rows)
    assert (
        write_missing(tmp_path / "missing.csv", tmp_path / "recorded.parquet", tmp_path / "catalog.parquet", "youtube")
        == 4
    )
    with open(tmp_path / "missing.csv", encoding="utf-8", newline="") as handle:
        told = {found["item_id"]: (found["start"], found["end"]) for found in csv.DictReader(handle)}
    assert told == {"whole": ("417", "427"), "written": ("5.0", "15.9"), "tenths": ("0.3", "12.5"), "none": ("", "")}
