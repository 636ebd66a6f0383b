"""The people of a clip out of detections: the reference's numbers with ``parity``, the corrected rules without, and poses' contract."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from clipquarry.people.poses import estimate_clip, pose_item
from clipquarry.people.postprocess_detections import postprocess
from people.plain_detections import plain

CASE = Path(__file__).parents[2].parent / "shared" / "oracles" / "ntu_det_postproc"
SIZE = (960, 540)


def box(x: float, score: float = 0.9, y: float = 100, width: float = 200, height: float = 400) -> list[float]:
    return [x, y, x + width, y + height, score]


def frames(*boxes: Sequence[Sequence[float]]) -> list[np.ndarray]:
    return [np.array(one, np.float64).reshape(-1, 5) for one in boxes]


def moving(count: int, x: float = 400, score: float = 0.9) -> list[list[list[float]]]:
    return [[box(x + number, score)] for number in range(count)]


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", sorted(json.loads((CASE / "expected/boxes.json").read_text())) if CASE.exists() else []
)
def test_parity_gives_the_references_numbers(name: str) -> None:
    case = json.loads((CASE / "inputs/detections.json").read_text())[name]
    expected = json.loads((CASE / "expected/boxes.json").read_text())[name]
    action = int(case["video"].split("A")[1][:3])
    detections = [np.array(one, np.float32).reshape(-1, 5) for one in case["detections"]]
    persons = 2 if 50 <= action <= 60 or action >= 106 else 1
    found = postprocess(detections, persons, (1920, 1080), parity=True)
    assert list(found.shape) == expected["shape"]
    assert np.allclose(found, expected["value"], atol=1e-4)


def drawn(seed: int) -> list[np.ndarray]:
    """Up to four people who wander, vanish and come back, found with noise, some of them twice."""
    rng = np.random.default_rng(seed)
    sure = rng.random() < 0.4
    people = rng.uniform((0, 0, 60, 90), (1500, 500, 300, 500), size=(rng.integers(1, 5), 4))
    found = []
    for _ in range(rng.integers(3, 40)):
        boxes = []
        for person in people:
            person[:2] += rng.normal(0, 8, 2)
            for _ in range(int(rng.choice([0, 1, 1, 1, 1, 1, 2]))):
                x, y, width, height = person + rng.normal(0, 3, 4)
                boxes.append([x, y, x + width, y + height, rng.uniform(0.96 if sure else 0.4, 1)])
        found.append(np.array(boxes, np.float32).reshape(-1, 5))
    return found


def test_parity_follows_the_references_rules() -> None:
    seen: Counter[tuple[int, ...] | None] = Counter()
    for seed in range(80):
        detections, persons = drawn(seed), seed % 2 + 1
        wanted = plain(detections, persons)
        if wanted is None:
            with pytest.raises(ValueError, match="the reference fails"):
                postprocess(detections, persons, SIZE, parity=True)
        else:
            found = postprocess(detections, persons, SIZE, parity=True)
            assert found.shape == wanted.shape, seed
            assert (found == wanted).all(), seed
        ours = postprocess(detections, persons, SIZE)
        assert ours.shape == (len(detections), persons, 5)
        assert np.isfinite(ours).all()
        seen[None if wanted is None else (persons, *wanted.shape[1:])] += 1
    assert set(seen) == {None, (1, 5), (1, 1, 5), (2, 1, 5), (2, 2, 5)}, "every rule was met"


def test_easy_clips_keep_their_boxes() -> None:
    detections = frames(*([*one, box(1400, 0.7)] for one in moving(8, score=0.99)))
    found = postprocess(detections, 1, SIZE)
    assert found.shape == (8, 1, 5)
    assert (found[:, 0] == [one[0] for one in detections]).all()


def test_a_box_inside_a_better_one_goes() -> None:
    inner = [420, 150, 560, 450, 0.96]
    found = postprocess(frames(*([*one, inner] for one in moving(8, score=0.99))), 1, SIZE)
    assert (found[:, 0, 4] == 0.99).all()


def test_of_two_equal_boxes_one_stays() -> None:
    twice = frames(*([one[0], one[0]] for one in moving(8, score=0.99)))
    assert (postprocess(twice, 1, SIZE)[:, 0, 4] == 0.99).all()
    with pytest.raises(ValueError, match="the reference fails"):
        postprocess(twice, 1, SIZE, parity=True)


def test_a_gap_takes_the_nearest_box_and_the_references_the_last() -> None:
    detections = frames(*moving(10))
    detections[3] = detections[4] = np.zeros((0, 5))
    found, reference = postprocess(detections, 1, SIZE), postprocess(detections, 1, SIZE, parity=True)
    assert found.shape == (10, 1, 5)
    assert found[:, 0, 0].tolist() == [400, 401, 402, 402, 405, 405, 406, 407, 408, 409]
    assert reference.shape == (10, 5)
    assert reference[:, 0].tolist() == [400, 401, 402, 409, 409, 405, 406, 407, 408, 409]


def test_the_middle_is_that_of_the_picture() -> None:
    both = frames(*([box(380, 0.9), box(1500 if number < 6 else 3000, 0.9)] for number in range(12)))
    both = [one if number < 6 else one[:0] for number, one in enumerate(both)]
    small = postprocess(both, 1, (960, 540))
    large = postprocess(both, 1, (3200, 540))
    assert set(small[:, 0, 0]) == {380}
    assert set(large[:, 0, 0]) == {1500}
    assert set(postprocess(both, 1, (3200, 540), parity=True)[:, 0, 0]) == {380}


def test_frames_without_boxes_keep_their_number() -> None:
    detections = frames(*moving(12, 100), *moving(12, 700))
    detections[0] = np.zeros((0, 5))
    found = postprocess(detections, 1, SIZE)
    assert len(found) == 24
    assert found[12, 0, 0] == 700


def test_two_people_have_two_rows_whatever_is_found() -> None:
    two = frames(*([box(100 + number), box(600 - number, 0.8)] for number in range(9)))
    found = postprocess(two, 2, SIZE)
    assert (found[:, 0, 0], found[:, 1, 0]) == (pytest.approx(range(100, 109)), pytest.approx(range(600, 591, -1)))
    one = postprocess(frames(*moving(9)), 2, SIZE)
    assert one.shape == (9, 2, 5)
    assert not one[:, 1].any()
    assert postprocess(frames(*moving(9)), 2, SIZE, parity=True).shape == (9, 1, 5)
    assert not postprocess(frames([], [], []), 2, SIZE).any()
    assert not postprocess(frames([], [], []), 1, SIZE).any()


def test_of_many_the_two_best_count_and_a_missing_one_is_copied() -> None:
    three = frames(*([box(0, 0.7), box(300, 0.9), box(700, 0.8)] for _ in range(9)))
    three[4], three[5] = three[4][1:2], three[5][:0]
    found = postprocess(three, 2, SIZE)
    assert found[:, :, 0].tolist() == [[300, 700]] * 9


def test_short_and_small_tracks_are_nobody() -> None:
    assert not postprocess(frames(*moving(5), [], []), 1, SIZE).any()
    small = frames(*([box(100, width=50, height=100)] for _ in range(9)))
    assert not postprocess(small, 1, SIZE).any()
    assert postprocess(frames(*moving(6), [], []), 1, SIZE).all(axis=(1, 2)).all()


@pytest.mark.parametrize(
    ("detections", "persons", "size"),
    [
        ([], 1, SIZE), (frames([box(1)]), 3, SIZE), (frames([box(1)]), 1, (0, 540)), ([np.zeros((2, 4))], 1, SIZE),
        ([np.full((1, 5), np.nan)], 1, SIZE), ([np.zeros(5)], 1, SIZE), ([np.array([["a"] * 5])], 1, SIZE),
    ],
)  # fmt: skip
def test_other_arrays_are_refused(detections: list[np.ndarray], persons: int, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"persons|boxes"):
        postprocess(detections, persons, size)


def test_boxes_without_area_are_no_boxes() -> None:
    detections = [np.concatenate([one, [[5, 5, 5, 9, 1.0]]]) for one in frames(*moving(8, score=0.99))]
    assert (postprocess(detections, 1, SIZE)[:, 0, 4] == 0.99).all()


class Corners:
    """An estimator that says where it looked: every joint at the box's corner, with its score."""

    name = "corners"

    def __init__(self, joints: int = 17) -> None:
        self.joints = joints
        self.asked: list[int] = []

    def estimate(self, frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        self.asked.append(int(frame[0, 0, 0]))
        return np.repeat(boxes[:, None, [0, 1, 4]], self.joints, axis=1).astype(np.float32)


def pictures(count: int) -> list[np.ndarray]:
    return [np.full((4, 4, 3), number, np.uint8) for number in range(count)]


def test_poses_of_a_clip_become_a_sample() -> None:
    boxes = np.zeros((3, 2, 5))
    boxes[0, 0], boxes[2, 0], boxes[2, 1] = box(1), box(2), box(3, 0.6)
    estimator = Corners()
    points = estimate_clip(pictures(3), boxes, estimator)
    assert estimator.asked == [0, 2], "a frame without boxes is not looked at, and keeps its number"
    item = pose_item("S001C001P001R001A050", 49, points, (960, 540))
    assert item["keypoint"].shape == (2, 3, 17, 2)
    assert item["keypoint_score"].shape == (2, 3, 17)
    assert {item["keypoint"].dtype, item["keypoint_score"].dtype} == {np.dtype(np.float32)}
    assert item["keypoint"][:, :, 0, 0].tolist() == [[1, 0, 2], [0, 0, 3]]
    assert item["keypoint_score"][1, 2, 5] == pytest.approx(0.6)
    assert (item["img_shape"], item["original_shape"], item["total_frames"], item["label"]) == (
        (540, 960),
        (540, 960),
        3,
        49,
    )
    assert type(item["total_frames"]) is type(item["label"]) is int


def test_what_breaks_the_contract_is_refused() -> None:
    boxes = np.tile(box(1), (3, 1, 1))
    with pytest.raises(ValueError, match=r"corners returned \[1, 5, 3\] for 1 boxes"):
        estimate_clip(pictures(3), boxes, Corners(5))
    with pytest.raises(ValueError, match="zip"):
        estimate_clip(pictures(2), boxes, Corners())
    with pytest.raises(ValueError, match="not \\[frames"):
        estimate_clip(pictures(3), boxes[:, 0], Corners())
    good = np.zeros((1, 3, 17, 3), np.float32)
    for points, label, size in (
        (good[0], 0, SIZE),
        (good[:, :, :5], 0, SIZE),
        (good + np.nan, 0, SIZE),
        (good, -1, SIZE),
        (good, 0, (0, 4)),
    ):
        with pytest.raises(ValueError, match=r"joint|possible"):
            pose_item("a", label, points, size)
