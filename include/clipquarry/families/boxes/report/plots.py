"""Plots of the section "Boxes", in the style of :mod:`clipquarry.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from clipquarry.families.boxes.report.collect import MAX_PER_KEY_FRAME
from clipquarry.families.boxes.report.data import READ_AT, Action, Boxes
from clipquarry.report.data import Histogram
from clipquarry.report.plots import GOOD, INK, MUTED, REST, WARN, draw
from clipquarry.report.text import clean, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = (0.7, READ_AT)
"""Common score thresholds: that of AVA-Kinetics' recipe, and that of the readers."""
MAX_CLASSES = 100
"""Actions that are drawn, most common first; the table has all of them."""
_NAME = 30
_ROW = 15.5  # points
_WIDTH, _HEIGHT = 5.2, 2.5
_WIDE, _LOW = 10.5, 2.3
_FEW = 12
"""Bars of a histogram from which on ticks and gaps are too many."""


def all_plots(boxes: Boxes) -> dict[str, str | None]:
    """SVG by name; None where there is nothing to draw."""
    persons, videos, times = boxes.per_key_frame, boxes.key_frames_per_video, boxes.times
    named = sorted(boxes.actions, key=lambda action: (-action.rows, action.number))[:MAX_CLASSES]
    half = -(-len(named) // 2)
    most = max((action.rows for action in named), default=0)
    fractions = times.fractions if times else None
    return {
        "persons": whole_numbers("persons", persons, "labelled persons", "key frames", MAX_PER_KEY_FRAME)
        if persons
        else None,
        "videos": whole_numbers("videos", videos, "key frames", "videos") if videos else None,
        "scores": scores(boxes.scores) if boxes.scores else None,
        "fractions": decimals("fractions", fractions, "seconds behind the whole second", "key frames")
        if fractions
        else None,
        "actions": actions("actions", named[:half], most, half) if most else None,
        "more_actions": actions("more_actions", named[half:], most, half) if most and named[half:] else None,
    }


def whole_numbers(name: str, histogram: Histogram, of: str, what: str, last: int | None = None) -> str:
    """How many of ``what`` have how many ``of``, and the median. The bar at ``last`` includes larger numbers."""

    def paint(axes: Axes) -> None:
        _bars(axes, histogram, what)
        axes.set_xlabel(of)
        low, high = histogram.edges[0], max(histogram.edges[-1], histogram.edges[0] + 3)
        if high - low <= _FEW:
            axes.set_xticks([low + 0.5 + place for place in range(int(high - low))])
        else:
            axes.locator_params(axis="x", integer=True, nbins=8)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}+" if value == last else f"{value:g}")
        axes.set_xlim(low, high)

    return draw(name, _WIDTH, _HEIGHT, paint)


def decimals(name: str, histogram: Histogram, of: str, what: str) -> str:
    """A wide histogram over decimal numbers, with its median."""

    def paint(axes: Axes) -> None:
        _bars(axes, histogram, what)
        axes.set_xlabel(of)
        axes.set_xlim(histogram.edges[0], histogram.edges[-1])

    return draw(name, _WIDE, _LOW, paint)


def scores(histogram: Histogram) -> str:
    """Proposals by score, with the lines at :data:`LINES`."""

    def paint(axes: Axes) -> None:
        _bars(axes, histogram, "proposals", median=False)
        top = max(histogram.counts) * 1.14 or 1
        for at in LINES:
            axes.axvline(at, color=WARN, linewidth=1.4, linestyle=(0, (4, 3)))
            axes.text(at - 0.006, top, f"{at:g}", color=INK, ha="right", va="top", fontsize=11)
        axes.set_ylim(0, top)
        axes.set_xlim(0, 1)
        axes.set_xlabel("score")

    return draw("scores", _WIDE, _LOW, paint)


def _bars(axes: Axes, histogram: Histogram, what: str, *, median: bool = True) -> None:
    edges = list(histogram.edges)
    if len(edges) - 1 <= _FEW:  # a gap between bars, or neighbours of one height look like one
        middles = [(low + high) / 2 for low, high in pairwise(edges)]
        widths = [0.9 * (high - low) for low, high in pairwise(edges)]
        axes.bar(middles, histogram.counts, width=widths, color=GOOD, linewidth=0)
    else:
        axes.stairs(histogram.counts, edges, fill=True, color=GOOD, linewidth=0)
    if median:
        axes.axvline(histogram.median, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    axes.locator_params(axis="y", integer=True, nbins=5)
    axes.set_ylabel(what)
    axes.tick_params(length=3)


def actions(name: str, rows: Sequence[Action], most: int, room: int) -> str:
    """One bar per class, the most common on top, on a logarithmic scale to ``most``; ``room`` is the number of
    classes that have space.
    """

    def paint(axes: Axes) -> None:
        places = range(len(rows))
        colours = [GOOD if row.evaluated else REST for row in rows]
        axes.set_xscale("log")
        axes.set_xlim(0.7, most * 6)
        axes.barh(places, [max(row.rows, 0.7) for row in rows], left=0, height=0.72, color=colours, linewidth=0)
        axes.set_ylim(room - 0.4, -0.6)
        axes.set_yticks(list(places), [f"{'●' if row.evaluated else '○'} {clean(row.name, _NAME)}" for row in rows])
        for place, row in enumerate(rows):
            axes.text(max(row.rows, 0.7) * 1.12, place, number(row.rows), color=MUTED, va="center", fontsize=9)
        axes.tick_params(length=0, labelsize=10)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_xticks([])
        axes.minorticks_off()
        axes.spines["bottom"].set_visible(False)

    return draw(name, _WIDTH, (room * _ROW + 16) / 72, paint)
