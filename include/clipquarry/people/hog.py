"""OpenCV's person detector by histograms of oriented gradients (Dalal and Triggs, CVPR 2005): no download, modest
accuracy.

It finds upright people whose whole body is visible. For training data, use a network's detector. This one lets the
pipeline run, and be tested, on real people everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from clipquarry.errors import MachineError
from clipquarry.people.detector import NOBODY, Boxes, Frame, as_fractions, check_frame

LONG_EDGE = 640
"""Frames are scaled to this long edge: the detector's window is 64 x 128, and people must be about that tall or
taller.
"""
_SAME = 0.5
"""Two boxes that overlap by more (IoU) are one person."""


class HogDetector:
    """See :class:`clipquarry.people.detector.Detector`. ``least``: score below which a box is dropped."""

    def __init__(self, *, least: float = 0.5) -> None:
        if not hasattr(cv2, "HOGDescriptor"):
            raise MachineError(
                f"OpenCV {cv2.__version__} has no HOG detector: install opencv-contrib-python-headless below 5."
            )
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), dtype=np.float32))
        self._least = least

    @property
    def name(self) -> str:
        return f"hog opencv-{cv2.__version__}"

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> Boxes:
        check_frame(frame)
        height, width = frame.shape[:2]
        scale = LONG_EDGE / max(width, height)
        small = cv2.resize(
            frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
        )
        if small.shape[0] < 128 or small.shape[1] < 64:
            return NOBODY
        # Gradients look the same in RGB and BGR: the strongest of the three counts.
        found, margins = self._hog.detectMultiScale(small, winStride=(8, 8), padding=(16, 16), scale=1.05)
        if not len(found):
            return NOBODY
        # The classifier's margin as a score: 0 is undecided.
        scores = 1 / (1 + np.exp(-np.asarray(margins, dtype=np.float64).ravel()))
        kept = [int(i) for i in cv2.dnn.NMSBoxes(np.asarray(found).tolist(), scores.tolist(), self._least, _SAME)]
        x, y, w, h = np.asarray(found, dtype=np.float64)[kept].T
        return as_fractions(np.stack([x, y, x + w, y + h, scores[kept]], axis=1), small.shape[1], small.shape[0])
