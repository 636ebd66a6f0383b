"""List files of mmaction2: one line per clip, single blanks, ``\\n``, no header.

=========  ==========================================  =======================================================
format     text                                        JSON (one array)
=========  ==========================================  =======================================================
videos     ``{path with extension} {label index}``     ``{"filename": path, "label": [index]}``
rawframes  ``{folder} {RGB frames} {label index}``     ``{"frame_dir": path, "total_frames": n, "label": [index]}``
=========  ==========================================  =======================================================

Paths are relative to the folder of the split; indices are 0-based. A clip without a label has no label field (the
readers take that as -1) and an empty array in JSON.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from clipquarry.annotations.csv_records import Lines, line_text, visible
from clipquarry.errors import UserError
from clipquarry.files import read_json, writing

ListFormat = Literal["videos", "rawframes"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One clip. ``frames`` is None in a list of videos; several labels are for multi-label lists."""

    path: str
    labels: tuple[int, ...] = ()
    frames: int | None = None
    offset: int | None = None

    @property
    def label(self) -> int:
        """The label index, -1 without one."""
        return self.labels[0] if self.labels else -1

    def line(self) -> str:
        """The text form, without the line end. Raises ValueError for a path that a reader would split."""
        if self.path.split() != [self.path]:
            raise ValueError(f"{self.path!r} cannot be in a list file: it is empty or holds white space")
        numbers = [n for n in (self.offset, self.frames) if n is not None]
        return " ".join([self.path, *map(str, numbers), *map(str, self.labels)])

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
        if self.frames is None:
            return {"filename": self.path, "label": list(self.labels)}
        return {"frame_dir": self.path, "total_frames": self.frames, "label": list(self.labels)}


def write_list(target: Path, entries: Iterable[ListEntry]) -> int:
    """Write a list as text, or as JSON when the name ends in ``.json``: streamed, whole or not at all.

    Returns the number of entries.
    """
    count = 0
    with writing(target) as handle:
        if target.suffix == ".json":
            handle.write("[")
            for entry in entries:
                handle.write(f"{', ' if count else ''}{json.dumps(entry.as_json())}")
                count += 1
            handle.write("]")
        else:
            for entry in entries:
                handle.write(f"{entry.line()}\n")
                count += 1
    return count


def _numbers(path: Path, number: int, fields: list[str]) -> list[int]:
    try:
        return [int(text) for text in fields]
    except ValueError as error:
        raise UserError(f"{path}, line {number}: '{visible(' '.join(fields), 80)}' are not whole numbers.") from error


def _video(path: Path, number: int, line: str, multi_label: bool) -> ListEntry:
    name, *rest = line.split(" ")
    if len(rest) > 1 and not multi_label:
        raise UserError(f"{path}, line {number}: {len(rest) + 1} fields, expected a path and a label index.")
    return ListEntry(name, tuple(_numbers(path, number, rest)))


def _rawframes(path: Path, number: int, line: str, with_offset: bool) -> ListEntry:
    name, *rest = line.split()
    values = _numbers(path, number, rest)
    fixed = 2 if with_offset else 1
    if len(values) < fixed:
        raise UserError(f"{path}, line {number}: no number of frames; expected a folder, the frames and a label index.")
    offset = values[0] if with_offset else None
    return ListEntry(name, tuple(values[fixed:]), values[fixed - 1], offset)


def _from_json(path: Path, number: int, value: Any) -> ListEntry:
    try:
        labels = value["label"]
        name = value["filename"] if "filename" in value else value["frame_dir"]
        frames = None if "filename" in value else int(value["total_frames"])
        labels = tuple(int(label) for label in (labels if isinstance(labels, list) else [labels]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}, entry {number}: not an entry of a list file ({visible(repr(error), 80)}).") from error
    return ListEntry(str(name), labels, frames)


def read_list(
    path: Path, format_: ListFormat, *, multi_label: bool = False, with_offset: bool = False
) -> Iterator[ListEntry]:
    """The entries as mmaction2's VideoDataset and RawframeDataset read them; a bad line is a :class:`UserError`.

    ``with_offset``: lines of rawframes are ``folder offset frames label``. Text is streamed.
    """
    if path.suffix == ".json":
        value = read_json(path)
        if not isinstance(value, list):
            raise UserError(f"{path} is not a list file: expected a JSON array.")
        yield from (_from_json(path, number, entry) for number, entry in enumerate(value, start=1))
        return
    for number, text in _lines(path):
        if format_ == "videos":
            yield _video(path, number, text, multi_label)
        else:
            yield _rawframes(path, number, text, with_offset)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file, stripped; a blank, long or damaged one is a :class:`UserError`."""
    try:
        with open(path, "rb") as handle:
            lines = Lines(handle)
            while (line := lines.next()) is not None:
                text, problem = line_text(line)
                text = text.removeprefix("\ufeff") if line[0] == 1 else text
                if problem or not text.strip():
                    raise UserError(f"{path}, line {line[0]}: {problem or 'the line is blank'}.")
                yield line[0], text.strip()
    except OSError as error:
        raise UserError(f"The list {path} cannot be read: {error.strerror}.") from error


def reference_shuffle(entries: list[T], seed: int, *, before: int = 0) -> None:
    """Shuffle in place as ``build_file_list.py --shuffle --seed N`` does.

    The reference seeds python's generator once and shuffles the train RGB list, the train flow list, the val RGB list
    and the val flow list, in that order, whatever subset is written. So a val list also depends on how many train rows
    were found in the same folder: that is ``before`` (0 for a train list, and for a val folder without train clips).
    """
    generator = random.Random(seed)  # noqa: S311 - an order that others can repeat, not a secret
    for _ in range(2):
        generator.shuffle([None] * before)
    generator.shuffle(entries)
