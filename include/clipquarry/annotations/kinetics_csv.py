"""Reader of the annotation csv of Kinetics-400, 600, 700 and 700-2020, in every published form.

=====================  =====================================================
train, val (K400)      ``label,youtube_id,time_start,time_end,split,is_cc``
train, val (others)    ``label,youtube_id,time_start,time_end,split``
test without labels    ``youtube_id,time_start,time_end,split``
test with labels       as train
=====================  =====================================================

Comma separated, RFC 4180 quotes, one header line. Times are seconds of the original video; ``12.0`` is read as 12
(truncated). The ``split`` column is not used: one release says ``validate`` where the others say ``val``.

Nothing in a row is trusted. An unusable row gets a reason and never stops the reading. Memory is bounded by the
longest accepted record, except for a hash per row that finds duplicates.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

from clipquarry.annotations.csv_records import BOM, Lines, Record, records, visible
from clipquarry.annotations.items import MAX_SECONDS, RejectedRow
from clipquarry.errors import UserError
from clipquarry.ids import clip_id, id_problem, is_youtube_id, label_problem, normalise_label
from clipquarry.reasons import Reason

HEADERS = (
    "label,youtube_id,time_start,time_end,split,is_cc",
    "label,youtube_id,time_start,time_end,split",
    "youtube_id,time_start,time_end,split",
)
"""The published headers. The order of the columns is free, and there may be others, which are not looked at."""

UNLABELLED_DIR = "test"
"""The crawler's folder for rows of a csv without labels."""

_PUBLISHED = frozenset(HEADERS[0].split(","))
_READ = ("label", "youtube_id", "time_start", "time_end")
_REQUIRED = frozenset({"youtube_id", "time_start", "time_end"})
_LABELLED_SPLITS = frozenset({"train", "val"})
_label_problem = lru_cache(maxsize=2048)(label_problem)
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?([eE][+-]?\d{1,3})?\Z", re.ASCII)


class GoodRow(NamedTuple):
    """A usable row; ``label`` is None in a csv without labels, ``line`` is 1-based (1 is the header)."""

    line: int
    label: str | None
    video_id: str
    start: int
    end: int
    start_text: str
    """The time as written in the file, stripped."""
    end_text: str

    @property
    def class_dir(self) -> str:
        """Folder name of the class."""
        return UNLABELLED_DIR if self.label is None else normalise_label(self.label)

    @property
    def clip_id(self) -> str:
        """``{video_id}_{start:06d}_{end:06d}``."""
        return clip_id(self.video_id, self.start, self.end)


CsvRow = GoodRow | RejectedRow


def _header(path: Path, lines: Lines) -> list[str]:
    expected = " or ".join(f"'{header}'" for header in HEADERS)
    while (read := lines.next()) is not None and not read[1].strip():
        pass
    if read is None:
        raise UserError(f"{path} is empty: expected an annotation csv that begins with {expected}.")
    start = read[1].removeprefix(BOM)
    if b"\0" in start[:2000]:
        raise UserError(
            f"{path} holds NUL bytes, as UTF-16 and damaged files do: save it as UTF-8; expected {expected}."
        )
    if start.lstrip()[:1] == b"<":
        raise UserError(f"{path} is an HTML or XML page, not a csv: download it again; expected {expected}.")
    try:
        names = [name.strip() for name in next(csv.reader([start.decode()]))]
    except (UnicodeDecodeError, csv.Error, StopIteration):
        names = []
    if read[2] or not set(names) >= _REQUIRED or any(names.count(name) > 1 for name in _READ):
        shown = visible(start.decode(errors="backslashreplace"), 80)
        raise UserError(f"{path} begins with '{shown}', which is no Kinetics header: expected {expected}.")
    for wanted in {"label"} - set(names):  # the column may be absent, but not misspelt
        if meant := get_close_matches(wanted, [name.lower() for name in names], 1, 0.8):
            raise UserError(f"{path} has a column '{meant[0]}': name it '{wanted}'; expected {expected}.")
    return names


def _open(path: Path) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"The annotation file {path} cannot be read: {error.strerror}.") from error


def read_header(path: Path) -> list[str]:
    """The column names. Raises :class:`UserError` when the file cannot be opened or its header is wrong."""
    with _open(path) as handle:
        return _header(path, Lines(handle))


def read_records(path: Path) -> Iterator[Record]:
    """The records below the header, streamed, as written in the file; errors as :func:`read_header`."""
    with _open(path) as handle:
        lines = Lines(handle)
        yield from records(lines, len(_header(path, lines)))


def parse_seconds(text: str) -> int | None:
    """Whole seconds, truncated as ``int(float(text))``; None for invalid times (negative, NaN, too large, ...)."""
    if len(text) <= 7 and text.isascii() and text.isdecimal():  # the published form, and most of the reading time
        return int(text)
    text = text.strip(" ")
    if not _NUMBER.match(text):
        return None
    value = float(text)
    return int(value) if math.isfinite(value) and 0 <= value < MAX_SECONDS else None


def read_kinetics_csv(path: Path, split: str, *, own_ids: bool = False) -> Iterator[CsvRow]:
    """Every row of one split's csv in order, good or rejected. ``own_ids``: ids need not look like YouTube's.

    Rejected as ``bad_row`` (columns, quotes, encoding, length), ``bad_id``, ``bad_time`` (not 0 <= start < end),
    ``bad_label`` (unfit for a folder name) or ``duplicate`` (same id, times and label again; the same clip under
    another label is another item). Windows longer than usual are not rejected. Raises :class:`UserError` for a file
    that is no annotation csv, and for a train or val csv without a label column.
    """
    columns = _columns(path, split, own_ids=own_ids)
    seen: set[int] = set()
    for record in read_records(path):
        checked = _check(record, columns)
        if isinstance(checked, GoodRow):
            # The folder, not the label: two spellings of one folder would be one file. With a keyed hash of 64 bits,
            # the chance that a row of a million is wrongly called a duplicate is one in a hundred million.
            key = hash((checked.class_dir, checked.video_id, checked.start, checked.end))
            if key not in seen:
                seen.add(key)
                yield checked
                continue
            checked = Reason.DUPLICATE, "the same clip and label were given before"
        yield RejectedRow(record.line, *checked, visible(record.raw))


