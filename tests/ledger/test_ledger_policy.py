"""The policy table, over a simulated calendar."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from clipquarry.ledger import RULES, VideoState, decide, observe
from clipquarry.ledger.policy import is_telling, release_time
from clipquarry.reasons import Reason
from hypothesis import given
from hypothesis import strategies as st
from ledger_helpers import DAY0, day

HOUR = timedelta(hours=1)


def waits(reason: Reason, times: int, *, evidence: str = "") -> list[float | None]:
    """Days from one answer to the next date, when each answer comes exactly when it is due; None ends the row."""
    state, now, found = None, DAY0.replace(hour=0), []
    for _ in range(times):
        state = observe(state, reason, now, evidence=evidence)
        if state is None:
            return [*found, 0.0]
        if state.next_attempt is None:
            return [*found, None]
        found.append((state.next_attempt - now) / timedelta(days=1))
        now = state.next_attempt
    return found


H1, H6 = 1 / 24, 6 / 24
TABLE = {
    "bot_check": [H1, H1, H1],
    "rate_limit": [H1, H1, H1],
    "egress_refused": [H1, H6, 1, 3, 3],
    "http_429": [H1, H6, 1, 3, 3],
    "http_5xx": [H1, H6, 1, 3, 3],
    "transport": [H1, H6, 1, 3, 3],
    "forbidden_media": [H1, H6, 1, 3, 3],
    "no_network": [0],
    "tool_stale": [0],
    "no_source": [0],
    "waiting": [0],
    "no_frames": [0],
    "no_audio": [0],
    "tool_failed": [0],
    "task_failed": [0],
    "private": [90, 90],
    "removed": [7, 7, 365, 365],
    "terminated": [7, 7, 365, 365],
    "violation": [7, 7, 365, 365],
    "gone": [7, 7, 365, 365],
    "copyright": [None],
    "geo": [None],
    "age": [180, 180],
    "members": [180, 180],
    "not_yet": [1, 1],
    "unavailable": [1, 3, 7, 30, 365, 365],
    "not_found": [1, 3, 7, 30, 365, 365],
    "not_a_video": [1, 3, 7, 30, 30],
    "truncated": [1, 3, 7, 30, 30],
    "corrupt": [1, 3, 7, 30, 30],
    "too_short": [30, 180, 180],
    "bad_row": [None],
    "bad_id": [None],
    "bad_time": [None],
    "bad_label": [None],
    "duplicate": [None],
    "unknown_label": [None],
    "left_out": [None],
    "ok": [0],
    "not_due": [0],
    "not_asked": [0],
}


def test_table_is_complete() -> None:
    assert set(TABLE) == {str(reason) for reason in Reason} == {str(reason) for reason in RULES}


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_waits(reason: Reason) -> None:
    expected = TABLE[reason]
    assert waits(reason, len(expected)) == pytest.approx(expected)


def history(*answers: tuple[float, Reason]) -> list[VideoState | None]:
    """States after answers on given days."""
    states: list[VideoState | None] = [None]
    for at, reason in answers:
        states.append(observe(states[-1], reason, day(at)))
    return states[1:]


@pytest.mark.parametrize(
    ("reason", "answers_before_permanent"), [(Reason.REMOVED, 3), (Reason.UNAVAILABLE, 5), (Reason.GEO, 1)]
)
def test_permanent_only_after_confirmation(reason: Reason, answers_before_permanent: int) -> None:
    state, now = None, DAY0
    for answer in range(1, answers_before_permanent + 1):
        state = observe(state, reason, now)
        assert state is not None
        assert state.permanent == (answer == answers_before_permanent), answer
        assert state.confirmations == answer
        now = state.next_attempt or now


def test_removed_is_confirmed_on_days_0_7_14_and_then_looked_at_yearly() -> None:
    first, second, third = history((0, Reason.REMOVED), (7, Reason.REMOVED), (14, Reason.REMOVED))
    assert first and second and third
    assert [s.permanent for s in (first, second, third)] == [False, False, True]
    assert third.first_confirmed == day(0)
    assert third.next_attempt == day(14).replace(hour=0) + timedelta(days=365)


def test_a_video_that_comes_back_is_forgotten_and_counted_anew() -> None:
    *_, gone, back, again = history((0, Reason.REMOVED), (7, Reason.REMOVED), (14, Reason.OK), (30, Reason.REMOVED))
    assert gone and gone.confirmations == 2
    assert back is None
    assert again and (again.confirmations, again.first_seen, again.permanent) == (1, day(30), False)


def test_answers_before_their_time_do_not_count() -> None:
    states = history((0, Reason.REMOVED), (1, Reason.REMOVED), (2, Reason.REMOVED), (6, Reason.REMOVED))
    assert [s.confirmations for s in states if s] == [1, 1, 1, 1]
    assert {s.next_attempt for s in states if s} == {day(7).replace(hour=0)}
    assert states[-1] and states[-1].attempts == 4


def test_words_of_one_family_count_together_but_not_faster() -> None:
    states = history((0, Reason.UNAVAILABLE), (1, Reason.UNAVAILABLE), (4, Reason.TERMINATED), (14, Reason.REMOVED))
    assert [s.confirmations for s in states if s] == [1, 2, 3, 4]
    third, last = states[2], states[3]
    assert third and not third.permanent and third.next_attempt == day(14).replace(hour=0)  # three answers in four days
    assert last and last.permanent


def test_another_family_begins_anew() -> None:
    *_, last = history((0, Reason.REMOVED), (7, Reason.REMOVED), (14, Reason.PRIVATE))
    assert last and (last.reason, last.confirmations, last.first_confirmed) == (Reason.PRIVATE, 1, day(14))


@pytest.mark.parametrize("ours", [Reason.TRANSPORT, Reason.BOT_CHECK, Reason.FORBIDDEN_MEDIA], ids=str)
def test_our_side_leaves_the_video_untouched(ours: Reason) -> None:
    _, failed, answered = history((0, Reason.REMOVED), (7, ours), (7.5, Reason.REMOVED))
    assert failed and (failed.reason, failed.confirmations, failed.setbacks) == (Reason.REMOVED, 1, 1)
    assert failed.next_attempt == day(7) + HOUR
    assert answered and (answered.confirmations, answered.setbacks) == (2, 0)


@pytest.mark.parametrize("ours", [Reason.TRANSPORT, Reason.BOT_CHECK, Reason.NO_NETWORK, Reason.TOOL_STALE], ids=str)
def test_our_side_does_not_bring_a_date_forward(ours: Reason) -> None:
    known, failed, answered = history((0, Reason.REMOVED), (3, ours), (3.5, Reason.REMOVED))
    assert known and failed and answered
    assert failed.next_attempt == known.next_attempt == answered.next_attempt
    assert answered.confirmations == 1


@pytest.mark.parametrize("ours", [Reason.NO_NETWORK, Reason.TOOL_STALE, Reason.NO_SOURCE, Reason.NOT_DUE], ids=str)
def test_nothing_to_remember(ours: Reason) -> None:
    assert history((0, ours)) == [None]


def test_never_stays_never_whatever_fails_on_our_side() -> None:
    *_, state = history((0, Reason.GEO), (1, Reason.TRANSPORT), (2, Reason.GEO))
    assert state and state.next_attempt is None and state.permanent


def test_weekly_runs_meet_what_they_planned() -> None:
    # The run begins Sunday 06:00, but this video's turn comes only on Monday at 05:00.
    state = observe(None, Reason.REMOVED, day(1) - HOUR, asked=day(0))
    assert state and state.next_attempt == day(7).replace(hour=0)
    # A run that began two weeks ago and goes on still does not plan into the past.
    late = observe(None, Reason.UNAVAILABLE, day(14), asked=day(0))
    assert late and late.next_attempt == day(14)


def test_older_answers_change_nothing_where_they_are_known_or_of_another_kind() -> None:
    state = observe(None, Reason.REMOVED, day(7))
    assert observe(state, Reason.PRIVATE, day(3)) is state
    assert observe(state, Reason.TRANSPORT, day(3)) is state
    assert observe(state, Reason.REMOVED, day(7)) is state
    told = observe(state, Reason.REMOVED, day(0))
    assert observe(told, Reason.REMOVED, day(0)) is told, "an answer counts once"


@pytest.mark.parametrize(
    ("reason", "days"),
    [
        (Reason.REMOVED, (8,)), (Reason.REMOVED, (8, 16)), (Reason.UNAVAILABLE, (8,)), (Reason.UNAVAILABLE, (8, 16, 30)),
        (Reason.UNAVAILABLE, (2, 6, 15, 50)), (Reason.PRIVATE, (91,)), (Reason.PRIVATE, (91, 190)),
        (Reason.NOT_FOUND, (8, 16)), (Reason.TOO_SHORT, (31, 220)), (Reason.AGE, (181,)), (Reason.GEO, (8,)),
    ],
)  # fmt: skip
def test_an_answer_that_is_recorded_after_later_ones_counts(reason: Reason, days: tuple[int, ...]) -> None:
    in_order = late = None
    for at in (0, *days):
        in_order = observe(in_order, reason, day(at))
    for at in (*days, 0):
        late = observe(late, reason, day(at))
    assert late is not None and in_order is not None
    assert (late.next_attempt, late.confirmations) == (in_order.next_attempt, in_order.confirmations)
    assert (late.permanent, late.first_seen, late.attempts) == (in_order.permanent, day(0), len(days) + 1)


def test_an_older_answer_is_what_is_known_where_only_our_side_failed_since() -> None:
    state = observe(observe(None, Reason.TRANSPORT, day(8)), Reason.REMOVED, day(0))
    in_order = observe(observe(None, Reason.REMOVED, day(0)), Reason.TRANSPORT, day(8))
    assert state == in_order


def test_an_older_answer_never_brings_a_date_forward() -> None:
    later = observe(None, Reason.UNAVAILABLE, day(0) + 2 * HOUR)
    told = observe(later, Reason.UNAVAILABLE, day(0))
    assert told and later and told.confirmations == 1 and told.next_attempt == later.next_attempt


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ("Premieres in 3 hours", 3 * HOUR),
        ("This live event will begin in 2 days.", timedelta(days=2)),
        ("This live event will begin in a few moments.", HOUR),
        ("Premieres in an hour", HOUR),
        ("Premiere will begin shortly", HOUR),
        ("This live event will begin in 5 minutes.", HOUR),
        ("release_timestamp: 1767603600", timedelta(hours=27, minutes=0)),
        ("starts 2026-01-06T06:00:00+00:00", timedelta(days=2)),
        ("starts 2026-01-06 07:00:00", timedelta(days=2, hours=1)),
        ("Premieres in 2 weeks", timedelta(days=14)),
        ("Premieres", None),
        ("starts 2024-01-06", None),
        ("starts 9999-99-99", None),
        ("Premieres in 99999 years", None),
        ("release_timestamp: 99999999999", None),
        ("in " * 100_000, None),
        ("\x00💥" * 1000, None),
    ],
)
def test_release_time(evidence: str, expected: timedelta | None) -> None:
    found = release_time(evidence, DAY0)
    assert found == (None if expected is None else DAY0 + expected)
    decision = decide(Reason.NOT_YET, None, DAY0, evidence=evidence)
    assert decision.next_attempt == (found or DAY0.replace(hour=0) + timedelta(days=1))


ANSWERS = st.lists(st.tuples(st.sampled_from(list(Reason)), st.floats(0.01, 400)), max_size=25)


@given(ANSWERS)
def test_whatever_is_heard_the_state_makes_sense(answers: list[tuple[Reason, float]]) -> None:
    state: VideoState | None = None
    now: datetime = DAY0
    for reason, gap in answers:
        now += timedelta(days=gap)
        before, state = state, observe(state, reason, now)
        if state is None:
            assert reason is Reason.OK or before is None
            continue
        assert state.first_seen <= state.last_attempt <= now
        if state.next_attempt is None:
            assert state.permanent
        if state.permanent:
            assert is_telling(state.reason) and RULES[state.reason].settles
        if before is not None and not is_telling(reason):
            assert (state.confirmations, state.permanent) == (before.confirmations, before.permanent)
        if RULES[reason].settles and RULES[reason].span and state.permanent:
            assert state.first_confirmed is not None and state.last_attempt - state.first_confirmed >= timedelta(
                days=13
            )
