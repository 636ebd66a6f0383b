"""Skeleton files made up for tests, and the specification's conversion (5.2) in plain Python, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

BODY = [
    "bodyID",
    "clipedEdges",
    "handLeftConfidence",
    "handLeftState",
    "handRightConfidence",
    "handRightState",
    "isResticted",
    "leanX",
    "leanY",
    "trackingState",
]
JOINT = [
    "x",
    "y",
    "z",
    "depthX",
    "depthY",
    "colorX",
    "colorY",
    "orientationW",
    "orientationX",
    "orientationY",
    "orientationZ",
    "trackingState",
]
TRAIN_60 = {1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38}
TRAIN_120 = TRAIN_60 | {45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78} | {
    80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103,
}  # fmt: skip


def skeleton_text(bodies: Sequence[int], seed: int = 0, end: str = "\r\n") -> bytes:
    """A file whose frames hold so many bodies each, as a Kinect writes it."""
    rng = np.random.default_rng(seed)
    lines = [str(len(bodies))]
    for count in bodies:
        lines.append(str(count))
        for body in range(count):
            lines += [f"7205759403793{body:04d} 0 1 1 0 0 0 {rng.normal():.7g} {rng.normal():.7g} 2", "25"]
            for row in rng.normal(0, 1 + body, size=(25, 11)):
                lines.append(" ".join(f"{value:.7g}" for value in row) + " 2")
    return (end.join(lines) + end).encode()


def still_text(bodies: Sequence[int], at: float) -> bytes:
    """The same with every coordinate ``at``: bodies without energy, of a sum that is 0 where ``at`` is 0."""
    joint = f"{at} {at} {at} 1 1 1 1 0 0 0 0 2"
    lines = [str(len(bodies))]
    for count in bodies:
        lines += [str(count), *["1 0 1 1 0 0 0 0 0 2", "25", *[joint] * 25] * count]
    return "\n".join(lines).encode()


def plain_sequence(path: Path) -> list[list[list[dict[str, float]]]]:
    """The joints by frame, body and joint."""
    with open(path) as handle:
        frames = []
        for _ in range(int(handle.readline())):
            bodies = []
            for _ in range(int(handle.readline())):
                dict(zip(BODY, map(float, handle.readline().split()), strict=False))
                count = int(handle.readline())
                joints = [dict(zip(JOINT, map(float, handle.readline().split()), strict=False)) for _ in range(count)]
                bodies.append(joints)
            frames.append(bodies)
    return frames


def plain_energy(slot: np.ndarray) -> float:
    held = slot[slot.sum(-1).sum(-1) != 0]
    return sum(held[:, :, axis].std() for axis in range(3)) if len(held) else 0


def plain_keypoint(path: Path) -> np.ndarray:
    """``keypoint`` of a sample, [M, T, 25, 3] float16."""
    frames = plain_sequence(path)
    data = np.zeros((4, len(frames), 25, 3))
    for number, bodies in enumerate(frames):
        for slot, joints in enumerate(bodies):
            for place, joint in enumerate(joints):
                if slot < 4 and place < 25:
                    data[slot, number, place, :] = [joint["x"], joint["y"], joint["z"]]
    energy = np.array([plain_energy(slot) for slot in data])
    data = data[energy.argsort(kind="stable")[::-1][:2]]
    return data[data.sum((1, 2, 3)) != 0].astype(np.float16)


def plain_package(folder: Path, task: str, ignored: set[str]) -> dict[str, Any]:
    """The package, in the order of names."""
    names = [name for name in sorted(path.stem for path in folder.glob("*.skeleton")) if name not in ignored]
    subjects = TRAIN_60 if task == "ntu60" else TRAIN_120
    trains = {
        "xsub": lambda name: int(name[9:12]) in subjects,
        **(
            {"xview": lambda name: int(name[5:8]) in (2, 3)}
            if task == "ntu60"
            else {"xset": lambda name: int(name[1:4]) in range(2, 33, 2)}
        ),
    }
    split = {}
    for benchmark, of in trains.items():
        split[f"{benchmark}_train"] = [name for name in names if of(name)]
        split[f"{benchmark}_val"] = [name for name in names if not of(name)]
    annotations = []
    for name in names:
        keypoint = plain_keypoint(folder / f"{name}.skeleton")
        annotations.append(
            {"frame_dir": name, "label": int(name[17:20]) - 1, "keypoint": keypoint, "total_frames": keypoint.shape[1]}
        )
    return {"split": split, "annotations": annotations}
