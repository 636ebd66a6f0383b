"""Retry policy: for every reason, when to try again and when to believe the answer. Pure: no clock, no database.

The ledger keeps one :class:`VideoState` for every video (YouTube's answers about the whole video) and one for every clip
(faults of this one window, and answers of mirrors of clips), per egress. A state exists only while the bytes are
missing; it is deleted when they arrive. An item is due when neither its clip's nor its video's state forbids it.

How answers are counted:

* An answer counts when it was due. One that comes earlier (the second clip of a video in the same run, a run that
  requests everything) changes neither count nor date.
* Answers of one family count together: ``removed`` after two times ``unavailable`` is the third answer.
* A failure on our side (no network, a bot check, a server's error) says nothing about the video: the count stays.
* A message that no table holds is believed only when its source delivered another video at that time or later in the same
  run. One message that a source gave for all of many videos is never believed (:func:`distrusted`): it is about us.
* Delays of whole days run from midnight (UTC) of the day on which the requesting run began. So a weekly run finds the items
  due that it planned a week ago, however long each run took.
* Runs overlap, so that an answer may be recorded after a later one: before the first of
  the row of answers it counts as the first; between two of them it changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from clipquarry.reasons import Reason, Trait

Subject = Literal["video", "clip", "us", "row", "nothing"]
"""The subject of a reason: the whole video, this clip, our side, the annotation row, or nothing (no request was made)."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
YEAR = 365 * DAY


@dataclass(frozen=True)
class Rule:
    """After the n-th answer in a row (from 1) the wait is ``delays[n - 1]``, later ``then`` (None: never from this egress).

    ``settles``: after the delays, and at least ``span`` after the first answer, the answer is believed: the state is
    permanent.
    """

    subject: Subject
    delays: tuple[timedelta, ...] = ()
    then: timedelta | None = timedelta(0)
    family: str = ""
    settles: bool = False
    span: timedelta = timedelta(0)


_US = Rule("us")
_STOP = Rule("us", then=HOUR)
_BACK_OFF = Rule("us", (HOUR, 6 * HOUR, 24 * HOUR), 3 * DAY)
_REMOVED = Rule("video", (7 * DAY, 7 * DAY), YEAR, "away", settles=True, span=14 * DAY)
_UNAVAILABLE = Rule("video", (1 * DAY, 3 * DAY, 7 * DAY, 30 * DAY), YEAR, "away", settles=True)
_ACCOUNT = Rule("video", (), 180 * DAY, "account")
_HERE = Rule("video", (), None, "here", settles=True)
_BROKEN = Rule("clip", (1 * DAY, 3 * DAY, 7 * DAY), 30 * DAY, "broken")
_ROW = Rule("row", (), None, "row", settles=True)
_NOTHING = Rule("nothing")

RULES: dict[Reason, Rule] = {
    Reason.OK: _NOTHING,
    Reason.BOT_CHECK: _STOP,
    Reason.RATE_LIMIT: _STOP,
    Reason.EGRESS_REFUSED: _BACK_OFF,
    Reason.PRIVATE: Rule("video", (), 90 * DAY, "private"),
    Reason.REMOVED: _REMOVED,
    Reason.TERMINATED: _REMOVED,
    Reason.VIOLATION: _REMOVED,
    Reason.COPYRIGHT: _HERE,
    Reason.GEO: _HERE,
    Reason.AGE: _ACCOUNT,
    Reason.MEMBERS: _ACCOUNT,
    Reason.NOT_YET: Rule("video", (), DAY, "not_yet"),
    Reason.UNAVAILABLE: _UNAVAILABLE,
    Reason.HTTP_429: _BACK_OFF,
    Reason.HTTP_5XX: _BACK_OFF,
    Reason.TRANSPORT: _BACK_OFF,
    Reason.NO_NETWORK: _US,
    Reason.FORBIDDEN_MEDIA: _BACK_OFF,
    Reason.NOT_FOUND: replace(_UNAVAILABLE, subject="clip"),
    Reason.GONE: replace(_REMOVED, subject="clip"),
    Reason.TOOL_STALE: _US,
    Reason.NO_SOURCE: _US,
    Reason.WAITING: _US,
    Reason.NOT_A_VIDEO: _BROKEN,
    Reason.TRUNCATED: _BROKEN,
    Reason.CORRUPT: _BROKEN,
    Reason.TOO_SHORT: Rule("clip", (30 * DAY,), 180 * DAY, "too_short"),
    Reason.BAD_ROW: _ROW,
    Reason.BAD_ID: _ROW,
    Reason.BAD_TIME: _ROW,
    Reason.BAD_LABEL: _ROW,
    Reason.DUPLICATE: _ROW,
    Reason.UNKNOWN_LABEL: _ROW,
    Reason.LEFT_OUT: _ROW,
    Reason.NO_FRAMES: _US,
    Reason.NO_AUDIO: _NOTHING,
    Reason.TOOL_FAILED: _US,
    Reason.TASK_FAILED: _US,
    Reason.NOT_DUE: _NOTHING,
    Reason.NOT_ASKED: _NOTHING,
}


