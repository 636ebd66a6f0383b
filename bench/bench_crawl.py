"""A crawl of four data sets that share videos, against an oracle that knows all answers, on a simulated clock.

::

    python bench/bench_crawl.py [--videos 12000] [--years 1] [--days 365] [--per-hour 12] [--seed 1] [--no-sharing] [--quick]

YouTube is made up: videos die at a rate (4 % a year), for the reasons that videos die for, some come back, YouTube stops
the crawl now and then (bot checks), and has outages. Everything else is the product's: the ledger with its policy and its
order of questions, the hourly budget and the breaker of the egress, the answers that runs share, the windows that are cut
for other data sets. The four data sets start at once, each has one run at a time, a full one and then one a week.

``--years``: age of the videos when the crawl begins. The **oracle** knows what can be had: it asks once for each video that
the crawl got, and for nothing else. The **blind** one knows nothing and asks once for each video, dead or alive: no crawl
that must ask to know can do better on the first round. The one **bound by the policy** knows nothing either, is never
stopped and has no outages: it asks for each video once, when the crawl did, and for what is gone again, each week in which
the policy's wait is over. What the crawl asks above the oracle and within this one is what the policy asks for, and what it
asks above this one is waste.

Every question is checked against the policy, apart from the ledger. **Against the policy** is one for a video that came, or one
before the shortest wait after its last answer. **Early** is one before the wait that all answers set, counted in the order of
time: the ledger hears them in the order in which runs are recorded.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from clipquarry.acquire.breaker import Breaker, BreakerOpen
from clipquarry.acquire.budget import Budget
from clipquarry.acquire.shared_answers import SharedAnswers
from clipquarry.ledger import Ledger, VideoState, observe
from clipquarry.ledger.crawl import AGAIN, LAST, NEW
from clipquarry.pipeline.crawl import waits_of
from clipquarry.reasons import Reason

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from families.made_run import CATALOG, step_schema, write_manifest
from simulated_youtube import BEGIN, DAY, Clock, World, catalogs

SECONDS = 20.0
"""That a download takes."""


class Referee:
    """Every question, and what the policy says of it, apart from the ledger."""

    def __init__(self) -> None:
        self.states: dict[int, VideoState | None] = {}
        self.got: set[int] = set()
        self.questions: Counter[str] = Counter()
        self.shortest: dict[int, datetime | None] = {}
        self.violations: list[str] = []
        self.early: list[str] = []
        self.asked: dict[int, datetime] = {}
        """Videos, and when each was first asked for."""

    def asks(self, video: int, at: datetime) -> None:
        state, least = self.states.get(video), self.shortest.get(video, at)
        if least is None or at < least:
            self.violations.append(f"{video} was asked for at {at}, before {least}")
        if video in self.got:
            self.violations.append(f"{video} was asked for again at {at}, and had come")
        if state is not None and (state.next_attempt is None or at < state.next_attempt):
            self.early.append(f"{video} was asked for at {at}, before {state.next_attempt} ({state.reason})")
        self.asked.setdefault(video, at)

    def hears(self, video: int, reason: Reason, at: datetime, begun: datetime) -> None:
        self.questions[reason] += 1
        if reason is Reason.OK:
            self.got.add(video)
            self.states[video] = None
            self.shortest.pop(video, None)
        elif waits_of(reason):
            state = observe(self.states.get(video), reason, at, source="youtube", asked=min(begun, at))
            self.states[video] = state
            alone = observe(None, reason, at, source="youtube", asked=min(begun, at))
            self.shortest[video] = alone.next_attempt if alone else at


class Crawl:
    """The data sets' runs, in turns, under one egress."""

    def __init__(self, folder: Path, world: World, items: dict[str, list[dict[str, Any]]], options: Any) -> None:
        self.folder, self.world, self.items, self.options = folder, world, items, options
        self.clock, self.referee, self.never = Clock(), Referee(), Event()
        self.ledger = Ledger.open(options.url or f"sqlite:///{folder}/ledger.sqlite")
        self.budget = Budget(folder / "egress", pause=2.0, per_hour=options.per_hour, clock=self.clock)
        self.breaker = Breaker(folder / "egress", clock=self.clock)
        self.store: set[str] = set()
        self.wants: dict[str, dict[int, set[str]]] = {}
        """Windows of each video that a data set lacks, by data set: its state, and its open run."""
        self.open: set[str] = set()
        self.end = BEGIN.timestamp() + options.days * DAY
        self.first_round: tuple[int, int, float] | None = None
        for name, rows in items.items():
            write_manifest(folder / f"{name}.parquet", CATALOG, rows)
            self.ledger.begin_run(name, "catalog", started=BEGIN, namespace="youtube", sources=["youtube"])
            self.ledger.sync_catalog(name, folder / f"{name}.parquet")
            lacks: dict[int, set[str]] = {}
            for row in rows:
                lacks.setdefault(int(row["video_id"][3:]), set()).add(row["clip_id"])
            self.wants[name] = lacks

    def go(self) -> None:
        turns: dict[str, Iterator[None]] = {name: self.runs(name) for name in self.items}
        everything = {video for lacks in self.wants.values() for video in lacks}
        while turns and self.clock.now < self.end:
            for name in list(turns):
                try:
                    next(turns[name])
                except StopIteration:
                    del turns[name]
            if self.first_round is None and self.referee.asked.keys() >= everything:
                self.first_round = (*self.figures, (self.clock.now - BEGIN.timestamp()) / DAY)

    @property
    def figures(self) -> tuple[int, int]:
        return self.referee.questions.total(), len(self.store)

    def runs(self, name: str) -> Iterator[None]:
        """A full run, then one a week. Yields after each question, so that the next data set has its turn."""
        for number in itertools.count():
            begun = self.clock.moment
            yield from self.run(name, f"run-{number:03d}", begun)
            until = begun.timestamp() + 7 * DAY
            while self.clock.now < until:
                if not self.open:  # nobody has anything to ask
                    self.clock.now = min(until, self.clock.now + 3600)
                yield

    def run(self, name: str, run: str, begun: datetime) -> Iterator[None]:
        self.ledger.begin_run(name, run, started=begun)
        # A refresh leaves second looks for later while a full run of another data set is at work (``gives_way``).
        most = NEW if self.options.sharing and any(one.endswith("run-000") for one in self.open) else LAST
        due = self.ledger.questions(begun, name, sources=["youtube"])
        order = [int(one.video_id[-8:]) for one in due if one.rank <= max(most, AGAIN)]
        plan = {row["clip_id"]: row for row in self.items[name]}
        waits = {str(r): found[-1].total_seconds() for r in Reason if (found := waits_of(r))}
        answers = SharedAnswers(
            self.folder / "egress", run=f"{name}/{run}", since=begun.timestamp(), waits=waits, clock=self.clock,
            unrecorded=sorted(self.open),
        )  # fmt: skip
        self.open.add(f"{name}/{run}")
        rows: list[dict[str, Any]] = []
        lacks = self.wants[name]
        for video in order:
            windows = sorted(lacks.get(video, ()))
            new = [clip for clip in windows if clip not in self.store]
            for clip in windows:
                if clip not in new:
                    rows.append(told(plan[clip], "kept", Reason.OK, []))
                    lacks[video].discard(clip)
            if not new:
                continue
            if self.options.sharing and (heard := answers.get(f"vid{video:08d}")) is not None:
                tried = attempt(heard.when, heard.reason, heard.evidence, 0.0)
                rows += [told(plan[clip], "missing", heard.reason, [tried]) for clip in new]
                continue
            asked = self.ask(video, begun, answers)
            if asked is None:
                break
            reason, at, seconds = asked
            for nth, clip in enumerate(new):
                tried = attempt(at.isoformat(), reason, reason, seconds if nth == 0 else 0.0)
                rows.append(told(plan[clip], "done" if reason is Reason.OK else "missing", reason, [tried]))
            if reason is Reason.OK:
                lacks[video] -= set(new)
                self.store.update(new)
                if self.options.sharing:
                    self.store.update(clip for wants in self.wants.values() for clip in wants.get(video, ()))
            yield
        path = self.folder / "results.parquet"
        write_manifest(path, step_schema("fetch"), rows)
        self.ledger.record(name, run, "default", [path], self.clock.moment)
        self.ledger.end_run(name, run, ended=self.clock.moment)
        self.open.discard(f"{name}/{run}")

    def ask(self, video: int, begun: datetime, answers: SharedAnswers) -> tuple[Reason, datetime, float] | None:
        """One question under breaker and budget, as :class:`clipquarry.acquire.youtube.YouTubeSource` makes it; a question that
        YouTube did not answer is asked again when the crawl goes on. Returns what it said, when, and the seconds; None when
        the simulated time is over.
        """
        while self.clock.now < self.end:
            leave = self.breaker.enter(self.never)
            if isinstance(leave, BreakerOpen):
                self.clock.now = max(self.clock.now + 1, leave.resume_at.timestamp())
                continue
            while wait := self.budget.take():
                self.clock.now += wait
            at = self.clock.moment
            self.referee.asks(video, at)
            reason = self.world.answer(video, self.clock.now)
            seconds = SECONDS if reason is Reason.OK else 2.0
            self.clock.now += seconds / 4  # several downloads at a time
            self.referee.hears(video, reason, at, begun)
            self.breaker.answered(f"vid{video:08d}", None if reason is Reason.OK else reason, str(reason))
            if not waits_of(reason) and reason is not Reason.OK:
                self.clock.now += 60
                continue
            if reason is not Reason.OK:
                answers.put(f"vid{video:08d}", reason, str(reason))
            return reason, at, seconds
        return None


