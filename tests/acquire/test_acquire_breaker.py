"""The breaker: cool-downs, the one probe, several processes, kills and damaged files."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest
from clipquarry.acquire.breaker import COOL_DOWN, HOUR, Breaker, BreakerOpen
from clipquarry.acquire.statefile import StateFile
from clipquarry.reasons import Reason
from fake_youtube import run_python
from set_clock import NOW, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(tmp_path: Path, clock: Clock) -> Breaker:
    return Breaker(tmp_path / "egress", clock=clock)


def check(breaker: Breaker) -> BreakerOpen | None:
    """None: go on and ask."""
    leave = breaker.enter(Event())
    return leave if isinstance(leave, BreakerOpen) else None


def hours(breaker: Breaker, clock: Clock) -> float:
    stop = breaker.peek()
    assert stop is not None
    return (stop.resume_at.timestamp() - clock.now) / HOUR


def test_closed_at_first(breaker: Breaker, tmp_path: Path) -> None:
    assert breaker.peek() is None and not (tmp_path / "egress").exists()
    assert check(breaker) is None and check(breaker) is None
    breaker.success()
    breaker.left()
    assert breaker.peek() is None and breaker.history() == []


def test_opens_for_the_time_of_its_reason(breaker: Breaker, clock: Clock) -> None:
    breaker.open(Reason.RATE_LIMIT, "too fast\nreally")
    stop = check(breaker)
    assert stop is not None and stop.resume_at == datetime.fromtimestamp(NOW + HOUR, UTC)
    assert (stop.reason, stop.evidence) == (Reason.RATE_LIMIT, "too fast really")
    assert "rate_limit" in stop.sentence() and "UTC" in stop.sentence()
    clock.now += HOUR - 1
    assert check(breaker) is not None
    clock.now += 2
    assert check(breaker) is None


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in COOL_DOWN])
def test_only_what_can_be_ours_opens_it(breaker: Breaker, reason: Reason) -> None:
    assert breaker.open(reason, "x") is None and check(breaker) is None


def test_the_other_side_may_ask_for_more_but_not_for_ever(breaker: Breaker, clock: Clock) -> None:
    breaker.open(Reason.RATE_LIMIT, retry_after=3 * HOUR)
    assert hours(breaker, clock) == 3
    clock.now += 3 * HOUR
    assert check(breaker) is None
    breaker.open(Reason.RATE_LIMIT, retry_after=1e9)
    assert hours(breaker, clock) == 24


def test_one_probe_after_the_cool_down_and_success_closes(breaker: Breaker, clock: Clock) -> None:
    breaker.open(Reason.BOT_CHECK)
    clock.now += 6 * HOUR
    assert breaker.peek() is None, "a probe may be made; looking takes none"
    assert check(breaker) is None
    waiting = check(breaker)
    assert waiting is not None and 0 < waiting.resume_at.timestamp() - clock.now <= 60
    breaker.success()
    assert check(breaker) is None and check(breaker) is None


def test_reopening_right_after_doubles_up_to_a_day(breaker: Breaker, clock: Clock) -> None:
    waits = []
    for _ in range(4):
        breaker.open(Reason.BOT_CHECK)
        waits.append(hours(breaker, clock))
        clock.now += waits[-1] * HOUR
        assert check(breaker) is None
    assert waits == [6, 12, 24, 24]
    breaker.success()
    clock.now += HOUR  # soon after closing: still the same trouble
    breaker.open(Reason.RATE_LIMIT)
    assert hours(breaker, clock) == 16
    clock.now += 16 * HOUR
    assert check(breaker) is None
    breaker.success()
    clock.now += 3 * HOUR  # a new one
    breaker.open(Reason.RATE_LIMIT)
    assert hours(breaker, clock) == 1


def test_tasks_that_were_under_way_do_not_prolong_it(breaker: Breaker, clock: Clock) -> None:
    breaker.open(Reason.RATE_LIMIT)
    clock.now += 100
    for _ in range(5):
        breaker.open(Reason.RATE_LIMIT)
    breaker.success()  # an answer to an older question
    breaker.left()
    assert hours(breaker, clock) == pytest.approx(1 - 100 / HOUR) and len(breaker.history()) == 1


def test_a_probe_that_learnt_nothing_lets_another_try(breaker: Breaker, clock: Clock) -> None:
    breaker.open(Reason.RATE_LIMIT)
    clock.now += HOUR
    assert check(breaker) is None and check(breaker) is not None
    breaker.left()
    assert check(breaker) is None and check(breaker) is not None
    clock.now += 901  # the probe was killed: its lease is over
    assert check(breaker) is None and check(breaker) is not None


def test_clock_set_back(breaker: Breaker, clock: Clock) -> None:
    breaker.open(Reason.BOT_CHECK)
    clock.now -= 30 * 24 * HOUR
    assert check(breaker) is None, "nobody opened it in the future: try once"
    assert check(breaker) is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[1]", '"open"', '{"state": "open"}', "\x00\xff\x00", '{"state": "open", "reason": "private"}',
        '{"state": "open", "reason": "bot_check", "opened_at": "x", "wait": 5}',
        '{"state": "open", "reason": "bot_check", "opened_at": 1800000000, "wait": 1e300}',
        '{"state": "open", "reason": "bot_check", "opened_at": NaN, "wait": 60}',
        '{"state": "open", "reason": {}, "opened_at": 1800000000, "wait": 60}',
    ],
)  # fmt: skip
def test_a_damaged_file_counts_as_closed_and_is_written_anew(breaker: Breaker, tmp_path: Path, text: str) -> None:
    path = tmp_path / "egress" / "breaker.json"
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    assert check(breaker) is None and breaker.peek() is None
    assert breaker.open(Reason.BOT_CHECK, "x") is not None
    assert json.loads(path.read_text())["state"] == "open" and check(breaker) is not None


@pytest.mark.parametrize("probe", ["1", "[1]", '{"who": 5, "at": "x"}', '{"at": 1e200}'])
def test_a_damaged_probe_is_no_probe(breaker: Breaker, clock: Clock, tmp_path: Path, probe: str) -> None:
    breaker.open(Reason.RATE_LIMIT)
    path = tmp_path / "egress" / "breaker.json"
    path.write_text(path.read_text().rstrip()[:-1] + f', "probe": {probe}}}')
    clock.now += HOUR
    breaker.left()
    assert check(breaker) is None and check(breaker) is not None


def test_history_is_kept_small_and_survives_torn_lines(
    breaker: Breaker, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipquarry.acquire.breaker.MAX_HISTORY", 10)
    for _ in range(15):
        breaker.open(Reason.RATE_LIMIT, "x" * 900)
        clock.now += 24 * HOUR
        assert check(breaker) is None
        breaker.success()
    path = tmp_path / "egress" / "breaker.history.jsonl"
    assert path.stat().st_size < 11_000
    with open(path, "a") as handle:
        handle.write('{"at": "torn')
    events = breaker.history()
    assert len(events) == 10 and events[-1]["event"] == "closed"
    assert {"at", "event", "reason", "evidence", "wait"} <= set(events[0])


PROBE = """
import sys
from pathlib import Path
from threading import Event
from clipquarry.acquire.breaker import Breaker, BreakerOpen
breaker = Breaker(Path(sys.argv[1]), clock=lambda: float(sys.argv[2]))
print(sum(not isinstance(breaker.enter(Event()), BreakerOpen) for _ in range(50)))
"""


def test_exactly_one_of_four_processes_is_the_probe(breaker: Breaker, clock: Clock, tmp_path: Path) -> None:
    breaker.open(Reason.RATE_LIMIT)
    # The lease is counted by the children's frozen clock, so that all of them look at the same instant.
    children = [run_python(PROBE, str(tmp_path / "egress"), str(NOW + HOUR)) for _ in range(4)]
    results = [int(child.communicate()[0]) for child in children]
    assert sorted(results) == [0, 0, 0, 1]


WRITE = """
import sys
from pathlib import Path
from clipquarry.acquire.statefile import StateFile
file = StateFile(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    with file.locked() as state:
        state["n"] = state.get("n", 0) + 1
        state["twice"] = state["n"] * 2
        state["padding"] = "x" * 50_000
"""


def test_kill_in_the_middle_of_writing_leaves_a_whole_document(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state.json")
    last = 0
    for round_ in range(6):
        child = run_python(WRITE, str(file.path))
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.013 * round_)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        state = json.loads(file.path.read_text())
        assert state["twice"] == 2 * state["n"] and state["n"] > last and len(state["padding"]) == 50_000
        last = state["n"]
        begun = time.monotonic()
        with file.locked() as again:  # the lock went with the process
            assert again["n"] == last
        assert time.monotonic() - begun < 10
    assert len(list(tmp_path.iterdir())) <= 3


def test_several_processes_lose_no_write(tmp_path: Path) -> None:
    code = WRITE.replace("while True:", "for _ in range(40):").replace("50_000", "10")
    children = [run_python(code, str(tmp_path / "s.json")) for _ in range(4)]
    assert all(child.communicate()[0] == "ready\n" and child.returncode == 0 for child in children)
    assert StateFile(tmp_path / "s.json").read()["n"] == 160


def test_a_block_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "s.json")
    with file.locked() as state:
        state["a"] = 1
    with pytest.raises(RuntimeError), file.locked() as state:
        state["a"] = 2
        raise RuntimeError
    assert file.read() == {"a": 1}
