"""What tracking takes and gives: boxes of one clip's frames, with ids afterwards, and a table of the tracks.

Frames count from 0. Boxes are ``x1, y1, x2, y2`` in pixels or in fractions of the picture: nothing in the tracking depends on which, because distances are
measured in widths and heights of the boxes themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipquarry.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FILLED = -1
"""The source of a box that no detector gave."""


@dataclass(frozen=True)
class ClipBoxes:
    """The boxes that a detector found in one clip, in any order; a frame without boxes has no row.

    ``frames`` (N,), ``boxes`` (N, 4), ``scores`` (N,) in 0..1, ``colours`` (N, D) or None: a histogram for each box whose numbers are not negative
    (:mod:`~clipquarry.people.tracking.colour`), a row of zeros where there is none.
    """

    frames: Ints
    boxes: Floats
    scores: Floats
    colours: Floats | None = None


@dataclass(frozen=True)
class Tracklet:
    """A piece of a track, as the first part of the tracking left it: number from 1, first and last frame, boxes."""

    number: int
    first: int
    last: int
    boxes: int


@dataclass(frozen=True)
class Track:
    """One person: ``id`` from 1, first and last frame, how many boxes were detected and filled in, and the pieces that were joined."""

    id: int
    first: int
    last: int
    detected: int
    filled: int
    tracklets: tuple[Tracklet, ...]


@dataclass(frozen=True)
class TrackedBoxes:
    """Boxes with ids, by frame and id. ``sources`` holds the row of the input, or :data:`FILLED`; every row of the input stands once.

    ``frames``, ``scores``, ``ids``, ``sources`` (M,), ``boxes`` (M, 4). The score of a filled box is 0. ``tracks`` is by id.
    """

    frames: Ints
    boxes: Floats
    scores: Floats
    ids: Ints
    sources: Ints
    tracks: tuple[Track, ...]

    @property
    def filled(self) -> Flags:
        """Which boxes were interpolated, (M,)."""
        return np.asarray(self.sources == FILLED)


def checked(given: ClipBoxes, length: int | None = None) -> ClipBoxes:
    """The same boxes as arrays of fixed types. Raises UserError with the row and the frame that are wrong."""
    frames = np.asarray(given.frames)
    boxes = np.asarray(given.boxes)
    scores = np.asarray(given.scores)
    count = len(frames) if frames.ndim == 1 else 0
    if count == 0 and frames.size == 0:
        frames, boxes, scores = np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0)
    if frames.ndim != 1 or boxes.shape != (count, 4) or scores.shape != (count,):
        raise UserError(
            f"frames {list(frames.shape)}, boxes {list(boxes.shape)} and scores {list(scores.shape)} do not belong together; give (N,), (N, 4) and (N,)"
        )
    if frames.dtype.kind not in "iu" or boxes.dtype.kind not in "fiu" or scores.dtype.kind not in "fiu":
        raise UserError("frames must be whole numbers, boxes and scores numbers; convert the arrays before tracking")
    frames, boxes, scores = frames.astype(np.int64), boxes.astype(np.float64), scores.astype(np.float64)
    _refuse(~np.isfinite(boxes).all(axis=1), frames, boxes, "is no box of finite numbers; remove it or detect again")
    _refuse(
        (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]), frames, boxes,
        "has no area; give x1 < x2 and y1 < y2",
    )  # fmt: skip
    _refuse(
        ~((scores >= 0) & (scores <= 1)), frames, boxes, "has a score that is not in 0..1; give the detector's score"
    )
    _refuse(frames < 0, frames, boxes, "has a negative frame; frames count from 0")
    if length is not None:
        _refuse(frames >= length, frames, boxes, f"lies after the clip's {length} frames; give the clip's own boxes")
    return ClipBoxes(frames, boxes, scores, _colours(given.colours, frames, boxes))


def _colours(given: Floats | None, frames: Ints, boxes: Floats) -> Floats | None:
    """Histograms whose numbers add up to 1, or rows of zeros."""
    if given is None or not len(frames):
        return None
    colours = np.asarray(given)
    if colours.ndim != 2 or len(colours) != len(frames) or not colours.shape[1] or colours.dtype.kind not in "fiu":
        raise UserError(f"colours {list(colours.shape)} for {len(frames)} boxes; give one histogram a box, (N, D)")
    colours = colours.astype(np.float64)
    wrong = ~np.isfinite(colours).all(axis=1) | (colours < 0).any(axis=1)
    _refuse(
        wrong,
        frames,
        boxes,
        "has a colour histogram with negative or no finite numbers; give zeros where there is none",
    )
    total = colours.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(colours, total, out=np.zeros_like(colours), where=total > 0))


def _refuse(wrong: Any, frames: Ints, boxes: Floats, what: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        more = int(wrong.sum()) - 1
        rest = f" ({more:,} more like it)" if more else ""
        raise UserError(f"row {row}, frame {frames[row]}: [{_text(boxes[row])}] {what}{rest}")


def _text(box: npt.NDArray[Any]) -> str:
    return ", ".join(f"{number:g}" for number in box)
