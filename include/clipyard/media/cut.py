"""Exact cuts: one annotated window of a source video becomes one clip.

The first frame is the first one whose time is not before ``start``, as with ``ffmpeg -i IN -ss START -t DURATION``
(the command of the Kinetics crawler), but the source is not decoded from its beginning: where the container finds key
frames by time, ffmpeg seeks to the last one before ``start`` and decodes from there, so that the cost does not grow
with ``start``. Differences to that command, all on purpose:

* every frame keeps its own time (at a constant rate the first one is at 0); a variable frame rate is neither filled with copies nor thinned (ffmpeg up to 5 did
  both);
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
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import av
import ffmpeg

from clipyard.media.errors import MediaError
from clipyard.media.probe import (
    DEMUXERS,
    MAX_PIXELS,
    MISSING_SECONDS,
    PROTOCOLS,
    Header,
    MediaFacts,
    header,
    opened,
    probe,
)
from clipyard.media.run import run
from clipyard.media.tools import Tool
from clipyard.media.tools import ffmpeg as find_ffmpeg
from clipyard.reasons import Reason

_SEEKS_EXACTLY = ("mov", "matroska")
"""Containers with an index of times; others are decoded from the beginning, which is slower and always right."""

_FINEST = Fraction(1, 1_000_000)
"""Seconds: the finest tick that is handed on to the encoder."""

_SLOWEST = 60
"""An encode that takes more seconds than this per second of film hangs."""

_X264 = {"superfast": "mbtree=1:rc-lookahead=10:weightp=0:b-adapt=0:"}
"""superfast gets the one thing back whose absence shows (without mbtree, files of still scenes double in size) and pays
with the searches for fades and for the best number of B-frames.

``cpu-independent`` is there because x264 otherwise makes other bytes on a processor with other vector instructions.
"""

_EVEN = "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"
FROM_ZERO = "setpts=PTS-STARTPTS"
"""Put the first frame at 0, less than one frame from its own time, so that all of a constant rate fall on the clock."""

_COPIED_SOUND = frozenset({"aac", "mp3", "mp3float"})


class Recipe(Protocol):
    """What the encoder is told; ``clipyard.datasets.model.Recipe`` is one."""

    @property
    def preset(self) -> str:
        """Of x264: ultrafast … slow."""

    @property
    def crf(self) -> int:
        """Of x264: 0 (lossless) … 51."""

    @property
    def audio(self) -> str:
        """``copy`` (AAC and MP3 as they are, all else is encoded), ``aac`` (encoded) or ``none``."""


def input_options() -> dict[str, Any]:
    """What every ffmpeg input gets: only film containers, only local files, no giant pictures, fixed threads."""
    return {
        "format_whitelist": DEMUXERS,
        "protocol_whitelist": PROTOCOLS,
        "max_pixels": MAX_PIXELS,
        "threads": 1,
    }


def x264_options(recipe: Recipe) -> dict[str, Any]:
    """What every encode gets, so that it depends on nothing but its input and this recipe."""
    return {
        "c:v": "libx264", "preset": recipe.preset, "crf": recipe.crf, "pix_fmt": "yuv420p", "threads": 1,
        "x264-params": _X264.get(recipe.preset, "") + "cpu-independent=1",
        "flags:v": "+bitexact", "fflags": "+bitexact",
        "map_metadata": -1, "map_chapters": -1, "movflags": "+faststart", "f": "mp4",
    }  # fmt: skip


def global_options() -> tuple[str, ...]:
    """What every call gets: say only errors, ask nothing, no hidden threads, give up on a mostly undecodable input."""
    return ("-hide_banner", "-loglevel", "error", "-nostdin", "-filter_threads", "1", "-max_error_rate", "0.05")


def argv_of(tool: Tool, node: Any) -> list[str]:
    """The argument vector of a finished ffmpeg-python graph."""
    command = [str(tool.path), *global_options()]
    return [str(argument) for argument in ffmpeg.compile(node, cmd=command, overwrite_output=True)]


def encoder_clock(source: Header, *, even: bool = True) -> dict[str, str]:
    """The ticks in which the encoder counts: frames where the source has a rate (and ``even``), else the source's own.

    Left alone, old ffmpeg rounds a variable rate to whole frames and loses those that fall together.
    """
    base = 1 / source.rate if even and source.rate else max(source.time_base, _FINEST)
    return {"enc_time_base:v": f"{base.numerator}/{base.denominator}"}


def _ways_with_sound(wanted: str, codec: str) -> tuple[str, ...]:
    """What is done with the sound, first choice first; each next one is tried when the one before fails."""
    if wanted == "none" or not codec:
        return ("none",)
    return ("copy", "aac", "none") if wanted == "copy" and codec in _COPIED_SOUND else ("aac", "none")


def _seconds(value: float) -> str:
    """Plain decimal microseconds: ffmpeg reads no exponents."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _argv(
    source: Path, out: Path, start: float, duration: float, recipe: Recipe, audio: str, facts: Header
) -> list[str]:
    tool, seeks = find_ffmpeg(), facts.format.startswith(_SEEKS_EXACTLY)
    # Decoded from the beginning, times are those of the whole source, and ffmpeg drops the frames before the window last.
    even = seeks and facts.rate is not None
    options = x264_options(recipe) | encoder_clock(facts, even=even)
    options |= {"vf": f"{_EVEN},{FROM_ZERO}" if even else _EVEN, "t": _seconds(duration), tool.fps_mode_option: "vfr"}
    options |= tool.last_frame_options
    if not seeks:
        options["ss"] = _seconds(start)
    into = ffmpeg.input(f"file:{source}", **input_options(), **({"ss": _seconds(start)} if seeks else {}))
    if audio == "none":
        return argv_of(tool, ffmpeg.output(into["V:0"], f"file:{out}", **options))
    # Without copypriorss the sound from the key frame on would be copied and merely hidden by an edit list.
    options |= (
        {"c:a": "copy", "copypriorss": 0} if audio == "copy" else {"c:a": "aac", "b:a": "128k", "flags:a": "+bitexact"}
    )
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


