"""Tracking of one clip: what must hold for any boxes, and how well made scenes come out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clipquarry.errors import UserError
from clipquarry.people.tracking.boxes import FILLED, ClipBoxes, TrackedBoxes
from clipquarry.people.tracking.clip import track_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

sys.path.append(str(Path(__file__).parents[3] / "bench"))

from made_persons import FPS, Scene, make_scene


def _right(scene: Scene, tracked: TrackedBoxes) -> float:
    """The share of the detected boxes with their person's id."""
    found = ~tracked.filled
    counts = np.zeros((tracked.ids.max() + 1, scene.truth.shape[1]))
    np.add.at(counts, (tracked.ids[found], scene.who[tracked.sources[found]]), 1)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(scene.who))


def _walk(frames: list[int], speed: float = 3.0, left: float = 10.0) -> ClipBoxes:
    x = left + speed * np.array(frames, float)
    boxes = np.stack([x, np.full(len(x), 20.0), x + 40, np.full(len(x), 120.0)], axis=1)
    return ClipBoxes(np.array(frames), boxes, np.full(len(x), 0.9))


def _both(*parts: ClipBoxes) -> ClipBoxes:
    return ClipBoxes(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("frames", "boxes", "scores"))
    )


def _holds(boxes: ClipBoxes, tracked: TrackedBoxes) -> None:
    """Every box once and as it was, no id twice in a frame, no hole in a track, a table that counts right."""
    found = ~tracked.filled
    assert sorted(tracked.sources[found].tolist()) == list(range(len(boxes.frames)))
    source = tracked.sources[found]
    assert (tracked.boxes[found] == boxes.boxes[source]).all()
    assert (tracked.frames[found] == boxes.frames[source]).all()
    assert len(set(zip(tracked.frames.tolist(), tracked.ids.tolist(), strict=True))) == len(tracked.ids)
    assert [track.id for track in tracked.tracks] == list(range(1, len(tracked.tracks) + 1))
    for track in tracked.tracks:
        mine = tracked.ids == track.id
        assert tracked.frames[mine].tolist() == list(range(track.first, track.last + 1))
        assert (track.filled, track.detected) == (int((mine & ~found).sum()), int((mine & found).sum()))
        assert track.detected == sum(piece.boxes for piece in track.tracklets)
    numbers = [piece.number for track in tracked.tracks for piece in track.tracklets]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def _same(one: TrackedBoxes, other: TrackedBoxes) -> bool:
    return one.tracks == other.tracks and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("frames", "boxes", "ids")
    )


@pytest.mark.parametrize(("seed", "persons", "least"), [(100, 2, 0.99), (103, 6, 0.85)])
def test_persons_who_hide_one_another_keep_their_ids(seed: int, persons: int, least: float) -> None:
    scene = make_scene(seed, persons, seconds=5, colours=persons > 2)
    tracked = track_clip(scene.given, FPS)
    _holds(scene.given, tracked)
    assert _right(scene, tracked) >= least


def test_the_whole_clip_is_better_than_its_frames_one_by_one() -> None:
    scene = make_scene(104, 6, seconds=6, colours=False)
    one_by_one = track_clip(scene.given, FPS, whole_clip=False)
    _holds(scene.given, one_by_one)
    assert _right(scene, track_clip(scene.given, FPS)) > _right(scene, one_by_one)


def test_the_order_of_the_boxes_is_irrelevant_and_the_result_always_the_same() -> None:
    scene = make_scene(105, 4, seconds=2)
    boxes = scene.given
    assert boxes.colours is not None
    first = track_clip(boxes, FPS)
    assert _same(first, track_clip(boxes, FPS))
    mixed = np.random.default_rng(1).permutation(len(boxes.frames))
    other = ClipBoxes(boxes.frames[mixed], boxes.boxes[mixed], boxes.scores[mixed], boxes.colours[mixed])
    again = track_clip(other, FPS)
    assert _same(first, again)
    found = again.sources != FILLED
    assert (mixed[again.sources[found]] == first.sources[found]).all()


def test_fractions_of_the_picture_give_the_ids_of_pixels() -> None:
    boxes = make_scene(106, 3, seconds=3, colours=False).given
    small = ClipBoxes(boxes.frames, boxes.boxes / [800, 360, 800, 360], boxes.scores)
    one, other = track_clip(boxes, FPS), track_clip(small, FPS)
    # By source: the order of equal frames in ids is that of the begins, which scaling keeps.
    assert (one.ids == other.ids).all()
    assert (one.sources == other.sources).all()


