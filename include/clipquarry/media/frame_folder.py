"""Folders of numbered frame files: names, counts, and atomic replacement.

Names are ``img_00001.jpg`` onwards (mmaction2) or ``000001.jpg`` onwards (the flat layout of
kinetics-download-prep); numbers start at 1 and have no gap.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Literal

from clipquarry.files import TEMPORARY_PREFIX, link_or_copy, owned_beside, remove_abandoned, sync_folder
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason

Pattern = Literal["img_%05d.jpg", "%06d.jpg"]
IMG: Pattern = "img_%05d.jpg"

_STALE_SECONDS = 600
"""An unfinished folder without a new frame for so long belongs to a killed run."""


def frame_name(number: int, pattern: Pattern = IMG) -> str:
    """``img_00001.jpg`` for 1; numbers too long for the pattern get more digits."""
    return pattern % number


def _number(name: str, pattern: Pattern) -> int | None:
    """The number in a name that fits the pattern exactly."""
    digits = name.removeprefix(pattern.partition("%")[0]).removesuffix(".jpg")
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = int(digits)
    return number if number and frame_name(number, pattern) == name else None


def count_frames(folder: Path, pattern: Pattern = IMG) -> tuple[int, int]:
    """Number of frames in a folder, and their bytes. Raises MediaError if they are not numbered 1, 2, 3, … or one is
    empty.
    """
    numbers, size = [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            number = _number(entry.name, pattern)
            if number is None:
                raise MediaError(Reason.TOOL_FAILED, f"{entry.name!r} is in the folder and is no frame of it")
            length = entry.stat().st_size
            if not length:
                raise MediaError(Reason.TOOL_FAILED, f"{entry.name} is empty")
            numbers.append(number)
            size += length
    if len(numbers) != max(numbers, default=0):
        gap = next(n for n, found in enumerate([*sorted(numbers), -1], 1) if n != found)
        raise MediaError(Reason.TOOL_FAILED, f"{frame_name(gap, pattern)} is not there, but later frames are")
    return len(numbers), size


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
    mixture.
    """
    old = unfinished(target)
    with suppress(FileNotFoundError):
        target.rename(old)
    new.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)
