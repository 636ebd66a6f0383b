"""What the tests of cutting share: the cut itself, the kinds of sources, and what a clip holds."""

from __future__ import annotations

from pathlib import Path

import av
from clipquarry.datasets.model import Recipe
from clipquarry.media.cut import cut_clip

KINDS = [
    "30 fps", "25 fps, one key frame", "29.97 fps", "23.976 fps", "variable rate", "matroska", "no sound",
    "starts at 7.3 s", "transport stream", "edit list", "vp8 webm", "mpeg4 avi",
]  # fmt: skip


def cut(source: Path, out: Path, recipe: Recipe, start: float, duration: float, tolerance: float = 0.5):
    return cut_clip(source, out, start=start, duration=duration, recipe=recipe, tolerance=tolerance)


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def sound_of(path: Path) -> float:
    """Seconds of sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return float(stream.duration * stream.time_base)
