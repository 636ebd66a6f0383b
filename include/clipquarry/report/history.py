"""The ledger's share of a report: the state of the whole data set, its history, and the next tries."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from clipquarry.errors import ClipquarryError
from clipquarry.reasons import Status
from clipquarry.report.data import Counts, History, Point, Retry
from clipquarry.settings import slug

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger

MAX_POINTS = 400
"""Points in the plot; more are thinned, and the newest is always kept."""


def read_history(ledger: Ledger | None, dataset: str, run: str, now: datetime) -> History:
    """Ask the ledger. If there is none, or it cannot answer, the history is empty and says why."""
    if ledger is None:
        return History(problem="The ledger was not asked, so history and next tries are not known.")
    try:
        egress = {slug(info.run): info.egress for info in ledger.runs(dataset)}.get(slug(run), "default")
        coverage = [row for row in ledger.coverage(dataset) if row.label is None]
        retries: Counter[tuple[str, str]] = Counter()
        days: list[date] = []
        for due in ledger.next_due(dataset, now, egress=egress):
            retries[bucket(due.day, now.date(), due=due.due), str(due.reason)] += due.items
            days += [due.day] if due.day is not None else []
        points = _points([(row.ended, row.status, row.items) for row in ledger.attrition(dataset, now=now)])
        notes = tuple(ledger.in_the_future(dataset=dataset))
    except ClipquarryError as error:
        return History(problem=f"The ledger could not answer: {error}")
    except SQLAlchemyError as error:
        return History(
            problem=f"The ledger could not answer: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
        )
    total = Counts(
        expected=sum(row.expected for row in coverage),
        present=sum(row.present for row in coverage),
        missing=sum(row.missing for row in coverage),
        failed=sum(row.failed for row in coverage),
    )
    shown = tuple(Retry(name, reason, count) for (name, reason), count in sorted(retries.items()))
    return History(total, points, shown, min(days, default=None), notes=notes)


def bucket(day: date | None, today: date, *, due: bool) -> str:
    """The column of the table of next tries for a day; None is never (from this egress).

    Only ``due`` items count as now: a later hour of today counts as tomorrow.
    """
    if day is None:
        return "never"
    if due:
        return "now"
    for name, limit in (("week", 7), ("month", 30)):
        if day <= today + timedelta(days=limit):
            return name
    return "later"


def _points(rows: list[tuple[datetime, Status, int]]) -> tuple[Point, ...]:
    """Points in time, oldest first. Rejected rows are not expected, so they count neither as present nor as absent."""
    here: Counter[datetime] = Counter()
    absent: Counter[datetime] = Counter()
    for at, status, items in rows:
        if status is not Status.REJECTED:
            (here if status.is_present else absent)[at] += items
    moments = sorted(here.keys() | absent.keys())
    step = -(-len(moments) // MAX_POINTS) if moments else 1
    return tuple(Point(at, here[at], absent[at]) for at in reversed(moments[::-1][::step]))
