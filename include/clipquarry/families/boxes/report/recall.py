"""Recall of labelled persons by the proposals, computed on arrays without a Python loop over boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from clipquarry.families.boxes.report.data import READ_AT, THRESHOLDS, Covered, Found
from clipquarry.overlap import NOT_FOUND, Floats, Keys, area, best_scores

__all__ = [
    "NOT_FOUND", "NO_SCORE", "added", "best_scores", "by_size", "counted", "covered", "highest_scores"
]  # fmt: skip

NO_SCORE = np.inf
"""Score of a proposal without one: it passes every threshold, as it does for the readers."""

SIZES = (
    ("small: below 5 % of the frame", 0.0, 0.05),
    ("medium: 5 to 25 %", 0.05, 0.25),
    ("large: from 25 %", 0.25, 2.0),
)


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
    """From each person's ``best`` score and the ``highest`` score on its key frame: who is found, by threshold."""
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
