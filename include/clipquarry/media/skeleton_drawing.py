"""Pictures of key points: a skeleton over time, and the heat maps that a network sees.

Colours are of Okabe and Ito's palette, which colour-blind people can tell apart: blue for the left of the body, orange-red for its right, black for the
middle; further people are paler. Heat maps follow mmaction2's ``GeneratePoseTarget``, number by number. Pillow comes with the extra ``pipeline``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

Limbs = tuple[tuple[int, int], ...]

_LEFT, _RIGHT, _MIDDLE, _GROUND, _TEXT = (0, 114, 178), (213, 94, 0), (40, 40, 40), (255, 255, 255), (90, 90, 90)
_PALE = (1.0, 0.55, 0.4)
"""How strong a person's colours are, by their number; the last is also for all others."""
_CAPTION = 14
_EPSILON = 1e-4
"""A point of a lower score is not there, as in the reference."""
_MOST_VALUES = 1 << 28
"""Of a volume: 1 GB."""


@dataclass(frozen=True)
class Skeleton:
    """The form of a body: number of joints, limbs as pairs of joints from 0, and the joints of either side. ``up``: y grows upwards (a
    Kinect's metres), not downwards (pixels).
    """

    name: str
    joints: int
    limbs: Limbs
    left: frozenset[int]
    right: frozenset[int]
    up: bool = False

    def colour(self, limb: tuple[int, int]) -> tuple[int, int, int]:
        """The colour of a limb's side."""
        joints = set(limb)
        if joints & self.left and not joints & self.right:
            return _LEFT
        return _RIGHT if joints & self.right and not joints & self.left else _MIDDLE


COCO_17 = Skeleton(
    "COCO",
    17,
    ((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10), (5, 11), (11, 13), (13, 15), (6, 12), (12, 14),
     (14, 16), (11, 12)),
    frozenset(range(1, 17, 2)),
    frozenset(range(2, 17, 2)),
)  # fmt: skip
"""The limbs are those of ``GeneratePoseTarget``, in its order."""
KINECT_25 = Skeleton(
    "Kinect",
    25,
    ((0, 1), (1, 20), (2, 20), (3, 2), (4, 20), (5, 4), (6, 5), (7, 6), (8, 20), (9, 8), (10, 9), (11, 10), (12, 0), (13, 12), (14, 13),
     (15, 14), (16, 0), (17, 16), (18, 17), (19, 18), (21, 22), (22, 7), (23, 24), (24, 11)),
    frozenset((4, 5, 6, 7, 12, 13, 14, 15, 21, 22)),
    frozenset((8, 9, 10, 11, 16, 17, 18, 19, 23, 24)),
    up=True,
)  # fmt: skip
"""The skeleton of a Kinect's second version."""


def png(image: Image) -> bytes:
    """The picture as a PNG file."""
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def strip(
    keypoint: npt.NDArray[Any],
    skeleton: Skeleton,
    *,
    score: npt.NDArray[Any] | None = None,
    frames: int = 8,
    size: tuple[int, int] = (120, 160),
) -> Image:
    """A skeleton over time: ``frames`` cells of ``size`` (width, height) pixels side by side, each with its frame's number from 0.

    ``keypoint`` is [M, T, V, 2 or more]; x and y are drawn, in one scale for all cells. ``score`` is [M, T, V]. A point of zeros or without a
    score is left out. Raises ValueError for other arrays.
    """
    from PIL import Image as images
    from PIL import ImageDraw

    points, there = _points(keypoint, score, skeleton.joints)
    chosen = spread(points.shape[1], frames)
    width, height = size
    image = images.new("RGB", (max(1, len(chosen)) * width, height + _CAPTION), _GROUND)
    draw = ImageDraw.Draw(image)
    place = _placing(points[:, chosen], there[:, chosen], size, up=skeleton.up)
    for cell, frame in enumerate(chosen):
        left = cell * width
        draw.text((left + 4, height), str(frame), fill=_TEXT)
        if cell:
            draw.line((left, 0, left, height), fill=(225, 225, 225))
        for person in reversed(range(len(points))):  # the first one on top
            at, seen = place(points[person, frame]) + np.array((left, 0)), there[person, frame]
            for limb in skeleton.limbs:
                if seen[list(limb)].all():
                    ends = [tuple(map(float, at[joint])) for joint in limb]
                    draw.line(ends, fill=_paler(skeleton.colour(limb), person), width=2)
            for x, y in at[seen]:
                draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=_paler(_MIDDLE, person))
    return image


