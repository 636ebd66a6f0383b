"""Readers of ActivityNet's annotations (specification 4.1 of the other data sets), and what the reference writes of them.

``activity_net.v1-3.min.json`` is ``{"database": {ID: {"duration", "subset", "annotations": [{"segment": [START, END], "label"}]}}}`` with
YouTube's ids. BSN's annotations of the same videos are ``anet_anno_action.json``, ``{"v_ID": {"duration_second", "duration_frame",
"annotations", "feature_frame"}}``, and ``video_info_new.csv``, which says each video's subset. Times are seconds.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.items import MAX_SECONDS, RejectedRow
from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError, unread
from clipquarry.ids import is_youtube_id
from clipquarry.reasons import Reason

PREFIX = "v_"
"""In front of an id: the name of a video's file, and of all that is made of it."""
SUBSETS = {"training": "train", "validation": "val", "testing": "test"}
"""The annotation's words for the splits."""
UNLABELLED = "testing"
"""The subset whose intervals are withheld."""
_SHORTEST = 0.001
"""Seconds of a video, at least: frames are found by a division by it."""
_SHOWN = 200
_DIGITS = 18
"""Of a whole number; a longer one has no float."""
_COLUMNS = ("video", "numFrame", "seconds", "fps", "rfps", "subset", "featureFrame")


class Spelled(float):
    """A number with its spelling in the file."""

    text: str

    def __new__(cls, text: str) -> Spelled:
        self = super().__new__(cls, text)
        self.text = text
        return self


def spelling(number: float) -> str:
    """The text of a number as the file has it."""
    return number.text if isinstance(number, Spelled) else str(number)


class Segment(NamedTuple):
    """A labelled interval of a video, in seconds. Nothing here says that it lies in the video."""

    start: float
    end: float
    label: str


class Video(NamedTuple):
    """A video of an annotation, with its segments in their order."""

    number: int
    """Of the entry in the file; 1 is the first. Of BSN's: its line in the csv."""
    video_id: str
    """YouTube's."""
    subset: str
    duration: float
    """Seconds."""
    segments: tuple[Segment, ...]


class BsnEntry(NamedTuple):
    """A video of BSN's annotation. ``entry`` is its object with the csv's ``fps`` and ``rfps``, as the reference writes it."""

    line: int
    """In the csv; 1 is the header."""
    video_id: str
    subset: str
    entry: dict[str, Any]


