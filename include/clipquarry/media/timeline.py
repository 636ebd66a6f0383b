"""Frame times of a video, read from its packets; nothing is decoded.

A header's frame rate is a claim: Matroska states one for any file, mp4 an average over the whole file. The packets
decide which frames a window has, whether their rate is constant, and whether the video has a hole.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from clipquarry.media.encoding import seeks_exactly
from clipquarry.media.probe import MAX_ERROR_SHARE, Header, header, header_of, opened
from clipquarry.media.stamps import lacks_times, read_stamps

ROUNDING = 1e-6
"""Seconds: ffmpeg's own ticks for the edges of a window."""

LOOK_AROUND = 1.0
"""Seconds that are read after a window: frames are stored out of order."""

_FINEST = 0.001
"""Seconds that a frame may lie off a constant rate: the error of a clock of milliseconds."""

_FEW_GAPS = 10
"""Of this many distances between frames one may be a hole; if more are long, the frame rate is low."""

_SHOWN = 0x10
"""A bit in the first byte of a VP8 frame; a frame without it is only a reference for others."""


@dataclass(frozen=True)
class Timeline:
    """Frames in display order. All times are seconds after the file's start (its earliest stream, as with ``-ss``)."""

    times: tuple[float, ...]
    """When each frame is shown first, ascending."""
    lengths: tuple[float, ...]
    """Duration of each by its packet; 0.0 if the container does not say."""
    readable: float
    """The last second of any stream that can be read."""
    tick: float
    """Seconds: the tick of the container's clock for the video."""
    header: Header
    """The file's header."""
    keys: tuple[float, ...] = ()
    """Times of the key frames."""
    stamps: tuple[int, ...] = ()
    """For containers without display times: see :class:`clipquarry.media.stamps.Stamps`, in ticks of its own clock.
    Else empty.
    """
    origin: float = 0.0
    """Seconds of that clock at the file's start."""

    @property
    def seeks(self) -> bool:
        """Whether ffmpeg finds any of these times by the file's index."""
        return seeks_exactly(self.header) and not self.stamps

    def inside(self, start: float, until: float) -> tuple[float, ...]:
        """Times from ``start`` on and before ``until``."""
        return self.times[bisect_left(self.times, start - ROUNDING) : bisect_left(self.times, until - ROUNDING)]

    def end_of(self, index: int) -> float:
        """End of a frame by its packet; by the usual spacing if the packet does not say."""
        return self.times[index] + (self.lengths[index] or spacing(self.times) or 0.0)

    @property
    def end(self) -> float:
        """End of the video, as far as it was read; 0.0 without frames."""
        return max((self.end_of(index) for index in range(max(0, len(self.times) - 3), len(self.times))), default=0.0)


def spacing(times: Sequence[float]) -> float:
    """The mean distance of frames; 0.0 for fewer than two."""
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0


def constant_rate(times: Sequence[float], source: Header) -> Fraction | None:
    """The header's rate if all ``times`` lie on it, each in a place of its own; frames may be missing. Else None."""
    rate = source.rate
    if rate is None or not times:
        return None
    allowed = max(_FINEST, float(source.time_base)) * 1.01
    place = -1
    for time in times:
        exact = (time - times[0]) * float(rate)
        if round(exact) == place or abs(exact - round(exact)) > allowed * float(rate):
            return None
        place = round(exact)
    return rate


