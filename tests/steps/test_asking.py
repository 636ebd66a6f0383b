"""What the steps that ask sources do alike."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.sources import Asked
from clipquarry.errors import RetryLater
from clipquarry.reasons import Reason, Status
from clipquarry.steps.answers import Questions
from clipquarry.steps.asking import Pause, ask, folder_problem, wait_until, with_attempts_of
from clipquarry.steps.base import Outcome, now

WANT = ClipRequest("0wR5jVB-WPk", 0, 0)


class Refusing:
    """A source that refuses every request, or fails in a way that nobody foresaw."""

    id = "mirror"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        raise self.error


def test_a_refusal_is_recorded_of_all_items_and_its_cost_once(tmp_path: Path) -> None:
    noted: list[dict[str, Any]] = []
    items = [Questions(note=noted.append), Questions(note=noted.append)]
    stops: list[FetchFailed] = []
    asked = Asked(Refusing(FetchFailed(Reason.HTTP_429, "HTTP 429", retry_after=60)), "video", authoritative=True)
    assert ask(asked, WANT, tmp_path, Event(), stops.append, items) is None
    assert [(one.answers[0].source, one.answers[0].reason, one.answers[0].authoritative) for one in items] == [
        ("mirror", Reason.HTTP_429, True)
    ] * 2
    assert [attempt["evidence"] for attempt in noted] == ["HTTP 429"] * 2
    assert noted[1]["seconds"] == 0.0
    assert [stop.retry_after for stop in stops] == [60]


def test_a_defect_of_a_source_is_an_answer_and_a_stop_is_none(tmp_path: Path) -> None:
    item, stopped = Questions(), Event()
    asked = Asked(Refusing(ZeroDivisionError("x")), "clip")
    assert ask(asked, WANT, tmp_path, stopped, lambda _: None, [item]) is None
    assert item.answers[0].reason is Reason.TOOL_FAILED
    stopped.set()
    with pytest.raises(RetryLater, match="told to stop: run it again to go on; finished work is kept"):
        ask(asked, WANT, tmp_path, stopped, lambda _: None, [item])
    assert len(item.attempts) == 1


def test_the_latest_pause_counts() -> None:
    pause = Pause()
    assert pause.resume_at is None
    begun = now()
    for seconds in (None, 600.0, 60.0):
        pause.begin(seconds)
    assert pause.resume_at is not None
    assert timedelta(seconds=600) <= pause.resume_at - begun < timedelta(seconds=660)
    told = wait_until("3 files", "a server", pause.resume_at, Reason.HTTP_429)
    assert (told.resume_at, told.reason) == (pause.resume_at, Reason.HTTP_429)
    assert str(told).startswith("3 files wait for a server; everything else is done. Resume at ")


def test_attempts_of_the_interrupted_run_come_first_and_once() -> None:
    first, second = {"source": "a", "at": "1"}, {"source": "b", "at": "2"}
    outcome = Outcome(Status.DONE, columns={"attempts": [first, second], "path": "x"})
    merged = with_attempts_of({"attempts": [first, first]}, outcome)
    assert merged.columns == {"attempts": [first, second], "path": "x"}
    assert with_attempts_of({"attempts": None}, outcome) == outcome


@pytest.mark.parametrize("name", [".", "..", "a/b", "a\\b", "a\x00", ".clipquarry"])
def test_a_name_that_would_leave_the_layout_is_no_folder(name: str) -> None:
    assert folder_problem({"class_dir": name, "split": "val"}) == (
        Reason.BAD_LABEL, f"class_dir {name!r} cannot name a folder",
    )  # fmt: skip
    assert folder_problem({"class_dir": None, "split": name}) is not None
    assert folder_problem({"class_dir": None, "split": ""}) is not None
    assert folder_problem({"class_dir": "", "split": "val"}) is None
