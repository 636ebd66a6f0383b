"""Videos that the report draws: some of each split, with the boxes of a few of their frames, chosen by nothing but their names."""

from __future__ import annotations

import hashlib
import heapq
from pathlib import Path
from typing import Any

import numpy as np

from clipquarry.annotations.tube_pickle import TubeTruth, TubeVideo
from clipquarry.families.tubes.tables import item_of
from clipquarry.files import write_json

CHOSEN = 12
"""Videos of each split that are noted; the report draws some of those whose frames are here."""
MOMENTS = 5
MAX_TUBES = 12
"""Tubes of a video that are drawn."""


def write_shown(truth: TubeTruth, target: Path) -> None:
    """Note the videos: a list of ``item_id``, ``split``, ``video``, ``label``, ``width``, ``height``, ``tubes``, ``frames``. A frame has
    its ``number`` and ``boxes`` of ``tube``, ``x1``, ``y1``, ``x2``, ``y2`` (pixels).
    """
    known = set(np.unique(truth.tubes.video[truth.tubes.length > 0]).tolist())
    by_split: dict[str, list[int]] = {}
    for place in known:
        video = truth.videos[place]
        if video.problem is None and video.splits:
            by_split.setdefault(video.splits[0], []).append(place)
    chosen = [
        place
        for split in sorted(by_split, reverse=True)  # train first
        for place in heapq.nsmallest(CHOSEN, by_split[split], key=lambda place: _rank(truth.videos[place].key))
    ]
    write_json(target, [_shown(truth, place, truth.videos[place]) for place in chosen])


def _rank(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _shown(truth: TubeTruth, place: int, video: TubeVideo) -> dict[str, Any]:
    tubes, begins = truth.tubes, truth.tubes.begins()
    own = np.flatnonzero((tubes.video == place) & (tubes.length > 0))
    parts = [
        (int(tubes.position[at]), tubes.boxes[begins[at] : begins[at] + tubes.length[at]]) for at in own[:MAX_TUBES]
    ]
    numbers = np.concatenate([part[:, 0] for _, part in parts])
    numbers = np.unique(numbers[(numbers >= 1) & (numbers <= video.frames)]).astype(np.int64)
    picked = numbers[np.unique(np.linspace(0, len(numbers) - 1, MOMENTS).round().astype(int))] if len(numbers) else []
    frames = []
    for number in map(int, picked):
        boxes = [
            {"tube": position, **dict(zip(("x1", "y1", "x2", "y2"), map(float, row[1:]), strict=True))}
            for position, part in parts
            for row in part[part[:, 0] == number][:1]
            if np.isfinite(row).all()
        ]
        frames.append({"number": number, "boxes": boxes})
    return {
        "item_id": item_of(video), "split": video.splits[0], "video": video.key, "label": video.class_dir, "width": video.width,
        "height": video.height, "tubes": len(own), "frames": frames,
    }  # fmt: skip
