"""A long video cut into parts of fixed length, beside it: ``part_0.mp4``, ``part_1.mp4`` and so on, in one folder.

Part k holds the frames from second k * ``seconds`` on and before the next part's. How many parts there are follows from the real
times of the frames: a video of exactly 20 s has two parts of 10 s, and no empty third one; neither has one whose last frame
begins before second 20. Every part is cut and verified by :func:`clipquarry.media.cut.cut_clip`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from clipquarry.errors import RetryLater
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.item_folder import PARTS_TOLERANCE, part_name, part_number
from clipquarry.media.cut import cut_clip
from clipquarry.media.encoding import Recipe
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MAX_ERROR_SHARE, MISSING_SECONDS, MediaFacts, probe
from clipquarry.media.timeline import ROUNDING, read_timeline
from clipquarry.reasons import Reason

_NAMED = 5


@dataclass(frozen=True)
class Span:
    """The pictures of a video, in seconds after the file's start."""

    last: float
    """When the last frame is shown first."""
    end: float
    """When it ends."""
    frames: int

    def windows(self, seconds: float) -> list[tuple[float, float]]:
        """Start and length of each part; the last one may be shorter."""
        count = math.floor((self.last + ROUNDING) / seconds) + 1
        return [(at * seconds, min(seconds, self.end - at * seconds)) for at in range(count)]


@dataclass(frozen=True)
class Parts:
    """The parts of one video."""

    facts: tuple[MediaFacts, ...] = field(repr=False)

    @property
    def seconds(self) -> float:
        """Of all together."""
        return sum(one.duration for one in self.facts)

    @property
    def frames(self) -> int:
        return sum(one.frames for one in self.facts)


def span_of(source: Path) -> Span:
    """The span of a video, from the times of its packets. Raises MediaError for what is no video, has no frame, or was cut off."""
    timeline = read_timeline(source)
    if not timeline.times:
        raise MediaError(Reason.CORRUPT, "it has no frame, so that its length is not known")
    stated = timeline.header.duration or 0.0
    if stated - timeline.readable > MISSING_SECONDS:
        raise MediaError(
            Reason.TRUNCATED, f"it ends at {timeline.readable:.2f} s, its header says {stated:.2f} s: it was cut off"
        )
    return Span(timeline.times[-1], timeline.end, len(timeline.times))


def cut_parts(source: Path, folder: Path, seconds: float, recipe: Recipe, cancelled: Event) -> Parts:
    """Cut all parts into ``folder``, which is there and empty, and verify each. Raises as :func:`cut_clip`, naming the part."""
    facts = []
    for number, (start, length) in enumerate(span_of(source).windows(seconds)):
        if cancelled.is_set():
            raise RetryLater("The step was told to stop while it cut parts: run it again to go on.")
        out = folder / part_name(number)
        try:
            facts.append(
                cut_clip(
                    source,
                    out,
                    start=start,
                    duration=length,
                    recipe=recipe,
                    tolerance=PARTS_TOLERANCE,
                    cancelled=cancelled,
                )
            )
        except MediaError as error:
            raise MediaError(error.reason, f"{out.name}: {error.evidence}") from error
    return Parts(tuple(facts))


def parts_in(folder: Path) -> list[Path]:
    """The parts in a folder, by their numbers. Raises MediaError for a gap, for none, and for any other file."""
    numbers: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(TEMPORARY_PREFIX):
            continue
        if (number := part_number(path.name)) is None or not path.is_file():
            raise MediaError(Reason.CORRUPT, f"{path.name[:60]!r} is no part of a video")
        numbers[number] = path
    if not numbers:
        raise MediaError(Reason.TRUNCATED, "the folder holds no part")
    absent = [part_name(number) for number in range(max(numbers)) if number not in numbers]
    if absent:
        raise MediaError(Reason.TRUNCATED, f"{', '.join(absent[:_NAMED])} is missing")
    return [numbers[number] for number in sorted(numbers)]


def verified_parts(paths: Sequence[Path]) -> Parts:
    """The parts, each decoded to its end. Raises MediaError that names the part."""
    facts = []
    for path in paths:
        try:
            one = probe(path)
        except MediaError as error:
            raise MediaError(error.reason, f"{path.name}: {error.evidence}") from error
        if one.errors or not one.frames:
            raise MediaError(Reason.CORRUPT, f"{path.name}: {one.errors} of {one.frames} frames are damaged")
        facts.append(one)
    return Parts(tuple(facts))


def cover_problem(parts: Parts, seconds: float, span: Span | None) -> str:
    """Why parts are not those of a video, or nothing. ``span`` None: the video is gone, and only the parts' own lengths count."""
    lengths = [one.duration for one in parts.facts]
    if span is not None:
        wanted = len(span.windows(seconds))
        if len(lengths) != wanted:
            return f"there are {len(lengths)} parts, {wanted} of {seconds:g} s make its {span.end:.2f} s"
        if abs(parts.seconds - span.end) > PARTS_TOLERANCE:
            return f"its parts have {parts.seconds:.2f} s together, the video has {span.end:.2f} s"
        if abs(parts.frames - span.frames) > len(lengths) + MAX_ERROR_SHARE * span.frames:
            return f"its parts have {parts.frames} frames together, the video has {span.frames}"
    for number, length in enumerate(lengths):
        if length > seconds + PARTS_TOLERANCE or (number < len(lengths) - 1 and length < seconds - PARTS_TOLERANCE):
            return f"{part_name(number)} has {length:.2f} s, a part has {seconds:g} s"
    return ""
