"""Raw frames: one JPEG file per frame, numbered from 1 (or 0), in a folder that appears whole; optical flow beside
them from the same decode.

With a short edge the long side is rounded, and small videos keep their size, as in the tool ``denseflow``. With
``parity`` sizes are those of mmaction2's ``build_rawframes.py --use-opencv``: ``int(SHORT / short * long)``, and small
videos are enlarged. At the native rate every decoded frame gives one file. With ``fps`` the video is sampled: file
``fps * t + 1`` shows second t, by the nearest frame, whatever the times of the others. The frames of
kinetics-download-prep have other names and even sides.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import ffmpeg

from clipquarry.media.constant_rate import filters
from clipquarry.media.content import NOT_LOOKED, Content
from clipquarry.media.denseflow import denseflow
from clipquarry.media.encoding import (
    SLOWEST,
    argv_of,
    encoder_clock,
    encoder_tick,
    filter_text,
    filtered,
    grey_options,
    input_options,
    jpeg_options,
)
from clipquarry.media.errors import MediaError
from clipquarry.media.flow import FlowFacts, Flowing, FlowMaker, FlowRecipe, check_flow
from clipquarry.media.frame_content import folder_content
from clipquarry.media.frame_folder import IMG, Pattern, list_frames, replace_folder, sweep, unfinished
from clipquarry.media.frame_folder import count_frames as count_frames
from clipquarry.media.frame_folder import frame_name as frame_name
from clipquarry.media.probe import MediaFacts, frame_size, probe
from clipquarry.media.run import run
from clipquarry.media.stamped import Readable, readable
from clipquarry.media.timeline import Timeline, read_timeline
from clipquarry.media.tools import ffmpeg as find_ffmpeg
from clipquarry.reasons import Reason

TOLERANCE = 2
"""Frames more or fewer than rate times duration."""


@dataclass(frozen=True)
class FrameRecipe:
    """Settings of the frame files. ``width`` and ``height`` (both, pixels) come before ``short_edge``; all 0: the
    original size.

    ``fps`` 0 keeps every frame. ``quality`` is ffmpeg's JPEG scale ``-q:v``, 1 (best) to 31. A video whose short side
    is at most ``short_edge`` keeps its size. The long side is rounded; ``even`` rounds it to an even number, and
    ``parity`` truncates it, and enlarges smaller videos. ``start`` is the first frame's number, 0 or 1.
    """

    short_edge: int = 256
    width: int = 0
    height: int = 0
    fps: float = 0.0
    quality: int = 2
    pattern: Pattern = IMG
    parity: bool = False
    even: bool = False
    start: int = 1

    @property
    def scales(self) -> bool:
        """Whether the size of the frames follows from the short edge."""
        return bool(self.short_edge) and not (self.width and self.height)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the frames of a ``width`` x ``height`` video."""
        if self.width and self.height:
            return self.width, self.height
        if not self.short_edge or (not self.parity and min(width, height) <= self.short_edge):
            return width, height
        if width > height:
            return self._long(width, height), self.short_edge
        return self.short_edge, self._long(height, width)

    def _long(self, long: int, short: int) -> int:
        if self.parity:
            return int(self.short_edge / short * long)
        if self.even:
            return (self.short_edge * long + short) // (2 * short) * 2  # half of it, rounded; a tie goes up
        return (2 * self.short_edge * long + short) // (2 * short)  # a tie goes up, as in C

    def count(self, facts: MediaFacts) -> int:
        """Number of frames that a video gives."""
        return max(1, round(self.fps * facts.duration)) if self.fps else facts.frames


@dataclass(frozen=True)
class FrameFacts:
    """Facts of a finished folder."""

    frames: int
    width: int
    height: int
    fps: float
    """Frames per second of the video."""
    source_duration: float
    """Seconds."""
    bytes: int
    """Bytes of all frames together."""
    content: Content = NOT_LOOKED
    """What they show."""
    flow: FlowFacts | None = None
    """Of the optical flow beside them; None if none was made."""

    def columns(self) -> dict[str, Any]:
        """The facts by name, flat; without those of flow, which has facts of its own."""
        told = asdict(self)
        told.pop("flow")
        content: dict[str, Any] = told.pop("content")
        return told | content


def _sampled(timeline: Timeline, facts: MediaFacts, recipe: FrameRecipe) -> list[str]:
    """Filters that give ``recipe.fps`` frames per second, counted from the first frame."""
    slots, times = recipe.count(facts), timeline.times
    last = sum(times[-2:]) / len(times[-2:]) - times[0] if times else 0.0
    fill = max(1, math.ceil(slots - last * recipe.fps)) + 1
    return filters(recipe.fps, slots, fill, from_zero=True)


