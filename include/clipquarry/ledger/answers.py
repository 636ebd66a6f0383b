"""Row types of the ledger's summaries: coverage, reasons, attrition, next attempts, runs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, NamedTuple

from clipquarry.reasons import Reason, Status


class Delivered(NamedTuple):
    """What one source delivered to a data set: the requests that brought bytes, their bytes and their seconds."""

    requests: int
    bytes: int
    seconds: float


class Coverage(NamedTuple):
    """Items of one split (``label`` None) or of one class of a split; ``expected`` counts all but the rejected."""

    split: str
    label: str | None
    expected: int
    present: int
    missing: int
    failed: int
    rejected: int

    @property
    def share(self) -> float:
        """Present of expected; 1 when nothing is expected."""
        return self.present / self.expected if self.expected else 1.0


class ReasonCount(NamedTuple):
    """Number of items of a split with one status and reason."""

    split: str
    status: Status
    reason: Reason
    items: int


class Attrition(NamedTuple):
    """Items by status and reason at the end of a run (or of a month's last run). The shares of one run add up to 1."""

    run: str
    ended: datetime
    month: str  # 2026-11
    status: Status
    reason: Reason
    items: int
    share: float


class NextDue(NamedTuple):
    """Items whose next attempt is on a day (in a summary by week: its Monday); None: never from this egress.

    ``due``: a refresh that begins now requests them. Other items of today wait for a later hour.
    """

    day: date | None
    reason: Reason
    items: int
    due: bool = False


class RunInfo(NamedTuple):
    """One run. Counts are of the items that it was to provide."""

    dataset: str
    run: str
    kind: str
    egress: str
    started: datetime
    ended: datetime | None
    expected: int
    done: int
    kept: int
    missing: int
    rejected: int
    failed: int
    params: dict[str, Any]
