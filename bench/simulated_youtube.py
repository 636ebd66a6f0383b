"""YouTube made up for ``bench_crawl.py``: videos that die and come back, its stops and outages, what four data sets want of it, and a clock."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from clipquarry.reasons import Reason
from families.made_run import FINE, item_row

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 86_400.0
ATTRITION = 0.04
"""Share of the living videos that die in a year."""
COME_BACK = 0.05
"""Share of the dead ones that live again, after a year on average."""
WHY = {Reason.PRIVATE: 0.3, Reason.REMOVED: 0.3, Reason.TERMINATED: 0.15, Reason.UNAVAILABLE: 0.25}
LABS = {"small": (0.30, 1), "middle": (0.45, 1), "large": (0.90, 1), "dense": (0.20, 3)}
"""Share of all videos that a data set wants, and windows of each."""
SAME = 0.7
"""Share of the shared videos of which two data sets want the same window."""


@dataclass
class World:
    """YouTube. Times are in seconds since the epoch."""

    videos: int
    years: float
    seed: int
    days: float
    dies: list[float] = field(default_factory=list)
    lives_again: list[float] = field(default_factory=list)
    why: list[Reason] = field(default_factory=list)
    stops: list[tuple[float, float, Reason]] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice, begin = random.Random(self.seed), BEGIN.timestamp()
        year, rate = 365 * DAY, -math.log(1 - ATTRITION)
        for _ in range(self.videos):
            dead = begin - self.years * year + dice.expovariate(rate) * year
            self.dies.append(dead)
            back = dead + dice.expovariate(1) * year if dice.random() < COME_BACK else float("inf")
            self.lives_again.append(back)
            self.why.append(dice.choices(list(WHY), list(WHY.values()))[0])
        now = begin
        while (now := now + dice.expovariate(1 / (12 * DAY))) < begin + self.days * DAY:
            self.stops.append((now, now + dice.uniform(2, 14) * 3600, Reason.BOT_CHECK))
        now = begin
        while (now := now + dice.expovariate(1 / (30 * DAY))) < begin + self.days * DAY:
            self.stops.append((now, now + dice.uniform(0.2, 2) * 3600, Reason.HTTP_5XX))

    def is_alive(self, video: int, now: float) -> bool:
        return now < self.dies[video] or now >= self.lives_again[video]

    def answer(self, video: int, now: float) -> Reason:
        for begins, ends, reason in self.stops:
            if begins <= now < ends:
                return reason
        return Reason.OK if self.is_alive(video, now) else self.why[video]


def catalogs(videos: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """The items of each data set."""
    dice = random.Random(seed + 1)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in LABS}
    for video in range(videos):
        for number, (name, (share, windows)) in enumerate(LABS.items()):
            if dice.random() < share:
                first = 10 if dice.random() < SAME else 20 + 100 * number
                for nth in range(windows):
                    found[name].append(item(video, first + 12 * nth))
    return found


def item(video: int, start: int) -> dict[str, Any]:
    name = f"vid{video:08d}"
    place = {"clip": f"{name}_{start:06d}_{start + 10:06d}", "folder": "a", "label": "a", "index": 0}
    return {**item_row("train", name, start, start + 10, line=2, **place), **FINE}


class Clock:
    def __init__(self) -> None:
        self.now = BEGIN.timestamp()

    def __call__(self) -> float:
        return self.now

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)
