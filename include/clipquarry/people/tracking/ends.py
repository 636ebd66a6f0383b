"""Where a tracklet begins and ends, how fast, and how sure that is: what joining compares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipquarry.people.tracking.boxes import ClipBoxes, Floats, Ints
from clipquarry.people.tracking.geometry import to_middle

WINDOW_SECONDS = 0.5
"""How much of a tracklet tells its speed at an end."""
_MEASURED = 0.03
"""How far the middle of a box is off, in widths and heights, if a person moved evenly."""
_SPEED = 2.0
"""How fast persons are, in widths and heights a second (root mean square)."""


PUSH = 3.0
"""How much the speed changes within a second (root mean square), in widths and heights a second: who turns does so in a quarter of a second."""


@dataclass(frozen=True)
class End:
    """One end: ``place`` (2,) and ``speed`` (2,) of the middle in widths and heights, and a second; ``sure`` (2, 2), their covariance.

    ``size`` (2,) is the logarithm of width and height, ``size_off`` its variance, ``scale`` (2,) what one width and height is here.
    """

    frame: int
    place: Floats
    speed: Floats
    sure: Floats
    size: Floats
    size_off: float
    scale: Floats


@dataclass(frozen=True)
class Piece:
    """A tracklet with its ends; ``rows`` by frame. ``colour`` (D,) is the mean of its clear boxes, None where there is none."""

    rows: Ints
    begin: End
    end: End
    colour: Floats | None
    clear: int


def piece(rows: Ints, given: ClipBoxes, fps: float, hidden: Floats) -> Piece:
    """The tracklet of ``rows``. ``hidden`` (N,) is how much each box is overlapped by another of its frame: colours of such boxes are mixed."""
    frames = given.frames[rows]
    middles = to_middle(given.boxes[rows])
    window = WINDOW_SECONDS * fps
    first = max(1, int(np.searchsorted(frames, frames[0] + window, "right")))
    last = min(len(rows) - 1, int(np.searchsorted(frames, frames[-1] - window, "left")))
    colour, clear = _colour(rows, given, hidden)
    return Piece(
        rows,
        _end(frames[:first], middles[:first], int(frames[0]), fps),
        _end(frames[last:], middles[last:], int(frames[-1]), fps),
        colour,
        clear,
    )


def _end(frames: Ints, middles: Floats, at: int, fps: float) -> End:
    """Least squares of a straight line, with a prior of the speed; a box alone stands still and is not sure of it.

    Boxes far from the end count less, by as much as a person may have changed his speed since.
    """
    scale: Floats = np.median(middles[:, 2:], axis=0).astype(np.float64)
    times = (frames - at) / fps
    weights = 1 / (_MEASURED**2 + PUSH**2 * np.abs(times) ** 3 / 3)
    design = np.stack([np.ones_like(times), times], axis=1)
    weighted = design.T * weights
    weight = weighted @ design
    weight[1, 1] += 1 / _SPEED**2
    sure: Floats = np.linalg.inv(weight).astype(np.float64)
    found = sure @ (weighted @ (middles[:, :2] / scale))
    size = np.log(middles[:, 2:]).mean(axis=0)
    return End(at, found[0] * scale, found[1] * scale, sure, size, 0.03**2 / len(frames), scale)


def _colour(rows: Ints, given: ClipBoxes, hidden: Floats) -> tuple[Floats | None, int]:
    if given.colours is None:
        return None, 0
    known = rows[given.colours[rows].any(axis=1)]
    if not len(known):
        return None, 0
    clear = known[hidden[known] < 0.1]
    some = clear if len(clear) else known[[int(np.argmin(hidden[known]))]]
    return given.colours[some].mean(axis=0), len(clear)
