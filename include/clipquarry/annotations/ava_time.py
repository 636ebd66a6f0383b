"""Frame number of a second of an AVA video (30 frames a second, ``img_00001.jpg`` first), correct and as readers compute it.

=============================  ================================  ==========================================
who                            frame of second ``t``             remark
=============================  ================================  ==========================================
truth                          ``30 (t - start) + 1``            ``start`` 900 for AVA, else the clip's
mmaction2 AVADataset           ``30 (t - start) + 2``            adds its start index twice: one frame late
mmaction2 AVAKineticsDataset   ``30 (t - start)``                one frame early
=============================  ================================  ==========================================
"""

from __future__ import annotations

from typing import Literal

FPS = 30
AVA_START, AVA_END = 900, 1800
"""AVA's section of a video, in seconds of the original."""

FIRST_KEY, LAST_KEY = 902, 1798
"""AVA's key frames, in seconds of the original (both inclusive)."""

Reader = Literal["true", "ava", "ava_kinetics"]
_OFFSET: dict[Reader, int] = {"true": 1, "ava": 2, "ava_kinetics": 0}


def frame_of(second: int, *, start: int = AVA_START, reader: Reader = "true") -> int:
    """Number of the frame that shows (or that a reader takes for) ``second`` of the original video.

    Raises ValueError for a second before ``start``. Readers clip numbers outside their range; this function does
    not.
    """
    if second < start:
        raise ValueError(f"second {second} lies before the frames begin ({start})")
    return FPS * (second - start) + _OFFSET[reader]


def second_of(frame: int, *, start: int = AVA_START) -> float:
    """Time of a frame in seconds of the original video. Raises ValueError for a number below 1."""
    if frame < 1:
        raise ValueError(f"frame {frame}: they count from 1")
    return start + (frame - 1) / FPS
