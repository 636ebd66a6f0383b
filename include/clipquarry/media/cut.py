"""Exact cuts: one annotated window of a source video becomes one clip.

The first frame is the first one whose time is not before ``start``, as with ``ffmpeg -i IN -ss START -t DURATION``
(the command of the Kinetics crawler), but the source is not decoded from its beginning: where the container finds key
frames by time, ffmpeg seeks to the last one before ``start`` and decodes from there, so that the cost does not grow
with ``start``. Differences to that command, all on purpose:

* every frame keeps its own time (at a constant rate the first one is at 0); a variable frame rate is neither filled with
  copies nor thinned (ffmpeg up to 5 did both), and its last frame ends with the window; a recipe with a rate of its own
  gets that rate instead (:mod:`clipquarry.media.constant_rate`);
* the source's packets say which frames the window holds and at which times, and the clip is held against them
  (:mod:`clipquarry.media.timeline`); where the picture begins late, picture and sound begin with its first frame;
* pixels are always 8 bit 4:2:0, which every reader decodes; an odd width or height loses its last
  column or row (the command fails there), because cropping leaves all other pixels where they are;
* rotation is applied to the pixels, and pixels that are not square are made so; metadata, chapters, data streams and
  subtitles are left out; the index comes first (faststart);
* sound that is broken or cannot be copied into mp4 is encoded, or left out when that fails too: it never costs the
  clip;
* the same source gives the same bytes with the same ffmpeg: one thread, no time stamps, no machine dependent choices
  of the encoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from threading import Event

import ffmpeg

from clipquarry.media.constant_rate import back, covered, filters
from clipquarry.media.encoding import (
    EVEN,
    SLOWEST,
    SQUARE,
    Recipe,
    Sound,
    argv_of,
    encoder_clock,
    encoder_tick,
    filter_text,
    input_options,
    last_frame_ends,
    plain_seconds,
    seeks_exactly,
    sound_options,
    ways_with_sound,
    x264_options,
)
from clipquarry.media.errors import MediaError
from clipquarry.media.in_process import Plan, encode
from clipquarry.media.probe import MISSING_SECONDS, MediaFacts, probe
from clipquarry.media.run import run
from clipquarry.media.timeline import Timeline, constant_rate, decoded_times, hole, read_timeline, spacing, unlike
from clipquarry.media.tools import ffmpeg as find_ffmpeg
from clipquarry.reasons import Reason

FROM_ZERO = "setpts=PTS-STARTPTS"
"""Put the first frame at 0, less than one frame from its own time, so that all of a constant rate fall on the clock."""

LONGEST_FRAME = 0.1
"""Seconds. What a clip may lack or exceed because it was cut between two frames; slower pictures are judged by the
tolerance alone.
"""

_LONGEST_HOLE = 1.0
"""Seconds without a picture that no tolerance allows."""

_HOLE_OF_FRAMES = 5
"""A time without a picture that is longer than this many frames of what follows is a hole, not a slow picture."""

_FEW = 10
"""Frames that tell how fast a picture goes on."""


@dataclass(frozen=True)
class _Window:
    """What is cut: seconds after the file's start."""

    start: float
    duration: float
    recipe: Recipe
    timeline: Timeline
    slots: int = 0
    """Frames at ``recipe.fps``; 0: every frame as it is."""
    fill: int = 0
    """How many slots the last frame may fill."""

    @property
    def seeks(self) -> bool:
        return seeks_exactly(self.timeline.header)

    @property
    def offset(self) -> float:
        """What the clock of decoded frames shows at the window's start."""
        return 0.0 if self.seeks else self.start

    @property
    def end(self) -> float:
        return self.start + self.duration

    @cached_property
    def times(self) -> tuple[float, ...]:
        """The source's frames in the window, in seconds after its start."""
        return tuple(time - self.start for time in self.timeline.inside(self.start, self.end))

    @cached_property
    def rate(self) -> Fraction | None:
        """Frames per second where the packets confirm the header's."""
        return constant_rate(self.times, self.timeline.header)

    @property
    def from_zero(self) -> bool:
        """Whether the first frame is put at 0. Decoded from the beginning, times are those of the whole source, and ffmpeg
        drops the frames before the window last.
        """
        return self.rate is not None and self.seeks

    @property
    def tick(self) -> Fraction:
        """Of the encoder, in seconds."""
        fps = self.recipe.fps
        return (
            Fraction(1, fps)
            if fps is not None
            else encoder_tick(self.timeline.header, self.rate if self.seeks else None)
        )


def allowance(tolerance: float, fps: float) -> float:
    """Seconds that a clip of ``fps`` frames a second may be too short: ``tolerance``, or less than one frame."""
    return max(tolerance, min(1 / fps, LONGEST_FRAME) if fps else 0.0)


