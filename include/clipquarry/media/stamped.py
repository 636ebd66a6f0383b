"""Copies of sources with the frame times that their container lacks, because the ffmpeg program would guess them.

Packets, including sound, are copied unchanged into NUT, which holds every codec and any clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from clipquarry.files import disk_errors, owned_beside
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import opened
from clipquarry.media.stamps import packets
from clipquarry.media.timeline import Timeline

_FINE = Fraction(1, 1_000_000)
"""Seconds: the tick for sound, whose own ticks may be whole packets."""

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Readable:
    """The file that ffmpeg reads instead of a source."""

    path: Path
    options: dict[str, Any] = field(default_factory=dict)
    """Input options that put second 0 at the same moment as the source's timeline."""
    origin: float | None = None
    """Seconds of its clock at the timeline's second 0; None: the start of its earliest stream."""


@contextmanager
def readable(source: Path, timeline: Timeline, beside: Path) -> Iterator[Readable]:
    """``source`` itself or, while the context lasts, a copy beside ``beside``, as far as the ``timeline`` was read.

    Raises MediaError TOOL_FAILED if the copy cannot be written, RetryLater if the disk is full.
    """
    if not timeline.stamps:
        yield Readable(source)
        return
    copy = owned_beside(beside)
    try:
        try:
            origin = _write(source, timeline, copy, with_sound=True)
        except (MediaError, av.FFmpegError, ValueError):
            origin = _write(source, timeline, copy, with_sound=False)  # sound that NUT has no name for
        with opened(copy) as (container, _):
            late = (container.start_time or 0) / av.time_base - origin
        # ffmpeg lets a file begin with its earliest stream.
        yield Readable(copy, {"itsoffset": f"{late:.6f}"} if abs(late) >= _ROUNDING else {}, origin)
    finally:
        copy.unlink(missing_ok=True)


def _write(source: Path, timeline: Timeline, copy: Path, *, with_sound: bool) -> float:
    """Copy the first sound stream and, with times, the video. Returns the second of the copy's clock at the
    timeline's second 0.

    Raises MediaError, and PyAV's errors if NUT cannot hold a stream.
    """
    # The muxer writes an index, and aborts the process if frames that are no key frames are marked as key frames.
    options = {"fflags": "+bitexact", "avoid_negative_ts": "disabled", "write_index": "0"}
    with (
        opened(source) as (container, video),
        disk_errors(copy),  # raised here, so that it is not taken for an error of the source
        av.open(f"file:{copy}", "w", format="nut", options=options) as made,
    ):
        tick = Fraction(video.time_base)
        track = made.add_stream_from_template(video)
        track.time_base = tick
        heard = container.streams.audio[:1] if with_sound else ()
        sound = made.add_stream_from_template(heard[0]) if heard else None
        decoded = sorted(timeline.stamps)
        # NUT allows no negative time, and every frame must be decoded before it is shown.
        lead = max(place - shown for place, shown in zip(decoded, timeline.stamps, strict=True))
        begin = round(Fraction(timeline.origin) / tick) - lead
        written, sounds_until, end = 0, 0 if heard else math.inf, (decoded[-1] - begin) * tick
        for packet in packets(container, video, *heard):
            if written == len(decoded) and sounds_until > end:
                break
            if packet.stream_index != video.index:
                if packet.pts is None:
                    continue
                sounds_until = max(Fraction(0), packet.pts * packet.time_base - begin * tick)
                packet.pts = packet.dts = round(sounds_until / _FINE)
                packet.time_base, packet.stream = _FINE, sound
            elif written == len(decoded):
                continue
            else:
                packet.pts, packet.dts = timeline.stamps[written] - begin, decoded[written] - lead - begin
                packet.time_base, packet.stream = tick, track
                written += 1
            made.mux(packet)
        return float(lead * tick)
