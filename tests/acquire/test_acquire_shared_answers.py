"""What one data set's run heard of a video is taken over by another's, as long as the ledger would let it wait."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clipquarry.acquire.shared_answers import SharedAnswers
from clipquarry.reasons import Reason

DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2
WAITS = {"private": 90 * DAY, "unavailable": DAY, "not_yet": 3600.0}
VIDEO = "0wR5jVB-WPk"


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def of(folder: Path, run: str, clock: Clock, since: float = NOON) -> SharedAnswers:
    return SharedAnswers(folder, run=run, since=since, waits=WAITS, clock=clock)


def test_another_run_takes_an_answer_with_its_time(tmp_path: Path, clock: Clock) -> None:
    of(tmp_path, "a/1", clock).put(VIDEO, Reason.PRIVATE, "Private video")
    clock.now += 60
    heard = of(tmp_path, "b/1", clock).get(VIDEO)
    assert heard is not None and (heard.reason, heard.evidence, heard.at) == (Reason.PRIVATE, "Private video", NOON)
    assert heard.when == "2024-10-04T12:00:00.000+00:00"
    assert of(tmp_path, "b/1", clock).get("x" * 11) is None


def test_a_run_asks_again_for_what_it_heard_itself(tmp_path: Path, clock: Clock) -> None:
    of(tmp_path, "a/1", clock).put(VIDEO, Reason.PRIVATE, "")
    assert of(tmp_path, "a/1", clock).get(VIDEO) is None
    assert of(tmp_path, "a/2", clock).get(VIDEO) is not None


def test_what_the_plan_could_read_in_the_ledger_is_not_taken(tmp_path: Path, clock: Clock) -> None:
    of(tmp_path, "a/1", clock).put(VIDEO, Reason.PRIVATE, "")
    clock.now += 60
    assert of(tmp_path, "b/1", clock, since=NOON + 1).get(VIDEO) is None
    late = SharedAnswers(tmp_path, run="b/1", since=NOON + 1, waits=WAITS, unrecorded=["a/1"], clock=clock)
    assert late.get(VIDEO) is not None, "the run that heard it is not over, so that the ledger lacks it"


def test_an_answer_of_a_run_that_was_killed_holds_as_a_first_one(tmp_path: Path, clock: Clock) -> None:
    """The ledger never hears of it, so it must not hold up the questions that the ledger calls due."""
    waits = WAITS | {"unavailable": 30 * DAY}
    SharedAnswers(tmp_path, run="a/1", since=NOON, waits=waits, clock=clock).put(VIDEO, Reason.UNAVAILABLE, "")

    def later(since: float) -> SharedAnswers:
        more = {"waits": waits, "unrecorded": ["a/1"], "first_waits": {"unavailable": DAY}}
        return SharedAnswers(tmp_path, run="b/1", since=since, clock=clock, **more)  # type: ignore[arg-type]

    clock.now = NOON + DAY / 2 - 1
    assert later(NOON + 1).get(VIDEO) is not None
    clock.now += 2
    assert later(NOON + 1).get(VIDEO) is None, "due since midnight"
    assert later(NOON).get(VIDEO) is not None, "news for a plan that is no younger: the ledger was asked before"
    plain = SharedAnswers(tmp_path, run="b/1", since=NOON + 1, waits=waits, unrecorded=["a/1"], clock=clock)
    assert plain.get(VIDEO) is not None, "a plan of an earlier version"


def test_an_answer_holds_from_midnight_as_in_the_ledger(tmp_path: Path, clock: Clock) -> None:
    of(tmp_path, "a/1", clock).put(VIDEO, Reason.UNAVAILABLE, "")
    clock.now = NOON + DAY / 2 - 1
    assert of(tmp_path, "b/1", clock).get(VIDEO) is not None
    clock.now += 2
    assert of(tmp_path, "b/1", clock).get(VIDEO) is None
    of(tmp_path, "a/1", clock).put(VIDEO, Reason.NOT_YET, "")
    clock.now += 3599
    assert of(tmp_path, "b/1", clock).get(VIDEO) is not None, "an hour is counted from the answer"


def test_the_last_answer_counts(tmp_path: Path, clock: Clock) -> None:
    of(tmp_path, "a/1", clock).put(VIDEO, Reason.UNAVAILABLE, "first")
    clock.now += 1
    of(tmp_path, "c/1", clock).put(VIDEO, Reason.PRIVATE, "second")
    heard = of(tmp_path, "b/1", clock).get(VIDEO)
    assert heard is not None and heard.evidence == "second"


@pytest.mark.parametrize("reason", [Reason.HTTP_429, Reason.WAITING, Reason.TOO_SHORT, Reason.BOT_CHECK])
def test_what_says_nothing_about_the_video_is_not_noted(tmp_path: Path, clock: Clock, reason: Reason) -> None:
    of(tmp_path, "a/1", clock).put(VIDEO, reason, "")
    assert of(tmp_path, "b/1", clock).get(VIDEO) is None


def test_a_torn_or_edited_line_hides_no_other(tmp_path: Path, clock: Clock) -> None:
    answers = of(tmp_path, "a/1", clock)
    answers.put(VIDEO, Reason.PRIVATE, "")
    (path,) = (tmp_path / "answers").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'[1]\n{"video": "' + VIDEO.encode() + b'", "reason": "odd", "at": 1e99}\n{"video": "0wR')
    answers.put(VIDEO, Reason.UNAVAILABLE, "after the torn one")
    heard = of(tmp_path, "b/1", clock).get(VIDEO)
    assert heard is not None and heard.at == NOON
    assert b"after the torn one" in path.read_bytes().splitlines()[-1]


def test_expired_notes_go_as_the_file_grows(tmp_path: Path, clock: Clock) -> None:
    answers = of(tmp_path, "a/1", clock)
    for _ in range(700):
        answers.put(VIDEO, Reason.UNAVAILABLE, "x" * 400)
    (path,) = (tmp_path / "answers").glob("*.jsonl")
    large = path.stat().st_size
    clock.now += 2 * DAY
    answers.put(VIDEO, Reason.PRIVATE, "")
    assert large > 256 << 10 and path.stat().st_size < 1000
    (told,) = (json.loads(line) for line in path.read_bytes().splitlines() if line)
    assert told["reason"] == "private"
