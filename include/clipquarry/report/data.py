"""Everything a report shows, as plain values: dataclasses of numbers, strings and times, and nothing else.

A part whose source is absent (a stage that never ran, a ledger that cannot be reached) is ``None`` or empty and is
shown as "not run"; a report can be written at any point of a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from clipquarry.report.box_data import Boxes

Level = Literal["good", "info", "warn", "bad"]


@dataclass(frozen=True)
class Counts:
    """Items by how they ended. ``expected`` is their number; ``not_asked`` is a part of ``missing``."""

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
        """Present items as a share, 0..1; 1 for nothing expected."""
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
    """Clips of which one height was asked (None: none was): how many came as high (the short side), and the heights that came."""

    asked: int | None
    clips: int
    reached: int | None
    got: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Media:
    """Facts of the clips that are present, in bytes and seconds; values with their counts, commonest first."""

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
    """Clips of which was measured what they show."""


@dataclass(frozen=True)
class Items:
    """What became of the items of a run. ``unusable`` are csv rows that were rejected and so are not expected."""

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
    """One check of a gate. ``level`` is ``good`` when it held, else what it did: ``bad`` blocks, ``info`` only tells.

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
    """One gate's result. ``verdict`` is ``passed``, ``warned``, ``blocked`` or ``unreadable``.

    ``problem`` says why it is unreadable; ``rows_file`` is relative to the report.
    """

    name: str
    verdict: str
    problem: str = ""
    checks: tuple[Check, ...] = ()
    rows_file: str | None = None
    rows_bytes: int = 0
    seconds: float = 0.0

    @property
    def level(self) -> Level:
        levels: dict[str, Level] = {"passed": "good", "warned": "warn"}
        return levels.get(self.verdict, "bad")

    @property
    def broken(self) -> tuple[Check, ...]:
        """Checks that did not hold, heaviest first."""
        return tuple(check for check in self.checks if check.level != "good")

    @property
    def skipped(self) -> int:
        return sum(bool(check.skipped) for check in self.checks)


@dataclass(frozen=True)
class OddClip:
    """A clip that a check named: what it said of it, its file relative to the data root (``""``: not known), seconds."""

    item_id: str
    said: str
    path: str
    duration: float


@dataclass(frozen=True)
class OddClips:
    """A check of what clips show, what they are, and some that it named; ``level`` is ``good`` for a few among many."""

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
    """``count`` items of one reason fall due for another try in one bucket of time (``now``, ``week``, ...)."""

    bucket: str
    reason: str
    count: int


@dataclass(frozen=True)
class Point:
    """What the ledger knew at one time."""

    at: datetime
    present: int
    missing: int


@dataclass(frozen=True)
class History:
    """The ledger's view of the whole data set; ``problem`` says why a part of it is absent."""

    total: Counts | None = None
    points: tuple[Point, ...] = ()
    retries: tuple[Retry, ...] = ()
    next_day: date | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()
    """What is odd about the ledger, one sentence each."""


@dataclass(frozen=True)
class Stage:
    """A stage of the run. ``state`` is ``ran``, ``not run``, or ``unreadable`` with the sentence that says why."""

    name: str
    state: str
    sentence: str = ""


@dataclass(frozen=True)
class Failure:
    """A stage or step that failed, and its own sentence."""

    part: str
    sentence: str


@dataclass(frozen=True)
class Stop:
    """A time in which the breaker let nobody ask YouTube. ``closed`` is None while nobody has been let in again."""

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

    ``noun`` is what an item is: ``clip``, or ``video`` where whole videos are fetched. ``boxes`` is None for a data set without boxes, and
    for one with them (``with_boxes``) whose run has not read its annotation.
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
    noun: str = "clip"
    with_boxes: bool = False
    boxes: Boxes | None = None
    failures: tuple[Failure, ...] = ()
    nothing_due: bool = False
    """A refresh that asked for nothing: what it reports is what the newest release holds."""
    stops: tuple[Stop, ...] = ()
    """Oldest first."""
    left_unasked: int = 0
    """Items for which the breaker's time was not over when the run ended."""
    odd: tuple[OddClips, ...] = ()
    """Clips that the checks of what clips show have named."""
    part: str = ""
    """What makes the run one that tells little of the whole data set: ``dry run``, ``trial``; else empty."""
