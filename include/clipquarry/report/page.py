"""Writer of a run's report, at any point of a run; tasks that did not run are named.

``report/index.html`` is for people, ``report.json`` for programs, ``missing.csv`` has every absent item,
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
from clipquarry.datasets.namespace import namespace_of
from clipquarry.files import write_json, writing
from clipquarry.report.collect import collect
from clipquarry.report.data import ClassRow, History, Report, Retry, Verdict
from clipquarry.report.gallery import shots
from clipquarry.report.index import summary_json
from clipquarry.report.missing import write_missing
from clipquarry.report.odd_clips import strips
from clipquarry.report.render import render
from clipquarry.report.section import Section, Told
from clipquarry.report.text import moment, number, share
from clipquarry.report.verdict import verdict_of
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger

NAV_MARKER = Markup("<!-- clipquarry:nav -->")
"""Where a server may put the link back; empty in a file on disk."""

WORST_CLASSES = 20
BUCKETS = (
    ("now", "due now"),
    ("week", "within 7 days"),
    ("month", "within 30 days"),
    ("later", "later"),
    ("never", "not again"),
)


def write_report(spec: DatasetSpec, data: DataRoot, run: str, ledger: Ledger | None, now: datetime, told: Told) -> Path:
    """Write the report of ``run`` and return the path of its page.

    ``told`` comes from the data set's family. Without a ``ledger``, history and next tries are shown as not known.
    ``now`` is aware; it decides what is due.
    """
    report = collect(spec, data, run, ledger, now, told)
    verdict = verdict_of(report)
    place = RunFolder(data.run(spec.name, run))
    if report.items_from == "recorded":
        write_missing(place.report_missing, place.recorded, place.catalog, namespace_of(spec))
    write_json(place.report_json, _as_json(_content(report, verdict, told)))
    with writing(place.report_page) as handle:
        handle.write(page(report, verdict, data, told.section))
    write_json(place.report_summary, summary_json(report, verdict))
    return place.report_page


def _content(report: Report, verdict: Verdict, told: Told) -> dict[str, Any]:
    """``report.json``: the family's section stands under its own key."""
    content = {"verdict": asdict(verdict), **asdict(report)}
    section = content.pop("section")
    return content | ({told.section.key: section} if told.section else {})


def page(report: Report, verdict: Verdict, data: DataRoot, section: Section | None = None) -> str:
    """The page as one string. Its links lead to files beside it only."""
    items = report.items
    classes = [row for row in items.classes if row.name] if items else []
    return render(
        "page.html.j2",
        folders=(section.template.parent,) if section else (),
        section=section.template.name if section else "",
        data=report.section,
        report=report,
        verdict=verdict,
        version=__version__,
        nav_marker=NAV_MARKER,
        plots=_plots(report, classes, section),
        named_classes=len(classes),
        class_summary=_class_summary(classes),
        worst_classes=worst_classes(classes),
        attrition_summary=_attrition_summary(report.history),
        buckets=BUCKETS,
        retries=_retries(report.history.retries),
        trend_gates=list(dict.fromkeys(name for row in report.trend for name in row.gates)),
        odd=strips(report.odd, data.root),
        gallery=shots(items.samples, data.root) if items else [],
        **(section.values(report.section, data.root) if section and report.section is not None else {}),
    )


def worst_classes(classes: list[ClassRow], limit: int = WORST_CLASSES) -> list[ClassRow]:
    """Classes with missing items, lowest coverage first; among equals, the one with more missing items."""
    gaps = [row for row in classes if row.counts.absent]
    return sorted(gaps, key=lambda row: (row.counts.coverage, -row.counts.absent, row.name))[:limit]


def _plots(report: Report, classes: list[ClassRow], section: Section | None) -> dict[str, Markup | None]:
    from clipquarry.report import plots  # loads matplotlib

    noun = report.noun
    media = report.items.media if report.items else None
    drawn = {
        "coverage": plots.coverage_by_class(classes) if classes else None,
        "attrition": plots.attrition(report.history.points, report.noun) if len(report.history.points) > 1 else None,
        "durations": plots.distribution("durations", media.durations, "s", noun) if media and media.durations else None,
        "sizes": plots.distribution("sizes", media.sizes, "B", noun) if media and media.sizes else None,
        **(section.plots(report.section) if section and report.section is not None else {}),
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
    """Rows of the table of next tries: reason, then count by period; the reason with most clips first."""
    table: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for retry in retries:
        table[retry.reason][retry.bucket] = table[retry.reason].get(retry.bucket, 0) + retry.count
    return sorted(table.items(), key=lambda row: (-sum(row[1].values()), row[0]))


def _as_json(value: Any) -> Any:
    """Dicts of dataclasses as JSON: times as ISO 8601, tuples as lists."""
    if isinstance(value, dict):
        return {str(key): _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value
