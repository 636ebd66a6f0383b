"""What the media tests make their sources with: the test's own ffmpeg calls, independent of what is tested."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from clipquarry.media.tools import ffmpeg

SIZE = (160, 120)
FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)

AtRate = Callable[[Fraction | int], Path]
"""Gives a numbered video of 12 s with sound and B-frames at a rate; see the fixture ``at_rate``."""


def convert(source: Path, out: Path, *options: str, before: tuple[str, ...] = ()) -> Path:
    """Run the test's own ffmpeg, independent of what is tested. ``before`` are options of the input."""
    argv = [str(ffmpeg().path), "-y", "-v", "error", "-nostdin", *before, "-i", str(source), *options, str(out)]
    subprocess.run(argv, check=True)
    return out


def with_edit_list(source: Path, out: Path) -> Path:
    """A copy that begins 1.5 s into ``source`` by an edit list: the frames since the key frame are there but hidden."""
    argv = [
        str(ffmpeg().path),
        "-y",
        "-v",
        "error",
        "-nostdin",
        "-ss",
        "1.5",
        "-i",
        str(source),
        "-c",
        "copy",
        str(out),
    ]
    subprocess.run(argv, check=True)
    return out