def frames_argv(
    source: Readable, timeline: Timeline, facts: MediaFacts, recipe: FrameRecipe, *, grey: bool = False
) -> list[str]:
    """ffmpeg's arguments, to be run in the folder of the frame files. ``grey``: it also writes the raw levels of the
    same frames to its stdout, one byte a pixel, in the range of a JPEG.
    """
    tool = find_ffmpeg()
    sampled = _sampled(timeline, facts, recipe) if recipe.fps else []
    size = recipe.size(facts.width, facts.height)
    if size != (facts.width, facts.height):
        sampled.append(f"scale={size[0]}:{size[1]}:flags=bicubic")
    clock = encoder_clock(encoder_tick(timeline.header, None)) if not recipe.fps else {}
    jpeg = jpeg_options(tool, recipe.quality, recipe.start)
    into = ffmpeg.input(f"file:{source.path}", **input_options(), **source.options)
    if not grey:
        options = {"vf": filter_text(sampled)} if sampled else {}
        return argv_of(tool, ffmpeg.output(into["V:0"], recipe.pattern, **options, **clock, **jpeg))
    # In the encoder's own format, so that the frames have the same bytes with flow and without.
    shown = filtered(into["V:0"], [*sampled, f"format={jpeg['pix_fmt']}"]).filter_multi_output("split")
    made = ffmpeg.output(shown[0], recipe.pattern, **clock, **jpeg)
    levels = ffmpeg.output(shown[1].filter("extractplanes", "y"), "pipe:1", **clock, **grey_options(tool))
    return argv_of(tool, ffmpeg.merge_outputs(made, levels))


def check_frames(folder: Path, expected: tuple[int, int], pattern: Pattern = IMG, start: int = 1) -> tuple[int, int]:
    """Count the frames in a folder as :func:`count_frames` does, and measure the first, the middle and the last one.

    Raises MediaError if one has another size than ``expected`` (width, height).
    """
    count, size = count_frames(folder, pattern, start)
    for number in sorted({1, (count + 1) // 2, count}):
        name = frame_name(start + number - 1, pattern)
        if (found := frame_size(folder / name)) != expected:
            raise MediaError(Reason.TOOL_FAILED, f"{name} is {found[0]}x{found[1]}, not {expected[0]}x{expected[1]}")
    return count, size


def _verified(folder: Path, facts: MediaFacts, recipe: FrameRecipe) -> FrameFacts:
    expected, wanted = recipe.size(facts.width, facts.height), recipe.count(facts)
    count, size = check_frames(folder, expected, recipe.pattern, recipe.start)
    if abs(count - wanted) > TOLERANCE:
        raise MediaError(Reason.TOOL_FAILED, f"{count} frames, but {wanted} were expected (± {TOLERANCE})")
    first = recipe.start
    shown = folder_content(lambda number: folder / frame_name(number + first, recipe.pattern), count, facts.duration)
    return FrameFacts(count, *expected, recipe.fps or facts.fps, facts.duration, size, shown)


def _say_no_frames(source: Path, error: MediaError) -> None:
    """Raise NO_FRAMES if the source is the cause that no frame was written."""
    try:
        probe(source)
    except MediaError as found:
        raise MediaError(Reason.NO_FRAMES, found.evidence) from error


def extract_frames(
    source: Path,
    folder: Path,
    *,
    recipe: FrameRecipe,
    flow: FlowRecipe | None = None,
    maker: FlowMaker | None = None,
    cancelled: Event | None = None,
) -> FrameFacts:
    """Write the frames of ``source``, and their optical ``flow`` if asked for, and verify both; ``folder`` is replaced
    as a whole, or unchanged on failure. ``maker``: what makes the flow; None: one for this call.

    Raises as :func:`clipquarry.media.cut.cut_clip`; a source that gives no frame is MediaError(NO_FRAMES).
    """
    source, folder = Path(source).absolute(), Path(folder).absolute()
    facts = probe(source, decode=False)
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    work = unfinished(folder)
    work.mkdir()
    flowing = None
    if flow is not None and flow.tool == "opencv":
        size = recipe.size(facts.width, facts.height)
        flowing = Flowing(maker or FlowMaker(1), work, flow, size, recipe.start, cancelled)
    try:
        try:
            timeline = read_timeline(source)
            with readable(source, timeline, folder) as given:
                run(
                    frames_argv(given, timeline, facts, recipe, grey=flowing is not None),
                    timeout=60 + SLOWEST * facts.duration + (flowing.seconds(recipe.count(facts)) if flowing else 0),
                    cancelled=cancelled,
                    cwd=work,
                    reads=flowing,
                )
            if not any(work.iterdir()):
                raise MediaError(Reason.CORRUPT, "not a single frame came out")
        except MediaError as error:
            if not any(work.iterdir()):
                _say_no_frames(source, error)
            raise
        try:
            made = _verified(work, facts, recipe)
        except MediaError:
            made = _verified(work, probe(source), recipe)  # packets that do not decode were counted
        if flow is not None:
            if flowing is None:
                sampled = list_frames(work, recipe.pattern) if recipe.fps else None
                denseflow(source, sampled, work, flow, (made.width, made.height), recipe.start, cancelled)
            still = flowing.still if flowing is not None else None
            checked = check_flow(work, made.frames, (made.width, made.height), recipe.start, still)
            made = replace(made, flow=checked)
        replace_folder(work, folder)
        return made
    finally:
        shutil.rmtree(work, ignore_errors=True)