@dataclass(frozen=True)
class VideoState:
    """The state of a video or a clip that could not be fetched from one egress. Times are aware, UTC."""

    reason: Reason
    evidence: str
    source: str
    first_seen: datetime  # time of the first failure
    last_attempt: datetime
    next_attempt: datetime | None  # None: never again from this egress
    confirmations: int  # answers that counted, of this reason's family
    first_confirmed: datetime | None  # when the first of them came
    attempts: int  # answers of any kind since first_seen
    setbacks: int  # failures on our side since the last real answer
    permanent: bool  # the answer is believed; still tried at next_attempt


@dataclass(frozen=True)
class Decision:
    """Result of the policy. ``next_attempt`` None: never from this egress. ``confirmed``: the rule's delays are over."""

    next_attempt: datetime | None
    permanent: bool
    confirmed: bool
    confirmations: int


MANY = 20
"""A source that gave the same reason for this many videos, and no other reason for any, refuses us."""


def distrusted(answers: Mapping[tuple[str, Reason], int]) -> frozenset[tuple[str, Reason]]:
    """Sources that gave one reason for all of many videos of a run, with that reason. ``answers``: counts by both."""
    found: set[tuple[str, Reason]] = set()
    for source in {source for source, _ in answers}:
        told = [
            (r, count) for (one, r), count in answers.items() if one == source and (is_telling(r) or r is Reason.OK)
        ]
        found.update((source, r) for r, count in told if len(told) == 1 and Trait.ALIKE in r.traits and count >= MANY)
    return frozenset(found)


def is_telling(reason: Reason) -> bool:
    """True for reasons that say something about the video, the clip or the row (and not about our side)."""
    return RULES[reason].subject in ("video", "clip", "row")


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _is_early(history: VideoState, now: datetime) -> bool:
    return history.next_attempt is None or now < history.next_attempt


def _continues(history: VideoState, reason: Reason) -> bool:
    """True when the answer continues the row of answers that the history counts."""
    return is_telling(history.reason) and RULES[history.reason].family == RULES[reason].family


def decide(
    reason: Reason, history: VideoState | None, now: datetime, *, evidence: str = "", asked: datetime | None = None
) -> Decision:
    """The decision for ``reason``, received at ``now`` by a run that began at ``asked`` (default: now)."""
    rule = RULES[reason]
    if rule.subject in ("us", "nothing"):
        return _our_side(rule, history, now)
    day = _midnight(min(asked or now, now))
    if history is None or not _continues(history, reason):
        count, since = 1, now
    elif _is_early(history, now) and not history.setbacks and reason is not Reason.NOT_YET:
        return Decision(history.next_attempt, history.permanent, history.permanent, history.confirmations)
    else:
        count, since = history.confirmations + 1, history.first_confirmed or now
    if count <= len(rule.delays):
        return Decision(max(day + rule.delays[count - 1], now), False, False, count)
    if _midnight(now) - _midnight(since) < rule.span:
        return Decision(_midnight(since) + rule.span, False, False, count)
    later = None if rule.then is None else max(day + rule.then, now)
    if reason is Reason.NOT_YET:
        later = release_time(evidence, now) or later
    return Decision(later, rule.settles, True, count)


def _our_side(rule: Rule, history: VideoState | None, now: datetime) -> Decision:
    """Decision for a failure on our side: the state stays, and an item that was due is due again after a delay."""
    tries = history.setbacks if history is not None else 0
    again = now + (rule.delays[tries] if tries < len(rule.delays) else rule.then or timedelta(0))
    if history is None:
        return Decision(again, False, False, 0)
    keeps = rule.subject == "nothing" or _is_early(history, now)
    return Decision(
        history.next_attempt if keeps else again, history.permanent, history.permanent, history.confirmations
    )


def observe(
    state: VideoState | None, reason: Reason, at: datetime, *,
    evidence: str = "", source: str = "", asked: datetime | None = None,
) -> VideoState | None:  # fmt: skip
    """The state after an answer; None when the bytes arrived or there is nothing to keep."""
    rule = RULES[reason]
    if reason is Reason.OK:
        return None
    if state is not None and at == state.last_attempt:
        return state  # known already
    if state is not None and at < state.last_attempt:
        return _count_overtaken(state, reason, at, evidence=evidence, source=source, asked=asked)
    if rule.subject == "nothing" or (rule.subject == "us" and not rule.then):
        return state  # due as it was
    verdict = decide(reason, state, at, evidence=evidence, asked=asked)
    if state is None:
        state = VideoState(reason, evidence, source, at, at, at, 0, None, 0, 0, False)
    told = replace(
        state, last_attempt=at, next_attempt=verdict.next_attempt, confirmations=verdict.confirmations,
        permanent=verdict.permanent, attempts=state.attempts + 1,
    )  # fmt: skip
    if rule.subject == "us":
        due = not _is_early(state, at)
        told = replace(told, setbacks=state.setbacks + due)
        return told if is_telling(state.reason) else replace(told, reason=reason, evidence=evidence, source=source)
    since = state.first_confirmed if _continues(state, reason) else None
    return replace(told, reason=reason, evidence=evidence, source=source, setbacks=0, first_confirmed=since or at)


