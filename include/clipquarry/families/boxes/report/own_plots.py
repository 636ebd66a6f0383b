"""Plots of the section "Boxes" of a person's own AVA, in the style of :mod:`clipquarry.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipquarry.families.boxes.report.collect import MAX_PER_KEY_FRAME
from clipquarry.families.boxes.report.own_data import OwnAction, OwnBoxes
from clipquarry.families.boxes.report.plots import MAX_CLASSES, whole_numbers
from clipquarry.report.plots import GOOD, INK, MUTED, REST, WARN, draw
from clipquarry.report.text import clean, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (GOOD, WARN, REST)
"""Of the first splits, in order."""
_NAME = 30
_BAR, _GAP = 11.0, 7.0  # points
_WIDE = 10.5


def own_plots(boxes: OwnBoxes) -> dict[str, str | None]:
    """SVG by name; None where there is nothing to draw."""
    splits = [one.split for one in boxes.splits][: len(COLOURS)]
    rows = sorted(boxes.actions, key=lambda action: (-action.labels, action.number))[:MAX_CLASSES]
    persons = boxes.per_key_frame
    return {
        "persons": whole_numbers("persons", persons, "labelled people", "key frames", MAX_PER_KEY_FRAME)
        if persons
        else None,
        "actions": _actions(rows, splits) if rows and splits else None,
    }


def _actions(rows: Sequence[OwnAction], splits: Sequence[str]) -> str:
    """A bar for each split of each action, the most frequent action on top; bars are as long as numbers are large."""
    most = max(1, *(row.splits.get(split, 0) for row in rows for split in splits))
    high = _BAR * len(splits) + _GAP

    def paint(axes: Axes) -> None:
        for at, split in enumerate(splits):
            places = [(place * high + at * _BAR + _BAR / 2) for place in range(len(rows))]
            counts = [row.splits.get(split, 0) for row in rows]
            axes.barh(places, counts, height=_BAR * 0.86, color=COLOURS[at], linewidth=0)
            for place, count in zip(places, counts, strict=True):
                axes.text(count + most * 0.008, place, number(count), color=MUTED, va="center", fontsize=9)
        middles = [place * high + _BAR * len(splits) / 2 for place in range(len(rows))]
        axes.set_yticks(middles, [clean(row.name, _NAME) for row in rows])
        axes.set_ylim(len(rows) * high - _GAP + 3, -3)
        axes.set_xlim(0, most * 1.08)
        axes.tick_params(length=0, labelsize=10)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return draw("actions", _WIDE, (len(rows) * high + 16) / 72, paint)
