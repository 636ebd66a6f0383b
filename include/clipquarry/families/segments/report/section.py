"""The section "Intervals" of the report: labelled intervals by class and split, and the lists of proposals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.segments.frame_lists import BACKWARDS, BEHIND, list_names
from clipquarry.families.segments.options import segments_options
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.files import as_object, known_object
from clipquarry.manifest import read_rows
from clipquarry.report.aggregate import split_order
from clipquarry.report.section import Section
from clipquarry.report.text import clean, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_CLASSES = 60
"""Classes that are drawn, most common first; the table has all of them."""
_NAME, _ROW, _WIDTH = 30, 15.5, 5.2


@dataclass(frozen=True)
class ClassRow:
    """A class, with its intervals by split. ``number`` is its published one."""

    name: str
    number: int
    splits: dict[str, int]

    @property
    def intervals(self) -> int:
        return sum(self.splits.values())


@dataclass(frozen=True)
class SplitRow:
    """A split: its annotated videos, and its intervals. ``seconds``: length of those that end behind their start."""

    split: str
    videos: int
    intervals: int
    ambiguous: int
    seconds: float


@dataclass(frozen=True)
class ProposalRow:
    """The list of proposals of a split that was written. ``left_out``: videos without frames."""

    split: str
    path: str
    source: str
    videos: int
    intervals: int
    proposals: int
    left_out: int


@dataclass(frozen=True)
class ListRow:
    """A list of frames that was written: its lines, and the videos or intervals of the annotation without one.

    ``behind``: intervals that lie behind the last frame. ``backwards``: those that end before they start. ``reasons``: of what has
    no frames, the most common first.
    """

    path: str
    of: int
    lines: int
    behind: int
    backwards: int
    reasons: tuple[tuple[str, int], ...]

    @property
    def without_frames(self) -> int:
        return sum(count for _, count in self.reasons)


@dataclass(frozen=True)
class Intervals:
    """What the section shows."""

    splits: tuple[SplitRow, ...]
    classes: tuple[ClassRow, ...]
    proposals: tuple[ProposalRow, ...]
    lists: tuple[ListRow, ...] = ()
    counted: str = ""
    """What the lists count in a folder, where it is not its frames."""
    problems: tuple[str, ...] = ()


def collect(spec: DatasetSpec, data: Path, folder: Path, params: Mapping[str, Any]) -> Intervals | None:
    """The section of the run in ``folder``, of its splits; None for a run without a table of intervals."""
    place = SegmentFiles(folder)
    if not place.intervals.exists():
        return None
    chosen = params.get("splits") or spec.default_splits or list(spec.splits)
    splits = sorted((split for split in spec.splits if split in chosen), key=split_order)
    classes = segments_options(spec).numbered()
    by_class: dict[str, Counter[str]] = {name: Counter() for name in classes}
    videos: dict[str, set[str]] = {split: set() for split in splits}
    counts, ambiguous, lengths, problems = Counter[str](), Counter[str](), Counter[str](), list[str]()
    try:
        for row in read_rows(place.intervals):
            split = str(row["split"])
            if split not in videos:
                continue
            videos[split].add(row["video_id"])
            if row["ambiguous"]:
                ambiguous[split] += 1
                continue
            counts[split] += 1
            lengths[split] += max(0, row["end"] - row["start"])
            if row["label"] in by_class:
                by_class[row["label"]][split] += 1
    except (ClipquarryError, KeyError) as error:  # KeyError: a column is missing
        problems.append(f"The table of intervals cannot be read: {error}")
    return Intervals(
        tuple(SplitRow(one, len(videos[one]), counts[one], ambiguous[one], lengths[one] / 1e6) for one in splits),
        tuple(ClassRow(name, classes[name], {one: found[one] for one in splits}) for name, found in by_class.items()),
        tuple(_proposals(place, split) for split in sorted(place.block_splits(), key=split_order)),
        tuple(row for split in sorted(place.list_splits(), key=split_order) for row in _lists(spec, place, split)),
        next((rule for split in place.list_splits() if (rule := _counted(place, split)) != "rgb"), ""),
        tuple(problems),
    )


def _counted(place: SegmentFiles, split: str) -> str:
    return str(known_object(place.list_facts(split)).get("frame_count_rule", "rgb"))


def _lists(spec: DatasetSpec, place: SegmentFiles, split: str) -> Iterator[ListRow]:
    """The rows of the two lists of a split: of videos, and of intervals."""
    names, told = segments_options(spec).frame_lists, known_object(place.list_facts(split))
    if names is None or "reasons" not in told:  # of an earlier version
        return
    videos, clips = list_names(names, split)
    reasons, of_videos = (_reasons(told.get(key)) for key in ("reasons", "reasons_of_videos"))
    lines, intervals = _whole(told.get("videos")), _whole(told.get("intervals"))
    yield ListRow(videos, _whole(told.get("annotated_videos")), lines, 0, 0, of_videos)
    counts = dict(reasons)
    rest = tuple((reason, count) for reason, count in reasons if reason not in (BEHIND, BACKWARDS))
    left = _whole(told.get("left_out"))
    yield ListRow(clips, intervals + left, intervals, counts.get(BEHIND, 0), counts.get(BACKWARDS, 0), rest)


def _reasons(value: Any) -> tuple[tuple[str, int], ...]:
    counts = {str(reason): _whole(count) for reason, count in as_object(value).items()}
    return tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _proposals(place: SegmentFiles, split: str) -> ProposalRow:
    told = known_object(place.proposal_facts(split))
    numbers = {name: _whole(told.get(name)) for name in ("videos", "intervals", "proposals", "left_out")}
    return ProposalRow(split, str(told.get("path", "")), str(told.get("source", "")), **numbers)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def plots(found: Intervals) -> Mapping[str, str | None]:
    """SVG by name; None where there is nothing to draw."""
    rows = sorted(found.classes, key=lambda row: -row.intervals)[:MAX_CLASSES]
    splits = [row.split for row in found.splits]
    return {"classes": _classes(rows, splits) if any(row.intervals for row in rows) else None}


def _classes(rows: Sequence[ClassRow], splits: Sequence[str]) -> str:
    """One bar for each class, the splits behind each other, the most common class on top."""
    from clipquarry.report.plots import GOOD, INK, MUTED, REST, WARN, draw  # loads matplotlib

    colours = (GOOD, REST, WARN)

    def paint(axes: Axes) -> None:
        places = list(range(len(rows)))
        begun = [0] * len(rows)
        for at, split in enumerate(splits):
            widths = [row.splits.get(split, 0) for row in rows]
            axes.barh(places, widths, left=begun, height=0.72, color=colours[at % len(colours)], linewidth=0)
            begun = [before + width for before, width in zip(begun, widths, strict=True)]
        most = max(begun)
        axes.set_xlim(0, most * 1.15)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(places, [clean(row.name, _NAME) for row in rows])
        for place, total in zip(places, begun, strict=True):
            axes.text(total + most * 0.015, place, number(total), color=MUTED, va="center", fontsize=9)
        axes.tick_params(length=0, labelsize=10)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return draw("intervals", _WIDTH, (len(rows) * _ROW + 16) / 72, paint)


def _values(found: Intervals, root: Path) -> Mapping[str, Any]:
    return {}


SECTION = Section("intervals", Path(__file__).with_name("intervals.html.j2"), collect, plots, _values)
