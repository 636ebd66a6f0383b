"""Display instructions in a video file that readers of arrays may ignore.

Players rotate, mirror and stretch frames as the file says, choose one of several streams, and skip what an edit list
hides. Readers for training (decord, OpenCV, PyAV) do some of that or nothing. A file without such instructions looks
the same to all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from clipquarry.media.probe import opened, pixel_shape

_MATRIX = struct.Struct("=9i")
"""libavutil's display matrix: a, b, u, c, d, v, x, y, w in 16.16 (u, v, w: 2.30) fixed point."""


def turned(frame: Any) -> str:
    """How players rotate and mirror a frame, or ``""``."""
    data = next((side for side in frame.side_data if side.type.name == "DISPLAYMATRIX"), None)
    if data is None or len(bytes(data)) < _MATRIX.size:
        return ""
    a, b, _, c, d, *_ = _MATRIX.unpack(bytes(data)[: _MATRIX.size])
    if a > 0 and d > 0 and abs(b) < a // 100 and abs(c) < d // 100:
        return ""
    return "mirrored" if a * d - b * c < 0 else f"rotated by {frame.rotation % 360} degrees"


def _remarks(container: Any, stream: Any) -> Iterator[str]:
    others = [one for one in container.streams.video if one.index != stream.index]
    covers = sum(bool(one.disposition & Disposition.attached_pic) for one in others)
    if covers:
        yield "a cover image"
    if len(others) > covers:
        yield f"{len(others) - covers + 1} video streams"
    if (shape := pixel_shape(stream)) != 1:
        yield f"pixels of {shape.numerator}:{shape.denominator}"
    first, hidden = None, 0
    for packet in container.demux(stream):
        hidden += bool(packet.size and packet.is_discard)
        if first is None:
            with suppress(av.FFmpegError):
                first = next(iter(packet.decode()), None)
    if hidden:
        yield f"{hidden} frames that an edit list hides"
    if first is not None and (how := turned(first)):
        yield how


def remarks(path: Path) -> list[str]:
    """The display instructions, one phrase each; empty for a plain video. Raises MediaError if it is no video.

    A damaged end is ignored: what was read counts.
    """
    found: list[str] = []
    with opened(path) as (container, stream), suppress(av.FFmpegError):
        found += _remarks(container, stream)
    return found
