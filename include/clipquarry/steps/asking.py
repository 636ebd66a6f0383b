"""What the steps ``fetch`` and ``download`` do alike: ask a source, record the request, and end when a source asked for a pause."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.sources import Asked
from clipquarry.errors import RetryLater, WaitUntil
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason
from clipquarry.settings import PRIVATE
from clipquarry.steps.answers import Answer, Questions
from clipquarry.steps.base import TOLD_TO_STOP, Outcome, now


class Pause:
    """When the sources that asked for a pause may be asked again: the latest time counts. Safe for threads."""

    def __init__(self) -> None:
        self.resume_at: datetime | None = None
        self._lock = threading.Lock()

    def begin(self, seconds: float | None) -> None:
        """A source asked for a pause of so many seconds; None: it did not say how long."""
        when = now() + timedelta(seconds=seconds or 0.0)
        with self._lock:
            self.resume_at = max(when, self.resume_at or when)


def ask(
    asked: Asked,
    want: ClipRequest,
    work: Path,
    cancelled: Event,
    stopped: Callable[[FetchFailed], None],
    items: Sequence[Questions],
) -> Fetched | None:
    """What the source gives, in ``work``; None when it gives nothing, which is recorded of all ``items``.

    ``stopped`` gets every failure, to note a pause. Raises RetryLater once ``cancelled`` is set.
    """
    begun = now()
    try:
        return asked.fetch(want, work, cancelled)
    except FetchFailed as error:
        if cancelled.is_set():
            raise RetryLater(TOLD_TO_STOP) from error
        stopped(error)
        seconds = 0.0 if error.heard_at else (now() - begun).total_seconds()
        for one in items:  # one request, whose cost counts once
            answer = Answer(asked.id, error.reason, error.evidence, asked.authoritative)
            one.no(answer, seconds=seconds, at=error.heard_at)
            seconds = 0.0
        return None


def wait_until(count: str, for_whom: str, resume_at: datetime, reason: Reason) -> WaitUntil:
    """The end of a step whose other rows are all done; ``count`` as in ``3 clips``, ``for_whom`` as in ``YouTube``."""
    return WaitUntil(
        f"{count} wait for {for_whom}; everything else is done. Resume at {resume_at:%Y-%m-%d %H:%M:%S} UTC.",
        resume_at=resume_at,
        reason=reason,
    )


def with_attempts_of(previous: Row, outcome: Outcome) -> Outcome:
    """The outcome with the attempts of the interrupted runs before its own. One that several runs noted is listed once."""
    attempts: list[Row] = []
    for one in (*(previous.get("attempts") or []), *outcome.columns.get("attempts", [])):
        attempts += [one] if one not in attempts else []
    return Outcome(outcome.status, outcome.reason, outcome.evidence, {**outcome.columns, "attempts": attempts})


def unusable_aside(error: MediaError, aside: Path) -> str:
    """Evidence of a file that lay at an item's place and cannot be used."""
    return f"the file that lay there was {error.reason} ({error.evidence}) and was moved to {aside}"


def other_aside(aside: Path) -> str:
    """Evidence of a file that lay where the new one goes."""
    return f"another file lay there and was moved to {aside}"


def folder_problem(row: Row) -> tuple[Reason, str] | None:
    """Why the row's class folder or split cannot be in a path. Tables that were made by hand have not been checked before."""
    for name in ("class_dir", "split"):
        value = row[name] or ""
        if not value and name == "class_dir":  # no class folders
            continue
        if not value or "/" in value or "\\" in value or "\x00" in value or value in (".", "..", PRIVATE):
            return Reason.BAD_LABEL, f"{name} {value[:60]!r} cannot name a folder"
    return None
