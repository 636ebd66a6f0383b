"""A colour descriptor of a person: the histogram of hue, saturation and value of the upper body, numpy and OpenCV only.

The middle of the box's upper part is looked at (clothes rather than legs or background); pixels without colour are counted by their brightness alone, because
the hue of grey is noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clipquarry.people.tracking.boxes import Floats

HUES, SATURATIONS, GREYS = 16, 3, 8
BINS = HUES * SATURATIONS + GREYS
"""Numbers of a descriptor."""
_COLOURED = 40
"""Saturation (0..255) from which a pixel has a hue."""
_DARK = 30
"""Value (0..255) below which it has none."""
_AREA = (0.25, 0.15, 0.75, 0.55)
"""Left, top, right and bottom of what is looked at, in the box."""


def descriptors(picture: npt.NDArray[np.uint8], boxes: Floats) -> Floats:
    """A histogram for each box, (n, :data:`BINS`), that adds up to 1; zeros where nothing of a box lies in the picture.

    ``picture`` is (height, width, 3), RGB; ``boxes`` (n, 4), ``x1, y1, x2, y2`` in pixels. Raises ValueError for another picture.
    """
    import cv2

    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(f"a picture {list(picture.shape)} of {picture.dtype}, not (height, width, 3) of uint8")
    found = np.zeros((len(boxes), BINS))
    height, width = picture.shape[:2]
    for number, (left, top, right, bottom) in enumerate(np.asarray(boxes, np.float64).tolist()):
        across, down = right - left, bottom - top
        x1, x2 = (round(min(max(left + across * share, 0), width)) for share in (_AREA[0], _AREA[2]))
        y1, y2 = (round(min(max(top + down * share, 0), height)) for share in (_AREA[1], _AREA[3]))
        if x2 > x1 and y2 > y1:
            found[number] = _histogram(cv2.cvtColor(np.ascontiguousarray(picture[y1:y2, x1:x2]), cv2.COLOR_RGB2HSV))
    return found


def _histogram(pixels: npt.NDArray[Any]) -> Floats:
    """OpenCV's hue is 0..179. Neighbouring bins share a pixel, so that noise at an edge does not move it."""
    hue, saturation, value = (pixels[..., number].ravel().astype(np.float64) for number in range(3))
    coloured = (saturation >= _COLOURED) & (value >= _DARK)
    counts = np.zeros(BINS)
    place = hue[coloured] * HUES / 180 - 0.5
    low = np.floor(place).astype(np.int64)
    share = place - low
    level = np.minimum((saturation[coloured] - _COLOURED) * SATURATIONS // (256 - _COLOURED), SATURATIONS - 1)
    level = level.astype(np.int64) * HUES
    coloured_bins = HUES * SATURATIONS
    counts[:coloured_bins] += np.bincount(level + low % HUES, 1 - share, coloured_bins)
    counts[:coloured_bins] += np.bincount(level + (low + 1) % HUES, share, coloured_bins)
    place = np.clip(value[~coloured] * GREYS / 256 - 0.5, 0, GREYS - 1)
    low = np.minimum(np.floor(place).astype(np.int64), GREYS - 2)
    counts[coloured_bins:] += np.bincount(low, 1 - (place - low), GREYS)
    counts[coloured_bins:] += np.bincount(low + 1, place - low, GREYS)
    return np.asarray(counts / counts.sum())