_LOOK = 2000


def why_no_row_is_good(path: Path, split: str, *, own_ids: bool = False) -> str:
    """What is wrong with a csv without a good row, as one phrase; ``""`` if it has no row at all, or a good one.

    The first :data:`_LOOK` rows are read. Errors as :func:`read_kinetics_csv`.
    """
    names, columns = read_header(path), _columns(path, split, own_ids=own_ids)
    whole, sentences = [], Counter[str]()
    for _, record in zip(range(_LOOK), read_records(path), strict=False):
        checked = _check(record, columns)
        if isinstance(checked, GoodRow):
            return ""
        sentences[checked[1]] += 1
        if not record.problem and record.fields is not None:
            whole.append(record.fields)

    def share(test: Callable[[list[str]], bool]) -> float:
        return sum(map(test, whole)) / len(whole) if whole else 0.0

    for at, name in enumerate(names):
        if not own_ids and at != columns.video_id and share(lambda fields, at=at: is_youtube_id(fields[at])) > _MOST:  # type: ignore[misc]
            return f"the column '{name}' holds what 'youtube_id' should: columns are swapped"
    if share(lambda fields: _turned(fields[columns.start], fields[columns.end])) > _MOST:
        return "'time_end' lies before 'time_start' in nearly all rows: the two columns are swapped"
    if columns.label is not None and share(lambda fields: not fields[columns.label or 0].strip()) > _MOST:
        return "the column 'label' is empty: fill it, or take it out of a test csv without labels"
    return f"no row can be used, most of them because {sentences.most_common(1)[0][0]}" if sentences else ""


_MOST = 0.9


def _turned(start: str, end: str) -> bool:
    first, last = parse_seconds(start), parse_seconds(end)
    return first is not None and last is not None and first > last


class _Columns(NamedTuple):
    """Positions of the columns; ``label`` is None in a csv without labels."""

    label: int | None
    video_id: int
    start: int
    end: int
    published: tuple[int, ...]
    """Columns that a published csv has too."""
    own_ids: bool

    @classmethod
    def of(cls, names: list[str], *, own_ids: bool) -> _Columns:
        label = names.index("label") if "label" in names else None
        published = tuple(at for at, name in enumerate(names) if name in _PUBLISHED)
        video_id, start, end = (names.index(name) for name in ("youtube_id", "time_start", "time_end"))
        return cls(label, video_id, start, end, published, own_ids)


def _columns(path: Path, split: str, *, own_ids: bool) -> _Columns:
    names = read_header(path)
    if "label" not in names and split in _LABELLED_SPLITS:
        raise UserError(f"{path} has no 'label' column, which the csv of {split} needs: expected '{HEADERS[1]}'.")
    return _Columns.of(names, own_ids=own_ids)


def read_labels(path: Path, split: str, *, own_ids: bool = False) -> set[str]:
    """The distinct labels of the good rows, as written in the file; errors as :func:`read_kinetics_csv`."""
    columns = _columns(path, split, own_ids=own_ids)
    labels: set[str] = set()
    if columns.label is None:
        return labels
    for record in read_records(path):
        if not record.problem and record.fields is not None and record.fields[columns.label] in labels:
            continue  # one good row is enough
        row = _check(record, columns)
        if isinstance(row, GoodRow) and row.label is not None:
            labels.add(row.label)
    return labels


def _check(record: Record, columns: _Columns) -> GoodRow | tuple[Reason, str]:
    checked = _checked(record, columns)
    if isinstance(checked, GoodRow) or "\0" not in "".join(record.fields or ()):
        return checked
    return checked[0], f"a NUL byte stands in the row; {checked[1]}"


def _checked(record: Record, columns: _Columns) -> GoodRow | tuple[Reason, str]:
    line, fields, problem, _ = record
    at_label, at_id, at_start, at_end, _, own_ids = columns
    if problem or fields is None:
        in_label = fields is not None and at_label is not None and "\n" in "".join(fields[at_label : at_label + 1])
        if in_label:
            return Reason.BAD_LABEL, problem
        # The content of other columns is ignored, including line ends.
        spans = fields is not None and any("\n" in field for field in fields)
        if fields is None or not spans or any("\n" in fields[at] for at in columns.published):
            return Reason.BAD_ROW, problem
    video_id = fields[at_id]
    if own_ids:
        if unfit := id_problem(video_id):
            return Reason.BAD_ID, f"the id {unfit}"
    elif not is_youtube_id(video_id):
        return Reason.BAD_ID, "the id is not 11 characters of A-Z, a-z, 0-9, '-' and '_'"
    start, end = parse_seconds(fields[at_start]), parse_seconds(fields[at_end])
    if start is None or end is None:
        return Reason.BAD_TIME, f"a time is not a number of seconds from 0 to {MAX_SECONDS - 1}"
    if start >= end:
        return Reason.BAD_TIME, f"the window ends ({end}) before or where it starts ({start})"
    label = None if at_label is None else fields[at_label]
    if label is not None and (unfit := _label_problem(label)) is not None:
        return Reason.BAD_LABEL, unfit
    return GoodRow(line, label, video_id, start, end, fields[at_start].strip(" "), fields[at_end].strip(" "))
