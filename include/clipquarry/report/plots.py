"""Plots as inline SVG that follows the page's colours: light, dark and print.

matplotlib draws with marker colours, which are then replaced by the page's CSS variables. Text stays text, in the
page's font. Matplotlib is imported only here, when something is drawn; pyplot and its global state are not used.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from clipquarry.report.data import ClassRow, Histogram, Point
from clipquarry.report.text import clean, number, plural, share, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, LINE = "#010101", "#020202", "#030303"
GOOD, WARN, BAD, REST = "#040404", "#050505", "#060606", "#070707"
_VARIABLES = {
    INK: "--ink", MUTED: "--muted", LINE: "--line",
    GOOD: "--present", WARN: "--missing", BAD: "--failed", REST: "--rejected",
}  # fmt: skip

_LOCK = threading.Lock()  # matplotlib's settings are global: one drawing at a time
_HOVER_LIMIT = 1200
_CLASS_HEIGHT = 3.1
_MINUTES_FROM = 600


def draw(
    name: str, width: float, height: float, paint: Callable[[Axes], None], over: Callable[[Axes], str] | None = None
) -> str:
    """Run ``paint`` on fresh axes (inches of 72 points); ``over`` adds SVG of its own once the layout is known."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": name, "font.size": 11, "text.parse_math": False,
        "text.color": INK, "axes.edgecolor": LINE, "axes.labelcolor": MUTED, "xtick.color": LINE, "ytick.color": LINE,
        "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED, "axes.facecolor": "none", "figure.facecolor": "none",
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "font.family": ["DejaVu Sans"],
    }  # fmt: skip
    with _LOCK, mpl.rc_context(settings):
        figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        paint(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
        extra = over(axes) if over else ""
    return _inline(buffer.getvalue(), name, extra)


def _inline(document: str, name: str, extra: str) -> str:
    """The ``<svg>`` element alone, without size, metadata and style sheet, in the page's font and colours."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)
    body = re.sub(r"font(?:-family)?: ?(?:([\d.]+px) )?'DejaVu Sans'[^;\"]*", lambda found: _font(found[1]), body)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)  # ids are unique in the page
    for marker, variable in _VARIABLES.items():
        body = body.replace(marker, f"var({variable})")
    body = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", body)
    body = re.sub(r">\s+<", "><", body).replace(" \n", " ").strip().removesuffix("</svg>")
    return f'<svg {box[0] if box else ""} aria-hidden="true" focusable="false">{body}{extra}</svg>'


def _font(points: str | None) -> str:
    return f"font-size: {points}" if points else "font-family: inherit"


def coverage_by_class(classes: Sequence[ClassRow]) -> str:
    """One bar per class, best first: present, missing and the rest, as shares of the class's expected items.

    Up to 1,200 classes, each bar shows its class when hovered.
    """
    rows = sorted((row for row in classes if row.name), key=lambda row: (-row.counts.coverage, row.name))
    parts: list[tuple[str, list[int]]] = [
        (GOOD, [row.counts.present for row in rows]),
        (WARN, [row.counts.missing for row in rows]),
        (BAD, [row.counts.failed for row in rows]),
        (REST, [row.counts.rejected for row in rows]),
    ]

    def paint(axes: Axes) -> None:
        base = [0.0] * len(rows)
        for colour, values in parts:
            if any(values):
                shares = [value / row.counts.expected for value, row in zip(values, rows, strict=True)]
                top = [low + value for low, value in zip(base, shares, strict=True)]
                axes.stairs(top, range(len(rows) + 1), baseline=base, fill=True, color=colour, linewidth=0)
                base = top
        axes.set_xlim(0, len(rows))
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlabel(f"{plural(len(rows), 'class', 'classes')}, fullest first")
        axes.locator_params(axis="x", integer=True)
        axes.tick_params(length=3)

    def over(axes: Axes) -> str:
        (left, low), (right, high) = axes.transData.transform([(0, 0), (len(rows), 1)])
        step, top = (right - left) / max(1, len(rows)), 72 * _CLASS_HEIGHT - high
        return '<g style="fill: transparent">' + "".join(
            f'<rect x="{left + index * step:.1f}" y="{top:.0f}" width="{step:.2f}" height="{high - low:.0f}">'
            f"<title>{escape(clean(row.name, 80))}: {number(row.counts.present)} of {number(row.counts.expected)}"
            f" ({share(row.counts.present, row.counts.expected)})</title></rect>"
            for index, row in enumerate(rows)
        ) + "</g>"  # fmt: skip

    return draw("class", 10.5, _CLASS_HEIGHT, paint, over if len(rows) <= _HOVER_LIMIT else None)


def attrition(points: Sequence[Point], noun: str = "clip") -> str:
    """Absent clips (or another ``noun``) over time, one step per point. Drawn alone, because a few per cent would be
    invisible beside the present ones.
    """
    from matplotlib import dates as untyped

    dates: Any = untyped

    def paint(axes: Axes) -> None:
        at: list[Any] = [point.at for point in points]
        absent = [point.missing for point in points]
        axes.fill_between(at, 0, absent, color=WARN, alpha=0.55, linewidth=0, step="post")
        axes.plot(at, absent, color=WARN, linewidth=1.6, drawstyle="steps-post", marker="o", markersize=4)
        axes.set_ylim(0, max(absent) * 1.12 or 1)
        axes.margins(x=0.02)
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.locator_params(axis="y", integer=True, nbins=5)
        locator = dates.AutoDateLocator(maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        axes.set_ylabel(f"absent {noun}s")
        axes.tick_params(length=3)

    return draw("attrition", 10.5, 2.6, paint)


def distribution(name: str, histogram: Histogram, unit: str, noun: str = "clip") -> str:
    """A histogram of clips (or ``noun``) with its median. ``unit`` is ``s`` (long ones are drawn in minutes) or ``B``."""
    logarithmic = unit == "B"
    scale, shown = (60, "min") if unit == "s" and histogram.median > _MINUTES_FROM else (1, unit)

    def paint(axes: Axes) -> None:
        edges = [edge / scale for edge in histogram.edges]
        axes.stairs(histogram.counts, edges, fill=True, color=GOOD, linewidth=0)
        axes.axvline(histogram.median / scale, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: size(value))
            axes.xaxis.set_minor_formatter(lambda value, _: "")
            if edges[-1] / edges[0] < 12:
                from matplotlib.ticker import MaxNLocator, NullLocator

                axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
                axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} {shown}")
            if scale > 1:
                axes.locator_params(axis="x", nbins=5)  # "120 min" is wide
        axes.set_xlim(edges[0], edges[-1])
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.locator_params(axis="y", integer=True)
        axes.set_ylabel(f"{noun}s")
        axes.tick_params(length=3, which="both")

    return draw(name, 5.2, 2.5, paint)
