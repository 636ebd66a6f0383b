"""The embedded detector on real people (where the reference clips are) and on pictures without any."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from clipquarry.people.detector import NOBODY, Detector, as_fractions
from clipquarry.people.hog import HogDetector


@pytest.fixture(scope="module")
def detector() -> Detector:
    return HogDetector()


def pictures(video: Path, every: int) -> list[np.ndarray]:
    with av.open(str(video)) as container:
        return [f.to_ndarray(format="rgb24") for n, f in enumerate(container.decode(video=0)) if n % every == 0]


def test_real_people(shared: Path, detector: Detector) -> None:
    found = detector.detect(pictures(shared / "real/videos/demo_skeleton.mp4", 20))
    assert len(found) >= 3
    assert all(1 <= len(boxes) <= 4 for boxes in found), "two fencers"
    for boxes in found:
        assert boxes.dtype == np.float64
        assert ((boxes >= 0) & (boxes <= 1)).all()
        assert (boxes[:, :2] < boxes[:, 2:4]).all()
        assert (np.diff(boxes[:, 4]) <= 0).all(), "best first"
    # The fencers stand in the left half of the picture, upright.
    best = found[0][0]
    assert best[2] < 0.8
    assert best[3] - best[1] > 0.5


def test_nobody_in_a_wall_and_in_noise(detector: Detector) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    grey = np.full((240, 320, 3), 128, np.uint8)
    assert [len(boxes) for boxes in detector.detect([grey, noise])] == [0, 0]
    assert detector.detect([]) == []


def test_a_picture_of_any_size(detector: Detector) -> None:
    for shape in ((1, 1, 3), (2000, 20, 3), (20, 2000, 3), (1080, 1920, 3)):
        (boxes,) = detector.detect([np.zeros(shape, np.uint8)])
        assert boxes.shape == (0, 5)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_picture(detector: Detector, bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a frame is"):
        detector.detect([bad])


def test_fractions_stay_inside_and_have_area() -> None:
    boxes = np.array([[-5.0, -5, 50, 50, 0.2], [90, 90, 120, 130, 0.9], [100, 10, 110, 20, 0.8]])
    assert as_fractions(boxes, 100, 100).tolist() == [[0.9, 0.9, 1.0, 1.0, 0.9], [0.0, 0.0, 0.5, 0.5, 0.2]]
    assert as_fractions(NOBODY, 100, 100).shape == (0, 5)


def test_the_name_tells_the_version(detector: Detector) -> None:
    assert detector.name.startswith("hog opencv-4.")
