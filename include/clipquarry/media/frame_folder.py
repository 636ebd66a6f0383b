"""Folders of numbered frame files: names, counts, and atomic replacement.

Names are ``img_00001.jpg`` onwards (mmaction2) or ``000001.jpg`` onwards (the flat layout of
kinetics-download-prep); numbers start at 1, or at 0 where a data set says so, and have no gap. The images of optical
flow, ``flow_x_00001.jpg`` and ``flow_y_00001.jpg`` onwards, may lie in the same folder; they are never frames.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Literal

from clipquarry.files import TEMPORARY_PREFIX, link_or_copy, owned_beside, remove_abandoned, sync_folder
from clipquarry.frame_names import frame_number
from clipquarry.ids import FLOW_X, FLOW_Y
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason

Pattern = Literal["img_%05d.jpg", "%06d.jpg"]
"""Names of the frames that we write."""
Named = str
"""Names of frames that we read, a pattern of :mod:`clipquarry.frame_names`: ``%05d.jpg`` of Jester and Something-Something V1."""
IMG: Pattern = "img_%05d.jpg"
Direction = Literal["x", "y"]
_PREFIXES: dict[Direction, str] = {"x": FLOW_X, "y": FLOW_Y}
_DIGITS = re.compile(r"([0-9]{5,})\.jpg")

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
"""Errors of renaming a folder to where something lies."""
_STALE_SECONDS = 600
"""An unfinished folder without a new frame for so long belongs to a killed run."""


def frame_name(number: int, pattern: Named = IMG) -> str:
    """``img_00001.jpg`` for 1; numbers too long for the pattern get more digits."""
    return pattern % number


def flow_name(direction: Direction, number: int) -> str:
    """``flow_x_00001.jpg`` for x and 1."""
    return f"{_PREFIXES[direction]}{number:05d}.jpg"


def _flow_number(name: str) -> tuple[Direction, int] | None:
    """Direction and number of an image of flow, None for any other file."""
    for direction, prefix in _PREFIXES.items():
        found = _DIGITS.fullmatch(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if found is not None and flow_name(direction, int(found[1])) == name:
            return direction, int(found[1])
    return None


def is_flow(name: str) -> bool:
    """Whether a file is an image of flow by its name."""
    return _flow_number(name) is not None


def _number(name: str, pattern: Named) -> int | None:
    """The number of a frame that is numbered from 1."""
    return frame_number(name, pattern) or None


def count_frames(folder: Path, pattern: Named = IMG, start: int = 1) -> tuple[int, int]:
    """Number of frames in a folder, and their bytes; images of flow do not count. Raises MediaError if the frames are
    not numbered ``start``, ``start`` + 1, …, if one is empty, or if any other file is there.
    """
    numbers, size = [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            number = frame_number(entry.name, pattern)
            if number is None or number < start:
                if is_flow(entry.name):
                    continue
                raise MediaError(Reason.TOOL_FAILED, f"{entry.name!r} is in the folder and is no frame of it")
            numbers.append(number)
            size += _bytes(entry)
    if (gap := _gap(numbers, start)) is not None:
        raise MediaError(Reason.TOOL_FAILED, f"{frame_name(gap, pattern)} is not there, but later frames are")
    return len(numbers), size


def list_frames(folder: Path, pattern: Named = IMG) -> list[Path]:
    """The frames in a folder by number. Only names of the pattern count: images of flow may lie beside them."""
    found = {n: path for path in folder.iterdir() if (n := frame_number(path.name, pattern)) is not None}
    return [found[number] for number in sorted(found)]


def count_flow(folder: Path, start: int = 1) -> tuple[int, int]:
    """Number of images of flow in a folder, of x alone, and the bytes of both directions; (0, 0) without any.

    Raises MediaError if x and y are not both numbered ``start``, ``start`` + 1, … without a gap, have other numbers,
    or if one is empty.
    """
    numbers: dict[Direction, list[int]] = {"x": [], "y": []}
    size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if (found := _flow_number(entry.name)) is not None:
                numbers[found[0]].append(found[1])
                size += _bytes(entry)
    if len(numbers["x"]) != len(numbers["y"]):
        said = f"{len(numbers['x'])} images of flow x, {len(numbers['y'])} of flow y"
        raise MediaError(Reason.TOOL_FAILED, said)
    for direction, found_numbers in numbers.items():
        if (gap := _gap(found_numbers, start)) is not None:
            raise MediaError(Reason.TOOL_FAILED, f"{flow_name(direction, gap)} is not there, but others are")
    return len(numbers["x"]), size


def has_flow(folder: Path) -> bool:
    """Whether a folder holds any image of flow; False without a folder."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return any(is_flow(entry.name) for entry in entries)
    return False


def _bytes(entry: os.DirEntry[str]) -> int:
    length = entry.stat().st_size
    if not length:
        raise MediaError(Reason.TOOL_FAILED, f"{entry.name} is empty")
    return length


def _gap(numbers: list[int], start: int) -> int | None:
    """The first number that is not there, None if they are ``start``, ``start`` + 1, …"""
    there = set(numbers)
    return next((n for n in range(start, start + len(numbers)) if n not in there), None)


def rename_frames(folder: Path, number_of: Callable[[int], int]) -> None:
    """Rename every frame to the number that ``number_of`` returns for its own. That must not be larger, and must not
    fall. Of several frames that get one number, the last one is kept.
    """
    for old in sorted(number for path in folder.iterdir() if (number := _number(path.name, IMG)) is not None):
        (folder / frame_name(old)).replace(folder / frame_name(number_of(old)))


def repeat_frames(folder: Path, count: int, most_at_end: int) -> None:
    """Give every number from 1 to ``count`` a frame. A missing one becomes the frame before it (before the first:
    the first) under another name, as a hard link if the file system has them. Readers see ``count`` frames; the
    disk holds each file once.

    Does nothing if more than ``most_at_end`` are missing after the last one, or if all are missing: that is no
    repetition.
    """
    numbers = sorted(number for path in folder.iterdir() if (number := _number(path.name, IMG)) is not None)
    if not numbers or count - numbers[-1] > most_at_end:
        return
    for shown, after in pairwise([numbers[0], *numbers, count + 1]):
        for number in range(1 if shown == after else shown + 1, after):
            link_or_copy(folder / frame_name(shown), folder / frame_name(number))


def unfinished(target: Path) -> Path:
    """A fresh name beside ``target`` (a folder or a file) with its owner in it, so that a later run can delete it."""
    return owned_beside(target)


def sweep(target: Path) -> None:
    """Delete what a killed run left of ``target``. Files that another process writes change all the time, and stay."""
    for left in target.parent.glob(f"{TEMPORARY_PREFIX}*-{glob.escape(target.name)}"):
        remove_abandoned(left, _STALE_SECONDS)


def replace_folder(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``. An older folder is renamed away first and deleted last, so that nobody sees a
    mixture. Of two runs that do so at once, the folder of the last one stays.
    """
    left: list[Path] = []
    while True:
        try:
            new.rename(target)
            break
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        left.append(unfinished(target))
        with suppress(FileNotFoundError):
            target.rename(left[-1])
    sync_folder(target.parent)
    for old in left:
        shutil.rmtree(old, ignore_errors=True)
