"""Pictures of key points: what stands where, in which colour; heat maps against the reference's formula, point by point."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
from clipquarry.media.skeleton_drawing import COCO_17, KINECT_25, Skeleton, heatmap_strip, heatmaps, png, strip
from PIL import Image

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)
STANDING = np.array(
    [(50, 10), (53, 7), (47, 7), (57, 9), (43, 9), (62, 28), (38, 28), (68, 48), (32, 48), (72, 66), (28, 66), (58, 70), (42, 70),
     (60, 102), (40, 102), (61, 132), (39, 132)],
    float,
)  # fmt: skip
"""A person of COCO who looks at the camera: the left is at the right of the picture."""


def walking(persons: int = 1, frames: int = 20) -> np.ndarray:
    """[M, T, 17, 2]."""
    time = np.arange(frames)[:, None]
    body = np.repeat(STANDING[None], frames, axis=0)
    for joint, sign in ((9, 1), (10, -1), (15, -1), (16, 1)):
        body[:, joint, 0] += sign * 14 * np.sin(time[:, 0] / 2)
    body[..., 0] += 3 * time
    return np.stack([body + np.array((90, 4)) * person for person in range(persons)])


def colours(image: Image.Image) -> set[tuple[int, int, int]]:
    return {colour for _, colour in image.getcolors(1 << 24)}


def test_a_strip_has_a_cell_for_each_shown_frame() -> None:
    image = strip(walking(), COCO_17, frames=5, size=(100, 140))
    assert image.size == (500, 154)
    assert {BLUE, ORANGE} <= colours(image)
    assert strip(walking(frames=3), COCO_17, frames=8, size=(100, 140)).size == (300, 154)
    assert Image.open(io.BytesIO(png(image))).size == image.size


def test_left_is_blue_and_right_is_orange() -> None:
    image = np.asarray(strip(walking(frames=1), COCO_17, frames=1))
    blue, orange = ((image == colour).all(axis=-1).nonzero()[1].mean() for colour in (BLUE, ORANGE))
    assert blue > orange + 10


def test_metres_grow_upwards_and_pixels_downwards() -> None:
    body = np.zeros((1, 1, 25, 3))
    body[0, 0, :, 2] = 2.0
    body[0, 0, 3] = (0, 0.9, 2)  # the head
    body[0, 0, 2] = (0, 0.6, 2)
    rows = (np.asarray(strip(body, KINECT_25, frames=1)) < 200).all(axis=-1)[:160].nonzero()[0]
    down = np.asarray(strip(body, Skeleton("x", 25, KINECT_25.limbs, frozenset(), frozenset()), frames=1)) < 200
    assert rows.min() < 20
    assert down.all(axis=-1)[:160].nonzero()[0].max() > 140


def test_missing_points_and_people_are_left_out() -> None:
    empty = np.asarray(strip(np.zeros((1, 4, 17, 2)), COCO_17, frames=2))
    assert not ((empty == BLUE).all(axis=-1).any() or (empty == ORANGE).all(axis=-1).any())
    assert strip(np.zeros((0, 4, 17, 2)), COCO_17, frames=2).size == (240, 174)
    score = np.ones((1, 1, 17))
    score[0, 0, list(COCO_17.left)] = 0
    image = np.asarray(strip(walking(frames=1), COCO_17, score=score))
    assert not (image == BLUE).all(axis=-1).any()
    assert (image == ORANGE).all(axis=-1).any()


def test_the_limbs_join_all_joints_of_a_body() -> None:
    for skeleton in (COCO_17, KINECT_25):
        joined = {0}
        for _ in skeleton.limbs:
            joined |= {joint for limb in skeleton.limbs if joined & set(limb) for joint in limb}
        assert joined == set(range(skeleton.joints))
        assert not skeleton.left & skeleton.right


def plain_heatmap(points: np.ndarray, values: np.ndarray, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """``GeneratePoseTarget`` for one joint of several people, pixel by pixel."""
    plane = np.zeros(shape)
    for (mu_x, mu_y), value in zip(points, values, strict=True):
        for row in range(max(int(mu_y - 3 * sigma), 0), min(int(mu_y + 3 * sigma) + 1, shape[0])):
            for column in range(max(int(mu_x - 3 * sigma), 0), min(int(mu_x + 3 * sigma) + 1, shape[1])):
                here = value * math.exp(-((column - mu_x) ** 2 + (row - mu_y) ** 2) / 2 / sigma**2)
                plane[row, column] = max(plane[row, column], here)
    return plane


def plain_limb(a: np.ndarray, b: np.ndarray, value: float, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """The same for one limb: the distance of each pixel of its window to the segment."""
    plane = np.zeros(shape)
    rows = range(max(int(min(a[1], b[1]) - 3 * sigma), 0), min(int(max(a[1], b[1]) + 3 * sigma) + 1, shape[0]))
    for row in rows:
        for column in range(
            max(int(min(a[0], b[0]) - 3 * sigma), 0), min(int(max(a[0], b[0]) + 3 * sigma) + 1, shape[1])
        ):
            at = np.array((column, row))
            along = min(1, max(0, float((at - a) @ (b - a) / ((b - a) @ (b - a)))))
            distance = float(((at - a - along * (b - a)) ** 2).sum())
            plane[row, column] = value * math.exp(-distance / 2 / sigma**2)
    return plane


def test_heat_maps_of_points_are_the_references() -> None:
    rng = np.random.default_rng(3)
    keypoint = rng.uniform(-4, 44, size=(3, 2, 17, 2))
    score = rng.uniform(0, 1, size=(3, 2, 17))
    score[0, 0, 0] = 0
    volume = heatmaps(keypoint, (30, 40), score=score)
    assert (volume.shape, volume.dtype) == ((2, 17, 30, 40), np.float32)
    for frame in range(2):
        for joint in range(17):
            wanted = plain_heatmap(np.float32(keypoint[:, frame, joint]), score[:, frame, joint], (30, 40), 0.6)
            assert np.allclose(volume[frame, joint], wanted, atol=1e-5)


def test_heat_maps_of_limbs_are_the_references() -> None:
    keypoint = walking(frames=2)
    volume = heatmaps(keypoint, (140, 110), limbs=COCO_17.limbs, sigma=2, score=np.full((1, 2, 17), 0.5))
    assert volume.shape == (2, len(COCO_17.limbs), 140, 110)
    for number, (a, b) in enumerate(COCO_17.limbs):
        wanted = plain_limb(keypoint[0, 1, a], keypoint[0, 1, b], 0.5, (140, 110), 2)
        assert np.allclose(volume[1, number], wanted, atol=1e-5)


def test_scaling_makes_smaller_maps() -> None:
    volume = heatmaps(walking(frames=1) * 4, (560, 440), scaling=0.25)
    assert volume.shape == (1, 17, 140, 110)
    assert np.allclose(volume, heatmaps(walking(frames=1), (140, 110)), atol=1e-5)


def test_a_strip_of_heat_maps() -> None:
    image = heatmap_strip(heatmaps(walking(), (140, 180), sigma=2), frames=4, height=140)
    assert image.size == (720, 154)
    shown = np.asarray(image)[:140]
    assert (shown == BLUE).all(axis=-1).any() or (np.abs(shown.astype(int) - BLUE) < 12).all(axis=-1).any()


@pytest.mark.parametrize(
    "keypoint",
    [np.zeros((3, 17, 2)), np.zeros((1, 0, 17, 2)), np.zeros((1, 2, 17, 1)), np.full((1, 2, 17, 2), np.nan), np.zeros((1, 2, 25, 2)),
     np.full((1, 1, 17, 2), "a")],
)  # fmt: skip
def test_other_arrays_are_refused(keypoint: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"key points? "):
        strip(keypoint, COCO_17)


def test_a_volume_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="choose another scaling"):
        heatmaps(np.ones((1, 5000, 17, 2)), (1080, 1920))
    with pytest.raises(ValueError, match="scores"):
        heatmaps(np.ones((1, 5, 17, 2)), (10, 10), score=np.ones((1, 4, 17)))
    with pytest.raises(ValueError, match="not \\[frames"):
        heatmap_strip(np.zeros((3, 4, 5)))


def test_a_strip_of_some_frames_has_their_numbers() -> None:
    volume = heatmaps(walking(), (140, 180), sigma=2)
    some = [0, len(volume) - 1]
    assert png(heatmap_strip(volume[some], numbers=some)) == png(heatmap_strip(volume, frames=2))


def test_the_page_of_colours_names_no_data_set() -> None:
    source = (Path(__file__).parents[2] / "include/clipquarry/media/skeleton_drawing.py").read_text()
    assert not re.search(r"ntu|babel", source, re.IGNORECASE)