def _filters(window: _Window) -> list[str]:
    """What happens to the picture, in order."""
    recipe, offset = window.recipe, window.offset
    shape = SQUARE if window.timeline.header.pixel != 1 else ()
    if recipe.fps is not None:
        return [*shape, EVEN, *filters(recipe.fps, window.slots, window.fill, offset=offset), *back(offset)]
    # ffmpeg's own -t counts from the first frame that there is, which may come late.
    ends = f"trim=end={plain_seconds(offset + window.duration)}"
    return [*shape, EVEN, ends, *([FROM_ZERO] if window.from_zero else [])]


def _video_options(window: _Window) -> dict[str, object]:
    """The encoder's options, the filters and the clock."""
    tool, recipe = find_ffmpeg(), window.recipe
    options = x264_options(recipe) | encoder_clock(window.tick) | tool.last_frame_options
    options |= {tool.fps_mode_option: "vfr"}
    if recipe.fps is None and window.rate is None:
        options |= last_frame_ends(window.duration, window.tick, recipe)
    return options | {"vf": filter_text(_filters(window))}


def _argv(source: Path, out: Path, window: _Window, audio: Sound) -> list[str]:
    tool, start = find_ffmpeg(), plain_seconds(window.start)
    options = _video_options(window) | {"t": plain_seconds(window.duration)}
    if not window.seeks:
        options["ss"] = start
    into = ffmpeg.input(f"file:{source}", **input_options(), **({"ss": start} if window.seeks else {}))
    if audio == "none":
        return argv_of(tool, ffmpeg.output(into["V:0"], f"file:{out}", **options))
    options |= sound_options("mp4", audio)
    return argv_of(tool, ffmpeg.output(into["V:0"], into["a:0"], f"file:{out}", **options))


def _late(timeline: Timeline, start: float, found: str) -> MediaError:
    """Why the first frame from ``start`` on comes late."""
    after = timeline.inside(start, math.inf)
    before = timeline.inside(-math.inf, start)
    if not before:
        return MediaError(Reason.TOO_SHORT, f"{found}: the picture begins at {after[0]:.2f} s")
    usual = spacing(after[:_FEW])
    if usual and after[0] - before[-1] > _HOLE_OF_FRAMES * usual:
        return MediaError(
            Reason.CORRUPT, f"{found}, although the video goes on to {timeline.end:.2f} s: it has a hole there"
        )
    return MediaError(Reason.TOO_SHORT, f"{found}: no new picture comes before {after[0]:.2f} s")


def _not_enough(timeline: Timeline, start: float, duration: float, measured: float) -> MediaError:
    """Why the window has only ``measured`` seconds of picture."""
    stated, readable = timeline.header.duration or 0.0, timeline.readable
    found = f"{measured:.2f} s of {duration:g} s from {start:g} s on"
    if timeline.inside(start + duration, math.inf):
        return _late(timeline, start, found)
    if stated - readable > MISSING_SECONDS and stated > start:
        return MediaError(
            Reason.TRUNCATED, f"{found}: the file ends at {readable:.2f} s, its header says {stated:.2f} s"
        )
    return MediaError(Reason.TOO_SHORT, f"{found}: the source ends at {max(timeline.end, min(stated, start)):.2f} s")


def _differs(source: Path, window: _Window, made: list[float], facts: MediaFacts) -> str:
    """What is wrong with the times of the clip's frames, or ``""``."""
    if window.slots:
        return "" if facts.frames == window.slots else f"{facts.frames} of {window.slots} frames came out"
    wanted = window.times
    if problem := unlike(made, wanted, window.timeline.tick):
        # Packets may be fields, or frames that are never shown: the decoder knows, at the price of decoding.
        shown = decoded_times(source, window.start, window.end)
        problem = unlike(made, tuple(time - window.start for time in shown), window.timeline.tick)
    return problem


def _verified(source: Path, out: Path, window: _Window, tolerance: float) -> MediaFacts:
    """Hold the clip against the window: decoded, or counted where the number of frames is known beforehand."""
    made: list[float] = []
    try:
        facts = probe(out, decode=not window.slots, times=made, look=True)
    except MediaError as error:
        # ffmpeg writes an empty film when no frame in the window decodes.
        raise _undecodable(window, 0, window.duration) from error
    if facts.duration < window.duration - allowance(tolerance, facts.fps):
        raise _undecodable(window, facts.frames, window.duration - facts.duration)
    if facts.errors:
        raise MediaError(Reason.TOOL_FAILED, f"the clip just made has {facts.errors} damaged frames of {facts.frames}")
    if problem := _differs(source, window, made, facts):
        raise MediaError(Reason.CORRUPT, f"{problem}, although the source goes on: it does not decode to the end")
    return facts


