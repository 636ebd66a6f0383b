"""The colour descriptor of persons."""

from __future__ import annotations

import numpy as np
import pytest
from clipquarry.people.tracking.colour import BINS, descriptors


def _picture(*colours: tuple[int, int, int]) -> np.ndarray:
    """Stripes of 40 pixels, with noise."""
    stripes = np.concatenate([np.full((100, 40, 3), colour) for colour in colours], axis=1)
    noise = np.random.default_rng(0).normal(0, 6, (*stripes.shape[:2], 1))
    return np.clip(stripes + noise, 0, 255).astype(np.uint8)


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(one * other).sum())


def test_one_colour_is_like_itself_in_another_light_and_unlike_others() -> None:
    picture = _picture((180, 40, 40), (150, 33, 33), (40, 60, 180), (120, 120, 120), (20, 20, 20))
    boxes = np.array([[40.0 * number, 0, 40 * number + 40, 100] for number in range(5)])
    found = descriptors(picture, boxes)
    assert found.shape == (5, BINS)
    assert np.allclose(found.sum(axis=1), 1)
    assert _alike(found[0], found[1]) > 0.9
    for other in (2, 3, 4):
        assert _alike(found[0], found[other]) < 0.2
    assert _alike(found[3], found[4]) < 0.2


def test_a_box_outside_of_the_picture_has_no_colour_and_one_half_outside_has() -> None:
    found = descriptors(_picture((180, 40, 40)), np.array([[50.0, 0, 90, 100], [-20, 0, 20, 100]]))
    assert not found[0].any()
    assert found[1].sum() == pytest.approx(1)


def test_no_boxes_and_no_picture() -> None:
    assert descriptors(_picture((1, 2, 3)), np.zeros((0, 4))).shape == (0, BINS)
    with pytest.raises(ValueError, match="not \\(height, width, 3\\) of uint8"):
        descriptors(np.zeros((4, 4), np.uint8), np.zeros((0, 4)))
