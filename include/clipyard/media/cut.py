"""Exact cuts: one annotated window of a source video becomes one clip.

The first frame is the first one whose time is not before ``start``, as with ``ffmpeg -i IN -ss START -t DURATION``
(the command of the Kinetics crawler), but the source is not decoded from its beginning: where the container finds key
frames by time, ffmpeg seeks to the last one before ``start`` and decodes from there, so that the cost does not grow
with ``start``. Differences to that command, all on purpose:

* every frame keeps its own time (at a constant rate the first one is at 0); a variable frame rate is neither filled with copies nor thinned (ffmpeg up to 5 did
  both); a recipe with a rate of its own gets that rate instead (:mod:`clipyard.media.constant_rate`);
* pixels are always 8 bit 4:2:0, which every reader decodes; an odd width or height loses its last
  column or row (the command fails there), because cropping leaves all other pixels where they are;
* rotation is applied to the pixels; metadata, chapters, data streams and subtitles are left out; the index comes
  first (faststart);
* sound that is broken or cannot be copied into mp4 is encoded, or left out when that fails too: it never costs the
  clip;
* the same source gives the same bytes with the same ffmpeg: one thread, no time stamps, no machine dependent choices
  of the encoder.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import av
import ffmpeg

from clipyard.media.constant_rate import Coverage, back, coverage, filters
from clipyard.media.encoding import (
    EVEN,
    SLOWEST,
    Recipe,
    Sound,
    argv_of,
    encoder_clock,
    input_options,
    plain_seconds,
    seeks_exactly,
    sound_options,
    ways_with_sound,
    x264_options,
)
from clipyard.media.errors import MediaError
from clipyard.media.probe import MISSING_SECONDS, Header, MediaFacts, header, opened, probe
from clipyard.media.run import run
from clipyard.media.tools import ffmpeg as find_ffmpeg
from clipyard.reasons import Reason

FROM_ZERO = "setpts=PTS-STARTPTS"
"""Put the first frame at 0, less than one frame from its own time, so that all of a constant rate fall on the clock."""


@dataclass(frozen=True)
class _Window:
    """What is cut: seconds after the file's start; ``slots`` frames at ``recipe.fps``, or every frame as it is."""

    start: float
    duration: float
    recipe: Recipe
    slots: int = 0
    source_rate: float = 0.0


def _timing(window: _Window, facts: Header) -> tuple[list[str], dict[str, str]]:
    """Filters and the encoder's clock."""
    seeks, fps = seeks_exactly(facts), window.recipe.fps
    offset = 0.0 if seeks else window.start
    if fps is not None:
        wanted = filters(fps, window.source_rate, window.slots, offset=offset)
        return [*wanted, *back(offset)], {"enc_time_base:v": f"1/{fps}"}
    # Decoded from the beginning, times are those of the whole source, and ffmpeg drops the frames before the window last.
    even = seeks and facts.rate is not None
    return [FROM_ZERO] if even else [], encoder_clock(facts, even=even)


def _argv(source: Path, out: Path, window: _Window, audio: Sound, facts: Header) -> list[str]:
    tool, start, seeks = find_ffmpeg(), plain_seconds(window.start), seeks_exactly(facts)
    timing, clock = _timing(window, facts)
    options = x264_options(window.recipe) | clock | tool.last_frame_options
    options |= {"vf": ",".join([EVEN, *timing]), "t": plain_seconds(window.duration), tool.fps_mode_option: "vfr"}
    if not seeks:
        options["ss"] = start
    into = ffmpeg.input(f"file:{source}", **input_options(), **({"ss": start} if seeks else {}))
    if audio == "none":
        return argv_of(tool, ffmpeg.output(into["V:0"], f"file:{out}", **options))
    options |= sound_options("mp4", audio)
    return argv_of(tool, ffmpeg.output(into["V:0"], into["a:0"], f"file:{out}", **options))


def _ends(source: Path, start: float) -> tuple[float, float, float]:
    """Seconds from the file's start: its end by its header, the end of what can be read, and of the video in that."""
    with opened(source) as (container, video):
        origin = (container.start_time or 0) / av.time_base
        stated = (container.duration or 0) / av.time_base
        container.seek(max(0, round((start + origin) * av.time_base)))
        seen = {True: 0.0, False: 0.0}
        with suppress(av.FFmpegError):  # the end that we look for may be an error
            for packet in container.demux():
                if packet.pts is not None and packet.size:
                    end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin
                    is_video = packet.stream_index == video.index
                    seen[is_video] = max(seen[is_video], end)
    return stated, max(seen.values()), seen[True]


