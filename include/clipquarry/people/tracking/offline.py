"""The second part of the tracking, over the whole clip: tracklets are split where persons may have been exchanged, and joined by one assignment.

Splitting: where two boxes of a frame overlap much, an online tracker may go on with the wrong person; each is cut at the frame of its greatest overlap, and
where it jumps. Joining: a tracklet's end and another's later begin are one person with a cost (motion from both sides, size, colour); the cheapest set of joins, at
most one for each end and begin, is a linear assignment, and so the minimum-cost flow of tracklets into tracks. It is repeated with the longer pieces, whose
speeds, sizes and colours are better known. A join never goes back in time, hence no two boxes of a frame share an id.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from clipquarry.people.tracking.boxes import ClipBoxes, Floats, Ints
from clipquarry.people.tracking.ends import PUSH, End, Piece, piece
from clipquarry.people.tracking.exchange import Exchange
from clipquarry.people.tracking.geometry import overlaps

Part = TypeVar("Part")

LONGEST_GAP = 3.0
"""Seconds that a person may be hidden."""
CROWDED = 0.2
"""IoU of two boxes of a frame from which persons may have been exchanged."""
WAIT = 2
"""Detected frames without a box, from which a tracklet is cut: what comes after may be somebody else."""
_SIZE_DRIFT = 0.15
"""Change of the logarithm of a size within a second."""
_COLOUR_OFF = 0.12
"""Hellinger distance of two mean histograms of one person (root mean square)."""
TAIL = 4.0
"""Persons stop and turn: a great distance costs its logarithm (a Student distribution's), not its square."""
VAGUE = 1.0
_SHARP = 0.03**2 * 0.5**2
"""Determinant of the covariance of a join that nothing leaves open. A piece of one box fits nearly anything and must not be a cheap neighbour for that."""
_UNLIKE = 24.0
"""Cost of colours that have nothing in common: enough to forbid a join that fits in all else."""
_FAR = 1e6
_LIMITS = (4.0, 8.0, 14.0, 22.0)
"""Costs from which two pieces are not joined, in the rounds of joining: sure ones first."""


def hidden_shares(given: ClipBoxes) -> Floats:
    """For each box the greatest IoU with another of its frame, (N,); ``given`` is by frame."""
    found = np.zeros(len(given.frames))
    _, begins, counts = np.unique(given.frames, return_index=True, return_counts=True)
    for begin, count in zip(begins.tolist(), counts.tolist(), strict=True):
        if count > 1:
            near = overlaps(given.boxes[begin : begin + count], given.boxes[begin : begin + count])
            np.fill_diagonal(near, 0.0)
            found[begin : begin + count] = near.max(axis=1)
    return found


def split(rows: Ints, frames: Ints, hidden: Floats, step: int = 1) -> list[Ints]:
    """A tracklet cut where it was overlapped most, once for each time that another box overlapped it by :data:`CROWDED` or more."""
    crowded = hidden[rows] >= CROWDED
    edges = np.flatnonzero(np.diff(np.concatenate([[False], crowded, [False]]).astype(np.int8)))
    cuts = [begin + int(np.argmax(hidden[rows[begin:end]])) for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    cuts += (1 + np.flatnonzero(np.diff(frames[rows]) > WAIT * step)).tolist()
    return [part for part in np.split(rows, sorted({cut for cut in cuts if 0 < cut < len(rows)})) if len(part)]


def join(pieces: list[Ints], given: ClipBoxes, fps: float, hidden: Floats) -> list[list[Ints]]:
    """Which pieces make each track, by time."""
    sure, _ = _joined([[rows] for rows in pieces], _LIMITS[0], given, fps, hidden)
    ends = [piece(np.concatenate(chain), given, fps, hidden) for chain in sure]
    numbers = [[number] for number in range(len(sure))]
    chains = sure
    for limit in _LIMITS[1:]:
        chains, following = _joined(chains, limit, given, fps, hidden)
        for each in following:
            numbers = _chained(numbers, each)
    if given.colours is not None and len(chains) > 1:
        weights = np.array([0.0 if one.colour is None else min(1.0, (0.5 + one.clear) / 5) for one in ends])
        roots = np.array(
            [np.zeros(given.colours.shape[1]) if one.colour is None else np.sqrt(one.colour) for one in ends]
        )
        scale = 1 / (2 * _COLOUR_OFF**2)
        exchange = Exchange(_costs(ends, fps, colours=False), roots, weights * scale, _LIMITS[-1], _FAR)
        numbers = exchange.improve(numbers)
    return [[rows for number in chain for rows in sure[number]] for chain in numbers]


def _joined(
    chains: list[list[Ints]], limit: float, given: ClipBoxes, fps: float, hidden: Floats
) -> tuple[list[list[Ints]], list[dict[int, int]]]:
    """The tracks after all joins below a cost, and what followed what in each round."""
    rounds: list[dict[int, int]] = []
    while True:
        ends = [piece(np.concatenate(chain), given, fps, hidden) for chain in chains]
        following = _assigned(_costs(ends, fps), limit)
        if not following:
            return chains, rounds
        rounds.append(following)
        chains = _chained(chains, following)


def _assigned(cost: Floats, limit: float) -> dict[int, int]:
    """The piece that follows each piece, at the least total cost, an end without a follower costing ``limit``."""
    count = len(cost)
    whole = np.full((count, 2 * count), _FAR)
    whole[:, :count] = np.where(cost < limit, cost, _FAR)
    whole[:, count:][np.diag_indices(count)] = limit
    one, other = linear_sum_assignment(whole)
    return {int(a): int(b) for a, b in zip(one, other, strict=True) if b < count and whole[a, b] < _FAR}


def _chained(chains: list[list[Part]], following: dict[int, int]) -> list[list[Part]]:
    begun = set(range(len(chains))) - set(following.values())
    found = []
    for number in sorted(begun):
        whole = list(chains[number])
        at = number
        while at in following:
            at = following[at]
            whole += chains[at]
        found.append(whole)
    return found


def _costs(pieces: list[Piece], fps: float, *, colours: bool = True) -> Floats:
    """What it costs that each of the pieces is followed by each, (n, n)."""
    before = [one.end for one in pieces]
    after = [one.begin for one in pieces]
    frames = [np.array([end.frame for end in ends]) for ends in (before, after)]
    gaps = (frames[1][None] - frames[0][:, None]) / fps
    possible = (gaps > 0) & (gaps <= LONGEST_GAP)
    gaps = np.where(possible, gaps, LONGEST_GAP)
    cost = _motion(before, after, gaps) + _size(before, after, gaps)
    if colours:
        cost += _colour(pieces)
    return np.where(possible, cost, _FAR)


def _motion(before: list[End], after: list[End], gaps: Floats) -> Floats:
    """Half the squared distance of place and speed from an even motion, and what the join leaves open, (n, n).

    A person's speed is a random walk; the covariance of place and speed after a gap is 2x2 and inverted by hand.
    """
    places, speeds, scales = (
        [np.array([getattr(end, name) for end in ends]) for ends in (before, after)]
        for name in ("place", "speed", "scale")
    )
    one, other = (np.array([end.sure for end in ends]) for ends in (before, after))
    one, push = one[:, None], PUSH**2
    place = one[..., 0, 0] + 2 * gaps * one[..., 0, 1] + gaps**2 * one[..., 1, 1] + push * gaps**3 / 3 + other[:, 0, 0]
    mixed = one[..., 0, 1] + gaps * one[..., 1, 1] + push * gaps**2 / 2 + other[:, 0, 1]
    speed = one[..., 1, 1] + push * gaps + other[:, 1, 1]
    scale = np.sqrt(scales[0][:, None] * scales[1][None])
    far = (places[1][None] - places[0][:, None] - speeds[0][:, None] * gaps[..., None]) / scale
    faster = (speeds[1][None] - speeds[0][:, None]) / scale
    open_ = place * speed - mixed**2
    parts = speed[..., None] * far**2 - 2 * mixed[..., None] * far * faster + place[..., None] * faster**2
    distance = parts.sum(axis=2) / open_
    return np.asarray(TAIL * np.log1p(distance / (2 * TAIL)) + VAGUE * np.maximum(0.0, np.log(open_ / _SHARP)))


def _size(before: list[End], after: list[End], gaps: Floats) -> Floats:
    sizes = [np.array([end.size for end in ends]) for ends in (before, after)]
    off = [np.array([end.size_off for end in ends]) for ends in (before, after)]
    spread = off[0][:, None] + off[1][None] + 0.03**2 + _SIZE_DRIFT**2 * gaps
    return np.asarray(np.minimum(8.0, 0.5 * ((sizes[1][None] - sizes[0][:, None]) ** 2).sum(axis=2) / spread))


def _colour(pieces: list[Piece]) -> Floats:
    """Of the Hellinger distance; mixed colours count less, none counts nothing."""
    known = [one.colour for one in pieces if one.colour is not None]
    if not known:
        return np.zeros((len(pieces), len(pieces)))
    roots = np.array([np.zeros(len(known[0])) if one.colour is None else np.sqrt(one.colour) for one in pieces])
    clear = np.array([one.clear >= 3 for one in pieces])
    there = np.array([one.colour is not None for one in pieces])
    weight = np.where(clear[:, None] & clear[None], 1.0, 0.25) * (there[:, None] & there[None])
    unlike = np.maximum(0.0, 1.0 - roots @ roots.T)
    return np.asarray(weight * np.minimum(_UNLIKE, 0.5 * unlike / _COLOUR_OFF**2))
