"""A constant rate from any other: slot k (from 0) of a window lies k / fps seconds after its start and shows the frame
nearest to that time.

This is what the references' ``-r 30`` is meant to do: image ``30 (t - start) + 1`` shows second t. ffmpeg's own option
does it for 24, 25, 29.97 and 30 frames a second in mp4; in Matroska and WebM it repeats no frame (10 s of 25 fps stay
250 frames), and ffmpeg 5 is up to three frames late where it thins (60 to 30). The filter ``fps`` alone is up to half
a slot late.

Time counts from the start of the container (the earliest stream), as with ``-ss``.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av

from clipyard.media.errors import MediaError
from clipyard.media.probe import MISSING_SECONDS, header, opened
from clipyard.reasons import Reason

_TICKS = 90_000
"""Per second. A coarse clock (one tick a frame) could not be moved by half a frame."""

_LOOK_BEYOND = 1.0
"""Seconds after the window that are read: frames are stored out of order."""

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Coverage:
    """What a window of a source holds, by the times of its packets; nothing was decoded.

    All times are seconds after the window's start.
    """

    frames: int
    """Whose time lies in the window."""
    rate: float
    """Frames per second: the source's, or the mean in the window where that varies."""
    end: float
    """Where the video ends in the window; its duration when the video goes on."""
    gap: float
    """The longest time without a new frame."""
    gap_at: float
    """Where that begins."""
    video_end: float
    """Seconds after the file's start: where the video ends, as far as it was read."""

    def slots(self, fps: float, duration: float) -> int:
        """How many slots the window gives. What lacks less than one frame of the source is full: a clip that was cut
        between two frames is up to one shorter than its name says, and its last frame is shown until the end.
        """
        lacks = duration - self.end
        return round(fps * (duration if lacks < 1 / self.rate - _ROUNDING else self.end)) if self.frames else 0


def _times(source: Path, start: float, until: float) -> tuple[list[tuple[float, float]], float, float]:
    """Times and durations of the video's packets from about ``start`` to ``until``; the last second of any stream that
    can be read; what the header says. All from the file's start.
    """
    found, readable = [], 0.0
    with opened(source) as (container, video):
        origin = (container.start_time or 0) / av.time_base
        ticks = {stream.index: float(stream.time_base or 0) for stream in container.streams}  # fractions are slow
        with suppress(av.FFmpegError):  # without an index it is read from the beginning
            container.seek(max(0, round((start + origin) * av.time_base)))
        with suppress(av.FFmpegError):  # the end that we look for may be an error
            for packet in container.demux():
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is None or not packet.size:
                    continue
                tick = ticks[packet.stream_index]
                time, length = stamp * tick, (packet.duration or 0) * tick
                readable = max(readable, time + length - origin)
                if packet.stream_index == video.index and not packet.is_discard:
                    found.append((time - origin, length))
                    if packet.dts is not None and packet.dts * tick - origin > until:
                        break
        return sorted(found), readable, (container.duration or 0) / av.time_base


def coverage(source: Path, start: float, duration: float) -> Coverage:
    """Look at ``duration`` seconds from ``start`` (seconds after the file's start) of the video in ``source``.

    Raises MediaError: TRUNCATED when the file ends in the window, before its header says; NOT_A_VIDEO and the like.
    """
    until = start + duration
    found, readable, stated = _times(source, start, until + _LOOK_BEYOND)
    inside = [time for time, _ in found if start - _ROUNDING <= time < until - _ROUNDING]
    video_end = max((time + length for time, length in found), default=min(readable, start))
    goes_on = bool(found) and found[-1][0] >= until - _ROUNDING
    if not goes_on and stated - readable > MISSING_SECONDS and stated > start:
        raise MediaError(
            Reason.TRUNCATED, f"the file ends at {readable:.2f} s, its header says {stated:.2f} s ({duration:g} s "
            f"from {start:g} s on were wanted)",
        )  # fmt: skip
    rate = header(source).rate
    spacing = (inside[-1] - inside[0]) / (len(inside) - 1) if len(inside) > 1 else 0.0
    mean = float(rate) if rate else 1 / spacing if spacing else 1 / (found[-1][1] or 1.0) if found else 1.0
    if found and not found[-1][1]:
        video_end += 1 / mean  # the container says no durations
    end = duration if goes_on else max(0.0, min(duration, video_end - start))
    edges = [start, *inside, start + end]
    gap, gap_at = max(((after - before, before) for before, after in pairwise(edges)), default=(0.0, start))
    return Coverage(len(inside), mean, end if inside else 0.0, gap, gap_at - start, video_end)


def on_clock(source_rate: float, *, offset: float = 0.0, from_zero: bool = False) -> list[str]:
    """ffmpeg's video filters, in order: every frame on a clock on which slot k begins at k / fps.

    ``offset`` is the window's start where the input was not sought to it; ``from_zero`` puts the first frame at 0
    whatever its own time is.
    """
    # A slot filled by the filter fps alone shows the last frame that rounds to it, up to half a slot late. Rounded up, it
    # is the last frame not after the slot; half a frame earlier on the clock makes that the nearest one.
    half = 0.5 / source_rate
    moved = f"PTS{'-STARTPTS' if from_zero else ''}-{round((offset + half) * _TICKS)}"
    return [*([f"trim=start={offset:.6f}"] if offset else []), f"settb=1/{_TICKS}", f"setpts={moved}"]


def padding(fps: float, source_rate: float) -> int:
    """How many slots at the end the last frame may fill: on the clock of :func:`on_clock` the end comes half a frame early
    too, and a full window may lack up to a frame.
    """
    return math.ceil(1.5 * fps / source_rate) + 1


def all_slots(fps: float, source_rate: float, slots: int) -> list[str]:
    """Filters after :func:`on_clock`: exactly ``slots`` frames at ``fps``, the first at time 0."""
    return [
        f"fps={fps:g}:round=up:start_time=0",
        f"tpad=stop_mode=clone:stop={padding(fps, source_rate)}",
        f"trim=end_frame={slots}",
    ]


def first_slots(fps: int, slots: int) -> list[str]:
    """Filters after :func:`on_clock`, instead of :func:`all_slots`: every frame once, its time being the first slot that it
    fills, counted from 1 in ticks of 1 / ``fps``. Of frames that fall on one slot the last one counts. For ffmpeg-python,
    which escapes the comma; not for ``-vf``.
    """
    return [
        f"setpts=max(0,ceil(PTS*{fps}/{_TICKS}))*{_TICKS}/{fps}",
        f"settb=1/{fps}",
        "setpts=PTS+1",
        f"trim=end_pts={slots + 1}",
    ]


def filters(fps: float, source_rate: float, slots: int, *, offset: float = 0.0, from_zero: bool = False) -> list[str]:
    """:func:`on_clock` and :func:`all_slots`."""
    return [*on_clock(source_rate, offset=offset, from_zero=from_zero), *all_slots(fps, source_rate, slots)]


def back(offset: float) -> list[str]:
    """Filters that undo ``offset`` of :func:`filters`, for an output that is cut by ``-ss`` (with its sound)."""
    return [f"settb=1/{_TICKS}", f"setpts=PTS+{round(offset * _TICKS)}"] if offset else []
