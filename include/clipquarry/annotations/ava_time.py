"""Where a second of an AVA video lies among its images (30 a second, ``img_00001.jpg`` first), in truth and for the readers.

=============================  ================================  ==========================================
who                            image of second ``t``             remark
=============================  ================================  ==========================================
truth                          ``30 (t - start) + 1``            ``start`` 900 for AVA, else the clip's
mmaction2 AVADataset           ``30 (t - start) + 2``            adds its start index twice: one image late
mmaction2 AVAKineticsDataset   ``30 (t - start)``                one image early
=============================  ================================  ==========================================
"""

from __future__ import annotations

from typing import Literal

FPS = 30
AVA_START, AVA_END = 900, 1800
"""AVA's part of a video, in seconds of the original."""

FIRST_KEY, LAST_KEY = 902, 1798
"""AVA's key frames, in seconds of the original (both inclusive)."""

Reader = Literal["true", "ava", "ava_kinetics"]
_OFFSET: dict[Reader, int] = {"true": 1, "ava": 2, "ava_kinetics": 0}


def image_of(second: int, *, start: int = AVA_START, reader: Reader = "true") -> int:
    """Number of the image that shows (or that a reader takes for) ``second`` of the original video.

    Raises ValueError for a second before ``start``. The readers clip what falls outside their range; this does not.
    """
    if second < start:
        raise ValueError(f"second {second} lies before the images begin ({start})")
    return FPS * (second - start) + _OFFSET[reader]


def second_of(image: int, *, start: int = AVA_START) -> float:
    """The time of an image in seconds of the original video. Raises ValueError for a number below 1."""
    if image < 1:
        raise ValueError(f"image {image}: they count from 1")
    return start + (image - 1) / FPS
