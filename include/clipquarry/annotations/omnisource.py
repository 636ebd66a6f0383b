"""OmniSource's lists (specification 4.10 of the other data sets): files with a class, and long videos cut into parts.

Text: ``000/abseil/B00arxogubl.mp4 0``, a path and the number of its class, from 0. JSON: an array of
``{"video_dir": "pref_/___dTOdxzXY", "label": 0, "num_clips": 7, "positive_clip_inds": [0, 3]}``; its text form has the same on a line:
``pref_/___dTOdxzXY 0 7 0 3``. A reader opens ``{video_dir}/part_{index}.mp4``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.json_array import array_elements
from clipquarry.errors import UserError

_LINE = re.compile(r"(\S+) ([0-9]{1,6})", re.ASCII)
_MOST_CLIPS = 100_000
_KEYS = ("video_dir", "label", "num_clips", "positive_clip_inds")
_SHOWN = 200


class Listed(NamedTuple):
    """An entry of a list. ``problem`` says why it is none; then only ``line`` and ``text`` count."""

    line: int
    """From 1; in JSON the number of the element."""
    text: str
    path: str = ""
    label: int = -1
    clips: int = 0
    positive: tuple[int, ...] = ()
    problem: str = ""

    def as_text(self) -> str:
        """The entry of a long video as a line, without its end."""
        return " ".join(map(str, (self.path, self.label, self.clips, *self.positive)))

    def as_json(self) -> dict[str, Any]:
        values = (self.path, self.label, self.clips, list(self.positive))
        return dict(zip(_KEYS, values, strict=True))


def read_listed(path: Path) -> Iterator[Listed]:
    """The entries of a list, by its suffix. Raises UserError for a file that cannot be read, or is no JSON array."""
    return _records(path) if path.suffix == ".json" else _lines(path)


def _lines(path: Path) -> Iterator[Listed]:
    try:
        with open(path, encoding="utf-8", errors="backslashreplace", newline="\n") as handle:
            for number, line in enumerate(handle, 1):
                yield _line(number, line)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _line(number: int, line: str) -> Listed:
    text = line.rstrip("\r\n")
    found = _LINE.fullmatch(text)
    if found is None:
        return Listed(number, visible(text, _SHOWN), problem="it is not a path, one blank and the number of a class")
    if problem := path_problem(found[1]):
        return Listed(number, visible(text, _SHOWN), problem=problem)
    return Listed(number, text, found[1], int(found[2]))


def path_problem(path: str) -> str:
    """Why a path of a list leads nowhere below its folder, or nothing."""
    if path.startswith("/") or "\\" in path or not path.isprintable():
        return "its path is not below the list's folder"
    return "its path has an empty, '.' or '..' part" if {"", ".", ".."} & {*path.split("/")} else ""


def _records(path: Path) -> Iterator[Listed]:
    for number, value in enumerate(array_elements(path), 1):
        problem = _record_problem(value)
        if problem:
            yield Listed(number, visible(str(value), _SHOWN), problem=problem)
            continue
        one = Listed(
            number, "", value["video_dir"], value["label"], value["num_clips"], tuple(value["positive_clip_inds"])
        )
        yield one._replace(text=visible(one.as_text(), _SHOWN))


def _record_problem(value: Any) -> str:
    if not isinstance(value, dict):
        return "it is no object"
    if lacking := [key for key in _KEYS if key not in value]:
        return f"it lacks {lacking[0]!r}"
    if not isinstance(value["video_dir"], str) or " " in value["video_dir"]:
        return "'video_dir' is no path without blanks"
    if problem := path_problem(value["video_dir"]):
        return problem
    numbers = value["positive_clip_inds"]
    if not isinstance(numbers, list):
        return "'positive_clip_inds' is no list"
    if not all(type(one) is int and one >= 0 for one in (value["label"], value["num_clips"], *numbers)):
        return "'label', 'num_clips' and 'positive_clip_inds' are whole numbers from 0"
    if not 1 <= value["num_clips"] <= _MOST_CLIPS:
        return f"'num_clips' is {value['num_clips']}"
    return "'positive_clip_inds' holds a number twice" if len(set(numbers)) < len(numbers) else ""
