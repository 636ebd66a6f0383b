"""Key frames of crops: which seconds are labelled, and the names of frames (``{video}_{number:06d}.jpg``, numbers from 1).

Source: ``choose_frames_all.py`` and ``choose_frames_middle.py`` of Whiffe/Custom-ava-dataset_Custom-Spatio-Temporally-Action-Video-Dataset.
Second s of a crop (from 0) is frame ``fps * s + 1``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from clipquarry.annotations.csv_records import visible
from clipquarry.errors import UserError
from clipquarry.ids import id_problem

FPS = 30
MARGIN = 2
"""Key seconds without labels at both ends, so that windows of 64 frames around a labelled one lie in the crop."""
_NAME = re.compile(r"(.+)_([0-9]{1,9})(?:\.[A-Za-z0-9]{1,5})?\Z", re.DOTALL)


class Frame(NamedTuple):
    """A frame of a crop; ``number`` from 1."""

    video: str
    number: int


def video_problem(video: str) -> str | None:
    """Why a crop's name cannot stand in file names and proposal keys, as the end of a sentence; None if it can."""
    return "holds a comma, which separates the columns of the lists" if "," in video else id_problem(video)


def frame_name(video: str, number: int) -> str:
    """``1, 61`` gives ``1_000061.jpg``. Raises :class:`UserError` for a name that no list can hold."""
    if problem := video_problem(video):
        raise UserError(f"The crop's name {visible(video, 80)!r} {problem}: rename the video.")
    if number < 1:
        raise UserError(f"Frame {number} of {video} is none: frames count from 1.")
    return f"{video}_{number:06d}.jpg"


def parse_frame_name(name: str) -> Frame:
    """The crop and the number (from 1) in a frame's name, with or without suffix; the last ``_`` separates them.

    Raises :class:`UserError`.
    """
    found = _NAME.match(name)
    if found is None or video_problem(found[1]) or int(found[2]) < 1:
        raise UserError(f"{visible(name, 120)!r} is no frame's name: expected one like 1_000061.jpg.")
    return Frame(found[1], int(found[2]))


def frame_of(second: int, fps: int = FPS) -> int:
    """The frame (from 1) at the beginning of a second (from 0) of the crop."""
    return fps * second + 1


def second_of(number: int, fps: int = FPS) -> int:
    """The second (from 0) in which a frame (from 1) lies."""
    return (number - 1) // fps


def all_seconds(frames: int, last: int = 10, *, first: int = 0, fps: int = FPS) -> list[int]:
    """Key seconds from ``first`` to ``last``, both inclusive, whose frame exists among ``frames`` frames."""
    if fps < 1 or first < 0:
        raise UserError(f"Key seconds need fps of 1 or more and a first second of 0 or more, not {fps} and {first}.")
    return [second for second in range(first, last + 1) if frame_of(second, fps) <= frames]


def middle_seconds(
    seconds: Sequence[int], margin: int = MARGIN, *, after: int | None = None, reference: bool = False
) -> list[int]:
    """The key seconds to label: without the first ``margin`` and the last ``after`` (by default as many).

    ``reference``: the upstream script's own rule, ``1 < second < len(seconds) - 2``; it differs where the first is not 0.
    """
    if reference:
        if margin != MARGIN or after is not None:
            raise UserError("The reference's rule has margins of 2: leave the margins out.")
        return [second for second in seconds if 1 < second < len(seconds) - 2]
    after = margin if after is None else after
    if margin < 0 or after < 0:
        raise UserError(f"Margins are 0 or more key seconds, not {min(margin, after)}.")
    return list(seconds[margin : max(margin, len(seconds) - after)])
