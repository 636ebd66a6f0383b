"""Items and rejected rows from the readers of annotation files, whatever the file's format."""

from __future__ import annotations

from typing import NamedTuple

from clipquarry.annotations.label_table import Label
from clipquarry.reasons import Reason


class Item(NamedTuple):
    """A usable row of an annotation file: a clip, its source window and its labels."""

    line: int
    """Line of the record in the file; 1 is the first."""
    video_id: str
    """The video's id, without its namespace."""
    clip_id: str
    """File name of the clip, without suffix."""
    class_dir: str
    """Folder of the clip."""
    start: int
    """Microseconds of the source."""
    end: int
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
