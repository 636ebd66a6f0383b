"""Which of several sources' reasons becomes the item's: the one that says most about when to ask again.

The rule, best first:

1. we were stopped (``waiting``, ``bot_check``, ``rate_limit``): the question is still open;
2. the authoritative source (YouTube) said something about the video (``private``, ``removed``, ``too_short`` ...):
   that is the last word, whatever mirrors lack;
3. anything that passes (no network, 429, 5xx, a refusal of us, a stale tool): a mirror's 404 must not hide that
   the question was not really answered, or the item would be looked at again much too late;
4. something came but could not be used (``too_short``, ``truncated``, ``corrupt``, ``not_a_video``);
5. a mirror lacks it (``not_found``, ``gone``, ``forbidden_media``).

Within a rank the later source wins, YouTube above all. The evidence names the other sources' reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import now

STOPPED = frozenset({Reason.WAITING, Reason.BOT_CHECK, Reason.RATE_LIMIT})
_PASSING = frozenset(
    {
        Reason.NO_NETWORK, Reason.TRANSPORT, Reason.HTTP_429, Reason.HTTP_5XX, Reason.TOOL_STALE, Reason.TOOL_FAILED,
        Reason.EGRESS_REFUSED,
    }
)  # fmt: skip
_UNUSABLE = frozenset({Reason.TOO_SHORT, Reason.TRUNCATED, Reason.CORRUPT, Reason.NOT_A_VIDEO})
_OUR_FAULT = frozenset({Reason.TOOL_STALE, Reason.TOOL_FAILED})


@dataclass(frozen=True)
class Answer:
    """A source's no."""

    source: str
    reason: Reason
    evidence: str
    authoritative: bool = False


def moment() -> str:
    """The time of an attempt."""
    return now().isoformat(timespec="milliseconds")


@dataclass(kw_only=True)
class Questions:
    """What was asked for one item: an attempt for every question, an answer for every no."""

    evidence: str = ""
    """What else must be said about the item, such as a file that was moved away."""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    """The column ``attempts`` of the manifests."""
    answers: list[Answer] = field(default_factory=list)

    note: Callable[[dict[str, Any]], None] | None = None
    """Told of every attempt at once, so that none is lost with the process."""

    def attempt(
        self, source: str, reason: Reason, evidence: str, seconds: float = 0.0, size: int = 0, at: str | None = None
    ) -> None:
        """A question that was asked, and how it ended. ``seconds`` and ``size`` (bytes): what it cost. ``at``: the time of a
        question that another process asked (ISO 8601, UTC).
        """
        made = {
            "source": source, "at": at or moment(), "reason": str(reason),
            "evidence": evidence, "seconds": round(seconds, 3), "bytes": size,
        }  # fmt: skip
        self.attempts.append(made)
        if self.note is not None:
            self.note(made)

    def no(self, answer: Answer, *, seconds: float = 0.0, size: int = 0, at: str | None = None) -> None:
        """A question that was asked in vain."""
        self.attempt(answer.source, answer.reason, answer.evidence, seconds, size, at)
        self.answers.append(answer)

    def decision(self, off: Mapping[str, str]) -> Answer:
        """Why the item is missing. ``off``: the sources that were not asked, and why not."""
        if self.answers:
            answer = decisive(self.answers)
        else:
            told = "; ".join(f"{name}: {why}" for name, why in off.items())
            answer = Answer("", Reason.NO_SOURCE, f"no source is switched on ({told or 'the data set names none'})")
        if self.evidence:
            return Answer(answer.source, answer.reason, f"{answer.evidence}; {self.evidence}")
        return answer


def _rank(answer: Answer) -> int:
    if answer.reason in STOPPED:
        return 0
    passing = answer.reason in _PASSING or (answer.authoritative and answer.reason is Reason.FORBIDDEN_MEDIA)
    if answer.authoritative and not passing and answer.reason is not Reason.TRUNCATED:
        return 1
    if passing:
        return 2
    return 3 if answer.reason in _UNUSABLE else 4


def decisive(answers: Sequence[Answer]) -> Answer:
    """The answer that decides, with the other sources' reasons added to its evidence."""
    if not answers:
        raise ValueError("no source was asked")
    order = sorted(enumerate(answers), key=lambda pair: (_rank(pair[1]), not pair[1].authoritative, -pair[0]))
    best = order[0][1]
    others = [f"{a.source}: {a.reason}" for a in answers if a is not best]
    evidence = f"{best.source}: {best.evidence}" + (f" (also {', '.join(others)})" if others else "")
    return Answer(best.source, best.reason, evidence, best.authoritative)


def status_of(reason: Reason) -> Status:
    """``failed`` for what is our own fault, ``missing`` for all else."""
    return Status.FAILED if reason in _OUR_FAULT else Status.MISSING
