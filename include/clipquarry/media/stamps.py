"""Display times of frames for containers that store none: AVI, ASF, video packed for Windows in Matroska, bare
streams of H.264 and HEVC.

Such files hold the order in which frames are decoded and, at most, a time for each place of that order. libavformat
guesses the rest, each version and program in another way: the same clip came out one to three frames late. Here the
n-th frame that is shown gets the n-th time, which is how these files are meant: an AVI has one frame per period, and
an empty chunk repeats the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from clipquarry.media.probe import opened

_LOOKED_AT = 50
"""Video packets that tell whether a container gives times. If it does, the first ones have some."""

_ALWAYS = ("mov",)
"""Containers that cannot hold a frame without a time."""

_AS_IT_IS = {"fflags": "nofillin"}
"""Makes libavformat pass on what the container says, without guesses."""

_USUAL_RATE = 25
"""Frames per second of a bare stream that does not state a rate: libavformat's own choice."""


@dataclass(frozen=True)
class Stamps:
    """A file's video packets from the beginning on, in file order, without empty ones; all in ticks."""

    shown: tuple[int, ...]
    """Display time of each packet's frame."""
    lengths: tuple[int, ...]
    """Duration of each; 0 if the container does not say."""
    keys: tuple[bool, ...]


def lacks_times(source: Path, format_name: str) -> bool:
    """Whether the container gives no display time for any frame. Raises MediaError if it is no video."""
    if format_name.startswith(_ALWAYS):
        return False
    seen = 0
    with opened(source, _AS_IT_IS) as (container, video), suppress(av.FFmpegError):
        for packet in container.demux(video):
            if packet.pts is not None:
                return False
            seen += bool(packet.size)
            if seen == _LOOKED_AT:
                break
    return seen > 0


def packets(container: Any, video: Any, *others: Any) -> Iterator[Any]:
    """Packets of ``video`` with a frame, one frame each, and those of the ``others``, as far as they can be read."""
    # "Packed" MPEG-4 keeps two frames in one packet and none in a later one.
    unpack = BitStreamFilterContext("mpeg4_unpack_bframes", video) if video.codec_context.name == "mpeg4" else None
    with suppress(av.FFmpegError):  # a damaged end raises an error
        for packet in container.demux(video, *others):
            if not packet.size:
                continue
            if unpack is None or packet.stream_index != video.index:
                yield packet
                continue
            with suppress(av.FFmpegError):  # a damaged packet is no frame
                yield from unpack.filter(packet)


def read_stamps(source: Path, until: float) -> Stamps:
    """The stamps of all video packets before second ``until`` of the container's clock; they are decoded.

    Raises MediaError if ``source`` is no video.
    """
    due: list[int | None] = []
    lengths: list[int] = []
    keys: list[bool] = []
    order: list[int] = []
    with opened(source) as (container, video):
        tick = Fraction(video.time_base)
        context = video.codec_context
        context.options = context.options | {"skip_loop_filter": "all"}
        rate = context.framerate or video.guessed_rate or _USUAL_RATE
        for packet in packets(container, video):
            seconds = len(due) / rate if packet.dts is None else packet.dts * tick
            if seconds >= until:
                break
            due.append(packet.dts)
            lengths.append(packet.duration or 0)
            keys.append(packet.is_keyframe)
            packet.pts = len(due) - 1  # the decoder passes it on to the frame
            with suppress(av.FFmpegError):
                order += [frame.pts for frame in context.decode(packet) if frame.pts is not None]
        with suppress(av.FFmpegError):
            order += [frame.pts for frame in context.decode(None) if frame.pts is not None]
    places = _places(len(due), list(dict.fromkeys(order)))
    times = _times(due, len(order), Fraction(1) / Fraction(rate) / tick)
    return Stamps(tuple(times[place] for place in places), tuple(lengths), tuple(keys))


def _places(count: int, order: Sequence[int]) -> list[int]:
    """The place of each of ``count`` packets in display order, given the packets of the frames that the decoder
    returned. A packet that did not decode keeps its place in the file's order, because all frames after it would
    come too early otherwise.
    """
    missing = iter(sorted(set(range(count)) - set(order)))
    waits = next(missing, None)
    sequence: list[int] = []
    for packet in order:
        while waits is not None and waits < packet:
            sequence.append(waits)
            waits = next(missing, None)
        sequence.append(packet)
    if waits is not None:
        sequence += [waits, *missing]
    places = [0] * count
    for place, packet in enumerate(sequence):
        places[packet] = place
    return places


def _times(due: Sequence[int | None], frames: int, period: Fraction) -> list[int]:
    """The times in the file, ascending, in ticks; ``period`` (ticks) apart if it has none."""
    if not any(time is not None for time in due):
        fields = max(1, round(len(due) / frames)) if frames else 1  # two packets may be one frame
        return [round(place * period / fields) for place in range(len(due))]
    found: list[int] = []
    for time in due:
        found.append(time if time is not None else found[-1] + max(1, round(period)) if found else 0)
    return sorted(found)
