"""The last part of the joining: tracks exchange their later parts while that makes them fit better as wholes.

The assignment compares neighbours only. A person whom three others hid one after the other has short pieces of mixed colours there, so that a wrong join costs little
at its place and shows only in the track as a whole. Here the colours of a whole track must be alike: the total cost is that of all joins and the scatter of
colours in each track; two tracks exchange all that comes after a moment, or what lies between two moments, until nothing makes the total less.
"""

from __future__ import annotations

import numpy as np

from clipquarry.people.tracking.boxes import Floats

_LEAST_GAIN = 1e-6
_MOST_ROUNDS = 60
_WORSE = 40.0
"""How much a first exchange may cost, if a second one brings it back."""


class Exchange:
    """Makes tracks better. ``links`` (n, n) is what a join of two pieces costs, ``far`` or more where it cannot be; ``begin`` is what a track costs.

    ``colours`` (n, D), square roots of histograms, ``weights`` (n,) how much each counts, both with the cost's scale.
    """

    def __init__(self, links: Floats, colours: Floats, weights: Floats, begin: float, far: float) -> None:
        self._links, self._begin, self._far = links, begin, far
        self._colours = colours * weights[:, None]
        self._weights = weights

    def improve(self, chains: list[list[int]]) -> list[list[int]]:
        """The tracks after all exchanges that help; each is a list of pieces by time."""
        chains = [*chains, []]
        fresh = dict.fromkeys(range(len(chains)), True)
        for _ in range(_MOST_ROUNDS):
            changed: set[int] = set()
            for one in range(len(chains)):
                for other in range(one + 1, len(chains)):
                    if not (fresh.get(one) or fresh.get(other) or {one, other} & changed):
                        continue
                    better = self._pair(chains[one], chains[other])
                    if better is not None:
                        chains[one], chains[other] = better
                        changed |= {one, other}
            if not changed:
                break
            fresh = dict.fromkeys(changed, True)
            if all(chains):
                chains.append([])
                fresh[len(chains) - 1] = True
        return [chain for chain in chains if chain]

    def _pair(self, one: list[int], other: list[int]) -> tuple[list[int], list[int]] | None:
        """The two tracks after the best single exchange, or the best pair of exchanges; None if none is better."""
        gains = self._gains(one, other)
        best, found = -_LEAST_GAIN, None
        at = np.unravel_index(int(np.argmin(gains)), gains.shape)
        if gains[at] < best:
            best, found = float(gains[at]), _exchanged(one, other, int(at[0]), int(at[1]))
        for first, second in np.argwhere((gains < _WORSE) & (np.abs(gains) > _LEAST_GAIN)).tolist():
            left, right = _exchanged(one, other, first, second)
            again = self._gains(left, right)
            at = np.unravel_index(int(np.argmin(again)), again.shape)
            if gains[first, second] + again[at] < best - _LEAST_GAIN:
                best = float(gains[first, second] + again[at])
                found = _exchanged(left, right, int(at[0]), int(at[1]))
        return found

    def _gains(self, one: list[int], other: list[int]) -> Floats:
        """What changes if everything from the i-th piece of one and the j-th of the other on is exchanged, (len + 1, len + 1)."""
        cost = self._joins(one, other) + self._joins(other, one).T
        scatter = self._scatter(one, other) + self._scatter(other, one).T
        return np.asarray(cost + scatter - self._now(one) - self._now(other))

    def _now(self, chain: list[int]) -> float:
        if not chain:
            return 0.0
        joins = float(self._links[chain[:-1], chain[1:]].sum())
        weight = self._weights[chain].sum()
        whole = self._colours[chain].sum(axis=0)
        return joins + float(weight - whole @ whole / max(weight, 1e-12)) + self._begin

    def _joins(self, head: list[int], tail: list[int]) -> Floats:
        """Joins of the first i pieces of ``head`` and those of ``tail`` from the j-th on, with the cost of a track."""
        before = np.concatenate([[0.0, 0.0], np.cumsum(self._links[head[:-1], head[1:]])])[: len(head) + 1]
        inner = self._links[tail[:-1], tail[1:]]
        after = np.concatenate([np.cumsum(inner[::-1])[::-1], [0.0, 0.0]])[-(len(tail) + 1) :]
        cost = before[:, None] + after[None] + self._begin
        cost[1:, :-1] += self._links[np.ix_(head, tail)]
        cost[0, -1] -= self._begin
        return np.asarray(cost)

    def _scatter(self, head: list[int], tail: list[int]) -> Floats:
        zero = np.zeros((1, self._colours.shape[1]))
        begins = np.concatenate([zero, np.cumsum(self._colours[head], axis=0)])
        ends = np.concatenate([np.cumsum(self._colours[tail][::-1], axis=0)[::-1], zero])
        square = (begins**2).sum(axis=1)[:, None] + (ends**2).sum(axis=1)[None] + 2 * begins @ ends.T
        weight = np.concatenate([[0.0], np.cumsum(self._weights[head])])[:, None]
        weight = weight + np.concatenate([np.cumsum(self._weights[tail][::-1])[::-1], [0.0]])[None]
        return np.asarray(weight - square / np.maximum(weight, 1e-12))


def _exchanged(one: list[int], other: list[int], first: int, second: int) -> tuple[list[int], list[int]]:
    return one[:first] + other[second:], other[:second] + one[first:]