def attempt(at: str, reason: Reason, evidence: str, seconds: float) -> dict[str, Any]:
    return {
        "source": "youtube", "at": at, "reason": str(reason), "evidence": str(evidence), "seconds": seconds,
        "bytes": 9 if reason is Reason.OK and seconds else 0,
    }  # fmt: skip


def told(row: dict[str, Any], status: str, reason: Reason, attempts: list[dict[str, Any]]) -> dict[str, Any]:
    said = {"status": status, "reason": str(reason), "evidence": str(reason), "key": "0" * 64}
    return {**row, **said, "attempts": attempts}


def crawl(options: Any) -> dict[str, Any]:
    """Run one crawl; returns its figures."""
    world = World(options.videos, options.years, options.seed, options.days)
    items = catalogs(options.videos, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        made = Crawl(Path(folder), world, items, options)
        spent = time.perf_counter()
        made.go()
        spent = time.perf_counter() - spent
        made.ledger.close()
    wanted: dict[int, set[str]] = {}
    for rows in items.values():
        for row in rows:
            wanted.setdefault(int(row["video_id"][3:]), set()).add(row["clip_id"])
    referee = made.referee
    questions, clips = made.figures
    dead = sum(not world.is_alive(video, BEGIN.timestamp()) for video in wanted)
    first = made.first_round
    return {
        "videos": len(wanted), "shared": sum(1 for video in wanted if sum(video in w for w in _by_lab(items)) > 1),
        "dead": dead, "questions": questions, "clips": clips, "got": len(referee.got),
        "oracle": len(referee.got) / clips if clips else 0.0, "real": questions / clips if clips else 0.0,
        "blind": len(wanted) / sum(len(w) for v, w in wanted.items() if world.is_alive(v, BEGIN.timestamp())),
        "reasons": dict(referee.questions), "violations": referee.violations, "early": referee.early, "first": first,
        "bound": bound_by_policy(world, referee.asked, made.clock.moment), "days": (made.clock.now - BEGIN.timestamp()) / DAY, "seconds": spent,
    }  # fmt: skip


def bound_by_policy(world: World, asked: dict[int, datetime], end: datetime) -> int:
    """Questions of one that the policy binds, see above."""
    questions, week = 0, timedelta(days=7)
    for video, first in asked.items():
        state: VideoState | None = None
        now = first
        while now < end:
            questions += 1
            if world.is_alive(video, now.timestamp()):
                break
            state = observe(state, world.why[video], now, source="youtube", asked=now)
            if state is None or state.next_attempt is None:
                break
            now = first + max(math.ceil((state.next_attempt - first) / week), (now - first) // week + 1) * week
    return questions


def _by_lab(items: dict[str, list[dict[str, Any]]]) -> list[set[int]]:
    return [{int(row["video_id"][3:]) for row in rows} for rows in items.values()]


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=12_000)
    parser.add_argument("--years", type=float, default=1.0)
    parser.add_argument("--days", type=float, default=365.0)
    parser.add_argument("--per-hour", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="a PostgreSQL ledger, an empty database; default: SQLite")
    parser.add_argument(
        "--no-sharing", dest="sharing", action="store_false", help="each data set for itself, but for the ledger"
    )
    parser.add_argument("--quick", action="store_true", help="300 videos, 60 days")
    options = parser.parse_args(arguments)
    if options.quick:
        options.videos, options.days = 300, 60.0
    return options


def main() -> None:
    options = options_of()
    found = crawl(options)
    print(
        f"{found['videos']:,} videos, {found['shared']:,} of them in several data sets; {found['dead'] / found['videos']:.1%} dead "
        f"at the start; {options.per_hour} questions an hour; {found['days']:.0f} days in {found['seconds']:.0f} s"
    )
    print("| when | questions | clips | questions a clip | more than the oracle |\n|---|---|---|---|---|")
    if found["first"]:
        questions, clips, days = found["first"]
        ratio = questions / clips
        print(
            f"| every video asked for once, day {days:.0f} | {questions:,} | {clips:,} | {ratio:.4f} | {_more(ratio, found)} |"
        )
    bound = found["bound"] / found["clips"]
    print(
        f"| end | {found['questions']:,} | {found['clips']:,} | {found['real']:.4f} | {_more(found['real'], found)} |\n"
        f"| oracle | {found['got']:,} | {found['clips']:,} | {found['oracle']:.4f} | |\n"
        f"| blind | {found['videos']:,} | | {found['blind']:.4f} | {_more(found['blind'], found)} |\n"
        f"| bound by the policy | {found['bound']:,} | {found['clips']:,} | {bound:.4f} | {_more(bound, found)}; "
        f"the crawl's against it: {found['real'] / bound - 1:+.1%} |"
    )
    told_by = ", ".join(
        f"{count:,} {reason}" for reason, count in sorted(found["reasons"].items(), key=lambda one: -one[1])
    )
    print(f"answers: {told_by}")
    print(
        f"questions against the policy: {len(found['violations'])}; early: {len(found['early'])}",
        *found["violations"][:5],
        sep="\n",
    )


def _more(ratio: float, found: dict[str, Any]) -> str:
    return f"{ratio / found['oracle'] - 1:+.1%}"


if __name__ == "__main__":
    main()
