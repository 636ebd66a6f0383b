"""``report/missing.csv``: every missing item, then every rejected annotation row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipquarry.files import writing
from clipquarry.manifest import Row, read_rows
from clipquarry.microseconds import text
from clipquarry.reasons import Status

COLUMNS = ("item_id", "video_id", "clip_id", "split", "label", "start", "end", "status", "reason", "evidence")
_TIMES = {"start": "start_text", "end": "end_text"}
"""Their times are written as in the annotation."""
_READ = (*COLUMNS, *_TIMES.values())
_PRESENT = frozenset({Status.DONE, Status.KEPT})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_missing(target: Path, recorded: Path, catalog: Path, namespace: str) -> int:
    r"""Write the table (UTF-8, ``\n``) row by row; returns the number of rows. Absent manifests add none.

    The last column, ``namespace``, is the ids' own: ``youtube``, or the data set's. A label or evidence that a
    spreadsheet would take for a formula gets a ``'`` in front; ids stay unchanged.
    """
    count = 0
    with writing(target) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow((*COLUMNS, "namespace"))
        for row in _rows(recorded, catalog):
            writer.writerow([*(_cell(name, row) for name in COLUMNS), namespace])
            count += 1
    return count


def _rows(recorded: Path, catalog: Path) -> Iterator[Row]:
    splits = set()
    if recorded.exists():
        for row in read_rows(recorded, _READ):
            splits.add(row["split"])
            if row["status"] not in _PRESENT:
                yield row
    if catalog.exists():
        for row in read_rows(catalog, _READ):
            if row["status"] == Status.REJECTED and (not splits or row["split"] in splits):
                yield row


def _cell(name: str, row: Row) -> Any:
    value = row[name]
    if name in _TIMES:
        return row[_TIMES[name]] or ("" if value is None else text(value))
    return f"'{value}" if name in ("label", "evidence") and str(value).startswith(_FORMULA) else value
