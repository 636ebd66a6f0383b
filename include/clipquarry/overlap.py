"""Overlap (IoU) of proposals and labelled boxes, computed on arrays without a Python loop over boxes.

Boxes are ``(x1, y1, x2, y2)``, fractions of the frame. A key is a number for a video and a second.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.int64]

IOU = 0.5
MAX_PAIRS = 1 << 20
"""Pairs of a person and a proposal that are compared at once: about 200 MB."""
NOT_FOUND = -np.inf
_ROUNDING = 1e-9  # boxes are thousandths: an overlap of exactly a half must count


def best_scores(keys: Keys, boxes: Floats, proposal_keys: Keys, proposals: Floats, scores: Floats) -> Floats:
    """For each of N boxes the highest score among the proposals of its key that meet it at IoU 0.5 or more.

    ``keys`` (N,), ``boxes`` (N, 4); ``proposal_keys`` (M,) ascending, ``proposals`` (M, 4), ``scores`` (M,). :data:`NOT_FOUND` where there
    is none. ``scores`` may be infinite.
    """
    best = np.full(len(keys), NOT_FOUND)
    first = np.searchsorted(proposal_keys, keys, "left")
    many = np.searchsorted(proposal_keys, keys, "right") - first
    some = np.flatnonzero(many)
    ends = np.cumsum(many[some])
    begin = 0
    while begin < len(some):
        done = ends[begin - 1] if begin else 0
        stop = max(begin + 1, int(np.searchsorted(ends, done + MAX_PAIRS, "right")))
        part = some[begin:stop]
        counts = many[part]
        starts = np.cumsum(counts) - counts
        one = np.repeat(part, counts)
        other = np.arange(counts.sum()) - np.repeat(starts - first[part], counts)
        met = _meet(boxes[one], proposals[other])
        best[part] = np.maximum.reduceat(np.where(met, scores[other], NOT_FOUND), starts)
        begin = stop
    return best


def _meet(one: Floats, other: Floats) -> npt.NDArray[np.bool_]:
    """Whether the boxes of each pair overlap by :data:`IOU` or more."""
    width = np.minimum(one[:, 2], other[:, 2]) - np.maximum(one[:, 0], other[:, 0])
    height = np.minimum(one[:, 3], other[:, 3]) - np.maximum(one[:, 1], other[:, 1])
    both = np.maximum(width, 0) * np.maximum(height, 0)
    result: npt.NDArray[np.bool_] = (both > 0) & (both + _ROUNDING >= IOU * (area(one) + area(other) - both))
    return result


def area(boxes: Floats) -> Floats:
    """Areas as shares of the frame."""
    result: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return result
