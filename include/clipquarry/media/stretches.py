"""Division of an excerpt into stretches that several ffmpeg processes make at once, and their joining.

Borders depend on the video alone, so that every machine makes the same excerpt. A stretch is decoded from a few
frames before its first slot, on the same clock (it is sought to a whole second of the section). So its first slot
shows the same frame as in one piece.
"""

from __future__ import annotations

import math
import shutil
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import BoundedSemaphore, Event

import ffmpeg

from clipquarry.errors import RetryLater
from clipquarry.media.constant_rate import TICKS, Coverage, slot_of
from clipquarry.media.encoding import (
    SLOWEST,
    Container,
    Sound,
    argv_of,
    container_options,
    input_options,
    plain_seconds,
    sound_options,
)
from clipquarry.media.frame_folder import frame_name, rename_frames, repeat_frames
from clipquarry.media.probe import PROTOCOLS
from clipquarry.media.run import run
from clipquarry.media.tools import ffmpeg as find_ffmpeg

SECONDS = 30
"""Approximate seconds of a stretch. Each costs a start of ffmpeg and the decoding from a key frame."""

_LONGEST_LEAD = 10.0
"""Seconds from a key frame to a border; beyond that, there is no border."""

_FRAMES_BEFORE = 3
"""Frames decoded before the frame of the first slot: two decide which frame it is, one may not decode."""


@dataclass(frozen=True)
class Stretch:
    """Slots of an excerpt (from 0) that one ffmpeg makes."""

    first: int
    slots: int
    ahead: int
    """Slots of its clock before the first one: it is sought to slot ``first`` - ``ahead``."""
    fill: int
    """How many slots the last frame may fill."""
    keep_from: int = 0
    """Tick on its clock before which no frame belongs to its slots."""


class Encoders:
    """Limit of ffmpeg processes at once, over all excerpts of a step."""

    def __init__(self, count: int) -> None:
        self.count, self._free = count, BoundedSemaphore(count)

    def run(self, argv: Sequence[str], *, timeout: float, cancelled: Event | None, cwd: Path | None) -> str:
        """:func:`clipquarry.media.run.run`, once there is room; the time counts from then."""
        with self._free:
            return run(argv, timeout=timeout, cancelled=cancelled, cwd=cwd)

    def all(self, works: Sequence[Callable[[Event], str]], cancelled: Event | None) -> list[str]:
        """The result of each work. Each gets an event that is set when another has failed, or when ``cancelled`` is
        set. Raises the first error.
        """
        stop, failed = _Either(cancelled), list[BaseException]()

        def one(work: Callable[[Event], str]) -> str:
            if stop.is_set():
                failed.append(RetryLater("The step was told to stop while an excerpt was made: run it again to go on."))
                return ""
            try:
                return work(stop)
            except BaseException as error:  # noqa: BLE001  raised below, once the others have stopped
                failed.append(error)
                stop.set()
                return ""

        with ThreadPoolExecutor(min(self.count, len(works))) as pool:
            said = list(pool.map(one, works))
        if failed:
            raise failed[0]
        return said


class _Either(Event):
    """An event that is set when it or another one is set."""

    def __init__(self, other: Event | None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or (self._other is not None and self._other.is_set())


def whole(there: Coverage, fps: int, slots: int) -> Stretch:
    """The whole excerpt as one stretch."""
    return Stretch(0, slots, 0, there.last_fill(fps, slots))


def divide(there: Coverage, fps: int, slots: int, seconds: int = SECONDS) -> list[Stretch]:
    """The stretches of an excerpt of ``slots`` slots: about ``seconds`` each, longer if key frames are rare."""
    shown_from = [0.0, *((before + after) / 2 for before, after in pairwise(there.times))]

    def shown(slot: int) -> int:
        """The frame that a slot shows."""
        return max(0, bisect_right(shown_from, slot / fps) - 1)

    def sought(slot: int) -> int:
        """The second to which the stretch that begins with ``slot`` is sought."""
        frame = shown(slot) - _FRAMES_BEFORE
        return max(0, math.floor(there.times[frame])) if frame >= 0 else 0

    def leads(slot: int) -> float:
        """Seconds that are decoded before that."""
        second = sought(slot)
        before = bisect_right(there.keys, second)
        return second - there.keys[before - 1] if before else math.inf

    every = seconds * fps
    borders = [0, *(slot for slot in range(every, slots - every // 2, every) if leads(slot) <= _LONGEST_LEAD), slots]
    found = []
    for first, after in pairwise(borders):
        if after == slots:
            fill = there.last_fill(fps, slots)
        else:
            fill = after - math.ceil(shown_from[shown(after - 1)] * fps) + 2
        second = sought(first) if first else 0
        frame = max(0, shown(first) - 1) if first else 0
        keep = (shown_from[frame] + shown_from[max(0, frame - 1)]) / 2 - second
        found.append(Stretch(first, after - first, first - second * fps, fill, max(0, math.floor(keep * TICKS))))
    return found


def name_frames(folder: Path, stretch: Stretch, fps: int) -> None:
    """Number the frame files of a stretch, whose names are ticks, from 1, and repeat those that fill several slots."""
    rename_frames(folder, lambda tick: max(1, slot_of(tick, fps) - stretch.ahead))
    repeat_frames(folder, stretch.slots, stretch.fill)


def gather_frames(pieces: Sequence[tuple[Path, Stretch]], folder: Path) -> None:
    """Move the frame files of all stretches into ``folder``, with continuous numbers."""
    for piece, stretch in pieces:
        for number in range(1, stretch.slots + 1):
            (piece / frame_name(number)).rename(folder / frame_name(stretch.first + number))
        shutil.rmtree(piece)


def join_argv(
    pieces: Sequence[tuple[Path, Stretch]],
    source: Path,
    start: float,
    fps: int,
    video: Path,
    container: Container,
    sound: Sound,
    folder: Path,
) -> list[str]:
    """ffmpeg's arguments that join the stretches' video and the ``source``'s sound, from ``start`` on, into
    ``video``. Only the sound is encoded. ``folder`` receives a list.
    """
    listed = folder / "parts.txt"
    # Names of ours: no quote in them.
    listed.write_text("".join(f"file {piece.name}\nduration {stretch.slots / fps:.6f}\n" for piece, stretch in pieces))
    streams = [ffmpeg.input(f"file:{listed}", f="concat", safe=0, protocol_whitelist=PROTOCOLS)["V:0"]]
    options = container_options(container) | {"c:v": "copy"}
    options |= {"t": plain_seconds(sum(stretch.slots for _, stretch in pieces) / fps)}
    if sound != "none":
        streams.append(ffmpeg.input(f"file:{source}", **input_options(), ss=plain_seconds(start))["a:0"])
        options |= sound_options(container, sound)
    return argv_of(find_ffmpeg(), ffmpeg.output(*streams, f"file:{video}", **options))


def seconds_for(stretch: Stretch, fps: int, before: float = 0.0) -> float:
    """How long a stretch may take, including the decoding of ``before`` seconds of video before its clock's start."""
    return 60 + SLOWEST * ((stretch.ahead + stretch.slots) / fps + before)