def hole(timeline: Timeline, start: float, until: float, longest: float) -> tuple[float, float] | None:
    """Begin and length (seconds) of the longest time without a new frame in a window, if that is a hole: longer than
    ``longest``, in a video that otherwise has a constant rate. At a variable rate, a frame may last long.
    """
    times = (*timeline.inside(start, until), *timeline.inside(until, math.inf)[:1])
    gaps = [(min(after, until) - before, before) for before, after in pairwise(times)]
    length, begin = max(gaps, default=(0.0, 0.0))
    rate = constant_rate(times, timeline.header)
    if length <= longest or rate is None or len(gaps) < _FEW_GAPS:
        return None
    pauses = sum(gap > 1.5 / float(rate) for gap, _ in gaps)
    return (begin, length) if pauses <= max(1, len(gaps) // _FEW_GAPS) else None


def unlike(made: Sequence[float], wanted: Sequence[float], tick: float) -> str:
    """How the times of a clip's frames differ from those of its source, or ``""``.

    The first frames of both count as the same if they are less than a frame apart. Up to one in twenty of ``wanted``
    may be lost, none may be added. All in seconds; ``tick`` is the source's clock.
    """
    if not made or not wanted:
        return f"{len(made)} of {len(wanted)} frames came out"
    allowed = 2 * max(_FINEST, tick)
    moved = made[0] - wanted[0]
    if abs(moved) > max(LOOK_AROUND / 10, spacing(wanted)):
        return f"the first frame is at {made[0]:.3f} s and not at {wanted[0]:.3f} s"
    place, lost = 0, 0
    for time in made:
        while place < len(wanted) and wanted[place] + moved < time - allowed:
            place, lost = place + 1, lost + 1
        if place == len(wanted) or wanted[place] + moved > time + allowed:
            return f"a frame of the clip is at {time:.3f} s, where the source has none"
        place += 1
    lost += len(wanted) - place
    return f"{lost} of {len(wanted)} frames are lost" if lost > MAX_ERROR_SHARE * len(wanted) else ""


def _hidden(codec: str, packet: Any) -> bool:
    """Whether a packet holds no frame that is shown: outside an edit list, or VP8's invisible references."""
    return packet.is_discard or (codec == "vp8" and not bytes(packet)[0] & _SHOWN)


def _packets(container: Any, origin: float, start: float) -> Iterator[Any]:
    """Packets from the key frame before ``start`` on, as far as they can be read; 0: all."""
    if start > 0:
        with suppress(av.FFmpegError):
            container.seek(max(0, round((start + origin) * av.time_base)))
    with suppress(av.FFmpegError):  # a damaged end raises an error
        yield from container.demux()


def _read(source: Path, start: float, until: float) -> tuple[Header, list[tuple[float, float, bool]], float]:
    """The header; times, durations and keys of the frames from about ``start`` on if the file has an index, else of
    all; and the last second of any stream.
    """
    found: list[tuple[float, float, bool]] = []
    readable = 0.0
    with opened(source) as (container, video):
        told = header_of(container, video)
        start = start if seeks_exactly(told) else 0.0
        origin = (container.start_time or 0) / av.time_base
        codec = video.codec_context.name
        ticks = {stream.index: float(stream.time_base or 0) for stream in container.streams}  # fractions are slow
        for packet in _packets(container, origin, start):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or not packet.size:
                continue
            tick = ticks[packet.stream_index]
            time, length = stamp * tick - origin, (packet.duration or 0) * tick
            readable = max(readable, time + length)
            if packet.stream_index != video.index:
                continue
            if not _hidden(codec, packet):
                found.append((time, length, packet.is_keyframe))
            if packet.dts is not None and packet.dts * tick - origin > until + LOOK_AROUND:
                break
    return told, sorted(found), readable


def read_timeline(source: Path, start: float = 0.0, until: float = math.inf) -> Timeline:
    """The frames from about ``start`` (the key frame before it) to a little after ``until``.

    Raises MediaError if ``source`` is no video. A file that ends early gives what can be read.
    """
    told, found, readable = _read(source, start, until)
    if start > 0 and seeks_exactly(told) and (not found or found[0][0] > start):
        # A damaged index led past the window, or there is nothing before it.
        told, found, readable = _read(source, 0.0, until)
    tick, stamps, origin = float(told.time_base), tuple[int, ...](), 0.0
    if lacks_times(source, told.format):
        made = read_stamps(source, until + told.start_time + LOOK_AROUND)
        stamps = made.shown
        # The estimate of the earliest stream may be late.
        origin = min(told.start_time, min(stamps, default=0) * tick)
        shown = zip(stamps, made.lengths, made.keys, strict=True)
        found = sorted((time * tick - origin, length * tick, key) for time, length, key in shown)
        readable = max(readable, max((time + length for time, length, _ in found), default=0.0))
    times, lengths = tuple(time for time, _, _ in found), tuple(length for _, length, _ in found)
    keys = tuple(time for time, _, key in found if key)
    return Timeline(times, lengths, readable, tick, told, keys, stamps, origin)


def decoded_times(source: Path, start: float, until: float, origin: float | None = None) -> tuple[float, ...]:
    """The times from ``start`` on and before ``until`` of the frames that the decoder returns. Needed where packets
    cannot tell: two may be one frame (fields), or one may be none. ``origin``: seconds of the file's clock at
    second 0; None: its start.
    """
    found: list[float] = []
    sought = start if seeks_exactly(header(source)) else 0.0
    with opened(source) as (container, video):
        origin = (container.start_time or 0) / av.time_base if origin is None else origin
        tick = float(video.time_base)
        for packet in _packets(container, origin, sought):
            if packet.stream_index != video.index:
                continue
            with suppress(av.FFmpegError):  # a damaged frame is no frame
                found += [frame.pts * tick - origin for frame in packet.decode() if frame.pts is not None]
            if packet.dts is not None and packet.dts * tick - origin > until + LOOK_AROUND:
                break
    return tuple(time for time in sorted(found) if start - ROUNDING <= time < until - ROUNDING)
