"""The Kinetics crawler's download report, and the csv with ``status,reason`` that is made from it.

The report is one JSON array in csv row order: ``[[clip_id, bool, message], ...]``. The message is ``Downloaded``,
``Exists`` or the text of what went wrong. Reports are named by split, so that one does not overwrite the other.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from clipyard.annotations.csv_records import Record
from clipyard.annotations.kinetics_csv import parse_seconds, read_header, read_records
from clipyard.errors import UserError
from clipyard.files import read_json, writing
from clipyard.ids import clip_id
from clipyard.manifest import Row, read_rows, read_table
from clipyard.reasons import Status

_COLUMNS = ("item_id", "clip_id", "split", "row", "status", "evidence", "reason")


class ReportEntry(NamedTuple):
    """One clip of a report: was it there in the end, and the message."""

    clip_id: str
    ok: bool
    message: str


class Verdict(NamedTuple):
    """The two columns that a status csv adds; ``status`` is Downloaded, Network, Unavailable or Other."""

    status: str
    reason: str


NOT_IN_REPORT = Verdict("Other", "not in the report")

_DONE = ("downloaded", "exists")
_PHRASES: tuple[tuple[str, Verdict], ...] = (
    ("timed out", Verdict("Network", "")),
    ("did not get any data blocks", Verdict("Network", "")),
    ("giving up after", Verdict("Network", "")),
    ("network is unreachable", Verdict("Network", "")),
    ("temporary failure in name resolution", Verdict("Network", "")),
    ("content too short", Verdict("Network", "")),
    ("contenttooshort", Verdict("Network", "")),
    ("removed by the user", Verdict("Unavailable", "User-Removed")),
    ("removed by the uploader", Verdict("Unavailable", "User-Removed")),
    ("copyright", Verdict("Unavailable", "Copyright")),
    ("in your country", Verdict("Unavailable", "Country-Block")),
    ("from your location", Verdict("Unavailable", "Country-Block")),
    ("spam", Verdict("Unavailable", "Spam")),
    ("nudity", Verdict("Unavailable", "Nudity")),
    ("private video", Verdict("Unavailable", "Private")),  # its text goes on 'Sign in if you ...'
    ("video is private", Verdict("Unavailable", "Private")),
    ("sign in", Verdict("Unavailable", "Sign-In")),
    ("harassment and bullying", Verdict("Unavailable", "Harassment and Bullying")),
    ("harmful", Verdict("Unavailable", "Harmful")),
    ("community guidelines", Verdict("Unavailable", "Guidelines")),
    ("terms of service", Verdict("Unavailable", "Service-Terms")),
)
"""Parts of messages, in lower case; the first that is found decides."""


def message_text(message: str | bytes) -> str:
    """A tool's output as text; bytes that are not UTF-8 are replaced."""
    return message.decode("utf-8", errors="replace") if isinstance(message, bytes) else message


def verdict_of(message: str) -> Verdict:
    """What a message means; unknown ones are ``Other`` with the message itself."""
    text = message.strip().lower().replace("’", "'")
    if text in _DONE:
        return Verdict("Downloaded", "")
    if "not a bot" in text:  # says 'Sign in', but it is about us and not about the video
        return Verdict("Other", message)
    for phrase, verdict in _PHRASES:
        if phrase in text:
            return verdict
    return Verdict("Other", message)


def _entry(row: Row) -> ReportEntry:
    status = Status(row["status"])
    # A rejected row has no clip id; the last part of its item id ('#row-17') still tells which one it was.
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


def report_parts(path: Path, parts: int = 1) -> list[Path]:
    """The files of a report that was written in parts: ``{path}-01``, ``{path}-02``, ...; one part is ``path``."""
    return [path] if parts == 1 else [path.with_name(f"{path.name}-{part:02d}") for part in range(1, parts + 1)]


def read_download_report(path: Path, parts: int = 1) -> Iterator[ReportEntry]:
    """The entries of a report in one or more parts. Raises :class:`UserError` for anything else."""
    for part in report_parts(path, parts):
        if not part.is_file():
            raise UserError(f"There is no download report {part}.")
        if part.stat().st_size == 0:
            raise UserError(f"{part} is empty: the crawler that wrote it broke down at its end; run it again.")
        entries = read_json(part)
        if not isinstance(entries, list):
            raise UserError(f"{part} is not a download report: expected [[clip id, true or false, message], ...].")
        for number, entry in enumerate(entries, start=1):
            match entry:
                case [str(name), bool(ok), str(message)]:
                    yield ReportEntry(name, ok, message)
                case _:
                    raise UserError(f"{part}, entry {number}: expected [clip id, true or false, message].")


def _clip_of(record: Record, columns: Mapping[str, int]) -> str | None:
    if record.problem or record.fields is None:
        return None
    start, end = (parse_seconds(record.fields[columns[name]]) for name in ("time_start", "time_end"))
    if start is None or end is None:
        return None
    return clip_id(record.fields[columns["youtube_id"]], start, end)


def write_status_csv(annotations: Path, report: Path, target: Path, *, parts: int = 1) -> Counter[str]:
    """Append ``status,reason`` to an annotation csv; everything else is as it was. Returns the rows by status.

    A row that the report does not name is ``Other`` / ``not in the report``. A row that is no csv record stands with
    its text in the first column and what is wrong with it as the reason. A csv that has the two columns gets new ones.
    """
    names = read_header(annotations)
    width = len(names)
    kept = [index for index, name in enumerate(names) if name not in Verdict._fields]
    columns = {name: index for index, name in enumerate(names)}
    verdicts: dict[str, Verdict] = {}
    known: dict[str, Verdict] = {}  # equal messages are kept once
    for entry in read_download_report(report, parts):
        if (verdict := known.get(entry.message)) is None:
            verdict = known[entry.message] = verdict_of(entry.message)
        verdicts[entry.clip_id] = verdict
    counts: Counter[str] = Counter()
    with writing(target) as handle:
        table = csv.writer(handle, lineterminator="\n")
        table.writerow([*(names[index] for index in kept), *Verdict._fields])
        for record in read_records(annotations):
            fields = record.fields
            if fields is None or len(fields) != width:
                fields, verdict = [record.raw, *[""] * (width - 1)], Verdict("Other", record.problem)
            else:
                verdict = verdicts.get(_clip_of(record, columns) or "", NOT_IN_REPORT)
            counts[verdict.status] += 1
            table.writerow([*(fields[index] for index in kept), *verdict])
    return counts
