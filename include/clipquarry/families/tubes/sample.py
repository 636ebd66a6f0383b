"""The family's sample: a small JHMDB, whose package a person places. Its top folder is none that the YAML names."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from clipquarry.files import writing
from clipquarry.pipeline.sample import Sample, Served

LABELS = ("catch", "wave")
WIDTH, HEIGHT = 320, 240
VIDEOS = {
    "catch/ball_catch_01": ("train", 9), "catch/ball_catch_02": ("train", 7), "catch/ball_catch_03": ("test", 8),
    "wave/hand_wave_01": ("train", 8), "wave/hand_wave_02": ("test", 6),
}  # fmt: skip
"""Name to split and number of frames."""
TOP, ARCHIVE = "package-2020", "JHMDB_demo.tar.gz"
Picture = npt.NDArray[np.uint8]


def box_of(video: str, number: int) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of the person in a frame (1 is the first): they walk to the right, each at a height of their own."""
    order = list(VIDEOS).index(video)
    left, top = 20 + 24 * number + 5 * order, 40 + 12 * order
    return (left, top, left + 46, top + 120)


def picture(video: str, number: int) -> Picture:
    """A frame [HEIGHT, WIDTH, 3] (RGB): a person of a head and a body before a background that is brighter to the right."""
    order = list(VIDEOS).index(video)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    shown = np.stack([40 + x // 4, 60 + y // 3, np.full_like(x, 70 + 20 * order)], axis=-1).astype(np.uint8)
    x1, y1, x2, y2 = (int(edge) for edge in box_of(video, number))
    head = (x - (x1 + x2) / 2) ** 2 + (y - (y1 + 16)) ** 2 <= 16**2
    body = (x >= x1) & (x < x2) & (y >= y1 + 34) & (y < y2)
    shown[head] = (240, 200, 160)
    shown[body] = (200, 60 + 30 * order, 40)
    return shown


def _encoded(shown: Picture, codec: str, form: str) -> bytes:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = shown.shape[1], shown.shape[0], form
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(format=form)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


def truth() -> bytes:
    """The pickle."""
    tubes = {
        video: {LABELS.index(video.partition("/")[0]): [
            np.array([(number, *box_of(video, number)) for number in range(1, frames + 1)], np.float32)
        ]}
        for video, (_, frames) in VIDEOS.items()
    }  # fmt: skip
    return pickle.dumps({
        "labels": list(LABELS),
        "gttubes": tubes,
        "nframes": {video: frames for video, (_, frames) in VIDEOS.items()},
        "train_videos": [[video for video, (split, _) in VIDEOS.items() if split == "train"]],
        "test_videos": [[video for video, (split, _) in VIDEOS.items() if split == "test"]],
        "resolution": dict.fromkeys(VIDEOS, (HEIGHT, WIDTH)),
    }, protocol=2)  # fmt: skip


def tree() -> Iterator[tuple[str, bytes]]:
    """The files of the package, by their paths below its top folder."""
    yield "JHMDB-GT.pkl", truth()
    for video, (_, frames) in VIDEOS.items():
        for number in range(1, frames + 1):
            shown = picture(video, number)
            yield f"Frames/{video}/{number:05d}.png", _encoded(shown, "png", "rgb24")
            moved = np.abs(shown.astype(int) - picture(video, number + 1)).astype(np.uint8)
            yield f"FlowBrox04/{video}/{number:05d}.jpg", _encoded(moved, "mjpeg", "yuvj420p")


def make_jhmdb(folder: Path) -> Served:
    """Make the package below ``folder`` (``placed/``), if it is not there yet."""
    target = folder / "placed" / ARCHIVE
    if not target.exists():
        packed = io.BytesIO()
        with (
            gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w") as archive,
        ):
            for name, content in tree():
                member = tarfile.TarInfo(f"{TOP}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        with writing(target, "wb") as handle:
            handle.write(packed.getvalue())
    return Served(folder, {}, "nothing: a person places the package", by_hand=folder / "placed")


SAMPLE = Sample(dataset="jhmdb_demo", params={"shards": 2}, make=make_jhmdb, files={"ground truth": "JHMDB-GT.pkl"})
