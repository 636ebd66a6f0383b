"""The rules of the specification (5.3) for detections in plain Python, with the reference's quirks: what ``parity`` is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Tracks = dict[int, list[tuple[int, np.ndarray]]]


def shared(a: np.ndarray, b: np.ndarray) -> float:
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0, across) * max(0, down)


def area(a: np.ndarray) -> float:
    return (a[2] - a[0]) * (a[3] - a[1])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return shared(a, b) / (area(a) + area(b) - shared(a, b))


def without_inner(boxes: np.ndarray) -> np.ndarray:
    kept = []
    for i, one in enumerate(boxes):
        others = (other for j, other in enumerate(boxes) if i != j)
        if not any(shared(one, other) / area(one) > 0.8 and one[4] <= other[4] for other in others):
            kept.append(i)
    return boxes[kept]


def tracks_of(frames: Sequence[np.ndarray]) -> Tracks:
    newest, tracks = -1, Tracks()
    for frame, boxes in enumerate(frames):
        for box in boxes:
            for number in range(newest, -1, -1):
                track = tracks[number]
                gone = frame - track[0][0] - len(track)
                if overlap(track[-1][1], box) >= 0.6 and gone < 10 and track[-1][0] != frame:
                    track.append((frame, box))
                    break
            else:
                newest += 1
                tracks[newest] = [(frame, box)]
    return {
        number: track
        for number, track in tracks.items()
        if len(track) > 5 and np.mean([area(box.astype(np.float32)) for _, box in track]) > 5000
    }


def filled(track: list[tuple[int, np.ndarray]], count: int) -> np.ndarray:
    boxes = np.zeros((count, 5))
    for frame, box in track:
        boxes[frame] = box
    for frame in range(count):
        if boxes[frame][4] <= 0.5:
            boxes[frame] = boxes[track[-1][0]]
    return boxes


def merged(tracks: Tracks, count: int) -> np.ndarray:
    far = {}
    for number, track in tracks.items():
        boxes = np.stack([box for _, box in track])
        x, y = (boxes[:, 2] + boxes[:, 0]) / 2.0 - 480, (boxes[:, 3] + boxes[:, 1]) / 2.0 - 270
        far[number] = np.mean(np.linalg.norm(np.stack([x, y], axis=1), axis=1))
    order = sorted(far, key=lambda number: far[number])
    limit = np.inf
    for number in order:
        if len(tracks[number]) >= count / 2:
            limit = 2 * far[number]
            break
    boxes, known = np.zeros((count, 5)), {}
    for number in order:
        if far[number] < max(50, limit):
            for frame, box in tracks[number]:
                if boxes[frame][4] < 0.01:
                    boxes[frame] = known[frame] = box
    for frame in range(count):
        if boxes[frame][4] < 0.01:
            nearest, least = None, np.inf
            for other in known:
                if abs(other - frame) < least:
                    nearest, least = other, abs(other - frame)
            boxes[frame] = known[nearest]  # type: ignore[index]
    return boxes


def best_two(frames: Sequence[np.ndarray]) -> np.ndarray:
    found = np.zeros((len(frames), 2, 5))
    for frame, boxes in enumerate(frames):
        order = sorted(range(len(boxes)), key=lambda number: -boxes[number][4]) if len(boxes) > 2 else range(len(boxes))
        for place, number in enumerate(list(order)[:2]):
            found[frame, place] = boxes[number]
    for frame in range(len(frames)):
        if found[frame, 0, 4] <= 0.01:
            found[frame] = found[frame - 1]
        elif found[frame, 1, 4] <= 0.01 and frame:
            before = found[frame - 1]
            if before[0, 4] > 0.01 and before[1, 4] > 0.01:
                first = overlap(found[frame, 0], before[0]) > overlap(found[frame, 0], before[1])
                found[frame, 1] = before[1] if first else before[0]
    return found


def plain(frames: Sequence[np.ndarray], persons: int) -> np.ndarray | None:
    """The reference's result; None where it fails."""
    frames = [without_inner(boxes) for boxes in frames]
    sure = [boxes[boxes[:, 4] > 0.95] for boxes in frames]
    if {len(boxes) for boxes in sure} == {persons}:
        return np.stack(sure)
    tracks = tracks_of(frames)
    if persons == 1 and len(tracks) == 1:
        return filled(next(iter(tracks.values())), len(frames))
    if not tracks:
        return None
    if persons == 1:
        return merged(tracks, len(frames))[:, None]
    if len(tracks) <= 2:
        return np.stack([filled(track, len(frames)) for track in tracks.values()], axis=1)
    return best_two(frames)
