"""The list of crops of a person's own AVA: which seconds of which raw videos are labelled.

A csv, a crop a line, with or without the header ``video,start,length,name``; ``name`` may be absent::

    2DUITARAsWQ.mp4,1030,10
    lecture_4.mkv,12.5,10,lecture_4_door

or the form of the reference's shell script, a video and its starts, blanks between them::

    10002.mp4 1340 2165

``start`` and ``length`` are seconds, decimals allowed; ``length`` is what is labelled. A crop without a name is called by its
number among the list's crops, from 1, as in the reference. Source: specification 4.1 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from clipquarry.annotations.csv_records import text_lines, visible
from clipquarry.annotations.items import MAX_SECONDS, RejectedRow
from clipquarry.annotations.own_ava.key_frames import video_problem
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.microseconds import SECOND, of, text
from clipquarry.reasons import Reason

BEHIND = SECOND
"""Microseconds that are cut behind the labelled ones, so that the last labelled second has a frame too (frame 301 of ten)."""
LONGEST = 3600
"""Seconds of one crop."""
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,6})?", re.ASCII)
_HEADER = ("video", "start", "length", "name")


class Crop(NamedTuple):
    """``line`` is 1-based. ``start`` and ``length`` are microseconds, ``length`` of what is labelled."""

    line: int
    video_id: str
    name: str
    start: int
    length: int

    @property
    def end(self) -> int:
        """Microseconds, exclusive: one second more than is labelled."""
        return self.start + self.length + BEHIND


def read_crops(path: Path, length: int) -> list[Crop | RejectedRow]:
    """Every crop in order, and every line that is none. ``length`` (microseconds) is that of lines without one.

    Raises :class:`UserError` for a file that cannot be read.
    """
    return list(_named(_lines(path, length)))


def crops_of(videos: Iterable[str], start: int, length: int) -> list[Crop | RejectedRow]:
    """One crop of each video (names of files), all from ``start`` (microseconds) on."""
    rows = (_crop(line, video, "", text(start), text(length), video) for line, video in enumerate(videos, 1))
    return list(_named(rows))


def video_name(file: str) -> str:
    """The name of a raw video: its file's without the suffix, if that is a video's."""
    stem, _, suffix = file.rpartition(".")
    return stem if f".{suffix.lower()}" in VIDEO_SUFFIXES else file


def _lines(path: Path, length: int) -> Iterator[Crop | RejectedRow]:
    for line, raw, problem in text_lines(path):
        if problem:
            yield _refused(line, problem, raw)
        elif "," in raw:
            fields = [field.strip() for field in raw.split(",")]
            if tuple(fields) == _HEADER[: len(fields)]:
                continue
            if not 2 <= len(fields) <= len(_HEADER):
                yield _refused(line, f"it has {len(fields)} columns and not video,start,length,name", raw)
                continue
            video, start, seconds, name = [*fields, "", ""][: len(_HEADER)]
            yield _crop(line, video, name, start, seconds or text(length), raw)
        else:
            video, *starts = raw.split()
            if not starts:
                yield _refused(line, "it names no start", raw)
            yield from (_crop(line, video, "", start, text(length), raw) for start in starts)


def _crop(line: int, file: str, name: str, start: str, length: str, raw: str) -> Crop | RejectedRow:
    video = video_name(file)
    for what, value, cure in (
        ("the video's name", video, "rename its file"),
        ("the crop's name", name or "1", "give it another"),
    ):
        if problem := video_problem(value):
            return _refused(line, f"{what} {problem}: {cure}", raw, Reason.BAD_ID)
    if not (_SECONDS.fullmatch(start) and _SECONDS.fullmatch(length)):
        return _refused(line, "its start or its length is no number of seconds", raw, Reason.BAD_TIME)
    begin, lasts = of(start), of(length)
    if not 0 <= begin < MAX_SECONDS * SECOND:
        return _refused(line, f"its start is not from 0 to {MAX_SECONDS} seconds", raw, Reason.BAD_TIME)
    if not SECOND <= lasts <= LONGEST * SECOND:
        return _refused(line, f"its length is not from 1 to {LONGEST} seconds", raw, Reason.BAD_TIME)
    return Crop(line, video, name, begin, lasts)


def _refused(line: int, why: str, raw: str, reason: Reason = Reason.BAD_ROW) -> RejectedRow:
    return RejectedRow(line, reason, why, visible(raw))


def _named(rows: Iterable[Crop | RejectedRow]) -> Iterator[Crop | RejectedRow]:
    """The crops with a name each; a second one of the same name is refused, because both would be one file."""
    number, seen = 0, set[str]()
    for row in rows:
        if isinstance(row, RejectedRow):
            yield row
            continue
        number += 1
        crop = row._replace(name=row.name or str(number))
        if crop.name in seen:
            told = f"{crop.video_id},{text(crop.start)}"
            yield _refused(
                crop.line, f"another crop is called {crop.name} too: give it another name", told, Reason.DUPLICATE
            )
            continue
        seen.add(crop.name)
        yield crop
