"""Names of videos, clips and classes (specification 1.2 and 1.3 of the Kinetics family).

A YouTube id is 11 characters of ``[A-Za-z0-9_-]`` and may begin with ``-`` or contain ``_``. Therefore a clip name
is parsed from its END: the last two ``_`` fields are the times. Clips of other data sets have their own names, in
which neither a dot nor ``_`` has a meaning: the clip's name is the file's name without its video suffix.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from clipquarry.microseconds import text

YOUTUBE_FORM = "[A-Za-z0-9_-]{11}"
"""A YouTube id, as a part of longer regular expressions."""
SECOND_FORM = "[0-9]{6,7}"
"""A whole second in the name of a clip, as a part of longer regular expressions."""
YOUTUBE_ID = re.compile(rf"{YOUTUBE_FORM}\Z")
_SECONDS = re.compile(r"\d{6,}\Z")

FLOW_X, FLOW_Y = "flow_x_", "flow_y_"
"""Beginnings of the names of images of optical flow, which lie beside the frames of a clip."""
VIDEO_SUFFIXES = (
    ".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp", ".ogv",
)  # fmt: skip
"""Suffixes of video files, in any case. Of two files with one name, the earlier suffix comes first."""

MAX_LABEL_BYTES = 200
"""A class name becomes a folder name; file systems allow 255 bytes."""


class ClipName(NamedTuple):
    """A clip's source video and window, in whole seconds of the original video, end exclusive."""

    video_id: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.video_id}_{self.start:06d}_{self.end:06d}"


YOUTUBE = "youtube"
"""The namespace of YouTube ids, which all data sets share. Every other namespace is a data set's name."""


def source_name(namespace: str, video_id: str) -> str:
    """``youtube:0wR5jVB-WPk``, ``jester:1``: an id with its namespace."""
    return f"{namespace}:{video_id}"


def is_youtube_id(text: str) -> bool:
    """True for exactly 11 characters of the id alphabet."""
    return YOUTUBE_ID.match(text) is not None


def _unfit(name: str) -> str | None:
    """Why a text cannot be the name of a file or folder, as the end of a sentence."""
    if any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") for char in name):
        return "holds a control character or a line break"
    return "holds a slash" if "/" in name or "\\" in name else None


MAX_ID_BYTES = 150
"""An id becomes part of a file's name, with times and a hash beside it; file systems allow 255 bytes."""


_PLAIN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}\Z")


def id_problem(name: object) -> str | None:
    """Why an id of a video or clip cannot be part of a file name, or None if it can. Dots have no meaning."""
    if isinstance(name, str) and _PLAIN_ID.match(name):  # nearly all of millions
        return None
    if not isinstance(name, str) or not name.strip():
        return "is empty"
    if problem := _unfit(name):
        return problem
    if any(char.isspace() for char in name):
        return "holds white space, at which readers of list files cut"
    if name.startswith("."):
        return "begins with a dot, as hidden files do"
    if len(name.encode()) > MAX_ID_BYTES:
        return f"is longer than {MAX_ID_BYTES} bytes"
    return None


def clip_id(video_id: str, start: int, end: int) -> str:
    """``0wR5jVB-WPk, 417, 427`` gives ``0wR5jVB-WPk_000417_000427``."""
    return str(ClipName(video_id, start, end))


def window_name(video_id: str, start: int, end: int) -> str:
    """The name of any window in the store, from microseconds: in whole seconds :func:`clip_id`, else
    ``x_000012.5_000022``.
    """

    def padded(moment: int) -> str:
        whole, dot, rest = text(moment).partition(".")
        return f"{whole.zfill(6)}{dot}{rest}"

    return f"{video_id}_{padded(start)}_{padded(end)}"


def stems(file_name: str, suffixes: Collection[str] = ()) -> Iterator[str]:
    """Names of the clips that a video file of this name may belong to, the likeliest first; none if it is no
    video's.

    ``a.b.mp4`` belongs to ``a.b``; ``a.mp4.webm``, as crawlers leave them, to ``a.mp4`` or to ``a``. ``suffixes``:
    further ones, such as ``.y4m``, in lower case.
    """
    stem = file_name
    while (cut := stem.rpartition("."))[0] and ((last := f".{cut[2].lower()}") in VIDEO_SUFFIXES or last in suffixes):
        stem = cut[0]
        yield stem


def parse_clip_id(name: str) -> ClipName:
    """The inverse; also accepts the name of a video file. Raises ValueError."""
    *_, stem = (name, *stems(name))
    video_id, start, end = (["", "", *stem.rsplit("_", 2)])[-3:]
    if not video_id or not _SECONDS.match(start) or not _SECONDS.match(end):
        raise ValueError(f"{name!r} is not a clip name: expected ID_SSSSSS_EEEEEE")
    return ClipName(video_id, int(start), int(end))


def normalise_label(label: str) -> str:
    """The folder name of a class: every space becomes one ``_``, and ``"`` is dropped; nothing else changes."""
    return label.replace(" ", "_").replace('"', "")


def shared_folder(labels: Iterable[str]) -> str | None:
    """Which two classes would have one folder, as the beginning of a sentence; None where each has its own."""
    folders: dict[str, str] = {}
    for label in sorted(set(labels)):
        other = folders.setdefault(normalise_label(label), label)
        if other != label:
            return f"The classes '{other}' and '{label}' would share the folder {normalise_label(label)}"
    return None


def label_problem(label: str) -> str | None:
    """Why a label cannot be a folder name, or None when it can."""
    if not label.strip():
        return "the label is empty"
    if problem := _unfit(label):
        return f"the label {problem}"
    if any(char.isspace() and char != " " for char in label):
        return "the label holds white space other than a blank"
    folder = normalise_label(label)
    if folder.startswith(".") or not folder:
        return "the label would make a hidden or empty folder"
    if len(folder.encode()) > MAX_LABEL_BYTES:
        return f"the label is longer than {MAX_LABEL_BYTES} bytes"
    return None


def folder_problem(name: object) -> str | None:
    """Why a text cannot be the name of a class folder as :func:`normalise_label` makes them, or None when it can."""
    if not isinstance(name, str) or not name:
        return "is empty"
    if (problem := label_problem(name)) is not None:
        return problem.removeprefix("the label ")
    return "holds white space or a quote" if normalise_label(name) != name else None
