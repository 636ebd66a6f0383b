"""The interface of every person detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
"""(height, width, 3), RGB."""
Boxes = npt.NDArray[np.float64]
"""(N, 5) rows ``x1, y1, x2, y2, score``: fractions of width and height, score in 0..1, best first; N may be 0."""

NOBODY: Boxes = np.zeros((0, 5))


class Detector(Protocol):
    """Detects people in frames. Made once per process; safe to use from one thread at a time."""

    @property
    def name(self) -> str:
        """Backend and model, for the lock file. A change that affects the result must change the name."""

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """People in each frame, in order. Raises ValueError for an array that is not a frame."""


def as_fractions(boxes: npt.NDArray[np.float64], width: int, height: int) -> Boxes:
    """Pixel boxes ``x1, y1, x2, y2, score`` as :data:`Boxes`: inside the frame, with area, best first."""
    scaled = boxes.reshape(-1, 5) / (width, height, width, height, 1)
    scaled[:, :4] = scaled[:, :4].clip(0, 1)
    scaled = scaled[(scaled[:, 0] < scaled[:, 2]) & (scaled[:, 1] < scaled[:, 3])]
    return np.ascontiguousarray(scaled[np.argsort(-scaled[:, 4], kind="stable")])


def check_frame(frame: Frame) -> None:
    """Raises ValueError unless the array is a frame of three colours."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise ValueError(f"a frame is (height, width, 3) of uint8, not {frame.shape} of {frame.dtype}")
