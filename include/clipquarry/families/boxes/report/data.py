"""The data of the section "Boxes", as plain values. Boxes are ``(x1, y1, x2, y2)``, fractions of the frame."""

from __future__ import annotations

from dataclasses import dataclass

from clipquarry.report.data import Histogram

Box = tuple[float, float, float, float]

THRESHOLDS = (0.0, 0.5, 0.7, 0.9)
"""Scores from which proposals are kept; 0: all of them."""
READ_AT = 0.9
"""The threshold of the reference's readers; if no proposal reaches it, they keep the best ones."""
COLUMNS = ("any score", "≥ 0.5", "≥ 0.7", "≥ 0.9", "as read")
"""Columns of the counts by threshold: :data:`THRESHOLDS`, then the proposals that a reader keeps in each key frame."""


@dataclass(frozen=True)
class SplitBoxes:
    """One split of the annotation.

    ``rows`` are pairs of a box and an action, ``persons`` the distinct boxes of key frames, ``key_frames`` the distinct pairs of
    video and whole second that have a box, ``empty`` those that are listed without one. None: there is no such table.
    """

    split: str
    rows: int
    persons: int
    key_frames: int
    empty: int
    videos: int
    excluded: int | None
    rejected: int | None


@dataclass(frozen=True)
class Prepared:
    """Annotation rows with frames (``rows``), without frames (``dropped``), and key frames in no clip (``no_clip``)."""

    split: str
    rows: int | None
    dropped: int | None
    no_clip: int | None


@dataclass(frozen=True)
class ProposalFile:
    """The proposals of a split: their source, their number, and the rejected ones (key, reason)."""

    split: str
    path: str
    source: str
    keys: int
    boxes: int
    unscored: int
    rejected: int
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Found:
    """Labelled persons, and how many of them a proposal meets at IoU 0.5, by :data:`COLUMNS`."""

    name: str
    persons: int
    found: tuple[int, ...]


@dataclass(frozen=True)
class Covered:
    """Key frames with boxes, and how many have a proposal, by :data:`THRESHOLDS`; ``bare_persons`` are labelled on those without any."""

    split: str
    key_frames: int
    covered: tuple[int, ...]
    bare_persons: int

    @property
    def bare(self) -> int:
        """Key frames without any proposal."""
        return self.key_frames - self.covered[0]


@dataclass(frozen=True)
class Action:
    """One class, with its rows by split. ``evaluated``: it counts in the benchmark."""

    number: int
    name: str
    evaluated: bool
    splits: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(self.splits.values())


@dataclass(frozen=True)
class Times:
    """Key frames whose time is no whole second; ``largest`` is the largest fraction of a second that a whole second
    loses.
    """

    key_frames: int
    off: int
    largest: float
    fractions: Histogram | None


@dataclass(frozen=True)
class CountDifference:
    """A video or clip whose frames differ from its window's need, and why (empty: unknown)."""

    name: str
    split: str
    expected: int
    found: int | None
    fps: float | None
    said: str


@dataclass(frozen=True)
class FrameCounts:
    """Output of ``step``: of ``checked`` videos or clips, how many have another number of frames than their window
    needs (by more than ``tolerance``), how many another rate than
    :data:`~clipquarry.families.boxes.report.frame_counts.FPS`, how many failed. ``unexplained`` are those without
    a sentence; ``rows`` are the worst.
    """

    step: str
    checked: int
    tolerance: int
    wrong_count: int
    wrong_rate: int
    failed: int
    unexplained: int
    rows: tuple[CountDifference, ...]


@dataclass(frozen=True)
class Merged:
    """Counts of the merge, by name; ``csv`` and ``proposals`` are relative to the data root."""

    counts: dict[str, int]
    csv: str
    proposals: str

    @property
    def rows(self) -> int:
        return self.counts.get("kinetics_rows", 0) + self.counts.get("ava_rows", 0)


@dataclass(frozen=True)
class Person:
    """A labelled box with the names of its actions. ``number``: the person's id in the data set's files; None where boxes are only counted."""

    box: Box
    actions: tuple[str, ...]
    number: int | None = None


@dataclass(frozen=True)
class Proposal:
    """A proposed box; ``score`` is None where the file has none."""

    box: Box
    score: float | None


@dataclass(frozen=True)
class KeyFrame:
    """A key frame chosen for drawing. ``time`` is the decimal text of the original video's seconds; ``image`` is
    relative to the data root. ``more`` counts proposals with lower scores that are not in ``proposals``.
    """

    split: str
    name: str
    time: str
    image: str
    persons: tuple[Person, ...]
    proposals: tuple[Proposal, ...]
    more: int = 0


@dataclass(frozen=True)
class Boxes:
    """The section. ``problems`` name every absent or damaged table; values that depend on it are empty or None."""

    splits: tuple[SplitBoxes, ...]
    per_key_frame: Histogram | None
    key_frames_per_video: Histogram | None
    actions: tuple[Action, ...]
    times: Times | None
    recall: tuple[Found, ...]
    recall_by_size: tuple[Found, ...]
    coverage: tuple[Covered, ...]
    scores: Histogram | None
    proposals: tuple[ProposalFile, ...]
    images: FrameCounts | None
    prepared: tuple[Prepared, ...]
    merged: Merged | None
    key_frames: tuple[KeyFrame, ...]
    problems: tuple[str, ...]
    items: str = ""
    """What is fetched: ``videos``, ``windows``, or ``key_frames``."""
    columns: tuple[str, ...] = COLUMNS

    @property
    def unused(self) -> tuple[Action, ...]:
        """Classes without any row."""
        return tuple(action for action in self.actions if not action.rows)
