"""Exact cuts: one annotated window of a source video becomes one clip.

The first frame is the first one whose time is not before ``start``, as with ``ffmpeg -i IN -ss START -t DURATION``
(the command of the Kinetics crawler). The source is not decoded from its beginning: if the container has an index of
times, ffmpeg seeks to the last key frame before ``start``, so that the cost does not grow with ``start``. Intended
differences to that command:

* Every frame keeps its own time (at a constant rate the first one is at 0). A variable frame rate is neither filled
  with copies nor thinned (ffmpeg up to 5 did both), and the last frame ends with the window. A recipe with its own
  rate gets that rate (:mod:`clipquarry.media.constant_rate`).
* The clip is verified against the packets of the source, which tell the frames of the window and their times
  (:mod:`clipquarry.media.timeline`). If the video stream begins late, video and sound begin with its first frame.
* Pixels are always 8 bit 4:2:0, which every reader decodes. An odd width or height loses its last column or row (the
  command fails there), because cropping leaves all other pixels in place.
* Rotation is applied to the pixels, and pixels that are not square are made so. Metadata, chapters, data streams and
  subtitles are dropped. The index comes first (faststart).
* Sound that is broken, or cannot be copied into mp4, is encoded, or dropped if that fails too. It never costs the
  clip.
* The same source gives the same bytes with the same ffmpeg: one thread, no time stamps, no choices of the encoder
  that depend on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
    sound_options,
    ways_with_sound,
    x264_options,
)
from clipquarry.media.errors import MediaError
from clipquarry.media.in_process import Plan, encode
from clipquarry.media.nested import Outer, copy_out, key_numbers
from clipquarry.media.probe import MISSING_SECONDS, MediaFacts, probe
from clipquarry.media.run import run
from clipquarry.media.stamped import Readable, readable
from clipquarry.media.timeline import Timeline, constant_rate, decoded_times, hole, read_timeline, spacing, unlike
from clipquarry.media.tools import ffmpeg as find_ffmpeg
from clipquarry.reasons import Reason

FROM_ZERO = "setpts=PTS-STARTPTS"
"""Put the first frame at 0, less than one frame from its own time, so that all frames of a constant rate fall on the
clock.
"""

LONGEST_FRAME = 0.1
"""Seconds that a clip may lack or exceed because it was cut between two frames. Slower frame rates are judged by the
tolerance alone.
"""

_COARSE = Fraction(1, 1000)
"""Seconds. ffmpeg rounds the edges of a window to the ticks of the source; on a slower clock that is another frame."""

_LONGEST_HOLE = 1.0
"""Seconds without a frame that no tolerance allows."""

_HOLE_OF_FRAMES = 5
"""A time without frames that is longer than this many of the following frames is a hole, not a slow frame rate."""

_FEW = 10
"""Number of frames that tell the rate after a gap."""


@dataclass(frozen=True)
class _Window:
    """The window to cut, in seconds after the file's start."""

    start: float
    duration: float
    recipe: Recipe
    timeline: Timeline
    slots: int = 0
    """Frames at ``recipe.fps``; 0: every frame as it is."""
    fill: int = 0
    """How many slots the last frame may fill."""
    edges: tuple[float, ...] = ()
    """Seconds after the file's start at which inner clips begin or end."""

    @property
    def seeks(self) -> bool:
        return self.timeline.seeks

    @property
    def offset(self) -> float:
        """Time on the clock of decoded frames at the window's start."""
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
        """Frames per second, if the packets confirm the header's."""
        return constant_rate(self.times, self.timeline.header)

    @property
    def from_zero(self) -> bool:
        """Whether the first frame is put at 0. When ffmpeg decodes from the beginning, times are those of the whole
        source, and ffmpeg drops the frames before the window last.
        """
        return self.rate is not None and self.seeks

    @property
    def tick(self) -> Fraction:
        """The encoder's tick, in seconds."""
        fps = self.recipe.fps
        return (
            Fraction(1, fps)
            if fps is not None
            else encoder_tick(self.timeline.header, self.rate if self.seeks else None)
        )


def allowance(tolerance: float, fps: float) -> float:
    """Seconds that a clip of ``fps`` frames per second may be too short: ``tolerance``, or less than one frame."""
    return max(tolerance, min(1 / fps, LONGEST_FRAME) if fps else 0.0)


def _filters(window: _Window) -> list[str]:
    """The video filters, in order."""
    recipe, offset = window.recipe, window.offset
    shape = SQUARE if window.timeline.header.pixel != 1 else ()
    if recipe.fps is not None:
        return [*shape, EVEN, *filters(recipe.fps, window.slots, window.fill, offset=offset), *back(offset)]
    # ffmpeg's own -t counts from the first frame in the window, which may come late.
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


