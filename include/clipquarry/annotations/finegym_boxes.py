"""Reader of FineGYM's boxes of athletes (``gym_gt_bboxes.pkl``), which its poses are estimated in instead of detections.

The file is published without a description. Expected is what the reference's estimation of poses takes for a clip: one entry for each frame, from 0, with its boxes
``x1, y1, x2, y2`` in pixels and perhaps a score. So ``{clip: boxes}`` with boxes [T, 4 or 5] (one athlete), [T, n, 4 or 5], or a list of T arrays
[n, 4 or 5], n of 0 too. A box of zeros means none. Anything else is rejected with a sentence, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.safe_pickle import Array, load
from clipquarry.errors import UserError
from clipquarry.ids import id_problem

Boxes = npt.NDArray[np.float32]
"""(n, 5) rows ``x1, y1, x2, y2, score`` in pixels; n may be 0. The score is 1 where the file has none."""

_MOST_FRAMES = 100_000


def read_boxes(path: Path) -> tuple[dict[str, list[Boxes]], dict[str, str]]:
    """The boxes of each frame by the clip's name, and the rejected clips: name to reason.

    Nothing of the pickle is executed. Raises :class:`UserError` for a file that is no dictionary of clips, or of which no clip can be used.
    """
    value = load(path, "file of boxes")
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, not boxes by clip: get it again.")
    good: dict[str, list[Boxes]] = {}
    rejected: dict[str, str] = {}
    for name, frames in value.items():
        shown = visible(str(name), 100)
        if not isinstance(name, str) or (problem := id_problem(name)):
            rejected[shown] = f"the name {problem}" if isinstance(name, str) else "the name is no text"
            continue
        try:
            good[name] = boxes_by_frame(frames)
        except (ValueError, TypeError, OverflowError) as error:
            rejected[shown] = visible(str(error), 200)
    if not good:
        told = next(iter(rejected.values()), "it is empty")
        raise UserError(f"{path} holds no clip whose boxes can be used ({told}): get it again.")
    return good, rejected


def boxes_by_frame(value: Any, read: Callable[[Array], npt.NDArray[Any]] = Array.numpy) -> list[Boxes]:
    """The boxes of each frame of one clip. ``read`` gives an array's numbers. Raises ValueError for anything else."""
    return [_boxes(frame) for frame in _frames(value, read)]


def _frames(value: Any, read: Callable[[Array], npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Boxes [n, 4 or 5] of each frame."""
    if isinstance(value, Array):
        array = read(value)
        if array.ndim not in (2, 3):
            raise ValueError(f"boxes {list(array.shape)}, not of [frames, 4 or 5] or [frames, boxes, 4 or 5]")
        frames = list(array[:, None] if array.ndim == 2 else array)
    elif isinstance(value, list | tuple):
        frames = [read(frame) if isinstance(frame, Array) else np.array(frame, np.float32) for frame in value]
        frames = [
            frame[None] if frame.ndim == 1 and frame.size else frame.reshape(-1, frame.shape[-1] or 4)
            for frame in frames
        ]
    else:
        raise ValueError(f"a {type(value).__name__}, not boxes by frame")
    if not 1 <= len(frames) <= _MOST_FRAMES:
        raise ValueError(f"{len(frames)} frames; 1 to {_MOST_FRAMES} are expected")
    return frames


def _boxes(frame: npt.NDArray[Any]) -> Boxes:
    if frame.ndim != 2 or frame.shape[1] not in (4, 5):
        raise ValueError(f"a frame has boxes {list(frame.shape)}, not of 4 or 5 numbers")
    held: Boxes = frame[(frame != 0).any(axis=1)].astype(np.float32)
    if not np.isfinite(held).all():
        raise ValueError("a box holds a value that is no finite number")
    if (held[:, 0] >= held[:, 2]).any() or (held[:, 1] >= held[:, 3]).any():
        raise ValueError("a box has no area: the numbers must be x1, y1, x2, y2")
    if held.size and held[:, :4].max() <= 1:
        raise ValueError("a box is given in fractions of the frame, where pixels are expected")
    if held.shape[1] == 4:
        return np.concatenate([held, np.ones((len(held), 1), np.float32)], axis=1)
    if ((held[:, 4] < 0) | (held[:, 4] > 1)).any():
        raise ValueError("a score is outside 0 to 1")
    return held
