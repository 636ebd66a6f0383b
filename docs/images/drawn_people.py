"""Videos of drawn people in a bare room, for pictures of the documentation: nobody's footage, and HOG detects the people."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 360
RATE = 10
"""Frames per second."""
FINE = 4
"""Bits behind the point of a coordinate, as OpenCV counts them."""

Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]
SHOE = (40, 36, 34)
HEAD = 75
"""Pixels from the top to everybody's hair: HOG needs room around whole people."""


@dataclass(frozen=True)
class Person:
    """Upright. ``foot``: pixels from the top. ``middle``: second to pixels from the left; ``waves``: second to whether an arm is up."""

    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    middle: Callable[[float], float]
    foot: float = 300
    walks: bool = False
    waves: Callable[[float], bool] = lambda _: False


def room(wall: Colour, floor: Colour) -> Picture:
    """A wall with its skirting board, and the floor."""
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    edge = int(HEIGHT * 0.75)
    picture[:edge], picture[edge - 7 : edge], picture[edge:] = wall, darker(wall), floor
    return picture


def darker(colour: Colour) -> Colour:
    red, green, blue = (int(part * 0.82) for part in colour)
    return red, green, blue


def draw(picture: Picture, one: Person, second: float) -> None:
    """Draw a person as it is at a second."""
    scale = (one.foot - HEAD) / 200
    middle, step = one.middle(second), 8 * math.sin(5 * second) if one.walks else 0.0

    def shape(colour: Colour, *points: tuple[float, float]) -> None:
        at = [((middle + x * scale) * 2**FINE, (HEAD + y * scale) * 2**FINE) for x, y in points]
        cv2.fillPoly(picture, [np.array(at, np.int32)], colour, cv2.LINE_AA, FINE)

    def round_shape(colour: Colour, y: float, sides: tuple[float, float], begin: int = 0) -> None:
        at = int(middle * 2**FINE), int((HEAD + y * scale) * 2**FINE)
        axes = int(sides[0] * scale * 2**FINE), int(sides[1] * scale * 2**FINE)
        cv2.ellipse(picture, at, axes, 0, begin, 360, colour, -1, cv2.LINE_AA, FINE)

    red, green, blue = (int(value) for value in picture[HEIGHT - 1, 0])
    round_shape(darker((red, green, blue)), 200, (34, 5))
    for side, swing in ((-1, step), (1, -step)):
        shape(one.trousers, (20 * side, 104), (-side, 104), (5 * side + swing, 192), (18 * side + swing, 192))
        shape(
            SHOE, (20 * side + swing, 190), (3 * side + swing, 190), (3 * side + swing, 199), (22 * side + swing, 199)
        )
    shape(one.shirt, (-25, 36), (25, 36), (20, 112), (-20, 112))
    sleeve = darker(one.shirt)
    shape(sleeve, (-25, 38), (-36 - step / 2, 100), (-27 - step / 2, 103), (-18, 52))
    if one.waves(second):
        shape(sleeve, (25, 38), (46, -4), (38, -10), (16, 44))
        shape(one.skin, (46, -4), (49, -18), (41, -20), (38, -10))
    else:
        shape(sleeve, (25, 38), (36 - step / 2, 100), (27 - step / 2, 103), (18, 52))
    round_shape(one.skin, 17, (12, 16))
    round_shape(one.hair, 12, (13, 12), 180)


def write_video(path: Path, seconds: float, background: Picture, people: tuple[Person, ...]) -> None:
    """Write H.264 video, without sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=Fraction(RATE), options={"preset": "veryfast", "crf": "16"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round(seconds * RATE)):
            picture = background.copy()
            for one in people:
                draw(picture, one, number / RATE)
            soft = np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(soft, format="rgb24")))
        out.mux(stream.encode(None))


def _stays(middle: float) -> Callable[[float], float]:
    return lambda _: middle


RED: tuple[Colour, ...] = ((168, 60, 52), (44, 48, 66), (222, 178, 148), (60, 40, 30))
BLUE: tuple[Colour, ...] = ((46, 104, 140), (60, 58, 56), (150, 104, 78), (28, 24, 24))
GREEN: tuple[Colour, ...] = ((84, 120, 62), (52, 44, 40), (236, 196, 168), (120, 86, 48))
HALL, OFFICE = room((214, 208, 196), (150, 132, 112)), room((196, 208, 212), (120, 128, 134))


def write_videos(folder: Path) -> None:
    """Three raw videos: ``hall.mp4`` of 24 seconds, ``office.mp4`` and ``door.mp4`` of 12."""
    write_video(folder / "hall.mp4", 24, HALL, (
        Person(*RED, _stays(100)),
        Person(*BLUE, lambda second: 215 + 20 * (second % 12), 302, walks=True),
        Person(*GREEN, _stays(535), 296, waves=lambda second: second % 12 > 3.5),
    ))  # fmt: skip
    write_video(folder / "office.mp4", 12, OFFICE, (
        Person(*GREEN, lambda second: 150 + 16 * second, 302, walks=True), Person(*BLUE, _stays(490), 298),
    ))  # fmt: skip
    write_video(folder / "door.mp4", 12, HALL, (
        Person(*BLUE, _stays(120), 298, waves=lambda second: second < 4.5),
        Person(*RED, lambda second: 530 - 22 * second, 302, walks=True),
    ))  # fmt: skip
