"""The flat layout of AVA-Kinetics: one six-second clip for each key second, ``{id}_{second:06d}.mp4``, all splits
together.

Intended differences to the crawler that made this layout: a key frame without boxes removes no other key frame of
its video, every key frame has its own clip and time, and the download list names each clip once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from clipquarry.annotations.ava_time import FPS
from clipquarry.files import writing

LEAD, LENGTH = 3, 6
"""Seconds before the key second, seconds of a clip, frames of a second."""
BEHIND = 20
"""Frames that a clip must have after its key frame."""


class FlatClip(NamedTuple):
    """A six-second window of a YouTube video around a key second (whole seconds of the original video)."""

    video_id: str
    second: int

    @property
    def name(self) -> str:
        """The file's stem. It contains one time only, the key second's."""
        return f"{self.video_id}_{self.second:06d}"

    @property
    def start(self) -> int:
        """Start of the clip: :data:`LEAD` seconds earlier, but not before the video's."""
        return max(0, self.second - LEAD)


class Clips(Protocol):
    """The clips of a flat layout, by the second that they are made for."""

    def name(self, video: str, second: int) -> str | None:
        """The clip of a second with key frames; None: it has none."""

    def time_in(self, name: str, time: str) -> Decimal:
        """Seconds from the clip's start to a key frame at ``time`` (decimal text, of the original video), exactly."""


class SixSeconds:
    """Clips of six seconds, which follow from the key frames alone."""

    def name(self, video: str, second: int) -> str | None:
        return FlatClip(video, second).name

    def time_in(self, name: str, time: str) -> Decimal:
        return clip_time(time)


def clip_time(time: str) -> Decimal:
    """Seconds from the clip's start to a key frame at ``time`` (its decimal text), exactly."""
    exact = Decimal(time)
    return exact - max(0, math.floor(exact) - LEAD)


def frame_number(time: str) -> int:
    """The 1-based number of the key frame among the clip's frames, at 30 a second."""
    return int(clip_time(time) * FPS) + 1


def flat_clips(tables: Iterable[pa.Table]) -> list[FlatClip]:
    """The clips that key frames need, each once, in the order of the rows (with boxes or without) of ``tables``."""
    seen: dict[FlatClip, None] = {}
    for table in tables:
        videos, seconds = table["video_id"].to_pylist(), table["second"].to_pylist()
        seen.update(dict.fromkeys(FlatClip(video, second) for video, second in zip(videos, seconds, strict=True)))
    return list(seen)


def write_download_list(clips: Iterable[FlatClip], path: Path) -> None:
    """``youtube_id,time_start,time_end`` with the key second and -1, as the crawler reads it; no newline at the end."""
    with writing(path) as handle:
        handle.write("youtube_id,time_start,time_end")
        for clip in clips:
            handle.write(f"\n{clip.video_id},{clip.second:f},{-1:f}")


def assign_flat_clips(table: pa.Table, counts: dict[str, int], clips: Clips | None = None) -> pa.Array:
    """The clip of the key frame of each row with ``video_id``, ``time`` and ``second``; null if that has too few frames.

    ``counts``: number of frames by clip. A clip needs its key frame and the :data:`BEHIND` frames after it.
    """
    clips = clips or SixSeconds()
    names = []
    for row in _rows(table):
        name = clips.name(str(row["video_id"]), int(str(row["second"])))
        enough = name in counts and counts[name] >= int(clips.time_in(name, str(row["time"])) * FPS + BEHIND)
        names.append(name if enough else None)
    return pa.array(names, pa.string())


def write_updated_csv(
    boxes: pa.Table, frames: pa.Table, counts: dict[str, int], path: Path, clips: Clips | None = None
) -> None:
    """The annotations in the clips' own times: ``{clip},{time},{x1},{y1},{x2},{y2},{label},{images}``, numbers with six decimals.

    ``video_id`` of ``boxes`` and ``frames`` is the clip (see :func:`assign_flat_clips`). Rows of key frames without boxes have two columns.
    """
    clips = clips or SixSeconds()
    with writing(path) as handle:
        for row in _rows(boxes):
            box = ",".join(f"{row[key]:f}" for key in ("x1", "y1", "x2", "y2"))
            time = clips.time_in(str(row["video_id"]), str(row["time"]))
            handle.write(f"{row['video_id']},{time:.6f},{box},{row['action_id']},{counts[str(row['video_id'])]}\n")
        for row in _rows(frames):
            handle.write(f"{row['video_id']},{clips.time_in(str(row['video_id']), str(row['time'])):.6f}\n")


def _rows(table: pa.Table) -> Iterable[dict[str, object]]:
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()
