"""Conversion of any frame rate to a constant one: slot k (from 0) of a window lies k / fps seconds after its start
and shows the frame nearest to that time.

This is what the references' ``-r 30`` is meant to do: frame file ``30 (t - start) + 1`` shows second t. ffmpeg's own
option does it for 24, 25, 29.97 and 30 frames per second in mp4. In Matroska and WebM it repeats no frame (10 s of
25 fps stay 250 frames), and ffmpeg 5 is up to three frames late when it drops frames (60 to 30). The filter ``fps``
alone is up to half a slot late.

Times count from the start of the container (its earliest stream), as with ``-ss``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MISSING_SECONDS
from clipquarry.media.timeline import ROUNDING, Timeline, constant_rate, read_timeline, spacing
from clipquarry.reasons import Reason

TICKS = 90_000
"""Ticks per second. On a coarse clock (one tick per frame) a frame could not be moved by half its length."""


@dataclass(frozen=True)
class Coverage:
    """What a window of a source contains, by the times of its packets; nothing was decoded.

    All times are seconds after the window's start.
    """

    times: tuple[float, ...]
    """Times of the frames in the window."""
    rate: float
    """Frames per second: the source's rate, or the mean rate in the window if it varies."""
    end: float
    """End of the video within the window; the window's duration if the video goes on."""
    gap: float
    """The longest time without a new frame."""
    gap_at: float
    """Where that begins."""
    video_end: float
    """End of the video, as far as it was read, in seconds after the file's start."""
    keys: tuple[float, ...] = ()
    """Times of the key frames, including those before the window."""

    @property
    def frames(self) -> int:
        """Number of frames whose time lies in the window."""
        return len(self.times)

    def slots(self, fps: float, duration: float) -> int:
        """Number of slots that the window fills. A window that lacks less than one source frame counts as full: a
        clip that was cut between two frames is up to one frame shorter than its name says. Its last frame is
        shown until the end.
        """
        lacks = duration - self.end
        return round(fps * (duration if lacks < 1 / self.rate - ROUNDING else self.end)) if self.times else 0

    def last_fill(self, fps: float, slots: int) -> int:
        """How many of ``slots`` the last frame may fill: those after the middle between it and the frame before."""
        shown = sum(self.times[-2:]) / len(self.times[-2:])
        return max(1, math.ceil(slots - shown * fps)) + 1


def covered(timeline: Timeline, start: float, duration: float) -> Coverage:
    """Coverage of ``duration`` seconds from ``start`` (seconds after the file's start).

    Raises MediaError TRUNCATED if the file ends in the window, earlier than its header says.
    """
    until, stated, readable = start + duration, timeline.header.duration or 0.0, timeline.readable
    inside = timeline.inside(start, until)
    goes_on = bool(timeline.times) and timeline.times[-1] >= until - ROUNDING
    if not goes_on and stated - readable > MISSING_SECONDS and stated > start:
        raise MediaError(
            Reason.TRUNCATED, f"the file ends at {readable:.2f} s, its header says {stated:.2f} s ({duration:g} s "
            f"from {start:g} s on were wanted)",
        )  # fmt: skip
    rate = constant_rate(inside, timeline.header)
    between = spacing(inside) or spacing(timeline.times) or (timeline.lengths or (0.0,))[-1] or 1.0
    mean = float(rate) if rate else 1 / between
    video_end = timeline.end if timeline.times else min(readable, start)
    end = duration if goes_on else max(0.0, min(duration, video_end - start))
    edges = [start, *inside, start + end]
    gap, gap_at = max(((after - before, before) for before, after in pairwise(edges)), default=(0.0, start))
    times = tuple(time - start for time in inside)
    keys = tuple(time - start for time in timeline.keys)
    return Coverage(times, mean, end if inside else 0.0, gap, gap_at - start, video_end, keys)


def coverage(source: Path, start: float, duration: float) -> Coverage:
    """Read the packets of ``duration`` seconds from ``start`` (seconds after the file's start) of the video in
    ``source``.

    Raises MediaError: TRUNCATED if the file ends in the window, earlier than its header says; NOT_A_VIDEO and the
    like.
    """
    return covered(read_timeline(source, start, start + duration), start, duration)


def on_clock(*, offset: float = 0.0, from_zero: bool = False) -> list[str]:
    """ffmpeg's video filters, in order, that put each frame on a clock on which slot k begins at k / fps.

    ``offset`` is the window's start if the input was not sought to it. ``from_zero`` puts the first frame at 0,
    whatever its own time is. Join the filters with :func:`clipquarry.media.encoding.filter_text`.
    """
    # The filter fps alone shows the last frame whose time rounds to the slot, up to half a slot late. Rounding up gives
    # the last frame not after the slot. Each frame is first moved to the middle between it and the frame before, so
    # that this is the nearest one.
    zero = "STARTPTS" if from_zero else f"{round(offset * TICKS)}"
    nearest = f"setpts=if(isnan(PREV_INPTS),0,(PTS+PREV_INPTS)/2-{zero})"
    return [*([f"trim=start={offset:.6f}"] if offset else []), f"settb=1/{TICKS}", nearest]


def all_slots(fps: float, slots: int, fill: int) -> list[str]:
    """Filters after :func:`on_clock` for exactly ``slots`` frames at ``fps``, the first at time 0. The last frame
    may fill up to ``fill`` slots more than the filter gives it.
    """
    return [
        f"fps={fps:g}:round=up:start_time=0",
        f"tpad=stop_mode=clone:stop={fill}",
        f"trim=end_frame={slots}",
    ]


def each_once(fps: int, slots: int, first: int = 0) -> list[str]:
    """Filters after :func:`on_clock`, instead of :func:`all_slots`, that keep each frame once. Its time is its tick
    on that clock, counted from 1; :func:`slot_of` gives the slot. Frames before tick ``first`` (from 0) and after
    the last slot are dropped.
    """
    last = (slots - 1) * TICKS // fps
    return [f"trim={f'start_pts={first}:' if first else ''}end_pts={last + 1}", "setpts=max(PREV_OUTPTS+1,PTS+1)"]


def slot_of(tick: int, fps: int) -> int:
    """The first slot, counted from 1, that a frame of :func:`each_once` fills."""
    return -(-(tick - 1) * fps // TICKS) + 1


def filters(fps: float, slots: int, fill: int, *, offset: float = 0.0, from_zero: bool = False) -> list[str]:
    """:func:`on_clock` followed by :func:`all_slots`."""
    return [*on_clock(offset=offset, from_zero=from_zero), *all_slots(fps, slots, fill)]


def back(offset: float) -> list[str]:
    """Filters that undo ``offset`` of :func:`filters`, for an output that is cut by ``-ss`` together with its sound."""
    return [f"settb=1/{TICKS}", f"setpts=PTS+{round(offset * TICKS)}"] if offset else []
