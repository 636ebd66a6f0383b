"""Pages over many runs: all data sets by the ledger, and all runs of one data set. ``summary.json`` holds a run's
line.

Links are relative, and the same on disk (``{data}/.clipquarry/index.html``) and in the Airflow UI, whose routes
mirror the folders below ``.clipquarry``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup
from sqlalchemy.exc import SQLAlchemyError

from clipquarry.approvals import found_in
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError, SpecError, UserError
from clipquarry.files import read_json, writing
from clipquarry.reasons import Reason, Status
from clipquarry.report.aggregate import counts_of, split_order
from clipquarry.report.data import Counts, Level, Report, Verdict
from clipquarry.report.render import render
from clipquarry.report.text import plural
from clipquarry.run_documents import known_run_facts
from clipquarry.run_folder import PAGE, REPORT, RunFolder
from clipquarry.run_order import run_order
from clipquarry.settings import DataRoot, slug
from clipquarry.waiting import waits_of

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger

_NO_REPORT = "No report yet: the run goes on, or was stopped before its report."
_MOST = 10**12
"""More items than any data set has."""
MAX_RUNS = 100
"""Runs on one page; older ones stay on disk."""


@dataclass(frozen=True)
class Summary:
    """One run in one line. ``level`` is ``none`` and ``counts`` is None for a run without a report.

    ``part`` says why the run says nothing about the whole data set (a limit, a dry run), else ``""``.
    """

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
    part: str = ""


@dataclass(frozen=True)
class Standing:
    """The state of a data set. ``counts`` are those of the splits with any request so far, ``unasked`` the other
    splits.

    ``counts`` is None if the ledger does not know the data set, or cannot be asked (``problem``).
    """

    counts: Counts | None = None
    unasked: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Line:
    """One data set in one line: its state, its last run that covers the whole, and its last run."""

    dataset: str
    title: str
    standing: Standing
    judged: Summary
    last: Summary
    runs_href: str | None = None

    @property
    def sentence(self) -> str:
        """The state of the data set in words, beside its numbers."""
        counts = self.standing.counts
        if counts is None:
            return self.standing.problem or self.judged.headline
        said = []
        if counts.not_asked:
            said.append(f"{plural(counts.not_asked, 'item')} not asked for yet")
        if self.standing.unasked:
            said.append(f"nothing of {', '.join(self.standing.unasked)} was ever asked for")
        return "; ".join(said)


def summary_json(report: Report, verdict: Verdict) -> dict[str, Any]:
    """The content of ``report/summary.json``: what the index and later runs' trends need, and no more."""
    at = report.begun or report.written
    return {
        "dataset": report.dataset, "title": report.title, "run": report.run, "at": at.isoformat(),
        "level": verdict.level, "word": verdict.word, "headline": verdict.headline,
        "counts": asdict(report.items.total) if report.items and report.items_from == "recorded" else None,
        "gates": {gate.name: gate.verdict for gate in report.gates},
        "part": report.part,
    }  # fmt: skip


def parse_time(text: object) -> datetime | None:
    """ISO 8601 with or without a zone (then UTC); None for anything else."""
    try:
        value = datetime.fromisoformat(str(text))
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and last day of the calendar have no UTC everywhere
        return None


def run_time(folder: Path) -> datetime | None:
    """Start of a run, by its ``run.json``; else the folder's own time. None: another run has just removed the folder."""
    said = parse_time(known_run_facts(folder).get("started"))
    with suppress(FileNotFoundError):
        return said or datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    return None


def read_summary(folder: Path, dataset: str) -> Summary:
    """One run's line; a run without a readable report gets a line that says so."""
    href = f"runs/{quote(dataset)}/{quote(folder.name)}/{REPORT}/{PAGE}"
    try:
        value = read_json(RunFolder(folder).report_summary)
        numbers = value["counts"]
        counts = None if numbers is None else _counts(numbers)
        level = value["level"] if value["level"] in ("good", "warn", "bad") else "none"
        return Summary(
            dataset, str(value["title"]), folder.name, parse_time(value["at"]), level, str(value["word"]),
            str(value["headline"]), counts, {str(k): str(v) for k, v in value["gates"].items()}, href,
            part=str(value.get("part") or ""),
        )  # fmt: skip
    except FileNotFoundError:
        waits, asked = waits_of(folder), found_in(RunFolder(folder), "asked")
        headline = _NO_REPORT
        if asked:
            headline = f"It waits for a person's answer about the gate '{asked[0].gate}'. {asked[0].sentence}"
        elif waits:
            headline = f"It waits. {waits[0]}"
    except (UserError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        headline = f"Its report cannot be read ({type(error).__name__}): write it again with 'clipquarry report'."
    return Summary(dataset, dataset, folder.name, run_time(folder), "none", "No report", headline, None, {})


def _counts(value: Any) -> Counts:
    """Counts from a stored summary. Raises ValueError or TypeError for anything that the page could not show."""
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < _MOST for n in value.values()):
        raise ValueError("counts are whole numbers")
    return Counts(**value)