def _argv(source: Readable, out: Path, window: _Window, audio: Sound) -> list[str]:
    tool, start = find_ffmpeg(), plain_seconds(window.start)
    options = _video_options(window) | {"t": plain_seconds(window.duration)}
    if not window.seeks:
        options["ss"] = start
    sought = {"ss": start} if window.seeks else {}
    into = ffmpeg.input(f"file:{source.path}", **input_options(), **source.options, **sought)
    if audio == "none":
        return argv_of(tool, ffmpeg.output(into["V:0"], f"file:{out}", **options))
    options |= sound_options("mp4", audio)
    return argv_of(tool, ffmpeg.output(into["V:0"], into["a:0"], f"file:{out}", **options))


def _late(timeline: Timeline, start: float, found: str) -> MediaError:
    """Why the first frame after ``start`` comes late."""
    after = timeline.inside(start, math.inf)
    before = timeline.inside(-math.inf, start)
    if not before:
        return MediaError(Reason.TOO_SHORT, f"{found}: the video stream begins at {after[0]:.2f} s")
    usual = spacing(after[:_FEW])
    if usual and after[0] - before[-1] > _HOLE_OF_FRAMES * usual:
        return MediaError(
            Reason.CORRUPT, f"{found}, although the video goes on to {timeline.end:.2f} s: it has a hole there"
        )
    return MediaError(Reason.TOO_SHORT, f"{found}: no new frame comes before {after[0]:.2f} s")


def _not_enough(timeline: Timeline, start: float, duration: float, measured: float) -> MediaError:
    """Why the window has only ``measured`` seconds of video."""
    stated, readable = timeline.header.duration or 0.0, timeline.readable
    found = f"{measured:.2f} s of {duration:g} s from {start:g} s on"
    if timeline.inside(start + duration, math.inf):
        return _late(timeline, start, found)
    if stated - readable > MISSING_SECONDS and stated > start:
        return MediaError(
            Reason.TRUNCATED, f"{found}: the file ends at {readable:.2f} s, its header says {stated:.2f} s"
        )
    return MediaError(Reason.TOO_SHORT, f"{found}: the source ends at {max(timeline.end, min(stated, start)):.2f} s")


def _differs(source: Readable, window: _Window, made: list[float], facts: MediaFacts) -> str:
    """What is wrong with the times of the clip's frames, or ``""``."""
    if window.slots:
        return "" if facts.frames == window.slots else f"{facts.frames} of {window.slots} frames came out"
    wanted = window.times
    if problem := unlike(made, wanted, window.timeline.tick):
        # Packets may be fields, or frames that are never shown. Only the decoder knows, at the cost of decoding.
        shown = decoded_times(source.path, window.start, window.end, source.origin)
        problem = unlike(made, tuple(time - window.start for time in shown), window.timeline.tick)
    return problem


def _verified(source: Readable, out: Path, window: _Window, tolerance: float) -> MediaFacts:
    """Verify the clip against the window: by decoding, or by counting packets if the number of frames is known."""
    made: list[float] = []
    try:
        facts = probe(out, decode=not window.slots, times=made, look=True)
    except MediaError as error:
        # ffmpeg writes an empty video when no frame in the window decodes.
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


def _made_in_process(source: Readable, out: Path, window: _Window, audio: Sound, tolerance: float) -> MediaFacts | None:
    """The verified clip, or None if the ffmpeg program has to make it. The cause is not kept, because the program's
    own failure tells it.
    """
    if audio == "encode" or not window.seeks or not (window.slots or window.from_zero):
        return None
    keys = frozenset[int]() if window.slots else key_numbers(window.times, [at - window.start for at in window.edges])
    plan = Plan(
        window.start,
        window.duration,
        _filters(window),
        1 / window.tick,
        window.slots,
        window.recipe,
        audio == "copy",
        keys,
    )
    try:
        encode(source.path, out, window.timeline.header, plan)
        return _verified(source, out, window, tolerance)
    except MediaError:
        return None


def _copied(
    source: Path, out: Path, window: _Window, outer: Outer, audio: Sound, tolerance: float
) -> MediaFacts | None:
    """The verified clip, copied out of another one; None if it has to be encoded."""
    if audio == "encode" or window.slots or not window.from_zero:
        return None
    try:
        sound = audio == "copy"
        copy_out(source, out, outer, window.start, window.duration, len(window.times), sound=sound)
        return _verified(Readable(source), out, window, tolerance)
    except (MediaError, FileNotFoundError):  # the outer clip may be gone
        return None


def _between_frames(timeline: Timeline, start: float, duration: float) -> tuple[float, float]:
    """The same frames, from the first one until the next after the last. The edges of such a window are exact on any
    clock.
    """
    first = math.floor(timeline.inside(start, start + duration)[0] * 1e6) / 1e6
    after = timeline.inside(start + duration, start + duration + LONGEST_FRAME)
    return first, (after[0] if after else start + duration) - first


