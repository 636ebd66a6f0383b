"""List files of mmaction2: one line per clip, single blanks, ``\\n``, no header.

=========  ==========================================  =======================================================
format     text                                        JSON (one array)
=========  ==========================================  =======================================================
videos     ``{path with extension} {label index}``     ``{"filename": path, "label": [index]}``
rawframes  ``{folder} {RGB frames} {label index}``     ``{"frame_dir": path, "total_frames": n, "label": [index]}``
in groups  –                                           ``"label": {group: [index, …]}`` in the place of the above
=========  ==========================================  =======================================================

Lists of ``audio_features`` have the form of rawframes: ``{path of the .npy} {frames of the video} {label index}``. In a list
``rawframes_flow`` the number is that of the pairs of optical flow, which is one less than the frames.

Paths are relative to the folder of the split; indices are 0-based. A clip without a label has no label field (the
readers take that as -1) and an empty array in JSON. Labels in groups (:mod:`clipquarry.annotations.label_groups`) are in JSON only.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from clipquarry.annotations.csv_records import Lines, line_text, visible
from clipquarry.annotations.label_groups import as_text
from clipquarry.errors import UserError
from clipquarry.files import read_json, writing

ListFormat = Literal["videos", "rawframes", "rawframes_flow", "audio_features"]
T = TypeVar("T")


@dataclass(slots=True)  # not frozen, because that makes the creation of one three times slower
class ListEntry:
    """One clip. ``frames`` is None in a list of videos; several labels are for multi-label lists. ``pairs`` of optical
    flow in the folder are for the list beside it, and stand in no line of this one.
    """

    path: str
    labels: tuple[int, ...] = ()
    frames: int | None = None
    offset: int | None = None
    pairs: int = field(default=0, compare=False)
    groups: dict[str, str] | None = None
    """The labels by group (:meth:`~clipquarry.annotations.label_groups.LabelGroups.divided`), in a list of such."""
    text: str = field(default="", compare=False)
    """The JSON form, where it is known."""

    @property
    def label(self) -> int:
        """The label index, -1 without one."""
        return self.labels[0] if self.labels else -1

    def line(self) -> str:
        """The text form, without the line end. Raises ValueError for a path that a reader would split."""
        text = self.path
        if text.split() != [text]:
            raise ValueError(f"{text!r} cannot be in a list file: it is empty or holds white space")
        if self.offset is not None:
            text = f"{text} {self.offset}"
        if self.frames is not None:
            text = f"{text} {self.frames}"
        for label in self.labels:
            text = f"{text} {label}"
        return text

    def json_head(self) -> str:
        """The JSON form up to the label, as ``json.dumps`` writes it."""
        if self.frames is None:
            return f'{{"filename": {json.dumps(self.path)}, '
        return f'{{"frame_dir": {json.dumps(self.path)}, "total_frames": {self.frames}, '

    def json_text(self) -> str:
        """The JSON form as ``json.dumps`` writes it; with labels in groups, it is put together in half the time."""
        if self.text:
            return self.text
        if self.groups is None:
            return json.dumps(self.as_json())
        return f'{self.json_head()}"label": {as_text(self.groups)}}}'

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
        if self.frames is None:
            return {"filename": self.path, "label": list(self.labels)}
        return {"frame_dir": self.path, "total_frames": self.frames, "label": list(self.labels)}


class ListWriter:
    """Writes a list entry by entry, as text, or as JSON when the name ends in ``.json``; the file appears whole when the
    block ends without an error. ``final_newline``: whether the last line of text ends as the others do, which some data
    sets' do not.
    """

    def __init__(self, target: Path, *, final_newline: bool = True) -> None:
        self._final_newline = final_newline
        self.count = 0
        """Entries so far."""
        self._file, self._json = writing(target), target.suffix == ".json"

    def __enter__(self) -> Self:
        self._write: Callable[[str], object] = self._file.__enter__().write
        if self._json:
            self._write("[")
        return self

    def add(self, entry: ListEntry) -> None:
        if self._json:
            self._write(f"{', ' if self.count else ''}{entry.json_text()}")
        else:
            self._write(f"\n{entry.line()}" if self.count else entry.line())
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._json:
            self._write("]")
        elif kind is None and self.count and self._final_newline:
            self._write("\n")
        self._file.__exit__(kind, error, trace)


def write_list(target: Path, entries: Iterable[ListEntry], *, final_newline: bool = True) -> int:
    """Write a list with :class:`ListWriter`; returns the number of entries."""
    with ListWriter(target, final_newline=final_newline) as writer:
        for entry in entries:
            writer.add(entry)
    return writer.count


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


def reference_shuffle(entries: list[T], seed: int, *, before: Iterable[int] = ()) -> None:
    """Shuffle in place as ``build_file_list.py --shuffle --seed N`` does.

    The reference seeds python's generator once and shuffles the train RGB list, the train flow list, the val RGB list
    and the val flow list, in that order, whatever subset is written, then those of the next division. So a list also
    depends on how many rows of the lists before it were found in its folder: that is ``before``.
    """
    generator = random.Random(seed)  # noqa: S311 - an order that others can repeat, not a secret
    for count in before:
        for _ in range(2):
            generator.shuffle([None] * count)
    generator.shuffle(entries)
