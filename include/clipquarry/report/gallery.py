"""Thumbnails of sample clips, as base64 for data URIs. An unreadable clip is shown with the reason."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clipquarry.errors import ClipquarryError
from clipquarry.files import inside
from clipquarry.media.errors import MediaError
from clipquarry.report.data import Sample

WIDTH = 256
"""Pixels. Twelve of them weigh about 150 kB."""
MAX_BYTES = 60_000
"""Bytes. A larger thumbnail (there should be none) is left out, so that the page stays small."""


@dataclass(frozen=True)
class Shot:
    """A sample and its thumbnail: base64 of a JPEG, or the sentence that says why there is none."""

    sample: Sample
    name: str
    image: str | None
    problem: str = ""


def shots(samples: tuple[Sample, ...], root: Path) -> list[Shot]:
    """One frame from the middle of each sample. ``root`` is the data root; no path may leave it."""
    return [_shot(sample, root) for sample in samples]


def _shot(sample: Sample, root: Path) -> Shot:
    name = PurePosixPath(sample.path).stem
    try:
        path = inside(root, sample.path)
        if not path.resolve().is_relative_to(root.resolve()):
            return Shot(sample, name, None, "The file lies outside the data root.")
        if not path.is_file():
            return Shot(sample, name, None, "The file is no longer there.")
        jpeg = _jpeg(path, (sample.duration or 0.0) / 2)
    except (ClipquarryError, MediaError, OSError) as error:
        return Shot(sample, name, None, f"No thumbnail: {error}")
    if len(jpeg) > MAX_BYTES:
        return Shot(sample, name, None, "The thumbnail is too large for this page.")
    return Shot(sample, name, base64.b64encode(jpeg).decode("ascii"))


def _jpeg(path: Path, at: float) -> bytes:
    from clipquarry.media.thumbnail import thumbnail_jpeg  # decodes videos: not needed to import a report

    return thumbnail_jpeg(path, at, WIDTH)
