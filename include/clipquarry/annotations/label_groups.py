"""Labels in groups: classes of several categories that are numbered one after the other, and their form in lists.

A list has an index inside its category: ``{"action": [3, 17], "object": [0]}``, the categories in the order in which the item's
labels first use them, the indices in the annotation's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate


class LabelGroups:
    """The groups, by name, with the number of classes of each; class 0 is the first of the first group."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.names = tuple(self.sizes)
        ends = list(accumulate(self.sizes.values()))
        self.starts = dict(zip(self.names, [0, *ends], strict=False))
        """The number of each group's first class."""
        self._at = [(name, str(index)) for name, size in self.sizes.items() for index in range(size)]

    def __len__(self) -> int:
        """Classes of all groups together."""
        return len(self._at)

    def divided(self, labels: Iterable[int]) -> dict[str, str]:
        """The indices by group, of the numbers of an item's classes, as ``3, 17``."""
        found: dict[str, str] = {}
        at = self._at
        for label in labels:
            name, index = at[label]
            found[name] = f"{found[name]}, {index}" if name in found else index
        return found


def as_text(divided: Mapping[str, str]) -> str:
    """The JSON of :meth:`LabelGroups.divided`, as ``json.dumps`` writes it; names of groups need no escapes."""
    return "{" + ", ".join([f'"{name}": [{indices}]' for name, indices in divided.items()]) + "}"
