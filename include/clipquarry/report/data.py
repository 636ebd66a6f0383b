"""The data of a report, as plain values: dataclasses of numbers, strings and times.

A piece without its source (a stage that never ran, a ledger that cannot be reached) is ``None`` or empty, and is
shown as "not run". A report can be written at any point of a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Level = Literal["good", "info", "warn", "bad"]


@dataclass(frozen=True)
class Counts:
    """Items by outcome. ``expected`` is their number; ``not_asked`` is included in ``missing``."""

    expected: int = 0
    present: int = 0
    missing: int = 0
    rejected: int = 0
    failed: int = 0
    not_asked: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.expected + other.expected,
            self.present + other.present,
            self.missing + other.missing,
            self.rejected + other.rejected,
            self.failed + other.failed,
            self.not_asked + other.not_asked,
        )

    @property
    def absent(self) -> int:
        """Items that are not there, for whatever reason."""
        return self.expected - self.present

    @property
    def coverage(self) -> float:
        """Share of present items, 0..1; 1 if nothing is expected."""
        return self.present / self.expected if self.expected else 1.0


@dataclass(frozen=True)
class ClassRow:
    """One class: its folder name (``""`` for items without a class) and its counts, over all splits and by split."""

    name: str
    counts: Counts
    splits: dict[str, Counts]


@dataclass(frozen=True)
class ReasonRow:
    """Items with one status and reason, with up to three examples (item id, evidence)."""

    status: str
    reason: str
    count: int
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Histogram:
    """``counts[i]`` values lie in ``[edges[i], edges[i + 1])``."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    median: float


@dataclass(frozen=True)
class HeightRow:
    """Clips for which one height was asked (None: no height). How many came with it (the short side), and the
    heights of the others.
    """

    asked: int | None
    clips: int
    reached: int | None
    got: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Media:
    """Media facts of the present clips, in bytes and seconds; values with their counts, most common first."""

    clips: int
    bytes: int
    seconds: float
    durations: Histogram | None
    sizes: Histogram | None
    frame_sizes: tuple[tuple[str, int], ...] = ()
    rates: tuple[tuple[str, int], ...] = ()
    with_audio: int = 0
    sources: tuple[tuple[str, int], ...] = ()
    heights: tuple[HeightRow, ...] = ()
    looked_at: int = 0
    """Number of clips with content measurements."""


@dataclass(frozen=True)
class Items:
    """Outcome of the items of a run. ``unusable`` are rejected csv rows, which are therefore not expected."""

    total: Counts
    unusable: int
    splits: dict[str, Counts]
    classes: tuple[ClassRow, ...]
    reasons: tuple[ReasonRow, ...]
    media: Media | None
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Sample:
    """A clip chosen for the gallery; ``path`` is relative to the data root."""

    item_id: str
    label: str
    split: str
    path: str
    bytes: int | None
    duration: float | None
    width: int | None
    height: int | None


@dataclass(frozen=True)
class Check:
    """One check of a gate. ``level`` is ``good`` if it held, else its effect: ``bad`` blocks, ``info`` is only
    reported.

    ``before`` is ``unexpected`` in the run before; ``worst`` are rows that broke it (item id, the rest as text).
    """

    name: str
    title: str
    level: Level
    skipped: str
    sentence: str
    observed: str
    unexpected: int | None
    before: int | None = None
    worst: tuple[tuple[str, str], ...] = ()
    advice: str = ""


@dataclass(frozen=True)
class Gate:
    """One gate's result. ``verdict`` is ``passed``, ``warned``, ``blocked`` or ``unreadable``; where a person was asked about it
    ``asked``, ``approved`` or ``stopped``.

    ``problem`` says why it is unreadable; ``rows_file`` is relative to the report; ``answer`` is the question to a person
    and what became of it, in one sentence.
    """

    name: str
    verdict: str
    problem: str = ""
    checks: tuple[Check, ...] = ()
    rows_file: str | None = None
    rows_bytes: int = 0
    seconds: float = 0.0
    answer: str = ""

    @property
    def level(self) -> Level:
        levels: dict[str, Level] = {"passed": "good", "warned": "warn", "approved": "warn"}
        return levels.get(self.verdict, "bad")

    @property
    def broken(self) -> tuple[Check, ...]:
        """Checks that did not hold, most severe first."""
        return tuple(check for check in self.checks if check.level != "good")

    @property
    def skipped(self) -> int:
        return sum(bool(check.skipped) for check in self.checks)


