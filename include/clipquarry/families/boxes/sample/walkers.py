"""Drawn people that the embedded detector detects: frames, ground-truth boxes, and videos of one person."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 240

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the frame."""


def people(*middles: float) -> NDArray[np.uint8]:
    """A frame (240, 320, 3), RGB, of upright people; each is given by the middle, in pixels from the left."""
    picture = np.full((HEIGHT, WIDTH, 3), 170, np.uint8)
    picture[int(HEIGHT * 0.85) :] = (120, 130, 120)
    for middle in middles:
        _draw(picture, middle)
    return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)


def _draw(picture: NDArray[np.uint8], middle: float) -> None:
    top, scale = HEIGHT * 0.12, HEIGHT * 0.76 / 200

    def at(*points: tuple[float, float]) -> list[NDArray[np.int32]]:
        return [np.array([(middle + a * scale, top + b * scale) for a, b in points], np.int32)]

    head = tuple(int(value) for value in at((0, 16))[0][0])
    cv2.ellipse(picture, head, (int(12 * scale), int(16 * scale)), 0, 0, 360, (70, 60, 60), -1)
    dark, darker = (40, 40, 50), (30, 30, 30)
    cv2.fillPoly(picture, at((-26, 36), (26, 36), (20, 110), (-20, 110)), dark)
    cv2.fillPoly(picture, at((-26, 38), (-36, 100), (-28, 102), (-18, 50)), dark)
    cv2.fillPoly(picture, at((26, 38), (36, 100), (28, 102), (18, 50)), dark)
    cv2.fillPoly(picture, at((-20, 108), (0, 108), (-6, 198), (-18, 198)), darker)
    cv2.fillPoly(picture, at((0, 108), (20, 108), (18, 198), (6, 198)), darker)


def place(second: float) -> float:
    """Position of a walking person at a second, in pixels: to and fro, a step of 4 pixels a second."""
    return 100 + abs((second * 4) % 240 - 120)


def box_of(middle: float) -> Box:
    """Ground truth: the box of somebody whose middle is so many pixels from the left."""
    return round(middle / WIDTH - 0.12, 3), 0.09, round(middle / WIDTH + 0.12, 3), 0.9


def box(second: float) -> Box:
    """Ground-truth box of :func:`make_walk`."""
    return box_of(place(second))


def make_walk(path: Path, seconds: float, fps: int = 2, *, start: float = 0.0) -> None:
    """Write H.264 video of one person, without sound. Its first frame shows second ``start`` of the walk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for number in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(people(place(start + number / fps)), format="rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
