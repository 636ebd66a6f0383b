"""Writer of AVA-like videos: the content begins at second 900, after one still frame at time 0.

Times count from a video's start, so that its first fifteen minutes must exist. One frame that is shown for so long costs
nothing to draw or to encode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from clipquarry.errors import UserError
from clipquarry.files import publish, temporary_beside

START = 900
"""Second of a video at which its content begins."""
RATE = 15
"""Frames per second."""
LONG_EDGE = 640
"""Longest side of the user's video after scaling, in pixels."""
SECONDS = 30
"""Seconds of content. Of a longer video of the user the first ones are taken; a shorter one is repeated."""
LEAST_SECONDS = 1
"""Shortest length of the user's video, in seconds."""
_CLOCK = 90_000
"""Ticks per second."""
_NEAR = 0.5 / 60
"""Seconds by which a frame may come too early: half a frame at 60 frames a second."""

Picture = tuple[float, Any]
"""Seconds after :data:`START`, and an ``av.VideoFrame`` with even sides."""


def write_video(path: Path, pictures: Iterable[Picture]) -> None:
    """Write an mp4 or mkv (H.264, no sound) that shows the first frame at time 0 and then ``pictures``.

    ``pictures`` holds at least one frame, in ascending times.
    """
    shown = iter(pictures)
    first = next(shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        with av.open(str(temporary), "w") as out:
            stream: Any = out.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = first[1].width, first[1].height, "yuv420p"
            # Frames have their own times, and the encoder delays none: one packet per frame, in their order.
            stream.codec_context.time_base = Fraction(1, _CLOCK)
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "20"}
            stream.codec_context.thread_count = 1
            for (time, picture), (after, _) in pairwise(_behind_a_still(first, shown)):
                _add(out, stream, picture, time, after)
            out.mux(stream.encode(None))
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _behind_a_still(first: Picture, others: Iterator[Picture]) -> Iterator[Picture]:
    """All frames with the video's own times, and after the last one the video's end."""
    yield 0.0, first[1]
    last, step = START + first[0], 1 / RATE
    yield last, first[1]
    for after, picture in others:
        last, step = START + after, START + after - last
        yield last, picture
    yield min(last + step, max(last, START + SECONDS)), None


def _add(out: Any, stream: Any, picture: Any, time: float, until: float) -> None:
    picture.pts, picture.time_base = round(time * _CLOCK), Fraction(1, _CLOCK)
    picture.pict_type = 1 if time in (0, START) else 0  # I: a seek to second 900 begins there
    for packet in stream.encode(picture):
        packet.duration = round((until - time) * _CLOCK)
        out.mux(packet)


@dataclass(frozen=True)
class OwnVideo:
    """The user's video, scaled down, with at most :data:`RATE` frames per second."""

    shown: list[Picture]
    seconds: float
    """Seconds of it that are used."""

    def pictures(self) -> Iterator[Picture]:
        """Its frames for half a minute, repeated where it is shorter."""
        begin = 0.0
        while begin < SECONDS:
            yield from ((begin + time, picture) for time, picture in self.shown if begin + time < SECONDS)
            begin += self.seconds


def own_video(path: Path) -> OwnVideo:
    """Read the user's video. Raises UserError with one sentence."""
    if not path.is_file():
        raise UserError(f"FILM: {path} does not exist or is not a file.")
    try:
        shown = list(_decoded(path))
    except (av.FFmpegError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(f"FILM: {path} is not a video that can be decoded ({said}).") from error
    # Frames are evenly spaced, or nearly so: the last one lasts as long as the others.
    seconds = shown[-1][0] * len(shown) / (len(shown) - 1) if len(shown) > 1 else 0.0
    if seconds < LEAST_SECONDS:
        raise UserError(f"FILM: {path} holds frames for {seconds:.1f} s; the demo needs a second or more.")
    return OwnVideo(shown, min(seconds, float(SECONDS)))


def _decoded(path: Path) -> Iterator[Picture]:
    """Frames of the first half minute, with times from the first one."""
    options = {"protocol_whitelist": "file"}  # a playlist must not reach the network
    with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
        if not container.streams.video:
            raise ValueError("it holds no video")
        stream: Any = container.streams.video[0]
        stream.thread_type = "AUTO"
        begin, due = None, 0.0
        for frame in container.decode(stream):
            if frame.time is None:
                continue
            begin = frame.time if begin is None else begin
            time = frame.time - begin
            if time >= SECONDS:
                return
            if time > due - _NEAR:
                yield time, _small(frame)
                due = max(due + 1 / RATE, time)


def _small(frame: Any) -> Any:
    """The frame as it is shown: rotated as the video says, with even sides."""
    turns = round(frame.rotation / 90) % 4
    share = min(1.0, LONG_EDGE / max(frame.width, frame.height))
    width, height = (max(2, round(side * share / 2) * 2) for side in (frame.width, frame.height))
    if not turns:
        return frame.reformat(width=width, height=height, format="yuv420p")
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(pixels, turns)), format="rgb24")
