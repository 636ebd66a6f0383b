"""How far two people agree, action by action: Cohen's kappa over the boxes that both have.

``kappa = (p_o - p_e) / (1 - p_e)``, where ``p_o`` is the share of boxes on which both say yes or both say no, and ``p_e`` that
share by chance, from how often each says yes (J. Cohen, A coefficient of agreement for nominal scales, 1960).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clipquarry.labelling.model import Attribute, Box, Region

SAME_BOX = 0.5
"""Overlap (intersection over union) from which two drawn boxes of a frame are one person."""


@dataclass(frozen=True)
class ActionAgreement:
    """Boxes on which both say yes, the first alone, the second alone, neither. ``kappa`` is None where it has no value: one
    of both says the same of every box, and so does the other, or there is no box.
    """

    attribute: str
    option: str
    both: int = 0
    first: int = 0
    second: int = 0
    neither: int = 0

    @property
    def boxes(self) -> int:
        return self.both + self.first + self.second + self.neither

    @property
    def agreed(self) -> float | None:
        """The share of boxes on which both say the same."""
        return (self.both + self.neither) / self.boxes if self.boxes else None

    @property
    def kappa(self) -> float | None:
        n = self.boxes
        if not n:
            return None
        yes = (self.both + self.first) * (self.both + self.second)
        no = (self.second + self.neither) * (self.first + self.neither)
        if yes + no == n * n:
            return None
        return (n * (self.both + self.neither) - yes - no) / (n * n - yes - no)


@dataclass(frozen=True)
class Agreement:
    """Two people's agreement on each action over all ``clips``: the ``boxes`` that both have are counted, not the boxes that one of
    both has ``alone``.
    """

    actions: tuple[ActionAgreement, ...]
    clips: int
    boxes: int
    alone: int


@dataclass(frozen=True)
class Pairs:
    """Boxes of two people that are one: id of the first's to the second's, and who has a box that the other has not."""

    same: Mapping[str, str]
    first_only: tuple[str, ...]
    second_only: tuple[str, ...]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes of one frame."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    return inside / (one[2] * one[3] + other[2] * other[3] - inside)


def paired(first: Iterable[Region], second: Iterable[Region]) -> Pairs:
    """Boxes of one id are one; boxes that people drew are paired within their frame, the largest overlap first."""
    ones, others = {one.id: one for one in first}, {one.id: one for one in second}
    same = {name: name for name in ones if name in others}
    by_frame: dict[str, list[Region]] = defaultdict(list)
    for region in others.values():
        if region.id not in same:
            by_frame[region.frame].append(region)
    near = [
        (-overlap(one.box, other.box), one.id, other.id)
        for one in ones.values()
        if one.id not in same
        for other in by_frame[one.frame]
    ]
    used: set[str] = set()
    for distance, one, other in sorted(near):
        if -distance >= SAME_BOX and one not in same and other not in used:
            same[one] = other
            used.add(other)
    have = set(same.values())
    return Pairs(same, tuple(one for one in ones if one not in same), tuple(one for one in others if one not in have))


def agreement(clips: Iterable[tuple[Iterable[Region], Iterable[Region]]], attributes: Iterable[Attribute]) -> Agreement:
    """Of each action of all attributes, over all clips together: each clip as the first and the second person have it."""
    actions = [(attribute.id, option.id) for attribute in attributes for option in attribute.options]
    counts: dict[tuple[str, str], Counter[tuple[bool, bool]]] = {action: Counter() for action in actions}
    number = boxes = alone = 0
    for first, second in clips:
        ones, others = {one.id: one for one in first}, {one.id: one for one in second}
        pairs = paired(ones.values(), others.values())
        number, boxes = number + 1, boxes + len(pairs.same)
        alone += len(pairs.first_only) + len(pairs.second_only)
        for one, other in pairs.same.items():
            for attribute, option in actions:
                said = tuple(option in side.labels.get(attribute, ()) for side in (ones[one], others[other]))
                counts[(attribute, option)][(said[0], said[1])] += 1
    found = (
        ActionAgreement(*action, both=n[(True, True)], first=n[(True, False)], second=n[(False, True)], neither=n[(False, False)])
        for action, n in counts.items()
    )  # fmt: skip
    return Agreement(tuple(found), number, boxes, alone)
