"""Ids for the persons of one clip: the one function that a step calls."""

from __future__ import annotations

import math

import numpy as np

from clipquarry.errors import UserError
from clipquarry.people.tracking.boxes import FILLED, ClipBoxes, Floats, Ints, Track, TrackedBoxes, Tracklet, checked
from clipquarry.people.tracking.offline import hidden_shares, join, split
from clipquarry.people.tracking.online import tracklets


def track_clip(
    given: ClipBoxes, fps: float, *, step: int = 1, length: int | None = None, whole_clip: bool = True
) -> TrackedBoxes:
    """The same boxes with ids from 1, and boxes interpolated where a person was not detected between two frames in which he was.

    ``fps`` is that of the frame numbers. ``step`` says that every ``step``-th frame was detected; the others are interpolated. ``length`` is the clip's
    frames, for a check. ``whole_clip=False`` leaves the second part out, for comparison. No two boxes of a frame share an id; ids are by first
    frame, then from the left. The order of the rows has no influence. Raises UserError for boxes that cannot be.
    """
    if not (math.isfinite(fps) and fps > 0) or step < 1:
        raise UserError(f"{fps} frames a second, every {step}th detected: both must be greater than 0")
    known = checked(given, length)
    if not len(known.frames):
        return _together(known, np.zeros(0, np.int64), [])
    # By frame, then place: rows of a frame may come in any order.
    order = np.lexsort((known.scores, *known.boxes.T[::-1], known.frames))
    colours = None if known.colours is None else known.colours[order]
    known = ClipBoxes(known.frames[order], known.boxes[order], known.scores[order], colours)
    pieces = tracklets(known, fps, step)
    chains = [[rows] for rows in pieces]
    if whole_clip:
        hidden = hidden_shares(known)
        pieces = sorted(
            (part for rows in pieces for part in split(rows, known.frames, hidden, step)), key=lambda rows: int(rows[0])
        )
        chains = join(pieces, known, fps, hidden)
    return _together(known, order, sorted(chains, key=lambda chain: int(chain[0][0])))


def _together(known: ClipBoxes, order: Ints, chains: list[list[Ints]]) -> TrackedBoxes:
    """The result by frame and id."""
    parts: list[tuple[Ints, Floats, Floats, Ints, Ints]] = []
    tracks: list[Track] = []
    numbers = {int(rows[0]): number for number, rows in enumerate(_by_begin(chains), 1)}
    for number, chain in enumerate(chains, 1):
        rows = np.concatenate(chain)
        frames = known.frames[rows]
        between = np.setdiff1d(np.arange(frames[0], frames[-1] + 1), frames, assume_unique=True)
        filled = np.stack([np.interp(between, frames, side) for side in known.boxes[rows].T], axis=1)
        parts.append(
            (
                np.concatenate([frames, between]),
                np.concatenate([known.boxes[rows], filled]),
                np.concatenate([known.scores[rows], np.zeros(len(between))]),
                np.full(len(rows) + len(between), number, np.int64),
                np.concatenate([order[rows], np.full(len(between), FILLED, np.int64)]),
            )
        )
        joined = tuple(
            Tracklet(numbers[int(part[0])], int(known.frames[part[0]]), int(known.frames[part[-1]]), len(part))
            for part in chain
        )
        tracks.append(Track(number, int(frames[0]), int(frames[-1]), len(rows), len(between), joined))
    if not parts:
        none = np.zeros(0, np.int64)
        return TrackedBoxes(none, np.zeros((0, 4)), np.zeros(0), none, none, ())
    every = [np.concatenate(column) for column in zip(*parts, strict=True)]
    by = np.lexsort((every[3], every[0]))
    frames, boxes, scores, ids, sources = (column[by] for column in every)
    return TrackedBoxes(frames, boxes, scores, ids, sources, tuple(tracks))


def _by_begin(chains: list[list[Ints]]) -> list[Ints]:
    return sorted((part for chain in chains for part in chain), key=lambda rows: int(rows[0]))
