"""Raw frames: one JPEG per picture, ``img_00001.jpg`` onwards, in a folder that appears whole.

Names and sizes are those of mmaction2's ``build_rawframes.py --use-opencv``: with a short edge the long side is
``int(SHORT / short * long)``, truncated and possibly odd, and small videos are enlarged; at the native rate every
decoded frame gives one image. With ``fps`` the video is sampled: image ``fps * t + 1`` shows second t, by the nearest
frame.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import ffmpeg

from clipyard.files import TEMPORARY_PREFIX, sync_folder, temporary_beside
from clipyard.media.cut import argv_of, encoder_clock, input_options
from clipyard.media.errors import MediaError
from clipyard.media.probe import MediaFacts, header, picture_size, probe
from clipyard.media.run import run
from clipyard.media.tools import ffmpeg as find_ffmpeg
from clipyard.reasons import Reason

_NAME = re.compile(r"img_(\d{5,})\.jpg\Z")
_SLOWEST = 60
"""Seconds of work per second of film after which ffmpeg hangs."""

_STALE_SECONDS = 600
"""An unfinished folder without a new image for so long belongs to a run that was killed."""

TOLERANCE = 2
"""Images more or fewer than rate times duration."""


@dataclass(frozen=True)
class FrameRecipe:
    """What the images look like. ``width`` and ``height`` (both, pixels) come before ``short_edge``; all 0: the
    original size.

    ``fps`` 0 keeps every frame. ``quality`` is ffmpeg's JPEG scale, 1 (best) to 31.
    """

    short_edge: int = 256
    width: int = 0
    height: int = 0
    fps: float = 0.0
    quality: int = 2

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the images of a ``width`` x ``height`` video."""
        if self.width and self.height:
            return self.width, self.height
        if not self.short_edge:
            return width, height
        if width > height:
            return int(self.short_edge / height * width), self.short_edge
        return self.short_edge, int(self.short_edge / width * height)


@dataclass(frozen=True)
class FrameFacts:
    """A finished folder."""

    frames: int
    width: int
    height: int
    fps: float
    """Images per second of film."""
    source_duration: float
    """Seconds."""
    bytes: int
    """Of all images together."""


def image_name(number: int) -> str:
    """``img_00001.jpg`` for 1; from 100,000 on with six digits."""
    return f"img_{number:05d}.jpg"


def count_images(folder: Path) -> tuple[int, int]:
    """How many images a folder holds, and their bytes. Raises MediaError when they are not numbered 1, 2, 3, … or one
    is empty.
    """
    numbers, size = [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.match(entry.name)
            if match is None or entry.name != image_name(int(match[1])):
                raise MediaError(Reason.TOOL_FAILED, f"{entry.name!r} is in the folder and is no image of it")
            length = entry.stat().st_size
            if not length:
                raise MediaError(Reason.TOOL_FAILED, f"{entry.name} is empty")
            numbers.append(int(match[1]))
            size += length
    if len(numbers) != max(numbers, default=0):
        gap = next(n for n, found in enumerate([*sorted(numbers), -1], 1) if n != found)
        raise MediaError(Reason.TOOL_FAILED, f"{image_name(gap)} is not there, but later images are")
    return len(numbers), size


def _sample(fps: float, source_fps: float) -> str:
    """Image n shows the frame nearest to (n - 1) / fps seconds.

    ffmpeg's own rounding fills a slot with the last frame that rounds to it, up to half a slot late. Rounded up instead,
    it is the last frame not after the slot; half a frame earlier on the clock makes that the nearest one.
    """
    return f"setpts=PTS-STARTPTS-{0.5 / source_fps:.6f}/TB,fps={fps:g}:round=up:start_time=0"


def frames_argv(source: Path, facts: MediaFacts, recipe: FrameRecipe) -> list[str]:
    """ffmpeg's arguments, to be run in the folder that gets the images."""
    tool = find_ffmpeg()
    filters = [_sample(recipe.fps, facts.fps)] if recipe.fps else []
    size = recipe.size(facts.width, facts.height)
    if size != (facts.width, facts.height):
        filters.append(f"scale={size[0]}:{size[1]}:flags=bicubic")
    options: dict[str, object] = {"vf": ",".join(filters)} if filters else {}
    options |= encoder_clock(header(source), even=False) if not recipe.fps else {}
    options |= {
        tool.fps_mode_option: "passthrough", "c:v": "mjpeg", "pix_fmt": "yuvj420p", "q:v": recipe.quality,
        "qmin": min(2, recipe.quality), "threads": 1, "flags:v": "+bitexact", "f": "image2", "start_number": 1,
    }  # fmt: skip
    into = ffmpeg.input(f"file:{source}", **input_options())
    return argv_of(tool, ffmpeg.output(into["V:0"], "img_%05d.jpg", **options))


def _verified(folder: Path, facts: MediaFacts, recipe: FrameRecipe) -> FrameFacts:
    count, size = count_images(folder)
    wanted = facts.frames if not recipe.fps else round(recipe.fps * facts.duration)
    if abs(count - wanted) > TOLERANCE:
        raise MediaError(Reason.TOOL_FAILED, f"{count} images, but {wanted} were expected (± {TOLERANCE})")
    expected = recipe.size(facts.width, facts.height)
    for number in {1, count}:
        if (found := picture_size(folder / image_name(number))) != expected:
            raise MediaError(
                Reason.TOOL_FAILED, f"{image_name(number)} is {found[0]}x{found[1]}, not {expected[0]}x{expected[1]}"
            )
    return FrameFacts(count, *expected, recipe.fps or facts.fps, facts.duration, size)


def _work_folder(folder: Path) -> Path:
    """A fresh name beside ``folder`` that says whose it is, so that a later run can clear it away."""
    return folder.with_name(f"{temporary_beside(folder).stem}-{folder.name}")


def _sweep(folder: Path) -> None:
    """Delete what a killed run left of this folder. One that is being written changes all the time and is left alone."""
    for left in folder.parent.glob(f"{TEMPORARY_PREFIX}*-{glob.escape(folder.name)}"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _replace_folder(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``. An older folder is renamed away first and deleted last, so no mixture is ever
    seen.
    """
    old = _work_folder(target)
    with suppress(FileNotFoundError):
        target.rename(old)
    new.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _say_no_frames(source: Path, error: MediaError) -> None:
    """Raise NO_FRAMES when it is the source's fault that there is no image."""
    try:
        probe(source)
    except MediaError as found:
        raise MediaError(Reason.NO_FRAMES, found.evidence) from error


def extract_frames(source: Path, folder: Path, *, recipe: FrameRecipe, cancelled: Event | None = None) -> FrameFacts:
    """Write the images of ``source`` and verify them; ``folder`` is replaced as a whole, or left alone on failure.

    Raises as :func:`clipyard.media.cut.cut_clip`; a source that gives no image is MediaError(NO_FRAMES).
    """
    source, folder = Path(source).absolute(), Path(folder).absolute()
    facts = probe(source, decode=False)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    work = _work_folder(folder)
    work.mkdir()
    try:
        try:
            run(
                frames_argv(source, facts, recipe),
                timeout=60 + _SLOWEST * facts.duration,
                cancelled=cancelled,
                cwd=work,
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
        _replace_folder(work, folder)
        return made
    finally:
        shutil.rmtree(work, ignore_errors=True)
