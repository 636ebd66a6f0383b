"""Which source's reason a missing clip gets."""

from __future__ import annotations

import pytest
from clipquarry.reasons import Reason, Status
from clipquarry.steps.answers import Answer, decisive, status_of

R = Reason


@pytest.mark.parametrize(
    ("mirrors", "youtube", "winner"),
    [
        ([R.NOT_FOUND], R.PRIVATE, R.PRIVATE),
        ([R.NOT_FOUND], R.NO_NETWORK, R.NO_NETWORK),
        ([R.FORBIDDEN_MEDIA], R.TRANSPORT, R.TRANSPORT),
        ([R.HTTP_5XX], R.REMOVED, R.REMOVED),
        ([R.TOO_SHORT], R.UNAVAILABLE, R.UNAVAILABLE),
        ([R.TOO_SHORT], R.NO_NETWORK, R.NO_NETWORK),
        ([R.NOT_FOUND], R.WAITING, R.WAITING),
        ([R.HTTP_429], R.BOT_CHECK, R.BOT_CHECK),
        ([R.NOT_FOUND], R.TOO_SHORT, R.TOO_SHORT),
        ([R.NOT_FOUND, R.TRUNCATED], None, R.TRUNCATED),
        ([R.TOO_SHORT, R.NOT_FOUND], None, R.TOO_SHORT),
        ([R.HTTP_5XX, R.NOT_FOUND], None, R.HTTP_5XX),
        ([R.NOT_FOUND, R.GONE], None, R.GONE),
        ([R.NOT_FOUND], R.FORBIDDEN_MEDIA, R.FORBIDDEN_MEDIA),
        ([R.TOO_SHORT], R.TOOL_STALE, R.TOOL_STALE),
        ([R.NOT_FOUND], R.NOT_ASKED, R.NOT_ASKED),
    ],
)
def test_the_reason_that_says_most_about_when_to_ask_again(
    mirrors: list[Reason], youtube: Reason | None, winner: Reason
) -> None:
    answers = [Answer(f"mirror{n}", reason, "said so") for n, reason in enumerate(mirrors)]
    if youtube:
        answers.append(Answer("youtube", youtube, "said so", authoritative=True))
    best = decisive(answers)
    assert best.reason is winner
    for answer in answers:
        assert answer.source in best.evidence, "the others are in the evidence"


def test_our_own_faults_are_failures() -> None:
    assert status_of(R.TOOL_STALE) is Status.FAILED
    assert status_of(R.TOOL_FAILED) is Status.FAILED
    assert status_of(R.PRIVATE) is Status.MISSING
    with pytest.raises(ValueError, match="no answer of a source"):
        decisive([])