def test_a_gap_is_filled_in_between_and_marked() -> None:
    boxes = _walk([number for number in range(40) if not 15 <= number < 30])
    tracked = track_clip(boxes, 30)
    _holds(boxes, tracked)
    (track,) = tracked.tracks
    assert (track.first, track.last, track.detected, track.filled) == (0, 39, 25, 15)
    assert np.allclose(tracked.boxes[:, 0], 10 + 3.0 * np.arange(40))
    assert tracked.scores[tracked.filled].tolist() == [0.0] * 15
    assert [(piece.first, piece.last) for piece in track.tracklets] == [(0, 14), (30, 39)]


def test_frames_that_were_not_detected_are_interpolated() -> None:
    boxes = _both(_walk(list(range(0, 61, 6))), _walk(list(range(0, 61, 6)), speed=-2, left=500))
    tracked = track_clip(boxes, 30, step=6)
    _holds(boxes, tracked)
    assert [(track.detected, track.filled) for track in tracked.tracks] == [(11, 50), (11, 50)]


def test_persons_far_apart_are_not_joined() -> None:
    tracked = track_clip(_both(_walk(list(range(20))), _walk(list(range(25, 45)), left=3000)), 30)
    assert len(tracked.tracks) == 2


def test_colours_tell_apart_who_comes_out_from_behind() -> None:
    """Two persons stand still in one place one after the other: only the colour says that they are two."""
    boxes = _both(_walk(list(range(20)), speed=0), _walk(list(range(40, 60)), speed=0))
    red, blue = np.eye(8)[0], np.eye(8)[5]
    dressed = ClipBoxes(boxes.frames, boxes.boxes, boxes.scores, np.stack([red] * 20 + [blue] * 20))
    alike = ClipBoxes(boxes.frames, boxes.boxes, boxes.scores, np.stack([red] * 40))
    assert len(track_clip(alike, 30).tracks) == 1
    assert len(track_clip(dressed, 30).tracks) == 2


def test_a_clip_without_boxes_and_one_of_one_frame() -> None:
    nothing = track_clip(ClipBoxes(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0)), 30)
    assert (len(nothing.ids), nothing.tracks) == (0, ())
    boxes = _both(_walk([7]), _walk([7], left=300))
    tracked = track_clip(boxes, 30)
    _holds(boxes, tracked)
    assert tracked.ids.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: ClipBoxes(b.frames, b.boxes * [1, np.nan, 1, 1], b.scores), "row 0, frame 0: .* no box of finite numbers"),
        (lambda b: ClipBoxes(b.frames, b.boxes[:, [2, 1, 0, 3]], b.scores), r"has no area.* \(4 more like it\)"),
        (lambda b: ClipBoxes(b.frames, b.boxes, b.scores * 2), "score that is not in 0..1"),
        (lambda b: ClipBoxes(b.frames, b.boxes, b.scores * np.nan), "score that is not in 0..1"),
        (lambda b: ClipBoxes(b.frames - 1, b.boxes, b.scores), "row 0, frame -1: .* frames count from 0"),
        (lambda b: ClipBoxes(b.frames + 5, b.boxes, b.scores), "row 0, frame 5: .* after the clip's 5 frames"),
        (lambda b: ClipBoxes(b.frames, b.boxes[:3], b.scores), "do not belong together"),
        (lambda b: ClipBoxes(b.frames.astype(float), b.boxes, b.scores), "frames must be whole numbers"),
        (lambda b: ClipBoxes(b.frames, b.boxes, b.scores, np.ones((2, 8))), "one histogram a box"),
        (lambda b: ClipBoxes(b.frames, b.boxes, b.scores, -np.ones((5, 8))), "colour histogram with negative"),
    ],
)  # fmt: skip
def test_boxes_that_cannot_be_are_refused_with_a_sentence(change: Callable[[ClipBoxes], ClipBoxes], said: str) -> None:
    with pytest.raises(UserError, match=said):
        track_clip(change(_walk(list(range(5)))), 30, length=5)


@pytest.mark.parametrize(("fps", "step"), [(0, 1), (float("nan"), 1), (30, 0)])
def test_a_rate_that_cannot_be_is_refused(fps: float, step: int) -> None:
    with pytest.raises(UserError, match="greater than 0"):
        track_clip(_walk([0]), fps, step=step)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 200), st.integers(0, 50), st.integers(1, 80), st.floats(0, 1)),
        max_size=40,
    ),
    st.booleans(),
)
def test_whatever_the_boxes_each_comes_out_once_and_no_id_twice_in_a_frame(
    rows: list[tuple[int, int, int, int, float]], whole: bool
) -> None:
    boxes = np.array([[x, y, x + side, y + side] for _, x, y, side, _ in rows], float).reshape(-1, 4)
    colours = np.array([[x % 3, y % 2, side % 4] for _, x, y, side, _ in rows], float).reshape(-1, 3)
    drawn = ClipBoxes(np.array([row[0] for row in rows], np.int64), boxes, np.array([row[4] for row in rows]), colours)
    _holds(drawn, track_clip(drawn, 10, whole_clip=whole))
