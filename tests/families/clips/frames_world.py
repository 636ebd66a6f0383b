"""Folders of small frames that show their number, as somebody published them."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from clipquarry.demo.videos import make_video
from clipquarry.media.frames import FrameRecipe, extract_frames

FRAMES = 8
"""Of each folder."""


@cache
def _frames(folder: Path, shows: str) -> list[bytes]:
    name = sha256(shows.encode()).hexdigest()[:16]
    video, frames = folder / f"{name}.frames.mp4", folder / f"{name}.frames"
    make_video(video, 1, FRAMES, label=shows, b_frames=0)
    extract_frames(video, frames, recipe=FrameRecipe(short_edge=0))
    return [path.read_bytes() for path in sorted(frames.iterdir())]


def frames(cache_in: Path, folder: Path, shows: str, pattern: str = "%05d.jpg", first: int = 1) -> Path:
    """Fill ``folder`` with the frames of a video that shows its name; frame n shows n, from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(_frames(cache_in, shows), first):
        (folder / (pattern % number)).write_bytes(content)
    return folder