def _window(source: Path, start: float, duration: float, recipe: Recipe, tolerance: float) -> _Window:
    """The window, found in the source's packets. Raises MediaError if the source does not have it."""
    timeline = read_timeline(source, start, start + duration)
    there = covered(timeline, start, duration)
    rate = constant_rate(there.times, timeline.header)
    first = there.times[0] if there.times else 0.0
    has = there.end - first if there.times else 0.0
    if first > (1 / rate if rate else LONGEST_FRAME):
        # Video and sound begin together: with the first frame, to ffmpeg's microsecond.
        moved = math.floor((start + first) * 1e6) / 1e6
        if has >= duration - tolerance:
            return _window(source, moved, start + duration - moved, recipe, tolerance - (moved - start))
    if not there.times or has < duration - allowance(tolerance, there.rate):
        raise _not_enough(timeline, start, duration, has)
    longest = min(max(tolerance, 3 / there.rate), _LONGEST_HOLE)
    if found := hole(timeline, start, start + duration, longest):
        raise MediaError(
            Reason.CORRUPT, f"the video has a hole of {found[1]:.2f} s at {found[0]:.2f} s ({duration:g} s from "
            f"{start:g} s on were wanted)",
        )  # fmt: skip
    if recipe.fps is None:
        if timeline.header.time_base > _COARSE:
            start, duration = _between_frames(timeline, start, duration)
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
    edges: Sequence[float] = (),
    outer: Outer | None = None,
) -> MediaFacts:
    """Cut ``duration`` seconds from ``start`` (seconds after the file's own start time) and verify the clip.

    Its frames are those of the source in the window, at their times. With ``recipe.fps`` their number is known
    beforehand, and they are counted.

    ``out`` is written under its own name, so give a temporary one; it is removed if the cut fails. The clip is
    ``duration`` long, plus or minus one frame. If the source's video begins late or ends early, the clip may be up
    to ``tolerance`` seconds shorter, and begins with its first frame. With ``recipe.fps`` it has exactly fps x
    duration frames (or fps x what is there, if the source ends early). Frame n (from 0) is then the window's frame
    nearest to ``start`` + n / fps.

    ``edges``: seconds after the file's start where inner clips begin or end, which get key frames if it is encoded in
    process. ``outer``: a clip of the same source, out of which this one is copied if it has such edges.

    ``in_process`` tries :mod:`clipquarry.media.in_process` first, for processes that may crash. ``takes`` is called
    with the most seconds that the next operation may take, including the check of the clip. Raises
    :class:`MediaError` (TOO_SHORT with the seconds measured; TRUNCATED, CORRUPT, NOT_A_VIDEO for a bad source;
    TOOL_FAILED), RetryLater (full disk, cancelled), MachineError (no ffmpeg).
    """
    if not (0 <= start < math.inf and 0 < duration < math.inf):
        raise ValueError(f"a window needs a start >= 0 and a duration > 0, not {start} and {duration}")
    source, out = Path(source).absolute(), Path(out).absolute()
    window = replace(_window(source, start, duration, recipe, tolerance), edges=tuple(edges))
    try:
        if outer is not None and in_process:
            sound = ways_with_sound(recipe.audio, window.timeline.header.audio_codec)[0]
            if facts := _copied(source, out, window, outer, sound, tolerance):
                return facts
        with readable(source, window.timeline, out) as given:
            return _made(given, out, window, tolerance, cancelled, in_process, takes)
    except BaseException:
        out.unlink(missing_ok=True)
        raise


def _made(
    source: Readable,
    out: Path,
    window: _Window,
    tolerance: float,
    cancelled: Event | None,
    in_process: bool,
    takes: Callable[[float], None],
) -> MediaFacts:
    """The verified clip, with the first way to include its sound that works."""
    timeout = 60 + SLOWEST * (window.duration + (0 if window.seeks else window.start))
    for audio in (ways := ways_with_sound(window.recipe.audio, window.timeline.header.audio_codec)):
        try:
            takes(timeout)
            if in_process and audio == ways[0] and (facts := _made_in_process(source, out, window, audio, tolerance)):
                return facts
            takes(2 * timeout)
            run(_argv(source, out, window, audio), timeout=timeout, cancelled=cancelled)
            return _verified(source, out, window, tolerance)
        except MediaError as error:
            # A window that the source lacks does not depend on the sound; other failures may.
            if error.reason in (Reason.TOO_SHORT, Reason.TRUNCATED) or audio == "none":
                raise
    raise AssertionError("unreachable: the last way has no sound and returns or raises")
