"""A small run folder, written by hand and without a fault; tests break one thing in it and look at what is said."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from clipquarry.annotations.label_table import Label
from clipquarry.datasets.families import spec_of
from clipquarry.datasets.model import DatasetSpec
from clipquarry.fingerprint import fingerprint
from clipquarry.ids import clip_id, normalise_label
from clipquarry.manifest import Row
from clipquarry.media.content import Content
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg
from clipquarry.pipeline.gates import run_gate
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import CheckResult, GateResult
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot
from clipquarry.steps.fields import MEDIA_FIELDS, PATH_FIELD
from families.made_run import FINE, MadeRun, item_row

LABELS = ("abseiling", "massaging person's head", "passing American football (in game)")
PARAMS = GateParams(frame_short_edge=32, frame_fps=1.0)


@cache
def jpeg(width: int, height: int) -> bytes:
    """A black JPEG."""
    picture = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), dtype=np.uint8), format="rgb24")
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuvj420p", Fraction(1)
    return b"".join(
        bytes(packet) for packet in [*encoder.encode(picture.reformat(format="yuvj420p")), *encoder.encode(None)]
    )


def draw(folder: Path, picture: str, frames: int) -> Content:
    """``frames`` of ffmpeg's drawn source, as ``img_00001.jpg`` and so on; what the same video shows when it is looked at."""
    video = folder.parent / f"{folder.name}.mp4"
    folder.mkdir(parents=True, exist_ok=True)
    run = [str(ffmpeg().path), "-y", "-v", "error"]
    drawn = ["-f", "lavfi", "-i", picture, "-frames:v", str(frames), "-pix_fmt", "yuv420p", str(video)]
    subprocess.run([*run, *drawn], check=True)
    subprocess.run([*run, "-i", str(video), "-q:v", "2", str(folder / "img_%05d.jpg")], check=True)
    return probe(video, look=True).content


def video_bytes(name: str) -> bytes:
    """1,000 bytes that begin as a file of that suffix does, others for each name."""
    mark = b"\x00\x00\x00\x18ftypisom" if name.endswith("mp4") else b"\x1a\x45\xdf\xa3"
    return (mark + name.encode()).ljust(1000, b"\0")


def media_row(name: str, **facts: Any) -> Row:
    """``bytes`` and ``sha256`` of :func:`video_bytes`, and ``facts``."""
    return {"bytes": 1000, "sha256": hashlib.sha256(video_bytes(name)).hexdigest(), **facts}


def shows(seed: int) -> Row:
    """What a usual clip shows: something of its own, which moves and sounds."""
    pictures = np.random.default_rng(seed).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    return {
        "brightness": 100.0, "contrast": 40.0, "still": 0.0, "changes": 1.0, "jumps": 0.0, "uneven": 0.0, "sound": "heard",
        "fingerprint": fingerprint(pictures),
    }  # fmt: skip


def make_spec(**changes: Any) -> DatasetSpec:
    """Three classes; 12 training, 6 validation and 2 test rows."""
    value: dict[str, Any] = {
        "schema": "dataset-spec/v1",
        "name": "mini",
        "title": "Mini",
        "family": "clips",
        "options": {"reader": "kinetics_csv"},
        "task": "action-recognition",
        "root": "mini",
        "access": {"kind": "crawl"},
        "layout": {
            "annotations": "annotations",
            "videos": "videos_{split}",
            "resized": "videos_{split}_dense",
            "rawframes": "rawframes_{split}",
        },
        "item": {"level": 2, "ext": ["mp4"], "ids": "youtube"},
        "labels": {"source": "annotation", "count": 3},
        "splits": {split: f"annotations/{split}.csv" for split in ("train", "val", "test")},
        "sources": [{"id": "local", "kind": "local", "provides": "items", "content": "clip", "path": "/clips"}],
        "lists": {"videos": "mini_{split}_list_videos.txt", "rawframes": "mini_{split}_list_rawframes.txt"},
        "expected": {
            "rows": {
                "train": {"count": [12, 11], "provenance": "memory"},
                "val": {"count": 6, "provenance": "counted"},
                "test": {"count": 2, "provenance": "documented"},
            }
        },
        "missing": {"warn": 0.25, "error": 0.5},
        "recipe": {"short_edge": 32},
    }
    return spec_of({**value, **changes})


