"""Items and rejected rows from the readers of annotation files, whatever the file's format."""

from __future__ import annotations

from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

from clipquarry.annotations.label_table import Label
from clipquarry.ids import folder_problem, id_problem, label_problem
from clipquarry.microseconds import SECOND, text
from clipquarry.reasons import Reason

MAX_SECONDS = 10_000_000
"""Times from here on are errors, not video (the longest published one is 14,856)."""
_LATEST = MAX_SECONDS * SECOND
_folder_problem = lru_cache(maxsize=2048)(folder_problem)
_label_problem = lru_cache(maxsize=1 << 14)(label_problem)  # one data set has 3,142 labels


class Item(NamedTuple):
    """A usable row of an annotation file: a clip, its source window and its labels."""

    line: int
    """Line of the record in the file; 1 is the first."""
    video_id: str
    """The video's id, without its namespace."""
    clip_id: str
    """File name of the clip, without suffix."""
    class_dir: str | None
    """Folder of the clip; None: it has none, because the item is of no class, or of several."""
    start: int | None
    """Microseconds of the source; None, as is ``end``: the item is a whole file."""
    end: int | None
    """Microseconds of the source, exclusive."""
    labels: tuple[Label, ...] = ()
    """In the annotation's order; an index is 0-based."""
    start_text: str | None = None
    """Spelling in the annotation; None for the shortest decimal form."""
    end_text: str | None = None


class RejectedRow(NamedTuple):
    """An unusable row: why (``sentence``), and its text, shortened and with control characters made visible."""

    line: int
    reason: Reason
    sentence: str
    raw: str


def item_problem(item: Item, classes: int, *, labels_right: bool = False) -> tuple[Reason, str] | None:
    """Why no run can use an item, whatever reader made it, or None. ``classes``: number of labels that there are.
    ``labels_right``: those of the item were found right before.

    Its names become names of files and folders, its times a window of a video, and its labels lines of lists.
    """
    if problem := id_problem(item.video_id):
        return Reason.BAD_ID, f"the id {problem}"
    if problem := id_problem(item.clip_id):
        return Reason.BAD_ID, f"the clip's name {problem}"
    if item.class_dir is not None and (problem := _folder_problem(item.class_dir)):
        return Reason.BAD_LABEL, f"the class folder {problem}"
    return _time_problem(item) or (None if labels_right else _labels_problem(item.labels, classes))


def _time_problem(item: Item) -> tuple[Reason, str] | None:
    start, end = item.start, item.end
    if start is None and end is None:
        return None
    if not (_is_moment(start) and _is_moment(end)):
        return Reason.BAD_TIME, f"a time is no whole number of microseconds from 0 to {MAX_SECONDS} seconds"
    assert start is not None and end is not None
    if start >= end:
        return Reason.BAD_TIME, f"the window ends ({text(end)}) before or where it starts ({text(start)})"
    texts = (item.start_text, item.end_text)
    if texts != (None, None) and any(not told.isprintable() for told in texts if told is not None):
        return Reason.BAD_TIME, "the text of a time holds a control character"
    return None


def _labels_problem(labels: tuple[Label, ...], classes: int) -> tuple[Reason, str] | None:
    for label in labels:
        if problem := _label_problem(label.name):
            return Reason.BAD_LABEL, problem
        if not 0 <= label.index < classes:
            return Reason.UNKNOWN_LABEL, f"the class {label.index} is not one of the {classes} that there are"
    return None


def _is_moment(value: object) -> bool:
    # An int is tested by its type: the abstract class takes longer than all else, for each of millions.
    return (type(value) is int or isinstance(value, Integral)) and 0 <= int(value) <= _LATEST
