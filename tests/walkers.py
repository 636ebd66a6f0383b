"""Films with a drawn person in them that the embedded detector finds, of any length and rate."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 240


def person(x: float) -> NDArray[np.uint8]:
    """A picture (240, 320, 3), RGB, of somebody upright; ``x`` is the middle, in pixels."""
    picture = np.full((HEIGHT, WIDTH, 3), 170, np.uint8)
    picture[int(HEIGHT * 0.85) :] = (120, 130, 120)
    top, scale = HEIGHT * 0.12, HEIGHT * 0.76 / 200

    def at(*points: tuple[float, float]) -> list[NDArray[np.int32]]:
        return [np.array([(x + a * scale, top + b * scale) for a, b in points], np.int32)]

    head = tuple(int(value) for value in at((0, 16))[0][0])
    cv2.ellipse(picture, head, (int(12 * scale), int(16 * scale)), 0, 0, 360, (70, 60, 60), -1)
    dark, darker = (40, 40, 50), (30, 30, 30)
    cv2.fillPoly(picture, at((-26, 36), (26, 36), (20, 110), (-20, 110)), dark)
    cv2.fillPoly(picture, at((-26, 38), (-36, 100), (-28, 102), (-18, 50)), dark)
    cv2.fillPoly(picture, at((26, 38), (36, 100), (28, 102), (18, 50)), dark)
    cv2.fillPoly(picture, at((-20, 108), (0, 108), (-6, 198), (-18, 198)), darker)
    cv2.fillPoly(picture, at((0, 108), (20, 108), (18, 198), (6, 198)), darker)
    return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)


def place(second: float) -> float:
    """Where the person of :func:`make_film` is, in pixels: to and fro, a step of 4 pixels a second."""
    return 100 + abs((second * 4) % 240 - 120)


def make_film(path: Path, seconds: float, fps: int = 2, *, start: float = 0.0) -> None:
    """H.264 without sound; the second ``start`` of the walk is its first picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for number in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(person(place(start + number / fps)), format="rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def box(second: float) -> tuple[float, float, float, float]:
    """Ground truth: the person's box at a second, as fractions."""
    middle = place(second) / WIDTH
    return round(middle - 0.12, 3), 0.09, round(middle + 0.12, 3), 0.9