@dataclass
class World:
    """Rows of a run as python values; :meth:`gate` writes them and runs a gate."""

    root: Path
    spec: DatasetSpec = field(default_factory=make_spec)
    catalog: list[Row] = field(default_factory=list)
    recorded: list[Row] = field(default_factory=list)
    resized: list[Row] | None = field(default_factory=list)
    frames: list[Row] | None = field(default_factory=list)
    missing: dict[str, list[Row]] = field(default_factory=lambda: {"videos": [], "rawframes": []})
    lists: dict[str, bytes] = field(default_factory=dict)
    plan: list[Row] = field(default_factory=list)
    labels: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Of items that have others than the catalog's one."""
    run: str = "run1"

    @property
    def data(self) -> DataRoot:
        return DataRoot(self.root)

    @property
    def run_dir(self) -> Path:
        return self.data.run(self.spec.name, self.run)

    def gate(self, name: str, params: GateParams = PARAMS) -> GateResult:
        self.write()
        return run_gate(name, self.spec, self.run_dir, self.data, params)

    def write(self) -> None:
        run = MadeRun(self.run_dir)
        run.catalog(self.catalog)
        run.labels((row["item_id"], self._labels_of(row)) for row in self.catalog)
        run.plan(self.plan)
        run.recorded(self.recorded)
        for step, rows in (("resize", self.resized), ("frames", self.frames)):
            if rows is not None:
                run.step(step, rows, shards=2)
        for format_, rows in self.missing.items():
            run.missing(format_, rows)
        for name, content in self.lists.items():
            (self.root / "mini").mkdir(exist_ok=True)
            (self.root / "mini" / name).write_bytes(content)
        run.lists([{"split": name.split("_")[1], "format": name.split("_", 3)[3][:-4]} for name in self.lists])

    def _labels_of(self, row: Row) -> list[Label]:
        own = () if row.get("label") is None else (row["label_index"],)
        return [Label(index, LABELS[index % len(LABELS)]) for index in self.labels.get(row["item_id"], own)]

    def edit_line(self, name: str, edit: Callable[[list[str]], list[str]]) -> None:
        lines = self.lists[name].decode().splitlines()
        self.lists[name] = "".join(f"{line}\n" for line in edit(lines)).encode()

    def lose(self, index: int, reason: Reason, *, status: Status = Status.MISSING, evidence: str = "said so") -> str:
        """One recorded clip is gone, as every later table of a real run tells it; returns its id."""
        row = self.recorded[index]
        row |= dict.fromkeys(f.name for f in (*MEDIA_FIELDS, PATH_FIELD))
        row |= {"status": str(status), "reason": str(reason), "evidence": evidence}
        for rows in (self.resized, self.frames):
            if rows is not None:
                rows[index] |= {"status": "missing", "reason": str(reason), "evidence": "no clip", "path": None}
        for format_ in self.missing:
            name = f"mini_{row['split']}_list_{format_}.txt"
            self.edit_line(name, lambda lines: [line for line in lines if row["clip_id"] not in line])
            self.missing[format_].append(
                {n: row[n] for n in ("item_id", "split", "label", "clip_id", "reason", "evidence")}
            )
        return str(row["item_id"])


def make_world(root: Path) -> World:
    """20 clips of 10 s at 1 frame a second, 64x32; frames are 10 empty images each."""
    world = World(root)
    number = 0
    for split, per_class, labels in (("train", 4, LABELS), ("val", 2, LABELS), ("test", 2, (None,))):
        line = 1
        for index, label in enumerate(labels):
            for _ in range(per_class):
                number, line = number + 1, line + 1
                _add(world, split, label, index if label else -1, f"-_vid{number:06d}", line)
    return world


def _add(world: World, split: str, label: str | None, index: int, video: str, line: int) -> None:
    root = world.spec.root
    clip, folder = clip_id(video, line, line + 10), "test" if label is None else normalise_label(label)
    item = item_row(split, video, line, line + 10, clip=clip, folder=folder, label=label, index=index, line=line)
    media = media_row(f"{clip}.mp4", duration=10.0, frames=10, fps=1.0, width=64, height=32)
    result = {**item, **FINE, "key": "k"}
    world.catalog.append({**item, **FINE})
    world.plan.append(dict(item))
    video_path, copy = f"videos_{split}/{folder}/{clip}.mp4", f"videos_{split}_dense/{folder}/{clip}.mp4"
    images = f"rawframes_{split}/{folder}/{clip}"
    world.recorded.append({**result, **media, "has_audio": True, "path": f"{root}/{video_path}", "source": "local",
                           **shows(len(world.recorded))})  # fmt: skip
    assert world.resized is not None and world.frames is not None
    world.resized.append({**result, **media, "has_audio": False, "path": f"{root}/{copy}", "keyframe_gap": 16})
    world.frames.append(
        {
            **result,
            "path": f"{root}/{images}",
            "frames": 10,
            "width": 64,
            "height": 32,
            "fps": 1.0,
            "source_duration": 10.0,
        }
    )
    for path in (video_path, copy, *(f"{images}/img_{n:05d}.jpg" for n in range(1, 11))):
        target = world.root / root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(jpeg(64, 32) if path.endswith(".jpg") else video_bytes(f"{clip}.mp4"))
    label_field = "" if label is None else f" {index}"
    for format_, text in (("videos", f"{folder}/{clip}.mp4"), ("rawframes", f"{folder}/{clip} 10")):
        name = f"mini_{split}_list_{format_}.txt"
        world.lists[name] = world.lists.get(name, b"") + f"{text}{label_field}\n".encode()


def broken(result: GateResult) -> dict[str, CheckResult]:
    """Checks that did not hold, by name."""
    return {check.name: check for check in result.checks if not check.success}


def ids(check: CheckResult) -> list[str]:
    """The ids of a check's worst rows."""
    return [str(row["item_id"]) for row in check.worst]
