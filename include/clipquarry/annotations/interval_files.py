"""Reader of THUMOS'14's temporal annotations (specification 4.13 of the other data sets): one text file for each class.

``BaseballPitch_val.txt`` holds lines ``video_validation_0000266  72.8 76.4``: a video, start and end in seconds, mostly with one
decimal. ``Ambiguous_val.txt`` holds, in the same form, intervals of which nobody can say whether they show an action. Other files
that lie beside them (a readme, annotations in another form) are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.items import MAX_SECONDS, RejectedRow
from clipquarry.annotations.labels import LabelIndex
from clipquarry.annotations.ucf_lists import lines_of
from clipquarry.ids import id_problem
from clipquarry.microseconds import SECOND, of
from clipquarry.reasons import Reason

AMBIGUOUS = "Ambiguous"
"""Name of the file of ambiguous intervals, in the place of a class."""
NO_CLASS = -1
"""Number of an ambiguous interval."""
_LINE = re.compile(r"(\S+)[ \t]+([0-9]{1,9}(?:\.[0-9]{0,9})?)[ \t]+([0-9]{1,9}(?:\.[0-9]{0,9})?)", re.ASCII)
_SHOWN = 200


class Interval(NamedTuple):
    """One labelled interval of a video."""

    video: str
    """The video's id: the name of its file, without the suffix."""
    number: int
    """0-based number of the class; :data:`NO_CLASS` for an ambiguous one."""
    name: str
    """Name of the class, or :data:`AMBIGUOUS`."""
    start: int
    """Microseconds of the video."""
    end: int
    """Microseconds of the video. Nothing here says that it is behind ``start``: a check does."""
    start_text: str
    end_text: str
    file: str
    """Name of the file that holds it."""
    line: int
    """Its line there; 1 is the first."""

    @property
    def ambiguous(self) -> bool:
        return self.number == NO_CLASS


def file_names(classes: Sequence[str], split: str) -> list[str]:
    """Names of a split's files: one for each class, in their order, then that of the ambiguous intervals."""
    return [f"{name}_{split}.txt" for name in (*classes, AMBIGUOUS)]


def read_intervals(folder: Path, split: str, labels: LabelIndex) -> Iterator[Interval | RejectedRow]:
    """Every line of a split's files, file by file in the order of :func:`file_names`.

    A line of a rejected row counts on over all files, so that it names one line only; its sentence has the file and its own line.
    Raises :class:`UserError` for a file that is absent or is no text.
    """
    before = 0
    for index, name in enumerate((*labels.names, AMBIGUOUS)):
        path, last = folder / f"{name}_{split}.txt", 0
        at = NO_CLASS if name == AMBIGUOUS else index
        for number, line in lines_of(path):
            found, last = _interval(line, at, name, path.name, number), number
            if isinstance(found, RejectedRow):
                sentence = f"{path.name}, line {number}: {found.sentence}"
                yield found._replace(line=before + number, sentence=sentence)
            else:
                yield found
        before += last


def _interval(line: str, index: int, name: str, file: str, number: int) -> Interval | RejectedRow:
    found = _LINE.fullmatch(line)
    if found is None:
        why = "it is not VIDEO START END, with both times in seconds"
        return RejectedRow(number, Reason.BAD_ROW, why, visible(line, _SHOWN))
    video, start, end = found.groups()
    if problem := id_problem(video):
        return RejectedRow(number, Reason.BAD_ID, f"the name of the video {problem}", visible(line, _SHOWN))
    times = of(start), of(end)
    if max(times) > MAX_SECONDS * SECOND:
        return RejectedRow(number, Reason.BAD_TIME, f"a time is above {MAX_SECONDS} seconds", visible(line, _SHOWN))
    return Interval(video, index, name, *times, start, end, file, number)
