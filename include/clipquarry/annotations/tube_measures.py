"""What is wrong with the frames and boxes of tubes, measured for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.tube_pickle import TubeTruth

FAR = 1e9
"""Pixels by which a box lies outside whose coordinates are no numbers."""


@dataclass(frozen=True)
class Measures:
    """A value for each tube; 0 and -1 for one that is none.

    ``first``, ``last``: numbers of its frames (-1: no whole number). ``outside``: rows whose frame is no whole number, or none of the
    video. ``disorder``: rows whose frame is not behind the one above. ``gaps``: rows whose frame is more than one behind the one above.
    ``flat``: boxes without x1 < x2 and y1 < y2. ``over``: pixels by which its boxes leave the picture, at most.
    """

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    outside: npt.NDArray[np.int64]
    disorder: npt.NDArray[np.int64]
    gaps: npt.NDArray[np.int64]
    flat: npt.NDArray[np.int64]
    over: npt.NDArray[np.float64]


def measure(truth: TubeTruth) -> Measures:
    """See :class:`Measures`. A video whose frames or picture are unknown sets no limit."""
    tubes, count = truth.tubes, len(truth.tubes.length)
    right = np.flatnonzero(tubes.length)
    begins = tubes.begins()[right]
    owner = np.repeat(tubes.video[right], tubes.length[right])
    frame, x1, y1, x2, y2 = tubes.boxes.T

    def limits(values: list[int]) -> npt.NDArray[np.float64]:
        known = np.array([*values, 0], np.float64)  # the last one stands for no video, whose place is -1
        known[known == 0] = np.inf
        return known[owner]

    def summed(rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        whole = np.zeros(count, np.int64)
        if len(right):
            whole[right] = np.add.reduceat(rows.astype(np.int64), begins)
        return whole

    with np.errstate(invalid="ignore"):
        last = limits([video.frames for video in truth.videos])
        is_frame = (frame >= 1) & (frame <= np.minimum(last, 2.0**53)) & (np.floor(frame) == frame)
        step = np.diff(frame, prepend=np.nan)
        inner = np.ones(len(frame), np.bool_)
        inner[begins] = False
        is_box = (x1 < x2) & (y1 < y2)
        right_edge = limits([video.width for video in truth.videos])
        lower_edge = limits([video.height for video in truth.videos])
        over = np.maximum.reduce([-x1, -y1, x2 - right_edge, y2 - lower_edge])
    over = np.where(np.isfinite(tubes.boxes[:, 1:]).all(axis=1), np.clip(over, 0, FAR), FAR)
    most = np.zeros(count, np.float64)
    ends = np.full((2, count), -1, np.int64)
    if len(right):
        most[right] = np.maximum.reduceat(over, begins)
        for side, rows in enumerate((begins, begins + tubes.length[right] - 1)):
            ends[side, right] = np.where(is_frame[rows], frame[rows], -1).astype(np.int64)
    return Measures(
        ends[0], ends[1], summed(~is_frame), summed(inner & ~(step > 0)), summed(inner & (step > 1)), summed(~is_box),
        np.round(most, 3),
    )  # fmt: skip