@dataclass(frozen=True)
class OddClip:
    """A clip that a check named: the check's remark, its file relative to the data root (``""``: not known),
    seconds.
    """

    item_id: str
    said: str
    path: str
    duration: float


@dataclass(frozen=True)
class OddClips:
    """A content check, its title, and some clips that it named; ``level`` is ``good`` if they are few among many."""

    name: str
    title: str
    level: Level
    sentence: str
    clips: tuple[OddClip, ...]


@dataclass(frozen=True)
class TrendRow:
    """One earlier run, oldest first: its gates' verdicts and its coverage when it has a report."""

    run: str
    at: datetime | None
    gates: dict[str, str]
    counts: Counts | None


@dataclass(frozen=True)
class Retry:
    """``count`` items of one reason that are due for another try in one period (``now``, ``week``, ...)."""

    bucket: str
    reason: str
    count: int


@dataclass(frozen=True)
class Point:
    """The ledger's counts at one time."""

    at: datetime
    present: int
    missing: int


@dataclass(frozen=True)
class History:
    """The ledger's view of the whole data set; ``problem`` says why a piece of it is absent."""

    total: Counts | None = None
    points: tuple[Point, ...] = ()
    retries: tuple[Retry, ...] = ()
    next_day: date | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()
    """Oddities of the ledger, one sentence each."""


@dataclass(frozen=True)
class Stage:
    """A stage of the run. ``state`` is ``ran``, ``not run``, or ``unreadable`` with the sentence that says why."""

    name: str
    state: str
    sentence: str = ""


@dataclass(frozen=True)
class Failure:
    """A failed stage or step, and its own sentence."""

    part: str
    sentence: str


@dataclass(frozen=True)
class Stop:
    """A period in which the breaker allowed no request to YouTube. ``closed`` is None until requests are allowed
    again.
    """

    at: datetime
    until: datetime
    closed: datetime | None
    reason: str
    why: str
    evidence: str
    todo: str


@dataclass(frozen=True)
class Verdict:
    """The first line of the page. ``wrong`` and ``next`` are sentences."""

    level: Level
    word: str
    headline: str
    wrong: tuple[str, ...]
    next: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """One run of one data set.

    ``noun`` is what an item is: ``clip``, or ``video`` for whole videos. ``section`` is the data of the family's own
    section; None for a family without one, and for a run without data for it. ``wants_lists``: runs write list
    files.
    """

    dataset: str
    title: str
    run: str
    written: datetime
    begun: datetime | None
    ended: datetime | None
    kind: str
    scope: str
    dry_run: bool
    items: Items | None
    items_from: str
    gates: tuple[Gate, ...]
    trend: tuple[TrendRow, ...]
    history: History
    stages: tuple[Stage, ...]
    params: tuple[tuple[str, str], ...]
    tools: tuple[tuple[str, str], ...]
    lists: tuple[tuple[str, str], ...]
    refresh: str | None
    limit_warn: float
    limit_error: float
    annotations: tuple[tuple[str, str], ...] = field(default=())
    unverified: tuple[str, ...] = ()
    """Ids of the sources whose server's certificate is not verified."""
    expires: bool = True
    """Missing items may come back at their source, so that there is a refresh DAG."""
    noun: str = "clip"
    wants_lists: bool = True
    section: Any = None
    failures: tuple[Failure, ...] = ()
    nothing_due: bool = False
    """A refresh without requests: it reports the newest release."""
    gave_way: int = 0
    """Items that were due, and were left to a later refresh."""
    stops: tuple[Stop, ...] = ()
    """Oldest first."""
    left_unasked: int = 0
    """Items that still waited for the breaker when the run ended."""
    odd: tuple[OddClips, ...] = ()
    """Clips that content checks named."""
    estimate: tuple[str, ...] = ()
    """What the plan expected of the run: items by source, bytes, hours, disk."""
    part: str = ""
    """Why the run says little about the whole data set: ``dry run``, ``trial``; else empty."""
