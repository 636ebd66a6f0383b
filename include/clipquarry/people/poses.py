"""The contract of the estimation of poses: boxes of a clip's people in, a sample of 2D key points out (specification 5.3).

An estimator is a network of another image; this module holds what it must provide, and makes the sample of what it returns. A frame without boxes keeps its number: its
key points and scores are zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

JOINTS = 17
"""Of a person of COCO."""
_THERE = 0.5
"""A box of no higher score is not looked at, as in the reference."""

Frame = npt.NDArray[np.uint8]
"""(height, width, 3), RGB."""
Points = npt.NDArray[np.float32]
"""(n, 17, 3): x and y in pixels of the frame, and a score, of each box."""


class PoseEstimator(Protocol):
    """Finds the joints of people in boxes. Made once per process; safe to use from one thread at a time."""

    @property
    def name(self) -> str:
        """Backend and model, for the lock file."""

    def estimate(self, frame: Frame, boxes: npt.NDArray[np.float64]) -> Points:
        """The joints in each of the boxes (n, 5), ``x1, y1, x2, y2, score`` in pixels, in order; n is at least 1."""


def estimate_clip(frames: Iterable[Frame], boxes: npt.NDArray[np.float64], estimator: PoseEstimator) -> Points:
    """The joints of a clip's people, [M, T, 17, 3]; ``boxes`` is [T, M, 5] (:func:`~clipquarry.people.postprocess_detections.postprocess`).

    Frames are taken one by one. Raises ValueError if there are not T of them, or the estimator returns another array.
    """
    if boxes.ndim != 3 or boxes.shape[2] != 5:
        raise ValueError(f"boxes {list(boxes.shape)}, not [frames, persons, 5]")
    found = np.zeros((boxes.shape[1], len(boxes), JOINTS, 3), np.float32)
    for number, (frame, held) in enumerate(zip(frames, boxes, strict=True)):
        persons = np.flatnonzero(held[:, 4] > _THERE)
        if not len(persons):
            continue
        points = np.asarray(estimator.estimate(frame, held[persons]))
        if points.shape != (len(persons), JOINTS, 3):
            raise ValueError(
                f"{estimator.name} returned {list(points.shape)} for {len(persons)} boxes, not [{len(persons)}, {JOINTS}, 3]"
            )
        found[persons, number] = points
    return found


def pose_item(name: str, label: int, points: npt.NDArray[Any], size: tuple[int, int]) -> dict[str, Any]:
    """A sample as readers of skeletons expect it, of joints [M, T, 17, 3] in a picture of ``size`` (width, height).

    ``keypoint`` [M, T, 17, 2] and ``keypoint_score`` [M, T, 17] are float32, ``img_shape`` and ``original_shape`` (height, width) of the real picture; the
    reference always writes (1080, 1920). ``label`` counts from 0. Raises ValueError for other arrays.
    """
    array = np.asarray(points)
    if array.ndim != 4 or array.shape[2:] != (JOINTS, 3) or not array.shape[0] or not array.shape[1]:
        raise ValueError(f"joints {list(array.shape)}, not [persons, frames, {JOINTS}, 3]")
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ValueError("a joint is no finite number")
    width, height = size
    if label < 0 or min(size) < 1 or not name:
        raise ValueError(f"the sample {name!r} of label {label} and {width}x{height} pixels is not possible")
    return {
        "frame_dir": name,
        "label": int(label),
        "img_shape": (int(height), int(width)),
        "original_shape": (int(height), int(width)),
        "total_frames": int(array.shape[1]),
        "keypoint": np.ascontiguousarray(array[..., :2], np.float32),
        "keypoint_score": np.ascontiguousarray(array[..., 2], np.float32),
    }
