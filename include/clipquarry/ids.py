"""Names of videos, clips and classes (specification 1.2 and 1.3 of the Kinetics family).

A YouTube id is 11 characters of ``[A-Za-z0-9_-]`` and may begin with ``-`` or hold ``_``; a clip name is therefore
taken apart from its END: the last two ``_`` fields are the times.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}\Z")
_SECONDS = re.compile(r"\d{6,}\Z")

MAX_LABEL_BYTES = 200
"""A class name becomes a folder name; file systems allow 255 bytes."""


class ClipName(NamedTuple):
    """A clip's source video and window, in whole seconds of the original video, end exclusive."""

    video_id: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.video_id}_{self.start:06d}_{self.end:06d}"


def is_youtube_id(text: str) -> bool:
    """True for exactly 11 characters of the id alphabet."""
    return YOUTUBE_ID.match(text) is not None


def clip_id(video_id: str, start: int, end: int) -> str:
    """``0wR5jVB-WPk, 417, 427`` gives ``0wR5jVB-WPk_000417_000427``."""
    return str(ClipName(video_id, start, end))


def parse_clip_id(name: str) -> ClipName:
    """The inverse; accepts a file name and strips its extension at the first dot. Raises ValueError."""
    stem = name.partition(".")[0]
    video_id, start, end = (["", "", *stem.rsplit("_", 2)])[-3:]
    if not video_id or not _SECONDS.match(start) or not _SECONDS.match(end):
        raise ValueError(f"{name!r} is not a clip name: expected ID_SSSSSS_EEEEEE")
    return ClipName(video_id, int(start), int(end))


def normalise_label(label: str) -> str:
    """The folder name of a class: every space becomes one ``_``, and ``"`` is dropped; nothing else changes."""
    return label.replace(" ", "_").replace('"', "")


def label_problem(label: str) -> str | None:
    """Why a label cannot be a folder name, or None when it can."""
    if not label.strip():
        return "the label is empty"
    if any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") for char in label):
        return "the label holds a control character or a line break"
    if "/" in label or "\\" in label:
        return "the label holds a slash"
    if any(char.isspace() and char != " " for char in label):
        return "the label holds white space other than a blank"
    folder = normalise_label(label)
    if folder.startswith(".") or not folder:
        return "the label would make a hidden or empty folder"
    if len(folder.encode()) > MAX_LABEL_BYTES:
        return f"the label is longer than {MAX_LABEL_BYTES} bytes"
    return None
