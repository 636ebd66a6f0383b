"""Films whose content lies where AVA labels: from second 900 on, behind one still picture at time 0.

Times count from a film's start, so that its first fifteen minutes must be there; one picture that is shown for so long
costs nothing to draw or to encode.
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
"""Second of a film at which its content begins."""
RATE = 15
"""Pictures a second."""
LONG_EDGE = 640
"""Pixels, at most, of a film of the user's."""
SECONDS = 30
"""Of the content. Of a longer film of the user's the first ones are taken, a shorter one is shown again and again."""
LEAST_SECONDS = 1
"""That a film of the user's must have."""
_CLOCK = 90_000
"""Ticks a second."""
_NEAR = 0.5 / 60
"""Seconds by which a picture may come too early: half a picture at 60 a second."""

Picture = tuple[float, Any]
"""Seconds after :data:`START`, and an ``av.VideoFrame`` with even sides."""


def write_film(path: Path, pictures: Iterable[Picture]) -> None:
    """Write an mp4 or mkv (H.264, no sound) that shows the first picture at time 0 and then ``pictures``, in ascending times;
    at least one.
    """
    shown = iter(pictures)
    first = next(shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        with av.open(str(temporary), "w") as out:
            stream: Any = out.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = first[1].width, first[1].height, "yuv420p"
            # Pictures have times of their own, and none is held back: a packet is a picture, in their order.
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
    """All pictures by the film's own times, and behind the last one the film's end."""
    yield 0.0, first[1]
    last, step = START + first[0], 1 / RATE
    yield last, first[1]
    for after, picture in others:
        last, step = START + after, START + after - last
        yield last, picture
    yield min(last + step, max(last, START + SECONDS)), None


def _add(out: Any, stream: Any, picture: Any, time: float, until: float) -> None:
    picture.pts, picture.time_base = round(time * _CLOCK), Fraction(1, _CLOCK)
    picture.pict_type = 1 if time in (0, START) else 0  # I: what is sought to second 900 begins there
    for packet in stream.encode(picture):
        packet.duration = round((until - time) * _CLOCK)
        out.mux(packet)


@dataclass(frozen=True)
class OwnFilm:
    """A film of the user's, small, and with at most :data:`RATE` pictures a second."""

    shown: list[Picture]
    seconds: float
    """As far as it is used."""

    def pictures(self) -> Iterator[Picture]:
        """Half a minute of it."""
        begin = 0.0
        while begin < SECONDS:
            yield from ((begin + time, picture) for time, picture in self.shown if begin + time < SECONDS)
            begin += self.seconds


def own_film(path: Path) -> OwnFilm:
    """Read a film of the user's. Raises UserError, one sentence."""
    if not path.is_file():
        raise UserError(f"FILM: {path} is not there, or no file.")
    try:
        shown = list(_decoded(path))
    except (av.FFmpegError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(f"FILM: {path} is no film that can be decoded ({said}).") from error
    # Pictures are evenly spaced, or nearly so: the last one lasts as long as the others.
    seconds = shown[-1][0] * len(shown) / (len(shown) - 1) if len(shown) > 1 else 0.0
    if seconds < LEAST_SECONDS:
        raise UserError(f"FILM: {path} holds pictures for {seconds:.1f} s; the demo needs a second or more.")
    return OwnFilm(shown, min(seconds, float(SECONDS)))


def _decoded(path: Path) -> Iterator[Picture]:
    """Pictures of the first half minute, counted from the first one."""
    options = {"protocol_whitelist": "file"}  # a playlist must not reach the net
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
    """The picture as it is to be shown: turned as the film says, with even sides."""
    turns = round(frame.rotation / 90) % 4
    share = min(1.0, LONG_EDGE / max(frame.width, frame.height))
    width, height = (max(2, round(side * share / 2) * 2) for side in (frame.width, frame.height))
    if not turns:
        return frame.reformat(width=width, height=height, format="yuv420p")
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(pixels, turns)), format="rgb24")
