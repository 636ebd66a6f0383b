"""Boxes of detected people become one or two people over a whole clip (specification 5.3), before their poses are estimated.

Three rules. (i) In a frame a box goes if more than 0.8 of it lies in a box of at least its score. (ii) If then every frame has exactly as many boxes above 0.95
as people are wanted, those are the people. (iii) Else boxes are linked to tracks: one person is the tracks near the middle of the
picture, merged; two people are the two tracks, or each frame's two best boxes.

Corrected here, and as in the reference with ``parity``: a gap takes the nearest box of its track, not the last one; the middle is that of the real
picture, not of 960x540; the result always is [T, persons, 5]; of two equal boxes one stays. Where the reference fails, the result has rows of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]
"""(n, 5) rows ``x1, y1, x2, y2`` in pixels and a score in 0..1; n may be 0. A row of zeros is no box."""
Track = list[tuple[int, npt.NDArray[Any]]]
"""The boxes of one track with their frames, from 0, in order."""

_INSIDE = 0.8
_EASY = 0.95
_LINK = 0.6
_MISSED = 10
_SHORTEST = 6
"""Boxes that a track needs, and pixels of its mean area."""
_SMALLEST = 5000
_NEAR = 50.0
"""Pixels from the middle, within which tracks are always merged."""
_THERE = 0.01
_REFERENCE_SIZE = (960, 540)


def postprocess(
    detections: Sequence[npt.NDArray[Any]], persons: int, size: tuple[int, int], *, parity: bool = False
) -> Boxes:
    """The people of a clip, [T, persons, 5]: a box for each person and frame, of zeros where there is none.

    ``detections`` has an entry [n, 5] for each frame, in pixels, also for frames without a box. ``persons`` is 1 or 2, ``size`` the picture's
    (width, height). ``parity`` gives the reference's result instead, whose shape is [T, 5] for a single track and has one person where two were
    wanted and one was found. Raises ValueError for other arrays, and with ``parity`` where the reference fails.
    """
    frames = [_checked(boxes, number) for number, boxes in enumerate(detections)]
    if persons not in (1, 2) or min(size) < 1 or not frames:
        raise ValueError(
            f"{len(frames)} frames of {size[0]}x{size[1]} for {persons} persons: 1 or 2 persons, and a frame, are needed"
        )
    if not parity:
        frames = [boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])] for boxes in frames]
    frames = [_without_inner(boxes, parity=parity) for boxes in frames]
    sure = [boxes[boxes[:, 4] > _EASY] for boxes in frames]
    if all(len(boxes) == persons for boxes in sure):
        return np.stack(sure).astype(np.float64)
    tracks = _long_and_large(_tracks(frames))
    if persons == 2:
        found = _two(frames, tracks, parity=parity)
    elif len(tracks) == 1:
        found = _filled(tracks[0], len(frames), parity=parity)[:, None]
    else:
        found = _merged(tracks, len(frames), _REFERENCE_SIZE if parity else size, parity=parity)[:, None]
    if parity:
        return found[:, 0] if persons == 1 and len(tracks) == 1 else found
    return np.concatenate([found, np.zeros((len(found), persons - found.shape[1], 5))], axis=1)


def _checked(boxes: npt.NDArray[Any], frame: int) -> npt.NDArray[Any]:
    array = np.asarray(boxes)
    if array.ndim != 2 or array.shape[1] != 5 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"frame {frame} has boxes {list(array.shape)} of {array.dtype}, not finite numbers [n, 5]")
    return array


def _area(boxes: npt.NDArray[Any]) -> Any:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _shared(one: npt.NDArray[Any], others: npt.NDArray[Any]) -> Any:
    """The area that a box shares with each of others."""
    across = np.minimum(one[..., 2], others[..., 2]) - np.maximum(one[..., 0], others[..., 0])
    down = np.minimum(one[..., 3], others[..., 3]) - np.maximum(one[..., 1], others[..., 1])
    return np.maximum(0, across) * np.maximum(0, down)


def _overlap(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> Any:
    """Shared area through united area; 0 for boxes without area."""
    shared = _shared(one, other)
    united = _area(one) + _area(other) - shared
    return shared / united if united > 0 else 0.0


def _without_inner(boxes: npt.NDArray[Any], *, parity: bool) -> npt.NDArray[Any]:
    """Rule (i). Of two boxes that lie in each other with one score the earlier stays; the reference drops both."""
    if len(boxes) < 2:
        return boxes
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = _shared(boxes[:, None], boxes[None]) / _area(boxes)[:, None] > _INSIDE
    score, place = boxes[:, 4], np.arange(len(boxes))
    weaker = score[:, None] <= score[None]
    if not parity:
        both = inside & inside.T & (score[:, None] == score[None])
        weaker &= ~(both & (place[:, None] < place[None]))
    np.fill_diagonal(inside, False)
    kept: npt.NDArray[Any] = boxes[~(inside & weaker).any(axis=1)]
    return kept


def _tracks(frames: Sequence[npt.NDArray[Any]]) -> list[Track]:
    """Rule (iii): each box joins the newest track whose last box overlaps it and that is not long gone."""
    tracks: list[Track] = []
    for number, boxes in enumerate(frames):
        for box in boxes:
            for track in reversed(tracks):
                last, known = track[-1]
                missed = number - track[0][0] - len(track)
                if last != number and missed < _MISSED and _overlap(known, box) >= _LINK:
                    track.append((number, box))
                    break
            else:
                tracks.append([(number, box)])
    return tracks


def _long_and_large(tracks: Sequence[Track]) -> list[Track]:
    return [
        track
        for track in tracks
        if len(track) >= _SHORTEST
        and np.mean(_area(np.stack([box for _, box in track]).astype(np.float32))) > _SMALLEST
    ]


def _nearest(known: Sequence[int], frame: int) -> int:
    """The frame with a box that is nearest; of two the first in ``known``."""
    return min(known, key=lambda other: abs(other - frame))


def _filled(track: Track, count: int, *, parity: bool) -> Boxes:
    """A box for every frame, [T, 5]: a gap takes the nearest one, with ``parity`` the last."""
    boxes = np.zeros((count, 5))
    for frame, box in track:
        boxes[frame] = box
    known = [frame for frame, _ in track]
    if parity:
        for frame in range(count):  # boxes of a low score count as gaps there
            if boxes[frame, 4] <= 0.5:
                boxes[frame] = boxes[known[-1]]
        return boxes
    for frame in set(range(count)) - set(known):
        boxes[frame] = boxes[_nearest(known, frame)]
    return boxes


def _merged(tracks: Sequence[Track], count: int, size: tuple[int, int], *, parity: bool) -> Boxes:
    """One person of several tracks, [T, 5]: those near the middle, in the order of their distance."""
    middle = np.array(size) / 2
    far = []
    for track in tracks:
        boxes = np.stack([box for _, box in track])
        centre = (boxes[:, :2] + boxes[:, 2:4]) / 2.0 - middle
        far.append(float(np.mean(np.linalg.norm(centre, axis=1))))
    order = sorted(range(len(tracks)), key=lambda number: far[number])
    limit = next((2 * far[number] for number in order if len(tracks[number]) >= count / 2), np.inf)
    limit = max(_NEAR, limit)
    boxes, known = np.zeros((count, 5)), dict[int, npt.NDArray[Any]]()
    for number in order:
        if far[number] < limit:
            for frame, box in tracks[number]:
                if boxes[frame, 4] < _THERE:
                    boxes[frame] = known[frame] = box
    if not known:
        if parity:
            raise ValueError("no track is left: the reference fails there")
        return boxes
    frames = list(known)
    for frame in range(count):
        if boxes[frame, 4] < _THERE:
            boxes[frame] = known[_nearest(frames, frame)]
    return boxes


def _two(frames: Sequence[npt.NDArray[Any]], tracks: Sequence[Track], *, parity: bool) -> Boxes:
    """Two people, [T, up to 2, 5]."""
    if len(tracks) > 2:
        return _best_two(frames, parity=parity)
    if tracks:
        return np.stack([_filled(track, len(frames), parity=parity) for track in tracks], axis=1)
    if parity:
        raise ValueError("no track is left: the reference fails there")
    return np.zeros((len(frames), 2, 5))


def _best_two(frames: Sequence[npt.NDArray[Any]], *, parity: bool) -> Boxes:
    """Each frame's two best boxes; what is missing comes from the frame before, with ``parity`` in the first frame from the last one."""
    found = np.zeros((len(frames), 2, 5))
    for frame, boxes in enumerate(frames):
        chosen = boxes if len(boxes) <= 2 else boxes[np.argsort(-boxes[:, 4], kind="stable")[:2]]
        found[frame, : len(chosen)] = chosen
    for frame in range(len(found)):
        now, before = found[frame], found[frame - 1]
        if now[0, 4] <= _THERE:
            found[frame] = before if frame or parity else 0
        elif frame and now[1, 4] <= _THERE and (before[:, 4] > _THERE).all():
            now[1] = before[1] if _overlap(now[0], before[0]) > _overlap(now[0], before[1]) else before[0]
    return found
