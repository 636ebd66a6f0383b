"""A video of a folder of numbered frame files, as mmaction2's ``build_videos.py`` makes one."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any, Literal

import ffmpeg

from clipquarry.media.encoding import EVEN, Recipe, argv_of, container_options, x264_options
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MAX_PIXELS, MediaFacts, frame_size, probe
from clipquarry.media.run import run
from clipquarry.media.tools import ffmpeg as find_ffmpeg
from clipquarry.reasons import Reason

Codec = Literal["mpeg4", "h264"]
"""``mpeg4`` (MPEG-4 part 2 at ffmpeg's usual 200 kbit/s) is the reference's; ``h264`` looks better. Readers take both."""

_SECONDS_A_FRAME = 2.0
"""Seconds per frame after which the call counts as hung."""
_LONGEST_GAP = 5
"""Absent numbers that are named."""

PATTERN = re.compile(r"(?P<prefix>[^%/\\\x00]*)%0?(?P<digits>[1-9]?)d(?P<suffix>[^%/\\\x00]*\.jpe?g)")
"""Names of frame files: ``%05d.jpg``, ``img_%05d.jpg``."""


@dataclass(frozen=True)
class FrameFiles:
    """The frames in a folder whose names fit a pattern."""

    folder: Path
    count: int
    digest: str
    """Changes when a file is added, removed or written again."""


def find_frames(folder: Path, pattern: str, start: int) -> FrameFiles:
    """The frames of a folder, numbered ``start``, ``start`` + 1, …; files of other names (optical flow) do not count.

    Raises MediaError NO_FRAMES where there is none, CORRUPT for a gap, another first number, or an empty file.
    """
    name = _name_of(pattern)
    numbers, told = list[int](), list[str]()
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            found = name.fullmatch(entry.name)
            if found is None or pattern % int(found[1]) != entry.name:
                continue
            there = entry.stat()
            if not there.st_size:
                raise MediaError(Reason.CORRUPT, f"{entry.name} is empty")
            numbers.append(int(found[1]))
            told.append(f"{entry.name}\t{there.st_size}\t{there.st_mtime_ns}")
    if not numbers:
        raise MediaError(Reason.NO_FRAMES, f"the folder holds no frame {pattern}")
    if problem := _gap(sorted(numbers), pattern, start):
        raise MediaError(Reason.CORRUPT, problem)
    return FrameFiles(
        folder, len(numbers), hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()
    )


def _name_of(pattern: str) -> re.Pattern[str]:
    found = PATTERN.fullmatch(pattern)
    if found is None:
        raise ValueError(f"{pattern!r} is no pattern of frame files such as img_%05d.jpg")
    return re.compile(rf"{re.escape(found['prefix'])}([0-9]+){re.escape(found['suffix'])}")


def _gap(numbers: list[int], pattern: str, start: int) -> str:
    """Why ascending numbers are not ``start``, ``start`` + 1, …, or nothing."""
    if numbers[0] != start:
        return f"the first frame is {pattern % numbers[0]}, not {pattern % start}"
    there = set(numbers)
    absent = [number for number in range(start, numbers[-1]) if number not in there]
    if not absent:
        return ""
    names = ", ".join(pattern % number for number in absent[:_LONGEST_GAP])
    return f"{len(absent)} frames are absent between the first and the last: {names}{', …' if absent[_LONGEST_GAP:] else ''}"


def video_argv(
    out: Path, *, pattern: str, start: int, fps: float, codec: Codec, recipe: Recipe, odd: bool = False
) -> list[str]:
    """ffmpeg's arguments, to be run in the folder of the frame files. ``odd``: the frames have an odd width or height."""
    rate = str(Fraction(fps).limit_denominator(1001))
    into: dict[str, Any] = {
        "f": "image2", "pattern_type": "sequence", "start_number": start, "r": rate,
        "c:v": "mjpeg", "protocol_whitelist": "file", "max_pixels": MAX_PIXELS, "threads": 1,
    }  # fmt: skip
    if codec == "h264":
        options = x264_options(recipe) | ({"vf": EVEN} if odd else {})
    else:
        options = {"c:v": "mpeg4", "pix_fmt": "yuv420p", "threads": 1, "flags:v": "+bitexact"} | container_options(
            "mp4"
        )
    return argv_of(find_ffmpeg(), ffmpeg.output(ffmpeg.input(f"./{pattern}", **into)["v:0"], f"file:{out}", **options))


def join_frames(
    frames: FrameFiles,
    out: Path,
    *,
    pattern: str,
    start: int,
    fps: float,
    codec: Codec,
    recipe: Recipe,
    cancelled: Event | None = None,
) -> MediaFacts:
    """Write the mp4 ``out`` of ``frames``, ``fps`` of them a second, and verify it by decoding.

    ``out`` is written under its own name, so give a temporary one; it is removed on failure. H.264 loses the last
    column or row of an odd size. Raises as :func:`clipquarry.media.cut.cut_clip`.
    """
    out = Path(out).absolute()
    sizes = {
        frame_size(frames.folder / (pattern % number))
        for number in (start, start + frames.count // 2, start + frames.count - 1)
    }
    if len(sizes) > 1:
        told = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        raise MediaError(Reason.CORRUPT, f"the frames have several sizes: {told}")
    ((width, height),) = sizes
    odd = bool(width % 2 or height % 2)
    argv = video_argv(out, pattern=pattern, start=start, fps=fps, codec=codec, recipe=recipe, odd=odd)
    try:
        run(argv, timeout=60 + _SECONDS_A_FRAME * frames.count, cancelled=cancelled, cwd=frames.folder)
        made = probe(out)
        wanted = (width // 2 * 2, height // 2 * 2) if codec == "h264" else (width, height)
        if problem := _problem(made, frames.count, fps, wanted):
            raise MediaError(Reason.TOOL_FAILED, f"the video just made is wrong: {problem}")
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return made


def _problem(made: MediaFacts, count: int, fps: float, size: tuple[int, int]) -> str | None:
    """What is wrong with a video, or None."""
    if made.frames != count:
        return f"it has {made.frames} frames, the folder {count}"
    if made.errors:
        return f"{made.errors} of its {made.frames} frames are damaged"
    if (made.width, made.height) != size:
        return f"its size is {made.width}x{made.height}, not {size[0]}x{size[1]}"
    if abs(made.fps / fps - 1) > 0.01:
        return f"it has {made.fps:g} frames a second, not {fps:g}"
    return None
