"""Reader and writer of the Kinetics crawler's download report.

The report is one JSON array in csv row order: ``[[clip_id, bool, message], ...]``. The message is ``Downloaded``,
``Exists`` or the error's text. Reports are named by split, so that one does not overwrite the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from clipquarry.files import writing
from clipquarry.manifest import Row, read_rows, read_table
from clipquarry.reasons import Status

_COLUMNS = ("item_id", "clip_id", "split", "row", "status", "evidence", "reason")


class ReportEntry(NamedTuple):
    """One clip of a report: whether it was there in the end, and the message."""

    clip_id: str
    ok: bool
    message: str


def message_text(message: str | bytes) -> str:
    """A tool's output as text; bytes that are not UTF-8 are replaced."""
    return message.decode("utf-8", errors="replace") if isinstance(message, bytes) else message


def _entry(row: Row) -> ReportEntry:
    status = Status(row["status"])
    # A rejected row has no clip id; the last field of its item id ('#row-17') still identifies it.
    name = row["clip_id"] or row["item_id"].rpartition("/")[2]
    if status.is_present:
        return ReportEntry(name, True, "Downloaded" if status is Status.DONE else "Exists")
    return ReportEntry(name, False, message_text(row["evidence"] or row["reason"]))


def write_report(target: Path, entries: Iterable[ReportEntry | tuple[str, bool, str | bytes]]) -> int:
    """Write entries as one JSON array, streamed, whole or not at all; returns their number."""
    count = 0
    with writing(target) as handle:
        handle.write("[")
        for name, ok, message in entries:
            handle.write(f"{', ' if count else ''}{json.dumps([name, ok, message_text(message)])}")
            count += 1
        handle.write("]")
    return count


def write_download_report(manifest: Path, split: str, folder: Path) -> Path:
    """Write ``download_report_{split}.json`` from a manifest with the result columns, in csv row order.

    A manifest in csv order is streamed; any other is sorted by its ``row`` column in memory first.
    """
    target = folder / f"download_report_{split}.json"
    write_report(target, (_entry(row) for row in _rows(manifest, split)))
    return target


def _rows(manifest: Path, split: str) -> Iterator[Row]:
    last, in_order = 0, True
    for row in read_rows(manifest, ("split", "row")):
        if row["split"] == split:
            in_order, last = in_order and row["row"] >= last, row["row"]
    if in_order:
        yield from (row for row in read_rows(manifest, _COLUMNS) if row["split"] == split)
        return
    for batch in read_table(manifest, _COLUMNS).sort_by("row").to_batches(max_chunksize=4096):
        yield from (row for row in batch.to_pylist() if row["split"] == split)