def heatmaps(
    keypoint: npt.NDArray[Any],
    img_shape: tuple[int, int],
    *,
    score: npt.NDArray[Any] | None = None,
    limbs: Limbs = (),
    sigma: float = 0.6,
    scaling: float = 1.0,
) -> npt.NDArray[np.float32]:
    """The volume of a sample's heat maps, [T, V, H, W] for its points or, with ``limbs``, [T, L, H, W] for those.

    ``keypoint`` is [M, T, V, 2] in pixels of ``img_shape`` (height, width), ``score`` [M, T, V], 1 without it. Points are Gaussians of
    ``sigma`` pixels of the map, cut at three of them, with the score as their height; of several people the higher value counts. A limb's
    map falls off with the distance to it. ``scaling`` makes the map smaller. Raises ValueError for other arrays, or a volume above 1 GB.
    """
    points, _ = _points(keypoint, score, None)
    heights = np.ones(points.shape[:3], np.float32) if score is None else np.asarray(score)
    points = points.astype(np.float32)
    points[..., :2] *= scaling
    rows, columns = (int(side * scaling + 0.5) for side in img_shape)
    channels = len(limbs) or points.shape[2]
    if min(rows, columns) < 1 or points.shape[1] * channels * rows * columns > _MOST_VALUES:
        raise ValueError(
            f"a volume of {points.shape[1]} x {channels} maps of {columns} x {rows}: choose another scaling or fewer frames"
        )
    volume = np.zeros((points.shape[1], channels, rows, columns), np.float32)
    for frame, maps in enumerate(volume):
        for person, height in zip(points[:, frame], heights[:, frame], strict=True):
            if limbs:
                for limb, (a, b) in zip(maps, limbs, strict=True):
                    _add_limb(limb, person[a], person[b], height[a], height[b], sigma)
            else:
                for one, point, value in zip(maps, person, height, strict=True):
                    _add_point(one, point, value, sigma)
    return volume


def heatmap_strip(
    volume: npt.NDArray[Any], *, frames: int = 8, height: int = 160, numbers: Sequence[int] | None = None
) -> Image:
    """The volume [T, K, H, W] over time: of each shown frame the highest of its K maps, from white (0) to blue (1), with its number from 0.

    ``numbers``: those of a volume that has only some frames of its sample, T of them.
    """
    from PIL import Image as images
    from PIL import ImageDraw

    volume = np.asarray(volume)
    if volume.ndim != 4 or not volume.size:
        raise ValueError(f"a volume {list(volume.shape)}, not [frames, maps, height, width]")
    chosen = spread(len(volume), frames)
    width = max(1, round(volume.shape[3] * height / volume.shape[2]))
    image = images.new("RGB", (len(chosen) * width, height + _CAPTION), _GROUND)
    draw = ImageDraw.Draw(image)
    for cell, frame in enumerate(chosen):
        value = np.clip(np.nan_to_num(volume[frame].max(axis=0)), 0, 1)[..., None]
        colours = np.round(np.array(_GROUND) * (1 - value) + np.array(_LEFT) * value).astype(np.uint8)
        image.paste(images.fromarray(colours).resize((width, height), images.Resampling.NEAREST), (cell * width, 0))
        draw.text((cell * width + 4, height), str(frame if numbers is None else numbers[frame]), fill=_TEXT)
        if cell:
            draw.line((cell * width, 0, cell * width, height), fill=(225, 225, 225))
    return image


