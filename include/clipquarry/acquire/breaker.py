"""Circuit breaker per egress, shared by all processes: stops a crawl that YouTube, a filter or our own tools refuse.

::

    closed --told to stop, or N in a row--> open --(cool-down over)--> half open --success--> closed
                                             ^                            |
                                             +-------- refused -----------+   (for twice as long)

The breaker opens at once when YouTube asks for a pause (a bot check, a rate limit, 429, any ``Retry-After``). It also
opens when ``row`` requests in a row, for different videos, failed for a reason on our side or all for the same reason.
While it is closed, the requests under way and the failures in a row together never exceed ``row``. So at most ``row``
requests are wasted after YouTube begins to refuse us. Where there is a canary (a video that is known to be good), the
last of these requests is for the canary: the fault is on our side only when the canary fails too.

While the breaker is half open, exactly one caller may try (the probe); the others wait for its result. The state is
kept in ``breaker.json`` in the egress's folder and shared by every process with the same data root.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, Literal

from clipquarry.acquire.answer import one_line
from clipquarry.acquire.statefile import State, StateFile, number
from clipquarry.files import disk_errors
from clipquarry.reasons import Reason, Trait, with_trait

HOUR = 3600.0
ROW = 20
"""Requests in a row without bytes after which the breaker opens."""
COOL_DOWN = {
    Reason.RATE_LIMIT: 1 * HOUR, Reason.BOT_CHECK: 6 * HOUR, Reason.HTTP_429: 1 * HOUR, Reason.HTTP_5XX: HOUR / 2,
    Reason.TRANSPORT: HOUR / 4, Reason.FORBIDDEN_MEDIA: 1 * HOUR, Reason.EGRESS_REFUSED: 6 * HOUR,
    Reason.TOOL_STALE: 6 * HOUR, Reason.TOOL_FAILED: 1 * HOUR, Reason.TRUNCATED: 1 * HOUR,
    Reason.UNAVAILABLE: 1 * HOUR, Reason.GEO: 6 * HOUR, Reason.COPYRIGHT: 1 * HOUR,
}  # fmt: skip
"""The reasons that can open the breaker, with the first cool-down in seconds."""
OURS = frozenset(COOL_DOWN) - with_trait(Trait.ALIKE) - with_trait(Trait.STOPS_CRAWL)
"""Reasons that are a fault of our network, our tools or a server, and say nothing about the video."""
ASKED_FOR_A_PAUSE = with_trait(Trait.STOPS_CRAWL) | {Reason.EGRESS_REFUSED}
"""Reasons whose cause is over as soon as YouTube gives any answer about a video."""
LONGEST = 24 * HOUR
PROBE_LEASE = 900.0
"""Seconds after which a probe without a report (it was killed) is given up, so that another caller may try."""
STREAK = 2 * HOUR
"""Seconds. Opening again within this time after closing counts as the same outage and doubles the cool-down."""
MAX_HISTORY = 200
_LOOK = 0.2
"""Seconds between two looks at the state, for a caller that waits for the requests of others."""

Phase = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class BreakerOpen:
    """The breaker is open: no request may be made before ``resume_at`` (aware, UTC)."""

    resume_at: datetime
    reason: Reason
    evidence: str

    @property
    def why(self) -> str:
        return _WHY.get(self.reason, _ROW)

    def sentence(self) -> str:
        return f"{self.why} ({self.reason}); {NOTHING_IS_ASKED} before {self.resume_at:%Y-%m-%d %H:%M} UTC."


NOTHING_IS_ASKED = "nothing is asked of YouTube"
"""Words in the evidence of every item for which no request was made."""
_ROW = "Too many videos in a row ended in the same way"
_WHY = {
    **dict.fromkeys(with_trait(Trait.STOPS_CRAWL), "YouTube stopped us"),
    Reason.EGRESS_REFUSED: "YouTube or a filter refuses this network or account",
    Reason.TOOL_STALE: "yt-dlp no longer understands YouTube: upgrade yt-dlp, yt-dlp-ejs and deno",
    Reason.TOOL_FAILED: "yt-dlp or ffmpeg fails for one video after the other: read the evidence",
}
Pass = Literal["go", "canary"]
"""What a caller may do: send its request, or request the canary first."""


class Breaker:
    """State of one egress; cheap to make, safe to share between threads and processes.

    ``folder`` is ``DataRoot.egress(name)``; ``clock`` gives seconds since the epoch; ``factor`` scales every cool-down.
    ``row``: see the module. ``canary``: whether the callers have one. ``tool``: the version of yt-dlp; the cool-down of
    ``tool_stale`` ends when the version changes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        factor: float = 1.0,
        lease: float = PROBE_LEASE,
        row: int = ROW,
        canary: bool = False,
        tool: str = "",
    ) -> None:
        self._row, self._canary, self._tool = max(1, row), canary, tool
        self._file = StateFile(folder / "breaker.json")
        self._history = folder / "breaker.history.jsonl"
        self._clock, self._factor, self._lease = clock, factor, lease

    def enter(self, cancelled: Event) -> Pass | BreakerOpen:
        """Permission for one request; the caller then calls :meth:`answered` or :meth:`left` in the same thread.

        Waits while the requests of others that are under way could fill the row. Returns soon after ``cancelled`` is set.
        """
        while True:
            with self._file.locked() as state:
                phase, now = self._phase(state), self._clock()
                if phase != "closed":
                    taken = self._take_probe(state, phase, now)
                    return ("canary" if self._canary else "go") if taken else self._answer(state, phase, now)
                asking, heard = self._asking(state, now), _heard(state)
                if not asking or len(heard) + len(asking) < self._row:
                    state["asking"] = {**asking, _me(): now}
                    full = len(heard) >= self._row - 1 and bool(heard)
                    return "canary" if self._canary and full and _may_be_us(heard) else "go"
            if cancelled.wait(_LOOK):
                return "go"  # the caller checks ``cancelled``

    def answered(
        self, video: str, reason: Reason | None, evidence: str = "", retry_after: float | None = None
    ) -> BreakerOpen | None:
        """Report how the request for ``video`` ended (None: its bytes came). Returns the state when the breaker is open."""
        if reason is None:
            self.success()
            return None
        if Trait.STOPS_CRAWL in reason.traits or (reason in OURS and retry_after):
            return self.open(reason, evidence, retry_after)
        with self._file.locked() as state:
            phase = self._phase(state)
            _leave(state)
            if phase == "closed":
                heard = [*_heard(state), (video, reason)][-self._row :]
                state["heard"] = [list(one) for one in heard]
                if len(heard) < self._row or not _blames_us(heard):
                    return None
                most = Counter(one for _, one in heard if one in COOL_DOWN).most_common(1)[0][0]
                return self._open(state, most, f"{len(heard)} in a row; the last: {evidence}", None)
            if phase == "open" or not _is_mine(state.get("probe")):
                return self._answer(state, phase, self._clock())
            opened_for = Reason(state["reason"])
            if reason in OURS or reason is opened_for:
                return self._open(state, reason, evidence, None)
            if opened_for in ASKED_FOR_A_PAUSE:
                self._close(state)
            else:
                state["probe"] = None  # an answer about this one video only: another caller may try at once
            return None

    def left(self) -> None:
        """Report that the request was not made or showed nothing (no network, cancelled): another may follow at once."""
        with self._file.locked() as state:
            _leave(state)
            if self._phase(state) == "half_open" and _is_mine(state.get("probe")):
                state["probe"] = None

    def proved(self) -> None:
        """Report that the canary was fetched: the failures before it were about the videos, and YouTube lets us in."""
        with self._file.locked() as state:
            if self._phase(state) == "half_open" and _is_mine(state.get("probe")):
                self._close(state)
                state["asking"] = {_me(): self._clock()}
            state.pop("heard", None)

    def refused_others(self, video: str, reason: Reason) -> bool:
        """True when other videos failed with ``reason`` since bytes came last: a retry of this one is of no use."""
        state = self._file.read()
        return self._phase(state) != "closed" or any(one is reason and name != video for name, one in _heard(state))

    def peek(self) -> BreakerOpen | None:
        """The state for reports and sensors, without taking the probe. None when closed or when a probe may be made."""
        state, now = self._file.read(), self._clock()
        phase = self._phase(state)
        if phase == "closed" or (phase == "half_open" and (not state.get("probe") or self._probe_lost(state, now))):
            return None
        return self._answer(state, phase, now)

    def open(self, reason: Reason, evidence: str = "", retry_after: float | None = None) -> BreakerOpen | None:
        """Stop the crawl because of ``reason``; ignored (None) for reasons that say nothing about the egress.

        The cool-down is that of the reason, or for HTTP statuses the ``retry_after`` seconds that the server named. It
        doubles each time in a row, and is at least ``retry_after`` and at most a day. While the breaker is open, later
        reports of requests that were under way change nothing.
        """
        if reason not in COOL_DOWN:
            return None
        with self._file.locked() as state:
            return self._open(state, reason, evidence, retry_after)

    def success(self) -> None:
        """Report that bytes came: the row of failures ends, and the breaker closes if this was the probe."""
        state = self._file.read()
        if self._phase(state) != "half_open" and not state.get("heard") and _me() not in (state.get("asking") or ()):
            return
        with self._file.locked() as state:
            _leave(state)
            phase = self._phase(state)
            if phase == "closed":
                state.pop("heard", None)
            elif phase == "half_open" and _is_mine(state.get("probe")):
                self._close(state)  # only for the probe: an answer to a request made before it opened proves nothing

    def _open(self, state: State, reason: Reason, evidence: str, retry_after: float | None) -> BreakerOpen:
        """Called under the lock."""
        phase, now = self._phase(state), self._clock()
        _leave(state)
        if phase == "open":
            return self._answer(state, phase, now)
        recently = phase == "half_open" or 0 <= now - number(state.get("closed_at"), -1e12) < STREAK * self._factor
        row = int(number(state.get("row"))) + 1 if recently else 1
        first = retry_after if retry_after and reason in (Reason.HTTP_429, Reason.HTTP_5XX) else COOL_DOWN[reason]
        wait = min(first * 2 ** min(row - 1, 10), LONGEST)
        wait = min(max(wait, retry_after or 0.0), LONGEST) * self._factor
        state.clear()
        state.update(state="open", reason=str(reason), evidence=one_line(evidence), row=row, tool=self._tool)
        state.update(opened_at=now, wait=wait, resume_at=now + wait)
        self._note("opened", state, now)
        return self._answer(state, "open", now)

    def _close(self, state: State) -> None:
        """Called under the lock."""
        row, now = state.get("row"), self._clock()
        self._note("closed", state, now)
        state.clear()
        state.update(state="closed", row=row, closed_at=now)

    def _take_probe(self, state: State, phase: Phase, now: float) -> bool:
        if phase != "half_open" or (state.get("probe") and not self._probe_lost(state, now)):
            return False
        state["probe"] = {"who": _me(), "at": now}
        return True

    def _asking(self, state: State, now: float) -> dict[str, float]:
        """The callers with a request under way. Killed ones are left out: on this host at once, else after their lease."""
        asking = state.get("asking")
        if not isinstance(asking, dict):
            return {}
        return {
            who: number(at)
            for who, at in asking.items()
            if who != _me() and 0 <= now - number(at, -1e12) < self._lease and not _is_dead(who)
        }

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
        """The phase that a document gives now; a document with invalid values counts as closed."""
        if state.get("state") != "open" or str(state.get("reason")) not in COOL_DOWN:
            return "closed"
        now, opened, wait = self._clock(), number(state.get("opened_at"), -1), number(state.get("wait"), -1)
        if opened < 0 or wait < 0 or wait > LONGEST * max(1.0, self._factor):
            return "closed"
        if state["reason"] == Reason.TOOL_STALE and state.get("tool") and self._tool not in ("", state["tool"]):
            return "half_open"  # yt-dlp was upgraded
        # A clock that was set back must not prolong the cool-down: the breaker cannot have opened in the future.
        return "open" if opened - 60 <= now < opened + wait else "half_open"

    def _probe_lost(self, state: State, now: float) -> bool:
        probe = state.get("probe")
        return not isinstance(probe, dict) or not 0 <= now - number(probe.get("at"), -1e12) < self._lease

    def _answer(self, state: State, phase: Phase, now: float) -> BreakerOpen:
        until = number(state.get("opened_at")) + number(state.get("wait"))
        if phase == "half_open":  # the probe is under way: check again soon, at the latest when its lease is over
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


