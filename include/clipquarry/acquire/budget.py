"""Request budget per egress: a pause between two requests to YouTube, and a limit per hour.

The count is shared by every process with the same data root through ``budget.json`` in the egress's folder. No request
is reserved ahead: each is counted, under a lock, at the moment when it may be made. So a killed process leaves no
reservation behind. A last request in the future can only mean that the clock was set back.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from clipquarry.acquire.statefile import StateFile, number

GUEST_PER_HOUR = 300
ACCOUNT_PER_HOUR = 2000
"""Videos per hour that YouTube allows, according to yt-dlp's documentation."""
PAUSE = 2.0
"""Seconds between two requests."""

SKEW = 120
"""Seconds that another machine's clock may be ahead of ours. A time further ahead means that the clock was set back."""
_MINUTES = 61
"""One more than an hour, so that 60 whole minutes are always covered."""


@dataclass(frozen=True)
class BudgetExhausted:
    """The hour's budget is used up; the next request may be made at ``resume_at`` (aware, UTC)."""

    resume_at: datetime

    def sentence(self) -> str:
        return f"The hour's budget for YouTube is used up; requests resume at {self.resume_at:%H:%M:%S} UTC."


class Budget:
    """The budget of one egress. Cheap to make, safe to share between threads and processes.

    ``folder`` is ``DataRoot.egress(name)``. ``pause``: seconds between two requests; a random share of it, up to
    ``jitter``, is added. ``per_hour``: requests in any 60 minutes (at least 1), None for no limit.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pause: float = PAUSE,
        per_hour: int | None = GUEST_PER_HOUR,
        jitter: float = 0.25,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = StateFile(folder / "budget.json")
        if per_hour is not None and per_hour < 1:
            raise ValueError("per_hour must be at least 1; leave the source out to send YouTube no requests")
        self._pause, self._per_hour, self._jitter, self._clock = pause, per_hour, jitter, clock

    def take(self) -> float:
        """Count one request now and return 0.0, or return the seconds until the next try."""
        with self._file.locked() as state:
            now = self._clock()
            last = number(state.get("last"), -1e12)
            pause = min(number(state.get("pause")), self._pause * (1 + self._jitter))
            if last <= now + SKEW and (early := last + pause - now) > 0:
                return early
            minute = int(now // 60)
            counts = _counts(state.get("minutes"), minute)
            if self._per_hour is not None and sum(counts.values()) >= self._per_hour:
                return (min(counts) + _MINUTES) * 60 - now
            counts[minute] = counts.get(minute, 0) + 1
            pause = self._pause * (1 + random.uniform(0, self._jitter))  # noqa: S311 - not a secret
            state.update(last=now, pause=pause, minutes={str(key): value for key, value in sorted(counts.items())})
            return 0.0

    def wait(self, cancelled: Event, *, patience: float = 120.0) -> BudgetExhausted | None:
        """Wait until one request may be made, and count it (None). Gives up when that takes over ``patience`` seconds.

        Returns early, with nothing counted, when ``cancelled`` is set; the caller checks it.
        """
        waited = 0.0
        while not cancelled.is_set():
            seconds = self.take()
            if seconds == 0.0:
                return None
            if waited + seconds > patience and seconds > self._pause * (1 + self._jitter):
                return BudgetExhausted(datetime.fromtimestamp(self._clock() + seconds, UTC))
            cancelled.wait(seconds)
            waited += seconds
        return None

    def used(self) -> int:
        """Number of requests in the last hour, for reports."""
        return sum(_counts(self._file.read().get("minutes"), int(self._clock() // 60)).values())


def _counts(value: object, minute: int) -> dict[int, int]:
    """Requests of the last hour per minute since the epoch. Minutes far in the future and invalid entries are left out."""
    if not isinstance(value, dict):
        return {}
    counts = {int(key): int(number(count)) for key, count in value.items() if str(key).isdigit()}
    return {key: count for key, count in counts.items() if minute - _MINUTES < key <= minute + SKEW // 60 and count > 0}
