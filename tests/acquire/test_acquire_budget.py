"""The budget of an egress: pauses, the hour's number, several processes, a clock that jumps."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from threading import Event

import pytest
from clipquarry.acquire.budget import Budget
from fake_youtube import run_python
from set_clock import NOW, Clock


def test_pause_between_two_requests(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(tmp_path, pause=2, jitter=0, clock=clock)
    assert budget.take() == 0
    assert budget.take() == pytest.approx(2)
    clock.now += 1.5
    assert Budget(tmp_path, pause=2, clock=clock).take() == pytest.approx(0.5), "another process, the same egress"
    clock.now += 0.5
    assert budget.take() == 0 and budget.used() == 2


def test_jitter_lengthens_only(tmp_path: Path) -> None:
    clock = Clock()
    waits = set()
    for _ in range(20):
        budget = Budget(tmp_path, pause=2, jitter=0.5, per_hour=None, clock=clock)
        assert budget.take() == 0
        waits.add(budget.take())
        clock.now += 10
    assert len(waits) > 10 and all(2 <= wait <= 3 + 1e-6 for wait in waits)


def test_never_more_than_the_number_in_any_hour(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(tmp_path, pause=0, per_hour=30, clock=clock)
    taken: list[float] = []
    while clock.now < NOW + 4 * 3600:
        wait = budget.take()
        if wait == 0:
            taken.append(clock.now)
            clock.now += 7
        else:
            clock.now += wait
    assert all(later - earlier > 3600 for earlier, later in zip(taken, taken[30:], strict=False))
    assert len(taken) >= 4 * 30 - 5 and budget.used() <= 30


def test_the_hours_number_used_up_says_when(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(tmp_path, pause=0, per_hour=2, clock=clock)
    assert budget.wait(Event()) is None and budget.wait(Event()) is None
    spent = budget.wait(Event())
    assert spent is not None and 3540 <= spent.resume_at.timestamp() - clock.now <= 3660
    assert "budget" in spent.sentence()
    clock.now = spent.resume_at.timestamp()
    assert budget.wait(Event()) is None


def test_a_clock_that_is_set_back_blocks_nobody(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(tmp_path, pause=5, per_hour=3, clock=clock)
    for _ in range(3):
        assert budget.take() == 0
        clock.now += 10
    clock.now -= 10 * 24 * 3600
    assert budget.take() == 0
    assert 0 < budget.take() < 10


@pytest.mark.parametrize("skew", [0.5, 3.0, 30.0, 90.0])
def test_two_machines_whose_clocks_differ(tmp_path: Path, skew: float) -> None:
    ahead, behind = Clock(), Clock()
    ahead.now += skew
    budgets = [Budget(tmp_path, pause=2, jitter=0, per_hour=100, clock=clock) for clock in (ahead, behind)]
    granted = 0
    for _ in range(2400):  # ten minutes
        for budget, clock in zip(budgets, (ahead, behind), strict=True):
            granted += budget.take() == 0
            clock.now += 0.25
    assert granted <= 100
    granted = 0
    free = [Budget(tmp_path / "free", pause=2, jitter=0, per_hour=None, clock=clock) for clock in (ahead, behind)]
    for _ in range(240):  # one minute
        for budget, clock in zip(free, (ahead, behind), strict=True):
            granted += budget.take() == 0
            clock.now += 0.25
    assert granted <= 31


def test_waiting_ends_when_cancelled(tmp_path: Path) -> None:
    budget = Budget(tmp_path, pause=60, jitter=0)
    assert budget.take() == 0
    cancelled = Event()
    threading.Timer(0.2, cancelled.set).start()
    begun = time.monotonic()
    assert budget.wait(cancelled) is None and time.monotonic() - begun < 30, "the pause is 60 s"
    assert budget.used() == 1, "a cancelled wait takes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"last": "x", "minutes": 5}',
        '{"last": 1e14, "pause": 1e14}',
        '{"minutes": {"a": 1, "30000000": "y"}}',
    ],
)
def test_a_damaged_file_is_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "budget.json").write_text(text)
    budget = Budget(tmp_path, pause=1, clock=Clock())
    assert budget.take() == 0 and budget.take() > 0
    assert json.loads((tmp_path / "budget.json").read_text())["last"] == NOW


def test_a_pause_in_a_damaged_file_is_not_for_ever(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "budget.json").write_text(json.dumps({"last": NOW - 1, "pause": 1e9}))
    assert Budget(tmp_path, pause=1, jitter=0, clock=clock).take() <= 1


def test_zero_per_hour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="per_hour"):
        Budget(tmp_path, per_hour=0)


TAKE = """
import sys, time
from pathlib import Path
from threading import Event
from clipquarry.acquire.budget import Budget
budget = Budget(Path(sys.argv[1]), pause=0.05, jitter=0)
for _ in range(6):
    assert budget.wait(Event()) is None
    print(time.time(), flush=True)
"""


def test_four_processes_share_one_pause(tmp_path: Path) -> None:
    children = [run_python(TAKE, str(tmp_path)) for _ in range(4)]
    times = sorted(float(line) for child in children for line in child.communicate()[0].split())
    assert len(times) == 24 and Budget(tmp_path).used() == 24
    # The stamp is taken after the lock is given back: single gaps shake, the whole does not.
    assert times[-1] - times[0] >= 23 * 0.05 - 0.03
