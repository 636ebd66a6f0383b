"""The first part of the tracking, frame by frame: tracklets, by the two-stage association of ByteTrack.

Y. Zhang and others, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (ECCV 2022): sure boxes are matched with the predicted places of all
tracklets first, the others with what is left. Here unsure boxes begin tracklets too, because every box gets an id; a tracklet waits only for a short time,
because the second part sees the whole clip and joins better.

A library was preferred and does not fit: ``ioutrack-rs`` drops boxes, knows no gap between frames, has no wheel for Python 3.14 and no release since February
2025; Roboflow's ``trackers`` brings 29 packages and another OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from clipquarry.people.tracking.boxes import ClipBoxes, Floats, Ints
from clipquarry.people.tracking.geometry import overlaps, to_corners, to_middle

SURE = 0.5
"""Score from which a box is matched first."""
LEAST_OVERLAP = 0.2
"""IoU of a predicted and a detected box that are one person."""
WAIT_SECONDS = 0.4
_MEASURED = 0.02
"""How far the middle of a detected box is off, in its widths and heights."""
_PUSH = 1.5
"""How much the speed changes within a second (its root mean square), in widths and heights a second."""
_SPEED = 1.5
"""How fast a person may be when first seen, in widths and heights a second."""
_GROW = 1.2
"""Boxes are enlarged by this share in a second between detections: at 30 fps by 4 %, at 5 fps by 24 %."""


@dataclass
class _Moving:
    """A tracklet at its last box: middle and size, their change in a second, and how sure both are (in widths and heights, one for all four)."""

    rows: list[int]
    frame: int
    place: Floats
    speed: Floats
    sure: Floats = field(default_factory=lambda: np.array([[_MEASURED**2, 0.0], [0.0, _SPEED**2]]))

    def ahead(self, seconds: float) -> Floats:
        place = self.place + self.speed * seconds
        place[2:] = np.maximum(place[2:], self.place[2:] / 2)
        return place

    def follow(self, row: int, frame: int, measured: Floats, seconds: float) -> None:
        """Kalman filter of constant speed; the noise is relative to the size, so that one covariance serves both axes."""
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        noise = _PUSH**2 * np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        sure = step @ self.sure @ step.T + noise
        gain = sure[:, 0] / (sure[0, 0] + _MEASURED**2)
        place = self.ahead(seconds)
        off = measured - place
        self.place, self.speed = place + gain[0] * off, self.speed + gain[1] * off
        self.sure = sure - np.outer(gain, sure[0])
        self.rows.append(row)
        self.frame = frame


def tracklets(given: ClipBoxes, fps: float, step: int = 1) -> list[Ints]:
    """Rows of ``given`` in tracklets, each by frame, one row a frame; ``given`` is by frame. Every row is in exactly one.

    ``fps`` is that of the frames' numbers, ``step`` how many frames lie between two that were detected.
    """
    middles = to_middle(given.boxes)
    numbers, begins = np.unique(given.frames, return_index=True)
    ends = np.append(begins[1:], len(given.frames))
    wait = max(WAIT_SECONDS, 2.5 * step / fps)
    alive: list[_Moving] = []
    done: list[_Moving] = []
    for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends.tolist(), strict=True):
        done += [moving for moving in alive if (number - moving.frame) / fps > wait]
        alive = [moving for moving in alive if (number - moving.frame) / fps <= wait]
        rows = np.arange(begin, end)
        sure = given.scores[rows] >= SURE
        free = list(alive)
        for part in (rows[sure], rows[~sure]):
            taken = _matched(free, part, given, number, fps)
            for moving, row in taken:
                moving.follow(row, number, middles[row], (number - moving.frame) / fps)
            matched = {id(moving) for moving, _ in taken}
            free = [moving for moving in free if id(moving) not in matched]
            begun = set(part.tolist()) - {row for _, row in taken}
            alive += [_Moving([row], number, middles[row].copy(), np.zeros(4)) for row in sorted(begun)]
    found = [np.array(moving.rows, np.int64) for moving in done + alive]
    return sorted(found, key=lambda rows: int(rows[0]))


def _matched(free: list[_Moving], rows: Ints, given: ClipBoxes, number: int, fps: float) -> list[tuple[_Moving, int]]:
    """Which tracklet goes on with which of the rows, all at once."""
    if not free or not len(rows):
        return []
    gaps = [(number - moving.frame) / fps for moving in free]
    ahead = to_corners(np.array([moving.ahead(gap) for moving, gap in zip(free, gaps, strict=True)]))
    near = overlaps(ahead, given.boxes[rows], _GROW * min(gaps))
    # Where two fit about as well, the tracklet that waits for less time comes first.
    cost = 1.0 - near + 0.05 * np.array(gaps)[:, None]
    cost[near < LEAST_OVERLAP] = 10.0
    chosen = zip(*linear_sum_assignment(cost), strict=True)
    return [(free[one], int(rows[other])) for one, other in chosen if cost[one, other] < 10.0]