def _undecodable(window: _Window, frames: int, seconds: float) -> MediaError:
    where = f"from {window.start:g} s on, {frames} of {len(window.times)} frames decode"
    return MediaError(Reason.CORRUPT, f"{where}: {seconds:.2f} s of {window.duration:g} s are lost in a hole")


def _made_in_process(source: Path, out: Path, window: _Window, audio: Sound, tolerance: float) -> MediaFacts | None:
    """The verified clip, or None where ffmpeg's program has to make it. What stood in the way does not matter: that is
    told by the program's own failure.
    """
    if audio == "encode" or not (window.slots or window.from_zero):
        return None
    plan = Plan(
        window.start, window.duration, _filters(window), 1 / window.tick, window.slots, window.recipe, audio == "copy"
    )
    try:
        encode(source, out, window.timeline.header, plan)
        return _verified(source, out, window, tolerance)
    except MediaError:
        return None


def _window(source: Path, start: float, duration: float, recipe: Recipe, tolerance: float) -> _Window:
    """The window, looked for in the source's packets. Raises MediaError when it is not there."""
    timeline = read_timeline(source, start, start + duration)
    there = covered(timeline, start, duration)
    rate = constant_rate(there.times, timeline.header)
    first = there.times[0] if there.times else 0.0
    has = there.end - first if there.times else 0.0
    if first > (1 / rate if rate else LONGEST_FRAME):
        # Picture and sound begin together: with the first frame, down to ffmpeg's microseconds.
        moved = math.floor((start + first) * 1e6) / 1e6
        if has >= duration - tolerance:
            return _window(source, moved, start + duration - moved, recipe, tolerance - (moved - start))
    if not there.times or has < duration - allowance(tolerance, there.rate):
        raise _not_enough(timeline, start, duration, has)
    longest = min(max(tolerance, 3 / there.rate), _LONGEST_HOLE)
    if found := hole(timeline, start, start + duration, longest):
        raise MediaError(
            Reason.CORRUPT, f"the picture has a hole of {found[1]:.2f} s at {found[0]:.2f} s ({duration:g} s from "
            f"{start:g} s on were wanted)",
        )  # fmt: skip
    if recipe.fps is None:
        return _Window(start, duration, recipe, timeline)
    slots = there.slots(recipe.fps, duration)
    return _Window(start, duration, recipe, timeline, slots, there.last_fill(recipe.fps, slots))


def cut_clip(
    source: Path,
    out: Path,
    *,
    start: float,
    duration: float,
    recipe: Recipe,
    tolerance: float,
    cancelled: Event | None = None,
    in_process: bool = False,
    takes: Callable[[float], None] = lambda seconds: None,
) -> MediaFacts:
    """Cut ``duration`` seconds from ``start`` (seconds after the file's own start time) and verify the clip: its frames
    are those of the source in the window, at their times; with ``recipe.fps``, where their number is known beforehand,
    they are counted.

    ``out`` is written under its own name: give a temporary one; it is removed when the cut fails. The clip is
    ``duration`` long, give or take one frame; where the source's picture begins late or ends early it may be up to
    ``tolerance`` seconds shorter, and begins with its first frame. With ``recipe.fps`` it has exactly fps x duration frames
    (a source that ends early: fps x what is there), and frame n (from 0) is the window's nearest to ``start`` + n / fps.

    ``in_process`` tries :mod:`clipquarry.media.in_process` first, for processes that may crash; ``takes`` is told how many
    seconds what comes next may take at most, the check of the clip included. Raises :class:`MediaError` (TOO_SHORT with the seconds measured; TRUNCATED, CORRUPT, NOT_A_VIDEO for a bad source;
    TOOL_FAILED), RetryLater (full disk, cancelled), MachineError (no ffmpeg).
    """
    if not (0 <= start < math.inf and 0 < duration < math.inf):
        raise ValueError(f"a window needs a start >= 0 and a duration > 0, not {start} and {duration}")
    source, out = Path(source).absolute(), Path(out).absolute()
    window = _window(source, start, duration, recipe, tolerance)
    timeout = 60 + SLOWEST * (duration + (0 if window.seeks else start))
    try:
        for audio in (ways := ways_with_sound(recipe.audio, window.timeline.header.audio_codec)):
            try:
                takes(timeout)
                if (
                    in_process
                    and audio == ways[0]
                    and (facts := _made_in_process(source, out, window, audio, tolerance))
                ):
                    return facts
                takes(2 * timeout)
                run(_argv(source, out, window, audio), timeout=timeout, cancelled=cancelled)
                return _verified(source, out, window, tolerance)
            except MediaError as error:
                # A window that the source does not have is no matter of sound; anything else may be.
                if error.reason in (Reason.TOO_SHORT, Reason.TRUNCATED) or audio == "none":
                    raise
        raise AssertionError("unreachable: the last way has no sound and returns or raises")
    except BaseException:
        out.unlink(missing_ok=True)
        raise