def _points(
    keypoint: npt.NDArray[Any], score: npt.NDArray[Any] | None, joints: int | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """x and y [M, T, V, 2], and which points are there [M, T, V]."""
    array = np.asarray(keypoint)
    if array.ndim != 4 or array.shape[3] < 2 or array.dtype.kind not in "fiu" or not array.shape[1]:
        raise ValueError(
            f"key points {list(array.shape)} of {array.dtype}, not numbers [persons, frames, joints, coordinates]"
        )
    if joints is not None and array.shape[2] != joints:
        raise ValueError(f"key points of {array.shape[2]} joints, where the skeleton has {joints}")
    if not np.isfinite(array).all():
        raise ValueError("a key point is no finite number")
    there = (array != 0).any(axis=-1)
    if score is not None:
        if np.shape(score) != array.shape[:3]:
            raise ValueError(f"scores {list(np.shape(score))}, where key points are {list(array.shape)}")
        there &= np.asarray(score) >= _EPSILON
    return array[..., :2].astype(np.float64), there


def spread(count: int, wanted: int) -> list[int]:
    """Which of ``count`` frames, from 0, to show: at equal distances, the first and the last among them."""
    return sorted(set(np.linspace(0, count - 1, max(1, min(wanted, count))).round().astype(int).tolist()))


def _placing(points: npt.NDArray[Any], there: npt.NDArray[np.bool_], size: tuple[int, int], *, up: bool) -> Any:
    """The function from key points to pixels of a cell: all points fit, nothing is stretched."""
    shown = points[there] if there.any() else np.zeros((1, 2))
    low, high = shown.min(axis=0), shown.max(axis=0)
    room = np.array(size) - 16
    scale = float((room / np.maximum(high - low, 1e-6)).min())
    middle, centre = (low + high) / 2, np.array(size) / 2
    sign = np.array((1, -1 if up else 1))
    return lambda one: (one - middle) * scale * sign + centre


def _paler(colour: tuple[int, int, int], person: int) -> tuple[int, int, int]:
    strength = _PALE[min(person, len(_PALE) - 1)]
    red, green, blue = (round(255 - (255 - value) * strength) for value in colour)
    return red, green, blue


def _window(low: float, high: float, sigma: float, most: int) -> tuple[int, int]:
    return max(int(low - 3 * sigma), 0), min(int(high + 3 * sigma) + 1, most)


def _add_point(plane: npt.NDArray[np.float32], point: npt.NDArray[Any], value: Any, sigma: float) -> None:
    if value < _EPSILON:
        return
    x0, y0 = point[:2]
    (left, right), (top, bottom) = (
        _window(at, at, sigma, most) for at, most in zip((x0, y0), plane.shape[::-1], strict=True)
    )
    x, y = np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)[:, None]
    if x.size and y.size:
        patch = np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 2 / sigma**2) * value
        plane[top:bottom, left:right] = np.maximum(plane[top:bottom, left:right], patch)


def _add_limb(
    plane: npt.NDArray[np.float32], a: npt.NDArray[Any], b: npt.NDArray[Any], at_a: Any, at_b: Any, sigma: float
) -> None:
    value = min(at_a, at_b)
    if value < _EPSILON:
        return
    left, right = _window(min(a[0], b[0]), max(a[0], b[0]), sigma, plane.shape[1])
    top, bottom = _window(min(a[1], b[1]), max(a[1], b[1]), sigma, plane.shape[0])
    x, y = np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)[:, None]
    if not (x.size and y.size):
        return
    length = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
    if length < 1:
        _add_point(plane, a, at_a, sigma)
        return
    to_a, to_b = (x - a[0]) ** 2 + (y - a[1]) ** 2, (x - b[0]) ** 2 + (y - b[1]) ** 2
    along = (to_a - to_b + length) / 2.0 / length
    place = np.stack(np.broadcast_arrays(x, y), axis=-1)
    off = place - (a + np.stack([along, along], axis=-1) * (b - a))
    to_line = off[:, :, 0] ** 2 + off[:, :, 1] ** 2
    distance = np.where(along <= 0, to_a, np.where(along >= 1, to_b, to_line))
    patch = np.exp(-distance / 2.0 / sigma**2) * value
    plane[top:bottom, left:right] = np.maximum(plane[top:bottom, left:right], patch)
