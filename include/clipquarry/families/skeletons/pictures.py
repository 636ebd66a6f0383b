"""Pictures of some samples of a package, as PNG in the run's folder: a skeleton over time, and of one the heat maps that models see."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from clipquarry.families.skeletons.run_files import SkeletonFiles
from clipquarry.files import writing

if TYPE_CHECKING:
    from clipquarry.media.skeleton_drawing import Skeleton

log = logging.getLogger(__name__)

SHOWN = 3
"""Samples of each package that are drawn: the first ones of different classes that show somebody."""
FRAMES, HEIGHT = 6, 120
"""Moments of a picture, and pixels of its height."""
MAPS = 56
"""Pixels of the short side of heat maps, as mmaction2's configs of PoseC3D make them."""
MAX_BYTES = 60_000
"""Of a picture; a larger one is left out of the page."""


@dataclass(frozen=True)
class Drawn:
    """A sample: its key points [M, T, V, C], and of 2D ones their scores [M, T, V] and the picture's (height, width)."""

    name: str
    label: int
    keypoint: npt.NDArray[Any]
    score: npt.NDArray[Any] | None = None
    img_shape: tuple[int, int] | None = None


@dataclass
class Chosen:
    """The samples to draw. ``points``: of a person, which say what skeleton it is."""

    points: int
    samples: list[Drawn] = field(default_factory=list)

    def wants(self, label: int) -> bool:
        """Whether a sample of this class is still to be chosen."""
        return len(self.samples) < SHOWN and all(label != one.label for one in self.samples)


def draw(chosen: Chosen, package: str, place: SkeletonFiles) -> Iterator[dict[str, Any]]:
    """Write the pictures; yields the name, label, what is shown and the file of each. A sample that cannot be drawn is left out, and logged."""
    from clipquarry.media.skeleton_drawing import COCO_17, KINECT_25

    skeleton = next((form for form in (COCO_17, KINECT_25) if form.joints == chosen.points), None)
    if skeleton is None:
        return
    pictures: list[tuple[Drawn, str, bytes]] = []
    for one in chosen.samples:
        try:
            drawn = [("key points", _strip(one, skeleton))]
            if not pictures and skeleton is COCO_17 and one.img_shape is not None:
                drawn += _heat_maps(one, one.img_shape)
        except ValueError as error:
            log.info(f"{package}: {one.name} is not drawn: {error}")
            continue
        pictures += [(one, what, picture) for what, picture in drawn]
    for number, (one, what, picture) in enumerate(pictures):
        path = place.picture(package, number)
        with writing(path, "wb") as handle:
            handle.write(picture)
        yield {"name": one.name, "label": one.label, "what": what, "file": path.name}


def _strip(one: Drawn, skeleton: Skeleton) -> bytes:
    from clipquarry.media.skeleton_drawing import png, strip

    return png(strip(one.keypoint, skeleton, frames=FRAMES, size=(90, HEIGHT)))


def _heat_maps(one: Drawn, img_shape: tuple[int, int]) -> Iterator[tuple[str, bytes]]:
    """The volumes of points and of limbs, of the moments that are shown only: a whole one has hundreds of MB."""
    from clipquarry.media.skeleton_drawing import COCO_17, heatmap_strip, heatmaps, png, spread

    shown = spread(one.keypoint.shape[1], FRAMES)
    keypoint = one.keypoint[:, shown]
    score = None if one.score is None else one.score[:, shown]
    for what, limbs in (("heat maps of points", ()), ("heat maps of limbs", COCO_17.limbs)):
        volume = heatmaps(keypoint, img_shape, score=score, limbs=limbs, scaling=MAPS / min(img_shape))
        yield what, png(heatmap_strip(volume, frames=FRAMES, height=HEIGHT, numbers=shown))


def as_text(place: SkeletonFiles, package: str, file: str) -> str:
    """Base64 of a picture; empty if it is gone or too large for a page."""
    path = place.pictures / file
    try:
        if "/" in file or not file.startswith(f"{package}.") or path.stat().st_size > MAX_BYTES:
            return ""
        return base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError:
        return ""
