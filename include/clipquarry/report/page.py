"""Write a run's report, at any point of a run; what did not run is said.

``report/index.html`` is for people, ``report.json`` for machines, ``missing.csv`` has every absent item,
``summary.json`` is for the index.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from clipquarry import __version__
from clipquarry.datasets.model import DatasetSpec
from clipquarry.files import write_json, writing
from clipquarry.report.collect import collect
from clipquarry.report.data import ClassRow, History, Report, Retry, Verdict
from clipquarry.report.gallery import shots
from clipquarry.report.index import summary_json
from clipquarry.report.key_frames import drawings
from clipquarry.report.missing import write_missing
from clipquarry.report.odd_clips import strips
from clipquarry.report.render import render
from clipquarry.report.text import moment, number, share
from clipquarry.report.verdict import verdict_of
from clipquarry.settings import DataRoot

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger

NAV_MARKER = Markup("<!-- clipquarry:nav -->")
"""Where a server may put the way back; nothing in a file on disk."""

WORST_CLASSES = 20
BUCKETS = (
    ("now", "due now"),
    ("week", "within 7 days"),
    ("month", "within 30 days"),
    ("later", "later"),
    ("never", "not again"),
)


def write_report(spec: DatasetSpec, data: DataRoot, run: str, ledger: Ledger | None, now: datetime) -> Path:
    """Write the report of ``run`` and return the path of its page.

    Without a ``ledger`` history and next tries are shown as not known. ``now`` is aware; what is due is judged by it.
    """
    report = collect(spec, data, run, ledger, now)
    verdict = verdict_of(report)
    folder = data.run(spec.name, run) / "report"
    if report.items_from == "recorded":
        write_missing(folder / "missing.csv", folder.parent / "recorded.parquet", folder.parent / "catalog.parquet")
    write_json(folder / "report.json", _as_json({"verdict": asdict(verdict), **asdict(report)}))
    with writing(folder / "index.html") as handle:
        handle.write(page(report, verdict, data))
    write_json(folder / "summary.json", summary_json(report, verdict))
    return folder / "index.html"


def page(report: Report, verdict: Verdict, data: DataRoot) -> str:
    """The page as one string: no link leads out of it but to files beside it."""
    items = report.items
    classes = [row for row in items.classes if row.name] if items else []
    return render(
        "page.html.j2",
        report=report,
        verdict=verdict,
        version=__version__,
        nav_marker=NAV_MARKER,
        plots=_plots(report, classes),
        named_classes=len(classes),
        class_summary=_class_summary(classes),
        worst_classes=worst_classes(classes),
        attrition_summary=_attrition_summary(report.history),
        buckets=BUCKETS,
        retries=_retries(report.history.retries),
        trend_gates=list(dict.fromkeys(name for row in report.trend for name in row.gates)),
        odd=strips(report.odd, data.root),
        gallery=shots(items.samples, data.root) if items else [],
        drawings=drawings(report.boxes.key_frames, data.root) if report.boxes else [],
    )


def worst_classes(classes: list[ClassRow], limit: int = WORST_CLASSES) -> list[ClassRow]:
    """Classes with something absent, the emptiest first; between equals the one that lacks more."""
    gaps = [row for row in classes if row.counts.absent]
    return sorted(gaps, key=lambda row: (row.counts.coverage, -row.counts.absent, row.name))[:limit]


def _plots(report: Report, classes: list[ClassRow]) -> dict[str, Markup | None]:
    from clipquarry.report import box_plots, plots  # loads matplotlib

    noun = report.noun
    media = report.items.media if report.items else None
    drawn = {
        "coverage": plots.coverage_by_class(classes) if classes else None,
        "attrition": plots.attrition(report.history.points, report.noun) if len(report.history.points) > 1 else None,
        "durations": plots.distribution("durations", media.durations, "s", noun) if media and media.durations else None,
        "sizes": plots.distribution("sizes", media.sizes, "B", noun) if media and media.sizes else None,
        **(box_plots.all_plots(report.boxes) if report.boxes else {}),
    }
    return {name: None if svg is None else Markup(svg) for name, svg in drawn.items()}  # noqa: S704  escaped in plots.py


def _class_summary(classes: list[ClassRow]) -> str:
    if not classes:
        return ""
    whole = sum(not row.counts.absent for row in classes)
    empty = sum(not row.counts.present for row in classes)
    middle = sorted(row.counts.coverage for row in classes)[len(classes) // 2]
    return (
        f"{number(whole)} of {number(len(classes))} classes are whole, {number(empty)} are empty; "
        f"half of them have at least {share(middle, 1)}."
    )


def _attrition_summary(history: History) -> str:
    if len(history.points) < 2:
        return ""
    first, last = history.points[0], history.points[-1]
    return (
        f"{number(first.present)} here and {number(first.missing)} absent on {moment(first.at)}, "
        f"{number(last.present)} here and {number(last.missing)} absent on {moment(last.at)}."
    )


def _retries(retries: tuple[Retry, ...]) -> list[tuple[str, dict[str, int]]]:
    """Rows of the table of next tries: reason, then count by bucket; the reason with most clips first."""
    table: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for retry in retries:
        table[retry.reason][retry.bucket] = table[retry.reason].get(retry.bucket, 0) + retry.count
    return sorted(table.items(), key=lambda row: (-sum(row[1].values()), row[0]))


def _as_json(value: Any) -> Any:
    """Dataclasses' dicts as JSON: times as ISO 8601, tuples as lists."""
    if isinstance(value, dict):
        return {str(key): _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value