def _count_overtaken(
    state: VideoState, reason: Reason, at: datetime, *, evidence: str, source: str, asked: datetime | None
) -> VideoState:
    """The state, with an answer that came before its last one and is recorded after it: runs may overlap.

    What YouTube said last stays. An answer before the first that counts is the first of the row: where that one was due
    after it, the row is one longer, and its wait is too. One between two that count changes nothing, because the state
    does not hold their times. A date never moves to an earlier one.
    """
    if not is_telling(reason):
        return state
    alone = observe(None, reason, at, evidence=evidence, source=source, asked=asked)
    if alone is None:  # pragma: no cover - a telling reason always leaves a state
        return state
    seen = min(state.first_seen, at)
    if not is_telling(state.reason):  # only failures on our side so far: this is what is known of the video
        due = _later(state.next_attempt, alone.next_attempt)
        kept = replace(alone, last_attempt=state.last_attempt, next_attempt=due, attempts=state.attempts + 1)
        return replace(kept, first_seen=seen, setbacks=0 if due == alone.next_attempt else state.setbacks)
    first = state.first_confirmed or state.first_seen
    if not _continues(state, reason) or at >= first:
        return state
    told = replace(state, first_seen=seen, first_confirmed=at, attempts=state.attempts + 1)
    if alone.next_attempt is None or first < alone.next_attempt or state.next_attempt is None:
        return told  # the first that counted came early, by this one
    rule, count = RULES[state.reason], state.confirmations
    before = rule.delays[count - 1] if count <= len(rule.delays) else rule.then
    if state.setbacks or before is None:
        return replace(told, confirmations=count + 1)  # the wait is for our side; the next answer takes its own
    day = state.next_attempt - before
    if count < len(rule.delays):
        wait, permanent = rule.delays[count], False
    elif rule.then is None or _midnight(day) - _midnight(at) < rule.span:
        wait, permanent = before, state.permanent
    else:
        wait, permanent = rule.then, rule.settles
    due = _later(state.next_attempt, day + wait)
    return replace(told, confirmations=count + 1, next_attempt=due, permanent=state.permanent or permanent)


def _later(a: datetime | None, b: datetime | None) -> datetime | None:
    """The later of two dates, where None is never."""
    return None if a is None or b is None else max(a, b)


_RELATIVE = re.compile(
    r"\b(?:in|about)\s+(?:(\d{1,5})|an?|a few|a couple of)\s+(minute|hour|day|week|month|year)s?\b", re.I
)
_ISO = re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?)?")
_EPOCH = re.compile(r"\brelease_timestamp\W{1,3}(\d{9,11})\b")
_UNITS = {"minute": HOUR / 60, "hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY, "year": YEAR}


def release_time(evidence: str, now: datetime) -> datetime | None:
    """When a premiere or a live event begins, by its text; None when the text gives no time, or an implausible one.

    Understands "Premieres in 3 hours", "will begin in a few moments", ISO 8601 and ``release_timestamp: 1790000000``.
    """
    text = evidence[:2000]
    moment: datetime | None = None
    try:
        if match := _EPOCH.search(text):
            moment = datetime.fromtimestamp(int(match[1]), UTC)
        elif match := _ISO.search(text):
            moment = datetime.fromisoformat(match[0])
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        elif match := _RELATIVE.search(text):
            moment = now + int(match[1] or 1) * _UNITS[match[2].lower()]
        elif re.search(r"\b(?:shortly|moments?)\b", text, re.I):
            moment = now + HOUR
    except (ValueError, OverflowError):
        return None
    if moment is None or not now < moment <= now + 2 * YEAR:
        return None
    return max(moment, now + HOUR)


def _words(delay: timedelta) -> str:
    count, unit = (delay // DAY, "day") if delay % DAY == timedelta(0) and delay != DAY else (delay // HOUR, "hour")
    if delay == YEAR:
        return "a year"
    if delay == DAY:
        return "1 day"
    return f"{count} {unit}{'' if count == 1 else 's'}"


def describe(reason: Reason) -> str:
    """The rule as text, as ``docs/reasons.md`` shows it (a test compares)."""
    rule = RULES[reason]
    if rule.subject == "row":
        return "never: the annotation must change"
    if rule.subject == "nothing":
        return "nothing changes"
    if reason is Reason.NOT_YET:
        return "at its time where the text says it, else after 1 day"
    if not rule.delays:
        if rule.then is None:
            return "permanent here; another egress may try"
        after = f"after {_words(rule.then)}" if rule.then else "at the next refresh"
        return f"{after}; what is known stays" if rule.subject == "us" else after
    steps = ", ".join(_words(delay) for delay in rule.delays)
    then = _words(rule.then) if rule.then else ""
    if rule.settles:
        return f"after {steps}; then permanent, and looked at after {then}"
    return f"after {steps}; then every {then}" + ("; what is known stays" if rule.subject == "us" else "")
