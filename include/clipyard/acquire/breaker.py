"""The breaker of one egress: when YouTube stops us, nobody asks again before the time is over.

::

    closed --open()--> open --(time is over)--> half open --success()--> closed
                        ^                          |
                        +--------- open() ---------+   (for twice as long)

While half open exactly one caller of :meth:`Breaker.check` may try (the probe); the others keep waiting for its result.
The state lies in ``breaker.json`` in the egress's folder and is shared by every process with the same data root.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from clipyard.acquire.answer import one_line
from clipyard.acquire.statefile import State, StateFile, number
from clipyard.files import disk_errors
from clipyard.reasons import STOPS_THE_CRAWL, Reason

HOUR = 3600.0
COOL_DOWN = {Reason.RATE_LIMIT: 1 * HOUR, Reason.BOT_CHECK: 6 * HOUR}
LONGEST = 24 * HOUR
PROBE_LEASE = 900.0
"""Seconds after which a probe that reported nothing (it was killed) is given up and another may try."""
STREAK = 2 * HOUR
"""Opening again within this time after closing counts as the same trouble and doubles the cool-down."""
MAX_HISTORY = 200

Phase = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class BreakerOpen:
    """Nothing may be asked before ``resume_at`` (aware, UTC)."""

    resume_at: datetime
    reason: Reason
    evidence: str

    def sentence(self) -> str:
        return f"YouTube stopped us ({self.reason}); nothing is asked of it before {self.resume_at:%Y-%m-%d %H:%M} UTC."


class Breaker:
    """State of one egress; cheap to make, safe to share between threads and processes.

    ``folder`` is ``DataRoot.egress(name)``; ``clock`` gives seconds since the epoch; ``factor`` scales every cool-down.
    """

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.time, factor: float = 1.0, lease: float = PROBE_LEASE
    ) -> None:
        self._file = StateFile(folder / "breaker.json")
        self._history = folder / "breaker.history.jsonl"
        self._clock, self._factor, self._lease = clock, factor, lease

    def check(self) -> BreakerOpen | None:
        """None: go on and ask. After a cool-down one caller gets None, as the probe; it must report.

        Whoever got None calls :meth:`success`, :meth:`open` or :meth:`inconclusive` in the same thread; the first and
        last cost nothing while the breaker is closed.
        """
        if self._phase(self._file.read()) == "closed":
            return None  # the usual case takes no lock
        with self._file.locked() as state:
            phase, now = self._phase(state), self._clock()
            if phase == "closed":
                return None
            if phase == "half_open" and (not state.get("probe") or self._probe_lost(state, now)):
                state["probe"] = {"who": _me(), "at": now}
                return None
            return self._answer(state, phase, now)

    def peek(self) -> BreakerOpen | None:
        """As :meth:`check`, but takes no probe: for reports and sensors. None also when a probe may be made."""
        state, now = self._file.read(), self._clock()
        phase = self._phase(state)
        if phase == "closed" or (phase == "half_open" and (not state.get("probe") or self._probe_lost(state, now))):
            return None
        return self._answer(state, phase, now)

    def open(self, reason: Reason, evidence: str = "", retry_after: float | None = None) -> BreakerOpen | None:
        """Stop the crawl because of ``reason``; ignored (None) for reasons that say nothing about the egress.

        The cool-down is that of the reason, doubled for every time in a row, at least ``retry_after`` seconds, at most
        a day. While open, further reports of tasks that were under way change nothing.
        """
        if reason not in STOPS_THE_CRAWL:
            return None
        with self._file.locked() as state:
            phase, now = self._phase(state), self._clock()
            if phase == "open":
                return self._answer(state, phase, now)
            recently = phase == "half_open" or 0 <= now - number(state.get("closed_at"), -1e12) < STREAK * self._factor
            row = int(number(state.get("row"))) + 1 if recently else 1
            wait = min(COOL_DOWN[reason] * 2 ** min(row - 1, 10), LONGEST)
            wait = min(max(wait, retry_after or 0.0), LONGEST) * self._factor
            state.clear()
            state.update(state="open", reason=str(reason), evidence=one_line(evidence), row=row)
            state.update(opened_at=now, wait=wait, resume_at=now + wait)
            self._note("opened", state, now)
            return self._answer(state, "open", now)

    def success(self) -> None:
        """YouTube answered (also with 'private video'): the trouble is over when this was the probe."""
        if self._phase(self._file.read()) != "half_open":
            return  # an answer to a question asked before it opened proves nothing
        with self._file.locked() as state:
            if self._phase(state) == "half_open" and _is_mine(state.get("probe")):
                row, now = state.get("row"), self._clock()
                self._note("closed", state, now)
                state.clear()
                state.update(state="closed", row=row, closed_at=now)

    def inconclusive(self) -> None:
        """The probe learnt nothing (no network, cancelled): another may be made at once."""
        if self._phase(self._file.read()) != "half_open":
            return
        with self._file.locked() as state:
            if self._phase(state) == "half_open" and _is_mine(state.get("probe")):
                state["probe"] = None

    def history(self) -> list[dict[str, Any]]:
        """Openings and closings, oldest first, with ``at`` (ISO 8601), ``event``, ``reason``, ``evidence``, ``wait``
        in seconds."""
        try:
            lines = self._history.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        events = []
        for line in lines:
            try:
                events.append(json.loads(line))
            except ValueError:  # torn by a kill
                continue
        return [event for event in events if isinstance(event, dict)][-MAX_HISTORY:]

    def _phase(self, state: State) -> Phase:
        """What a document says now; anything that makes no sense counts as closed."""
        if state.get("state") != "open" or str(state.get("reason")) not in COOL_DOWN:
            return "closed"
        now, opened, wait = self._clock(), number(state.get("opened_at"), -1), number(state.get("wait"), -1)
        if opened < 0 or wait < 0 or wait > LONGEST * max(1.0, self._factor):
            return "closed"
        # A clock that was set back must not prolong it: nobody opened it in the future.
        return "open" if opened - 60 <= now < opened + wait else "half_open"

    def _probe_lost(self, state: State, now: float) -> bool:
        probe = state.get("probe")
        return not isinstance(probe, dict) or not 0 <= now - number(probe.get("at"), -1e12) < self._lease

    def _answer(self, state: State, phase: Phase, now: float) -> BreakerOpen:
        until = number(state.get("opened_at")) + number(state.get("wait"))
        if phase == "half_open":  # the probe is under way: look again soon, at the latest when its lease is over
            until = now + min(60.0, self._lease)
        evidence = str(state.get("evidence") or "")
        return BreakerOpen(datetime.fromtimestamp(until, UTC), Reason(state["reason"]), evidence)

    def _note(self, event: str, state: State, now: float) -> None:
        """Append to the history; called under the lock."""
        line = json.dumps(
            {
                "at": datetime.fromtimestamp(now, UTC).isoformat(), "event": event, "reason": state.get("reason"),
                "evidence": state.get("evidence"), "wait": state.get("wait"),
            }
        )  # fmt: skip
        with disk_errors(self._history):
            with open(self._history, "a", encoding="utf-8") as handle:
                handle.write(line + "\n")
            if self._history.stat().st_size > 1000 * MAX_HISTORY:
                kept = [json.dumps(event) for event in self.history()]
                new = self._history.with_name(f"{self._history.name}.new")
                new.write_text("\n".join(kept) + "\n", encoding="utf-8")
                os.replace(new, self._history)


def _is_mine(probe: Any) -> bool:
    return isinstance(probe, dict) and probe.get("who") == _me()


def _me() -> str:
    return f"{os.uname().nodename}:{os.getpid()}:{threading.get_ident()}"
