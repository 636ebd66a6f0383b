"""Choice of an item's reason from its sources' failures: the one that says most about when to retry.

The order, best first:

1. we were stopped (``waiting``, ``bot_check``, ``rate_limit``): the request was not answered yet;
2. the authoritative source (YouTube) gave a reason about the video (``private``, ``removed``, ``too_short`` ...):
   that is final, whatever mirrors lack;
3. any temporary failure (no network, 429, 5xx, a refusal of us, a stale tool): a mirror's 404 must not hide that the
   request was not really answered, or the item would be tried again much too late;
4. a file came but cannot be used (``too_short``, ``truncated``, ``corrupt``, ``not_a_video``);
5. a mirror lacks the item (``not_found``, ``gone``, ``forbidden_media``).

Within a rank the later source wins, YouTube above all. The evidence names the other sources' reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipquarry.reasons import Reason, Status, Trait
from clipquarry.steps.base import now


@dataclass(frozen=True)
class Answer:
    """A source's failure to deliver an item, with its reason."""

    source: str
    reason: Reason
    evidence: str
    authoritative: bool = False


def moment() -> str:
    """The current time in UTC, as the text of an attempt's ``at``."""
    return now().isoformat(timespec="milliseconds")


@dataclass(kw_only=True)
class Questions:
    """The requests for one item: an attempt for every request, an answer for every failed one."""

    evidence: str = ""
    """Further evidence about the item, such as a file that was moved away."""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    """The column ``attempts`` of the manifests."""
    answers: list[Answer] = field(default_factory=list)

    note: Callable[[dict[str, Any]], None] | None = None
    """Called for every attempt at once, so that none is lost when the process is killed."""

    def attempt(
        self, source: str, reason: Reason, evidence: str, seconds: float = 0.0, size: int = 0, at: str | None = None
    ) -> None:
        """Record a request and how it ended. ``seconds`` and ``size`` (bytes): its cost. ``at``: the time of a request that
        another process made (ISO 8601, UTC).
        """
        made = {
            "source": source, "at": at or moment(), "reason": str(reason),
            "evidence": evidence, "seconds": round(seconds, 3), "bytes": size,
        }  # fmt: skip
        self.attempts.append(made)
        if self.note is not None:
            self.note(made)

    def no(self, answer: Answer, *, seconds: float = 0.0, size: int = 0, at: str | None = None) -> None:
        """Record a request that failed."""
        self.attempt(answer.source, answer.reason, answer.evidence, seconds, size, at)
        self.answers.append(answer)

    def decision(self, off: Mapping[str, str]) -> Answer:
        """Why the item is missing. ``off``: the sources that are off, and why."""
        if self.answers:
            answer = decisive(self.answers)
        else:
            told = "; ".join(f"{name}: {why}" for name, why in off.items())
            answer = Answer("", Reason.NO_SOURCE, f"no source is switched on ({told or 'the data set names none'})")
        if self.evidence:
            return Answer(answer.source, answer.reason, f"{answer.evidence}; {self.evidence}")
        return answer


def _rank(answer: Answer) -> int:
    traits = answer.reason.traits
    if Trait.STOPPED in traits:
        return 0
    passing = Trait.PASSES in traits or (answer.authoritative and answer.reason is Reason.FORBIDDEN_MEDIA)
    if answer.authoritative and not passing and answer.reason is not Reason.TRUNCATED:
        return 1
    if passing:
        return 2
    return 3 if Trait.UNUSABLE in traits else 4


def decisive(answers: Sequence[Answer]) -> Answer:
    """The answer that decides, with the other sources' reasons added to its evidence."""
    if not answers:
        raise ValueError("there is no answer of a source")
    order = sorted(enumerate(answers), key=lambda pair: (_rank(pair[1]), not pair[1].authoritative, -pair[0]))
    best = order[0][1]
    others = [f"{a.source}: {a.reason}" for a in answers if a is not best]
    evidence = f"{best.source}: {best.evidence}" + (f" (also {', '.join(others)})" if others else "")
    return Answer(best.source, best.reason, evidence, best.authoritative)


def status_of(reason: Reason) -> Status:
    """``failed`` for faults on our side, ``missing`` for all others."""
    return Status.FAILED if Trait.OUR_FAULT in reason.traits else Status.MISSING
