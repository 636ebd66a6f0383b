"""Overlap of boxes, and boxes as centre and size, for all pairs at once."""

from __future__ import annotations

import numpy as np

from clipquarry.people.tracking.boxes import Floats


def overlaps(one: Floats, other: Floats, grow: float = 0.0) -> Floats:
    """IoU of each of (N, 4) with each of (M, 4), corners; ``grow`` enlarges each box by that share of its size on every side."""
    if grow:
        one, other = _grown(one, grow), _grown(other, grow)
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    shared = sides[..., 0] * sides[..., 1]
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _grown(boxes: Floats, share: float) -> Floats:
    side = (boxes[:, 2:] - boxes[:, :2]) * share
    return np.concatenate([boxes[:, :2] - side, boxes[:, 2:] + side], axis=1)


def to_middle(boxes: Floats) -> Floats:
    """Corners (N, 4) as x and y of the middle, width, height."""
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def to_corners(boxes: Floats) -> Floats:
    """The reverse of :func:`to_middle`."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
