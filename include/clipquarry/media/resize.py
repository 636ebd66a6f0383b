"""Resized copies for training: a given short side, key frames close together, no sound.

The sizes are those of mmaction2's ``resize_videos.py``: landscape gets ``scale=-2:SHORT``, everything else
``scale=SHORT:-2``. Small videos are enlarged too. ``dense`` puts a key frame at least every 16 frames. Every frame
of the source keeps its own time; ``remove_dup`` drops frames that repeat the one before (ffmpeg's ``mpdecimate``).
"""

from __future__ import annotations

from pathlib import Path
from threading import Event

import ffmpeg

from clipquarry.media.cut import FROM_ZERO
from clipquarry.media.encoding import (
    SLOWEST,
    Container,
    Recipe,
    argv_of,
    encoder_clock,
    encoder_tick,
    input_options,
    x264_options,
)
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MediaFacts, probe
from clipquarry.media.run import run
from clipquarry.media.stamped import readable
from clipquarry.media.timeline import constant_rate, read_timeline, unlike
from clipquarry.media.tools import ffmpeg as find_ffmpeg
from clipquarry.reasons import Reason

DENSE_GAP = 16
"""Frames from one key frame to the next in a dense copy, at most."""

CONTAINERS: dict[str, Container] = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi", ".flv": "flv", ".3gp": "3gp",
    **dict.fromkeys((".ts", ".mts", ".m2ts"), "mpegts"),
}  # fmt: skip
"""Suffixes, in lower case, of files that can hold H.264; ``.webm``, ``.ogv``, ``.wmv`` and ``.mpg`` cannot, or are not
read back by everybody.
"""

_MORE: dict[Container, dict[str, int]] = {"avi": {"bf": 0}, "mpegts": {"muxdelay": 0, "muxpreload": 0}}
"""avi has no times of its own for frames that are shown in another order than they are stored in. A transport stream
would begin 1.4 s late.
"""

_SCALER = "flags=bicubic+accurate_rnd+bitexact"


def scale_filter(width: int, height: int, short_edge: int) -> str:
    """ffmpeg's filter for a video of ``width`` x ``height`` (as shown). The long side is the nearest even number."""
    size = f"-2:{short_edge}" if width > height else f"{short_edge}:-2"
    return f"scale={size}:{_SCALER}"


def copy_problem(made: MediaFacts, source: MediaFacts, short_edge: int, dense: bool, remove_dup: bool) -> str | None:
    """What is wrong with a copy of ``source``, or None."""
    if min(made.width, made.height) != short_edge:
        return f"its size is {made.width}x{made.height}, not short side {short_edge}"
    if made.has_audio:
        return "it has sound"
    if made.errors:
        return f"{made.errors} of its {made.frames} frames are damaged"
    if dense and made.keyframe_gap > DENSE_GAP:
        return f"it has {made.keyframe_gap} frames between two key frames, more than {DENSE_GAP}"
    if made.frames != source.frames and not (remove_dup and made.frames < source.frames):
        return f"it has {made.frames} frames, its source {source.frames}"
    return None


def resize_clip(
    source: Path,
    out: Path,
    *,
    short_edge: int,
    dense: bool,
    remove_dup: bool,
    recipe: Recipe,
    container: Container = "mp4",
    cancelled: Event | None = None,
) -> MediaFacts:
    """Make the resized copy ``out`` of ``source`` and verify it by decoding. ``short_edge`` is in pixels and even;
    ``container`` is one of :data:`CONTAINERS`.

    ``out`` is written under its own name, so give a temporary one; it is removed on failure. Raises as
    :func:`clipquarry.media.cut.cut_clip`.
    """
    if short_edge % 2:
        raise ValueError(f"short edge {short_edge}: H.264 needs an even one")
    source, out = Path(source).absolute(), Path(out).absolute()
    # Counting packets costs next to nothing; the source is decoded only if the counts differ.
    facts, tool = probe(source, decode=False), find_ffmpeg()
    scale = scale_filter(facts.width, facts.height, short_edge)
    timeline = read_timeline(source)
    rate = constant_rate(timeline.times, timeline.header)
    options = (
        x264_options(recipe, container) | _MORE.get(container, {}) | encoder_clock(encoder_tick(timeline.header, rate))
    )
    options |= {"vf": f"mpdecimate,{scale}" if remove_dup else f"{FROM_ZERO},{scale}"}
    options |= {tool.fps_mode_option: "vfr" if remove_dup else "passthrough"}
    options |= tool.last_frame_options
    if dense:
        options["g"] = DENSE_GAP
    try:
        with readable(source, timeline, out) as given:
            into = ffmpeg.input(f"file:{given.path}", **input_options(), **given.options)
            argv = argv_of(tool, ffmpeg.output(into["V:0"], f"file:{out}", **options))
            run(argv, timeout=60 + SLOWEST * facts.duration, cancelled=cancelled)
        times: list[float] = []
        made = probe(out, times=times)
        if container == "avi" and times and timeline.times:  # a reader counts its times from where its decoder begins
            times = [moment - times[0] + timeline.times[0] for moment in times]
        if made.frames != facts.frames:
            facts = probe(source)
        elif moved := unlike(times, timeline.times, timeline.tick):
            raise MediaError(Reason.TOOL_FAILED, f"the copy just made is wrong: {moved}")
        if problem := copy_problem(made, facts, short_edge, dense, remove_dup):
            raise MediaError(Reason.TOOL_FAILED, f"the copy just made is wrong: {problem}")
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return made