def list_runs(data: DataRoot, dataset: str) -> list[Path]:
    """Folders of a data set's runs, newest first."""
    folder = data.runs(dataset)
    if not folder.is_dir():
        return []
    runs = [path for path in folder.iterdir() if _is_run(path)]
    return sorted(runs, key=run_order, reverse=True)  # by number: a clock may have been ahead


def _is_run(path: Path) -> bool:
    """Whether this is a folder (not a link to one, which could lead anywhere) with a valid name of a run."""
    return path.is_dir() and not path.is_symlink() and path.name == slug_or_none(path.name)


def slug_or_none(name: str) -> str | None:
    """:func:`slug`, without the exception."""
    try:
        return slug(name)
    except UserError:
        return None


def data_set_lines(data: DataRoot, specs: Iterable[DatasetSpec], ledger: Ledger | None) -> list[Line]:
    """One line per data set: those with runs first by name, then those that are defined and never ran."""
    titles = {spec.name: spec.title for spec in specs}
    runs = data.all_runs
    seen = {path.name for path in runs.iterdir() if path.is_dir()} if runs.is_dir() else set()
    lines = []
    for name in sorted(name for name in titles.keys() | seen if slug_or_none(name) == name):
        title = titles.get(name, name)
        folders = list_runs(data, name)
        if not folders:
            headline = "It has never run: trigger its DAG, or use 'clipquarry run'."
            never = Summary(name, title, "", None, "none", "Never run", headline, None, {})
            lines.append(Line(name, title, Standing(), never, never))
            continue
        last = read_summary(folders[0], name)
        told = (
            [last, *(read_summary(folder, name) for folder in folders[1:MAX_RUNS])] if _tells_little(last) else [last]
        )
        judged = next((one for one in told if not _tells_little(one)), None) or replace(
            last, level="none", word="Not judged"
        )
        title = title if name in titles else last.title
        lines.append(Line(name, title, _standing(ledger, name), judged, last))
    return sorted(lines, key=lambda line: (line.last.at is None, line.dataset))


def _tells_little(summary: Summary) -> bool:
    """A dry run or a trial, which says nothing about the whole data set, or a run in progress."""
    return bool(summary.part) or summary.word == "No report"


def _standing(ledger: Ledger | None, dataset: str) -> Standing:
    """The data set's state by the ledger: the splits with any request so far."""
    if ledger is None:
        return Standing(problem="The ledger was not asked, so the state of the data set is not known.")
    try:
        rows = ledger.reasons(dataset)
    except ClipquarryError as error:
        known = "knows no data set" not in str(error)
        return Standing(problem=f"The ledger could not answer: {error}" if known else "")
    except SQLAlchemyError as error:
        return Standing(problem=f"The ledger could not answer: {type(error).__name__}.")
    splits: dict[str, Counts] = {}
    for row in rows:
        if row.status is not Status.REJECTED:
            splits[row.split] = splits.get(row.split, Counts()) + counts_of(row.status, _asked(row.reason), row.items)
    asked = {split: one for split, one in splits.items() if one.not_asked < one.expected}
    shown = asked or splits
    return Standing(sum(shown.values(), Counts()), tuple(sorted((splits.keys() - shown.keys()), key=split_order)))


def _asked(reason: Reason) -> str:
    """Here, only items that were never asked for count as not asked. Items that wait for their time were asked
    before.
    """
    return str(reason) if reason is Reason.NOT_ASKED else str(Reason.OK)


def render_index(
    lines: Iterable[Line], now: datetime, *, nav: Markup | None = None, errors: Iterable[SpecError] = ()
) -> str:
    """The page over all data sets."""
    return render("index.html.j2", rows=list(lines), now=now, nav=nav or "", errors=list(errors))


def render_runs(dataset: str, title: str, lines: list[Summary], total: int, now: datetime, *, nav: Markup) -> str:
    """The page of one data set's runs."""
    return render("runs.html.j2", dataset=dataset, title=title, rows=lines, total=total, now=now, nav=nav)


def write_index(
    data: DataRoot, specs: Iterable[DatasetSpec], now: datetime | None = None, ledger: Ledger | None = None
) -> Path:
    """Write ``{data}/.clipquarry/index.html``: every data set as the ledger knows it, with its last run."""
    target = data.private / PAGE
    with writing(target) as handle:
        handle.write(render_index(data_set_lines(data, specs, ledger), now or datetime.now(UTC)))
    return target
