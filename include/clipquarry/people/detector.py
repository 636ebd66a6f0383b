"""What every detector of people does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""(height, width, 3), RGB."""
Boxes = npt.NDArray[np.float64]
"""(N, 5) rows ``x1, y1, x2, y2, score``: fractions of width and height, score in 0..1, best first; N may be 0."""

NOBODY: Boxes = np.zeros((0, 5))


class Detector(Protocol):
    """Finds people in pictures. Made once in a process; safe to use from one thread at a time."""

    @property
    def name(self) -> str:
        """Backend and model, for the lock file: whoever changes the answer changes the name."""

    def detect(self, pictures: Sequence[Picture]) -> list[Boxes]:
        """People in each picture, in order. Raises ValueError for something that is no picture."""


def as_fractions(boxes: npt.NDArray[np.float64], width: int, height: int) -> Boxes:
    """Pixel boxes ``x1, y1, x2, y2, score`` as :data:`Boxes`: inside the picture, with area, best first."""
    scaled = boxes.reshape(-1, 5) / (width, height, width, height, 1)
    scaled[:, :4] = scaled[:, :4].clip(0, 1)
    scaled = scaled[(scaled[:, 0] < scaled[:, 2]) & (scaled[:, 1] < scaled[:, 3])]
    return np.ascontiguousarray(scaled[np.argsort(-scaled[:, 4], kind="stable")])


def check_picture(picture: Picture) -> None:
    """Raises ValueError when it is not a picture of three colours."""
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise ValueError(f"a picture is (height, width, 3) of uint8, not {picture.shape} of {picture.dtype}")
