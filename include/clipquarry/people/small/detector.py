"""Person detector NanoDet-g, run by OpenCV's own networks on the CPU: no further package, any number of people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.people.detector import NOBODY, Boxes, Frame, as_fractions, check_frame

LONG_EDGE = 416
"""Pixels to which a frame's longer edge is scaled: the size of the model's training. With larger ones it finds fewer."""
_STRIDES = (8, 16, 32)
"""Cells of the three levels, in pixels. Level n has the outputs n (classes) and n + 3 (edges)."""
_EDGES = 11
"""An edge's distance is the mean of the numbers 0 to 10, in cells, by their likelihoods (generalized focal loss)."""
_PERSON = 0
"""The class of people among COCO's 80."""
_MEAN, _SPREAD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
"""Of the training's images: blue, green, red."""
_SAME = 0.5
"""Two boxes that overlap by more (IoU) are one person."""


class SmallDetector:
    """See :class:`clipquarry.people.detector.Detector`. ``model``: the file of :mod:`clipquarry.people.small.package`, with
    the sum ``sha256``. ``least``: score below which a box is dropped; this model gives most people 0.3 to 0.6.

    Raises UserError for a file that is not there, is damaged, or is no such model.
    """

    def __init__(self, model: Path, *, sha256: str | None = None, least: float = 0.3) -> None:
        if not model.is_file():
            raise UserError(f"There is no model {model}: run the data set again, which fetches it.")
        found = sha256_of(model)
        if sha256 is not None and found != sha256.lower():
            raise UserError(
                f"The model {model} is damaged: its sha256 is {found}, expected is {sha256}. Remove it, and run the "
                "data set again, which makes it anew."
            )
        self._name = f"small {model.stem.partition('-')[2] or model.stem}-{found[:8]} opencv-{cv2.__version__}"
        self._least = least
        try:
            self._net = cv2.dnn.readNetFromONNX(str(model))
            self._outputs = sorted(self._net.getUnconnectedOutLayersNames())
        except cv2.error as error:
            raise UserError(f"OpenCV cannot read the model {model}: {str(error).strip()[:200]}") from None
        if len(self._outputs) != 2 * len(_STRIDES):
            raise UserError(f"The model {model} has {len(self._outputs)} outputs; NanoDet's has {2 * len(_STRIDES)}.")

    @property
    def name(self) -> str:
        return self._name

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> Boxes:
        check_frame(frame)
        height, width = frame.shape[:2]
        scale = LONG_EDGE / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA)
        self._net.setInput(_input(np.asarray(small, dtype=np.uint8)))
        levels = [np.asarray(level, dtype=np.float64)[0] for level in self._net.forward(self._outputs)]
        rows = -(-size[1] // _STRIDES[-1]) * _STRIDES[-1]
        columns = -(-size[0] // _STRIDES[-1]) * _STRIDES[-1]
        found = np.concatenate(
            [
                _boxes(levels[n], levels[n + 3], stride, (rows // stride, columns // stride), self._least)
                for n, stride in enumerate(_STRIDES)
            ]
        )
        return as_fractions(_distinct(found, self._least), *size) if len(found) else NOBODY


def _input(small: Frame) -> npt.NDArray[np.float32]:
    """(1, 3, height, width), blue first, the mean of the training beyond the frame's right and lower edge."""
    height, width = small.shape[:2]
    edge = _STRIDES[-1]
    filled = np.zeros((1, 3, math.ceil(height / edge) * edge, math.ceil(width / edge) * edge), np.float32)
    # OpenCV computes in float32, and so faster than with arrays of float64.
    for channel, (mean, spread) in enumerate(zip(_MEAN, _SPREAD, strict=True)):
        colour = small[:, :, 2 - channel].astype(np.float32)
        filled[0, channel, :height, :width] = (colour - np.float32(mean)) / np.float32(spread)
    return filled


def _boxes(
    classes: npt.NDArray[Any], edges: npt.NDArray[Any], stride: int, cells: tuple[int, int], least: float
) -> npt.NDArray[np.float64]:
    """Boxes ``x1, y1, x2, y2, score`` of one level above ``least``, in pixels of the input.

    ``classes``: (cells, 80). ``edges``: (cells, 4 x 11), left, top, right and bottom. ``cells``: rows and columns; row by row.
    """
    scores = classes[:, _PERSON]
    places = np.flatnonzero(scores > least)
    likely = edges[places].reshape(-1, 4, _EDGES)
    likely = np.exp(likely - likely.max(axis=2, keepdims=True))
    far = (likely * np.arange(_EDGES)).sum(axis=2) / likely.sum(axis=2) * stride
    row, column = np.divmod(places, cells[1])
    middle = np.stack([column + 0.5, row + 0.5], axis=1) * stride
    return np.concatenate([middle - far[:, :2], middle + far[:, 2:], scores[places, None]], axis=1)


def _distinct(boxes: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.float64]:
    """Of boxes of one person the best."""
    corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corner_and_size.tolist(), boxes[:, 4].tolist(), least, _SAME)
    return boxes[[int(place) for place in kept]]