def _heard(state: State) -> list[tuple[str, Reason]]:
    """The failed requests since bytes came last, oldest first: video and reason. Invalid entries are left out."""
    heard = state.get("heard")
    known = {str(reason) for reason in Reason}
    pairs = [one for one in heard if isinstance(one, list) and len(one) == 2] if isinstance(heard, list) else []
    return [(str(video), Reason(reason)) for video, reason in pairs if isinstance(reason, str) and reason in known]


def _may_be_us(heard: list[tuple[str, Reason]]) -> bool:
    """True when the canary is worth a request: a failure had a reason on our side, or all failed for the same reason."""
    return len({reason for _, reason in heard}) == 1 or any(reason in OURS for _, reason in heard)


def _blames_us(heard: list[tuple[str, Reason]]) -> bool:
    """True for a row of several videos of which half failed for reasons on our side, or all for the same reason."""
    reasons = Counter(reason for _, reason in heard)
    ours = sum(reasons[reason] for reason in OURS)
    same = max(reasons[reason] for reason in with_trait(Trait.ALIKE))
    several = len({video for video, _ in heard}) > 1 or len(heard) == 1
    return several and (2 * ours >= len(heard) or ours + same == len(heard))


def _leave(state: State) -> None:
    asking = state.get("asking")
    if isinstance(asking, dict):
        asking.pop(_me(), None)


def _is_dead(who: str) -> bool:
    """True when ``who`` (host, process, thread) names this host and its process has ended."""
    host, _, rest = who.rpartition(":")[0].rpartition(":")
    if host != os.uname().nodename or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # the process exists and belongs to another user
    return False


def _is_mine(probe: Any) -> bool:
    return isinstance(probe, dict) and probe.get("who") == _me()


def _me() -> str:
    return f"{os.uname().nodename}:{os.getpid()}:{threading.get_ident()}"
