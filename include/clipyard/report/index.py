"""Pages over many runs: all data sets with their latest run, and all runs of one data set. Made from ``summary.json``.

Links are relative and the same on disk (``{data}/.clipyard/index.html``) and in the Airflow UI, whose routes mirror the
folders below ``.clipyard``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from clipyard.datasets.model import DatasetSpec
from clipyard.errors import SpecError, UserError
from clipyard.files import read_json, writing
from clipyard.report.data import Counts, Level, Report, Verdict
from clipyard.report.render import render
from clipyard.run_order import run_order
from clipyard.settings import DataRoot, slug

_MOST = 10**12
"""No data set has so many items."""
MAX_RUNS = 100
"""Runs on one page; older ones stay on disk."""


@dataclass(frozen=True)
class Summary:
    """One run in one line. ``level`` is ``none`` and ``counts`` is None for a run without a report."""

    dataset: str
    title: str
    run: str
    at: datetime | None
    level: Level | str
    word: str
    headline: str
    counts: Counts | None
    gates: Mapping[str, str]
    href: str | None = None
    runs_href: str | None = None


def summary_json(report: Report, verdict: Verdict) -> dict[str, Any]:
    """The content of ``report/summary.json``: what the index and later runs' trends need, and no more."""
    at = report.begun or report.written
    return {
        "dataset": report.dataset, "title": report.title, "run": report.run, "at": at.isoformat(),
        "level": verdict.level, "word": verdict.word, "headline": verdict.headline,
        "counts": asdict(report.items.total) if report.items and report.items_from == "recorded" else None,
        "gates": {gate.name: gate.verdict for gate in report.gates},
    }  # fmt: skip


def parse_time(text: object) -> datetime | None:
    """ISO 8601 with or without a zone (then UTC); None for anything else."""
    try:
        value = datetime.fromisoformat(str(text))
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and last day of the calendar have no UTC everywhere
        return None


def run_time(folder: Path) -> datetime:
    """When a run began, by its ``run.json``; the folder's own time when that says nothing."""
    try:
        said = parse_time(read_json(folder / "run.json").get("started"))
    except (UserError, OSError, AttributeError):
        said = None
    return said or datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def read_summary(folder: Path, dataset: str) -> Summary:
    """One run's line; a run without a readable report gets a line that says so."""
    href = f"runs/{quote(dataset)}/{quote(folder.name)}/report/index.html"
    try:
        value = read_json(folder / "report" / "summary.json")
        counts = None if value["counts"] is None else _counts(value["counts"])
        level = value["level"] if value["level"] in ("good", "warn", "bad") else "none"
        return Summary(
            dataset, str(value["title"]), folder.name, parse_time(value["at"]), level, str(value["word"]),
            str(value["headline"]), counts, {str(k): str(v) for k, v in value["gates"].items()}, href,
        )  # fmt: skip
    except FileNotFoundError:
        headline = "No report yet: the run goes on, or was stopped before its report."
    except (UserError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        headline = f"Its report cannot be read ({type(error).__name__}): write it again with 'clipyard report'."
    return Summary(dataset, dataset, folder.name, run_time(folder), "none", "No report", headline, None, {})


def _counts(value: Any) -> Counts:
    """Counts as they were written; ValueError or TypeError for anything else, which the page could not show."""
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < _MOST for n in value.values()):
        raise ValueError("counts are whole numbers")
    return Counts(**value)


def list_runs(data: DataRoot, dataset: str) -> list[Path]:
    """Folders of a data set's runs, newest first."""
    folder = data.runs(dataset)
    if not folder.is_dir():
        return []
    runs = [path for path in folder.iterdir() if _is_run(path)]
    return sorted(runs, key=run_order, reverse=True)  # by their numbers: a clock may have been ahead


def _is_run(path: Path) -> bool:
    """A folder (not a link to one, which could lead anywhere) with a name that a run can have."""
    return path.is_dir() and not path.is_symlink() and path.name == slug_or_none(path.name)


def slug_or_none(name: str) -> str | None:
    """:func:`slug`, without the exception."""
    try:
        return slug(name)
    except UserError:
        return None


def latest_summaries(data: DataRoot, specs: Iterable[DatasetSpec]) -> list[Summary]:
    """One line a data set: those with runs first by name, then those that are defined and never ran."""
    titles = {spec.name: spec.title for spec in specs}
    runs = data.private / "runs"
    seen = {path.name for path in runs.iterdir() if path.is_dir()} if runs.is_dir() else set()
    lines = []
    for name in sorted(name for name in titles.keys() | seen if slug_or_none(name) == name):
        folders = list_runs(data, name)
        if not folders:
            title, headline = titles.get(name, name), "It has never run: trigger its DAG, or use 'clipyard run'."
            lines.append(Summary(name, title, "", None, "none", "Never run", headline, None, {}))
            continue
        lines.append(_named(read_summary(folders[0], name), titles.get(name)))
    return sorted(lines, key=lambda line: (line.at is None, line.dataset))


def _named(line: Summary, title: str | None) -> Summary:
    return line if title is None else Summary(**{**line.__dict__, "title": title})


def render_index(
    lines: Iterable[Summary], now: datetime, *, nav: Markup | None = None, errors: Iterable[SpecError] = ()
) -> str:
    """The page over all data sets."""
    return render("index.html.j2", rows=list(lines), now=now, nav=nav or "", errors=list(errors))


def render_runs(dataset: str, title: str, lines: list[Summary], total: int, now: datetime, *, nav: Markup) -> str:
    """The page of one data set's runs."""
    return render("runs.html.j2", dataset=dataset, title=title, rows=lines, total=total, now=now, nav=nav)


def write_index(data: DataRoot, specs: Iterable[DatasetSpec], now: datetime | None = None) -> Path:
    """Write ``{data}/.clipyard/index.html``: every data set with its latest run."""
    target = data.private / "index.html"
    with writing(target) as handle:
        handle.write(render_index(latest_summaries(data, specs), now or datetime.now(UTC)))
    return target