def _not_enough(source: Path, start: float, duration: float, measured: float) -> MediaError:
    """Why the window gave only ``measured`` seconds."""
    stated, seen, video = _ends(source, start)
    found = f"{measured:.2f} s of {duration:g} s from {start:g} s on"
    if stated - seen > MISSING_SECONDS and stated > start:
        return MediaError(Reason.TRUNCATED, f"{found}: the file ends at {seen:.2f} s, its header says {stated:.2f} s")
    if video >= start + duration:
        return MediaError(Reason.CORRUPT, f"{found}, although the video goes on to {video:.2f} s: it has a hole there")
    return MediaError(Reason.TOO_SHORT, f"{found}: the source ends at {max(video, min(stated, start)):.2f} s")


def _too_short(measured: float, duration: float, tolerance: float, rate: float) -> bool:
    return measured < duration - max(tolerance, 1 / rate if rate else 0.0)


def _verified(source: Path, out: Path, window: _Window, tolerance: float) -> MediaFacts:
    """Hold the clip against the window: decoded, or counted where the number of frames is known beforehand."""
    try:
        facts = probe(out, decode=not window.slots)
    except MediaError as error:
        # ffmpeg writes an empty film when no frame of the source lies in the window.
        raise _not_enough(source, window.start, window.duration, 0.0) from error
    if _too_short(facts.duration, window.duration, tolerance, facts.fps):
        raise _not_enough(source, window.start, window.duration, facts.duration)
    if facts.errors:
        raise MediaError(Reason.TOOL_FAILED, f"the clip just made has {facts.errors} damaged frames of {facts.frames}")
    if window.slots and facts.frames != window.slots:
        raise MediaError(
            Reason.CORRUPT, f"{facts.frames} of {window.slots} frames came out, although the source goes on: its end "
            "does not decode",
        )  # fmt: skip
    return facts


def _window(source: Path, start: float, duration: float, recipe: Recipe, tolerance: float) -> _Window:
    """The window; one of constant rate is looked for in the source first. Raises MediaError when it is not there."""
    if recipe.fps is None:
        return _Window(start, duration, recipe)
    there: Coverage = coverage(source, start, duration)
    slots = there.slots(recipe.fps, duration)
    if not slots or _too_short(slots / recipe.fps, duration, tolerance, recipe.fps):
        raise _not_enough(source, start, duration, there.end)
    return _Window(start, duration, recipe, slots, there.rate)


def cut_clip(
    source: Path,
    out: Path,
    *,
    start: float,
    duration: float,
    recipe: Recipe,
    tolerance: float,
    cancelled: Event | None = None,
) -> MediaFacts:
    """Cut ``duration`` seconds from ``start`` (seconds after the file's own start time) and verify the clip:
    decoded, or with ``recipe.fps``, where the number of frames is known beforehand, by counting them.

    ``out`` is written under its own name: give a temporary one; it is removed when the cut fails. The clip is
    ``duration`` long, give or take one frame; where the source ends earlier it may be up to ``tolerance`` seconds
    shorter. With ``recipe.fps`` it has exactly fps x duration frames (a source that ends early: fps x what is there),
    and frame n (from 0) is the source's nearest to ``start`` + n / fps. Raises :class:`MediaError` (TOO_SHORT with the
    seconds measured; TRUNCATED, CORRUPT, NOT_A_VIDEO for a bad source; TOOL_FAILED), RetryLater (full disk,
    cancelled), MachineError (no ffmpeg).
    """
    if not (0 <= start < math.inf and 0 < duration < math.inf):
        raise ValueError(f"a window needs a start >= 0 and a duration > 0, not {start} and {duration}")
    source, out = Path(source).absolute(), Path(out).absolute()
    facts = header(source)
    window = _window(source, start, duration, recipe, tolerance)
    timeout = 60 + SLOWEST * (duration + (0 if seeks_exactly(facts) else start))
    try:
        for audio in ways_with_sound(recipe.audio, facts.audio_codec):
            try:
                run(_argv(source, out, window, audio, facts), timeout=timeout, cancelled=cancelled)
                return _verified(source, out, window, tolerance)
            except MediaError as error:
                # A window that the source does not have is no matter of sound; anything else may be.
                if error.reason in (Reason.TOO_SHORT, Reason.TRUNCATED) or audio == "none":
                    raise
        raise AssertionError("unreachable: the last way has no sound and returns or raises")
    except BaseException:
        out.unlink(missing_ok=True)
        raise