def read_object(path: Path, what: str, *, spelled: bool = False) -> dict[str, Any]:
    """The object of a JSON file; ``spelled``: with :class:`Spelled` numbers, which take four times as long to read. Raises :class:`UserError` for anything else; two values of one
    name are an error, because nobody knows which one is meant.
    """
    try:
        value = json.loads(
            read_small(path, what), parse_float=Spelled if spelled else None, parse_int=_whole, parse_constant=_no_number, object_pairs_hook=_once
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no {what} ({visible(unread(error), 120)}): get the file again.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, not the object of a {what}: get the file again.")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return found


def database_of(value: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The part ``database`` of the official file. Raises :class:`UserError`."""
    database = value.get("database")
    if not isinstance(database, dict):
        raise UserError(f"{path} holds no object 'database', as ActivityNet's annotation does: get the file again.")
    return database


def read_database(database: Mapping[str, Any], labels: Collection[str]) -> Iterator[Video | RejectedRow]:
    """The entries of the official file in its order; ``labels`` are the names of the classes as the file spells them.

    A segment that cannot be used is a rejected row of its own, before its video. A video without a segment is rejected, unless it is
    of the subset whose segments are withheld: the reference stops at it.
    """
    known = frozenset(labels)
    for number, (video_id, entry) in enumerate(database.items(), 1):
        if not is_youtube_id(video_id):
            yield RejectedRow(number, Reason.BAD_ID, "the id is no YouTube id", _shown(video_id, entry))
        elif problem := _entry_problem(entry, "duration"):
            yield RejectedRow(number, Reason.BAD_ROW, problem, _shown(video_id, entry))
        elif not isinstance(entry.get("subset"), str) or entry["subset"] not in SUBSETS:
            told = f"its subset is none of {', '.join(SUBSETS)}"
            yield RejectedRow(number, Reason.BAD_ROW, told, _shown(video_id, entry))
        else:
            yield from _video(number, video_id, entry["subset"], entry["duration"], entry, known)


def _shown(video_id: str, value: object) -> str:
    """The text of an entry, or of a part of it, for its rejected row."""
    return visible(f"{video_id}: {json.dumps(value)}", _SHOWN)


def _video(
    number: int, video_id: str, subset: str, duration: float, entry: Mapping[str, Any], labels: Collection[str]
) -> Iterator[Video | RejectedRow]:  # fmt: skip
    segments: list[Segment] = []
    for place, one in enumerate(entry["annotations"], 1):
        found = _segment(one, labels)
        if isinstance(found, Segment):
            segments.append(found)
        else:
            reason, why = found
            yield RejectedRow(number, reason, f"segment {place} of {video_id}: {why}", _shown(video_id, one))
    if segments or subset == UNLABELLED:
        yield Video(number, video_id, subset, duration, tuple(segments))
    else:
        yield RejectedRow(number, Reason.BAD_ROW, "it has no segment that can be used", _shown(video_id, entry))


_NUMBERS = frozenset({int, float, Spelled})
"""Types of a number in JSON; a bool is none."""


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS and math.isfinite(value)


def _entry_problem(entry: object, duration: str) -> str | None:
    """Why an entry is none, or None."""
    if not isinstance(entry, dict) or not isinstance(entry.get("annotations"), list):
        return "it is no object with annotations"
    seconds = entry.get(duration)
    if not _is_number(seconds) or not _SHORTEST <= float(seconds or 0) <= MAX_SECONDS:
        return f"its {duration} is no number of seconds above 0"
    return None


def _segment(one: object, labels: Collection[str]) -> Segment | tuple[Reason, str]:
    times = one.get("segment") if isinstance(one, dict) else None
    if not isinstance(one, dict) or not isinstance(times, list) or len(times) != 2 or not all(map(_is_number, times)):
        return Reason.BAD_ROW, "it is no segment of two numbers with a label"
    start, end = times
    if not (0 <= start <= MAX_SECONDS and 0 <= end <= MAX_SECONDS):
        return Reason.BAD_TIME, f"a time is not within 0 to {MAX_SECONDS} seconds"
    label = one.get("label")
    if not isinstance(label, str) or label not in labels:
        told = f"its label {visible(str(label), 60)!r} is not one of the {len(labels)} classes"
        return Reason.UNKNOWN_LABEL, told
    return Segment(start, end, label)


def read_bsn(entries: Mapping[str, Any], table: Path) -> Iterator[BsnEntry | RejectedRow]:
    """BSN's videos in the order of its csv ``table``; ``entries`` is the object of its json.

    A line whose video the json lacks is rejected (the reference stops at it), as is one of a video that was given before; so are, at
    the end, videos that the csv lacks, which the reference drops. Raises :class:`UserError` for a file that is no such csv.
    """
    seen, named, number = set[str](), set[str](), 0
    for number, row in _lines(table):
        shown = visible(",".join(row), _SHOWN)
        name = row[0] if len(row) == len(_COLUMNS) else ""
        video_id, entry = name.removeprefix(PREFIX), entries.get(name)
        if not name:
            yield RejectedRow(number, Reason.BAD_ROW, f"it has {len(row)} fields, not {len(_COLUMNS)}", shown)
        elif not name.startswith(PREFIX) or not is_youtube_id(video_id):
            yield RejectedRow(number, Reason.BAD_ID, f"the name is not {PREFIX} and a YouTube id", shown)
        elif name in seen:
            yield RejectedRow(number, Reason.DUPLICATE, "the video was given before", shown)
        elif name not in entries:
            yield RejectedRow(number, Reason.BAD_ROW, "the json has no such video", shown)
        elif problem := _entry_problem(entry, "duration_second"):
            yield RejectedRow(number, Reason.BAD_ROW, problem, shown)
        elif (rates := _rates(row)) is None:
            yield RejectedRow(number, Reason.BAD_ROW, "fps and rfps are no numbers", shown)
        else:
            seen.add(name)
            yield BsnEntry(number, video_id, row[5], {**entries[name], "fps": rates[0], "rfps": rates[1]})
        named.add(name)
    for more, name in enumerate((name for name in entries if name not in named), number + 1):
        yield RejectedRow(more, Reason.BAD_ROW, "it is in the json, and not in the csv", visible(name, _SHOWN))


def video_of(one: BsnEntry, labels: Collection[str]) -> Iterator[Video | RejectedRow]:
    """The video of an entry of BSN's, as :func:`read_database` gives those of the official file."""
    if one.subset not in SUBSETS:
        told = f"its subset is none of {', '.join(SUBSETS)}"
        yield RejectedRow(one.line, Reason.BAD_ROW, told, _shown(one.video_id, one.entry))
    else:
        yield from _video(one.line, one.video_id, one.subset, one.entry["duration_second"], one.entry, labels)


def _rates(row: list[str]) -> tuple[float, float] | None:
    try:
        rates = float(row[3]), float(row[4])
    except ValueError:
        return None
    return rates if all(map(math.isfinite, rates)) else None


def _lines(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of each row."""
    try:
        text = read_small(table, "csv of BSN's videos").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{table} is not UTF-8 (byte {error.start}): get the file again.") from error
    try:
        rows = csv.reader(text.splitlines(), strict=True)
        header = next(rows, [])
        if tuple(header) != _COLUMNS:
            raise UserError(f"{table} begins with {visible(','.join(header), 80)!r}, not with {','.join(_COLUMNS)!r}.")
        for row in rows:
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        raise UserError(f"{table} is no csv ({error}): get the file again.") from error


def by_subset(entries: Iterable[BsnEntry]) -> dict[str, dict[str, Any]]:
    """The entries of ``full``, of each split, and of ``trainval`` (train, then val), by the word in the file's name, as the reference's
    ``process_annotations.py`` divides them. A video of another subset is in ``full`` alone.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in ("full", *SUBSETS.values())}
    for one in entries:
        for part in ("full", *([SUBSETS[one.subset]] if one.subset in SUBSETS else [])):
            found[part][f"{PREFIX}{one.video_id}"] = one.entry
    return {**found, "trainval": found["train"] | found["val"]}


def with_videos(value: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A copy of either annotation with the videos ``names`` (``v_ID``) alone, in the same order."""
    if isinstance(value.get("database"), dict):
        return {**value, "database": {k: v for k, v in value["database"].items() if f"{PREFIX}{k}" in names}}
    return {name: entry for name, entry in value.items() if name in names}
