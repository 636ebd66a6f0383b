"""Clips inside another clip of the same source: the encode of the outer one serves both.

The outer clip gets key frames at the edges of the inner ones (:attr:`clipquarry.media.in_process.Plan.keys`). Between two
key frames no frame needs another outside, so that the packets of an inner clip are copied, at the outer one's quality.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from clipquarry.media.encoding import container_options
from clipquarry.media.in_process import NotPlain
from clipquarry.media.probe import opened
from clipquarry.media.timeline import ROUNDING, read_timeline


@dataclass(frozen=True)
class Outer:
    """A clip that was cut from the same source, with the same recipe."""

    path: Path
    start: float
    """Seconds after the source's start, as for an inner clip."""


def key_numbers(times: Sequence[float], edges: Sequence[float]) -> frozenset[int]:
    """Numbers (from 0) of the frames at ``times`` that are the first ones from each of the ``edges`` on; all in seconds."""
    numbers = {bisect_left(times, edge - ROUNDING) for edge in edges}
    return frozenset(number for number in numbers if 0 < number < len(times))


def copy_out(source: Path, out: Path, outer: Outer, start: float, duration: float, frames: int, *, sound: bool) -> None:
    """Copy the ``frames`` frames from second ``start`` of the source on out of the ``outer`` clip, which shows them.

    Raises NotPlain if they do not lie between two key frames there, or if the outer clip has other frames than the source.
    """
    timeline = read_timeline(source, outer.start, start + duration)
    shown = timeline.inside(outer.start, start + duration)
    before = len(shown) - frames
    with opened(outer.path) as (container, video):
        tick = float(video.time_base)
        packets = [(p.pts, p.is_keyframe) for p in container.demux(video) if p.size]
    order = sorted(pts for pts, _ in packets)
    if before < 0 or len(order) < len(shown) or _differ([(pts - order[0]) * tick for pts in order], shown):
        raise NotPlain("the outer clip has not all frames of the source")
    first = order[before]
    begin = next(number for number, (pts, _) in enumerate(packets) if pts == first)
    piece = packets[begin : begin + frames]
    closed = begin + frames == len(packets) or packets[begin + frames][1]
    if not piece[0][1] or not closed or sorted(pts for pts, _ in piece) != order[before : before + frames]:
        raise NotPlain("no key frames at the edges")
    _write(out, outer, first, range(begin, begin + frames), start - outer.start, duration, sound=sound)


def _differ(made: Sequence[float], shown: Sequence[float]) -> bool:
    """Whether frames of the outer clip are not those of the source; seconds from the first one, and of the source."""
    spacing = (shown[-1] - shown[0]) / max(1, len(shown) - 1)
    pairs = zip(made, shown, strict=False)
    return any(abs(time - (other - shown[0])) > spacing / 2 for time, other in pairs)


def _write(
    out: Path, outer: Outer, first: int, numbers: range, late: float, duration: float, *, sound: bool
) -> None:  # fmt: skip
    """``first``: the time of the first frame, in ticks; ``numbers``: of the packets; ``late``: seconds of the outer clip before it."""
    options = {name: str(container_options("mp4")[name]) for name in ("fflags", "movflags")}
    with opened(outer.path) as (container, video), av.open(f"file:{out}", "w", format="mp4", options=options) as made:
        track, number = made.add_stream_from_template(video), -1
        heard = container.streams.audio[0] if sound and container.streams.audio else None
        copy = None if heard is None else made.add_stream_from_template(heard)
        for packet in container.demux([video] if heard is None else [video, heard]):
            if not packet.size or packet.pts is None or packet.dts is None:
                continue
            if packet.stream_index == video.index:
                number += 1
                if number not in numbers:
                    continue
                packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, track
            else:
                tick = float(packet.time_base)
                packet.pts -= round(late / tick)
                if not 0 <= packet.pts < duration / tick:
                    continue
                packet.dts, packet.stream = packet.pts, copy
            made.mux(packet)
