"""``report/missing.csv``: every item that is not there, then every annotation row that was rejected."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipquarry.files import writing
from clipquarry.manifest import Row, read_rows
from clipquarry.reasons import Status

COLUMNS = ("item_id", "video_id", "clip_id", "split", "label", "start", "end", "status", "reason", "evidence")
_PRESENT = frozenset({Status.DONE, Status.KEPT})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_missing(target: Path, recorded: Path, catalog: Path) -> int:
    """Write the table (UTF-8, ``\\n``) row by row; returns how many rows. Manifests that are not there add none.

    A label or evidence that a spreadsheet would take for a formula gets a ``'`` in front; ids are left as they are.
    """
    count = 0
    with writing(target) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in _rows(recorded, catalog):
            writer.writerow([_cell(name, row[name]) for name in COLUMNS])
            count += 1
    return count


def _rows(recorded: Path, catalog: Path) -> Iterator[Row]:
    splits = set()
    if recorded.exists():
        for row in read_rows(recorded, COLUMNS):
            splits.add(row["split"])
            if row["status"] not in _PRESENT:
                yield row
    if catalog.exists():
        for row in read_rows(catalog, COLUMNS):
            if row["status"] == Status.REJECTED and (not splits or row["split"] in splits):
                yield row


def _cell(name: str, value: Any) -> Any:
    return f"'{value}" if name in ("label", "evidence") and str(value).startswith(_FORMULA) else value
