"""How many labelled persons the proposals find, over arrays: no Python loop over boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clipyard.report.box_data import READ_AT, THRESHOLDS, Covered, Found

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.int64]

IOU = 0.5
MAX_PAIRS = 1 << 20
"""Pairs of a person and a proposal that are compared at once: about 200 MB."""
_ROUNDING = 1e-9  # boxes are thousandths: an overlap of exactly a half must count
NOT_FOUND = -np.inf
NO_SCORE = np.inf
"""Stands for the score of a proposal without one: it passes every threshold, as it does for the readers."""

SIZES = (
    ("small: below 5 % of the picture", 0.0, 0.05),
    ("medium: 5 to 25 %", 0.05, 0.25),
    ("large: from 25 %", 0.25, 2.0),
)


def best_scores(keys: Keys, boxes: Floats, proposal_keys: Keys, proposals: Floats, scores: Floats) -> Floats:
    """For each of N boxes the highest score among the proposals of its key that meet it at IoU 0.5 or more.

    ``keys`` (N,), ``boxes`` (N, 4); ``proposal_keys`` (M,) ascending, ``proposals`` (M, 4), ``scores`` (M,). :data:`NOT_FOUND` where there
    is none. ``scores`` may hold :data:`NO_SCORE`.
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
    """Shares of the picture."""
    result: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return result


def highest_scores(keys: Keys, proposal_keys: Keys, scores: Floats) -> Floats:
    """For each key the highest score of its proposals, :data:`NOT_FOUND` without any. ``proposal_keys`` ascending."""
    highest = np.full(len(keys), NOT_FOUND)
    if len(scores):
        known, first = np.unique(proposal_keys, return_index=True)
        most = np.maximum.reduceat(scores, first)
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        highest = np.where(known[at] == keys, most[at], NOT_FOUND)
    return highest


def counted(name: str, best: Floats, highest: Floats) -> Found:
    """``best`` score that met each person, ``highest`` score on the person's key frame: who is found, by threshold."""
    by_threshold = [int((best >= limit).sum()) for limit in THRESHOLDS]
    as_read = int(((best >= np.minimum(READ_AT, highest)) & (best != NOT_FOUND)).sum())
    return Found(name, len(best), (*by_threshold, as_read))


def by_size(boxes: Floats, best: Floats, highest: Floats) -> tuple[Found, ...]:
    """:func:`counted` for small, medium and large boxes."""
    areas = area(boxes)
    masks: list[tuple[str, Any]] = [(name, (areas >= low) & (areas < high)) for name, low, high in SIZES]
    return tuple(counted(name, best[mask], highest[mask]) for name, mask in masks)


def covered(split: str, keys: Keys, proposal_keys: Keys, scores: Floats) -> Covered:
    """``keys`` (N,) of the labelled persons: which of their key frames have proposals."""
    frames, persons = np.unique(keys, return_counts=True)
    highest = highest_scores(frames, proposal_keys, scores)
    by_threshold = tuple(int((highest >= limit).sum()) for limit in THRESHOLDS)
    return Covered(split, len(frames), by_threshold, int(persons[highest == NOT_FOUND].sum()))


def added(rows: list[tuple[Found, ...]]) -> tuple[Found, ...]:
    """Counts of several splits, row by row."""
    return tuple(
        Found(same[0].name, sum(one.persons for one in same), tuple(map(sum, zip(*(one.found for one in same), strict=True))))
        for same in zip(*rows, strict=True)
    )  # fmt: skip
