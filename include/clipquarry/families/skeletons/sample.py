"""Small packages of skeletons: walking figures in two and three dimensions, boxes, and a table of contents with its files."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipquarry.files import publish, temporary_beside
from clipquarry.pipeline.sample import Sample, Served

HEIGHT, WIDTH = 240, 320
CLASSES = 3
NAMES = tuple(f"walk_{number:02d}" for number in range(12))
TRAIN = 9
"""Samples of the split ``train``; the others are in ``val``."""


def _figure(points: int, coordinates: int, frames: int, number: int) -> npt.NDArray[np.float32]:
    """A figure [1, T, V, C] that walks to the right and swings."""
    found = np.zeros((1, frames, points, coordinates), np.float32)
    for time in range(frames):
        for point in range(points):
            swing = math.sin(0.4 * time + point + number)
            place = (60 + 8 * time + 12 * swing, 40 + 160 * point / points, 3 + 0.2 * swing)
            found[0, time, point] = (
                place[:coordinates] if coordinates == 2 else (place[0] / 100, place[1] / 100, place[2])
            )
    return found


def _sample(number: int, points: int, coordinates: int) -> dict[str, Any]:
    frames = 8 + number % 3
    found: dict[str, Any] = {"frame_dir": NAMES[number], "label": number % CLASSES, "total_frames": frames}
    keypoint = _figure(points, coordinates, frames, number)
    if coordinates == 2:
        size = (HEIGHT, WIDTH)
        found |= {
            "img_shape": size,
            "original_shape": size,
            "keypoint_score": np.full((1, frames, points), 0.9, np.float16),
        }
    return found | {"keypoint": keypoint.astype(np.float16)}


def _package(samples: list[dict[str, Any]], trained: int) -> dict[str, Any]:
    names = [str(one["frame_dir"]) for one in samples]
    return {"split": {"train": names[:trained], "val": names[trained:]}, "annotations": samples}


def _content(number: int) -> dict[str, Any]:
    frames = np.repeat(np.arange(6, dtype=np.int16), 2)
    return {
        "frame_dir": NAMES[number], "label": number % CLASSES, "total_frames": 6, "img_shape": (HEIGHT, WIDTH),
        "original_shape": (HEIGHT, WIDTH), "frame_inds": frames, "box_score": np.full(len(frames), 0.95, np.float16),
        "valid": dict.fromkeys((0.5, 0.6, 0.7, 0.8, 0.9), 6),
    }  # fmt: skip


def _write(path: Path, value: Any) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    temporary.write_bytes(pickle.dumps(value, protocol=4))
    publish(temporary, path)


def make_packages(folder: Path) -> Served:
    """Make what is not there yet below ``folder``: ``packages/``, and the files of key points, ``placed/kpfiles``, by hand."""
    served, placed = folder / "packages", folder / "placed/kpfiles"
    for name, points, coordinates in (("toy_2d", 17, 2), ("toy_3d", 25, 3)):
        samples = [_sample(number, points, coordinates) for number in range(len(NAMES))]
        _write(served / f"{name}.pkl", _package(samples, TRAIN))
    boxes = {name: np.tile(np.array([50, 30, 200, 220], np.float32), (8, 1)) for name in NAMES}
    _write(served / "toy_boxes.pkl", boxes)
    _write(served / "toy_contents.pkl", _package([_content(number) for number in range(6)], 3))
    for number in range(6):
        merged = np.zeros((12, 17, 3), np.float16)
        merged[..., :2] = _figure(17, 2, 12, number)[0]
        _write(placed / f"{NAMES[number]}.pkl", {"keypoint": merged})
    return Served(folder, {}, "four packages of skeletons", by_hand=folder / "placed")


SAMPLE = Sample(dataset="skeleton_demo", params={"shards": 2}, make=make_packages)