def _verified(source: Path, out: Path, start: float, duration: float, tolerance: float) -> MediaFacts:
    """Decode the clip and hold it against the window."""
    try:
        facts = probe(out)
    except MediaError as error:
        # ffmpeg writes an empty film when no frame of the source lies in the window.
        raise _not_enough(source, start, duration, 0.0) from error
    one_frame = 1 / facts.fps if facts.fps else 0.0
    if facts.duration < duration - max(tolerance, one_frame):
        raise _not_enough(source, start, duration, facts.duration)
    if facts.errors:
        raise MediaError(Reason.TOOL_FAILED, f"the clip just made has {facts.errors} damaged frames of {facts.frames}")
    return facts


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
    """Cut ``duration`` seconds from ``start`` (seconds after the file's own start time) and verify the clip by
    decoding it.

    ``out`` is written under its own name: give a temporary one; it is removed when the cut fails. The clip is
    ``duration`` long, give or take one frame; where the source ends earlier it may be up to ``tolerance`` seconds
    shorter. Raises :class:`MediaError` (TOO_SHORT with the seconds measured; TRUNCATED, CORRUPT, NOT_A_VIDEO for a
    bad source; TOOL_FAILED), RetryLater (full disk, cancelled), MachineError (no ffmpeg).
    """
    if not (0 <= start < math.inf and 0 < duration < math.inf):
        raise ValueError(f"a window needs a start >= 0 and a duration > 0, not {start} and {duration}")
    source, out = Path(source).absolute(), Path(out).absolute()
    facts = header(source)
    seeks = facts.format.startswith(_SEEKS_EXACTLY)
    timeout = 60 + _SLOWEST * (duration + (0 if seeks else start))
    ways = _ways_with_sound(recipe.audio, facts.audio_codec)
    try:
        for audio in ways:
            try:
                run(_argv(source, out, start, duration, recipe, audio, facts), timeout=timeout, cancelled=cancelled)
                return _verified(source, out, start, duration, tolerance)
            except MediaError as error:
                # A window that the source does not have is no matter of sound; anything else may be.
                if error.reason in (Reason.TOO_SHORT, Reason.TRUNCATED) or audio == "none":
                    raise
        raise AssertionError("unreachable: the last way has no sound and returns or raises")
    except BaseException:
        out.unlink(missing_ok=True)
        raise
