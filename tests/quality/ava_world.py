"""Small runs of AVA and AVA-Kinetics, written by hand and without a fault; tests break one thing and look at what is said.

AVA's excerpts last 5 s here (150 images), so that folders of images stay small; windows of AVA-Kinetics have their real 4 s.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from clipquarry.datasets.families import spec_of
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.options import boxes_options
from clipquarry.manifest import Row
from clipquarry.pipeline.gates import run_gate
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import GateResult
from clipquarry.settings import DataRoot
from families.boxes.made_boxes import MadeBoxes, box_row, key_row, proposal_row, rect
from families.made_run import FINE, item_row
from quality_world import broken, ids, jpeg, media_row, shows, video_bytes

AVA_YAML = """
schema: dataset-spec/v1
name: ava
title: AVA
family: boxes
task: spatio-temporal-detection
root: ava
access: {kind: crawl}
options: {items: videos}
layout: {annotations: annotations, videos: videos, excerpts: videos_15min, rawframes: rawframes}
item: {level: 1, ext: [mp4, mkv, webm]}
labels: {source: annotation, count: 4}
splits: {train: annotations/ava_train_v2.2.csv, val: annotations/ava_val_v2.2.csv}
sources: [{id: local, kind: local, provides: items, content: video, path: /films}]
expected:
  variants: {v2.2: {rows: {train: {count: 12, provenance: documented}}}}
  videos: {train: {count: 3}, val: {count: 1}}
variants: [v2.1, v2.2]
default_variant: v2.2
missing: {warn: 0.25, error: 0.5}
"""
AVA_KINETICS_YAML = """
schema: dataset-spec/v1
name: ava_kinetics
title: AVA-Kinetics
family: boxes
task: spatio-temporal-detection
root: ava_kinetics
access: {kind: crawl}
options: {items: windows, windows_of: kinetics700, merge_with: ava, kept_apart: [kinetics400, kinetics600, kinetics700]}
layout: {annotations: annotations, videos: videos, rawframes: rawframes}
item: {level: 1, ext: [mp4]}
labels: {source: annotation, count: 4}
splits:
  train: ava_kinetics_v1_0/kinetics_train_v1.0.csv
  val: ava_kinetics_v1_0/kinetics_val_v1.0.csv
  test: ava_kinetics_v1_0/kinetics_test_v1.0.csv
sources: [{id: local, kind: local, provides: items, content: video, path: /films}]
expected: {rows: {test: {count: 2, provenance: counted}}}
missing: {warn: 0.25, error: 0.5}
recipe: {fps: 30}
"""
ACTIONS = {"names": {"1": "bend", "2": "crawl", "3": "dance", "80": "watch"}, "evaluated": [1, 3, 80]}
BOX, OTHER_BOX = rect(0.077, 0.151, 0.283, 0.811), rect(0.5, 0.25, 0.9, 0.999)


def make_spec(text: str, **changes: Any) -> DatasetSpec:
    return spec_of({**yaml.safe_load(text), **changes})


@dataclass
class BoxWorld:
    """Rows of a run as python values; :meth:`gate` writes them and runs a gate."""

    root: Path
    spec: DatasetSpec
    catalog: list[Row] = field(default_factory=list)
    plan: list[Row] = field(default_factory=list)
    recorded: list[Row] = field(default_factory=list)
    made: list[Row] = field(default_factory=list)
    """Results of the step ``excerpt``, or ``frames``."""
    boxes: dict[str, list[Row]] = field(default_factory=dict)
    key_frames: dict[str, list[Row]] = field(default_factory=dict)
    excluded: dict[str, list[Row]] = field(default_factory=dict)
    rejected: dict[str, list[Row]] = field(default_factory=dict)
    prepared: dict[str, list[Row]] = field(default_factory=dict)
    prepared_key_frames: dict[str, list[Row]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    proposals: dict[str, list[Row]] = field(default_factory=dict)
    proposals_rejected: dict[str, dict[str, str]] = field(default_factory=dict)
    source: str = "FAIR"
    actions: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(ACTIONS)))

    @property
    def data(self) -> DataRoot:
        return DataRoot(self.root)

    @property
    def run_dir(self) -> Path:
        return self.data.run(self.spec.name, "run1")

    @property
    def folder(self) -> Path:
        """The data set's own folder."""
        return self.root / self.spec.root

    def gate(self, name: str, **params: Any) -> GateResult:
        self.write()
        return run_gate(name, self.spec, self.run_dir, self.data, GateParams(**params))

    def write(self) -> None:
        run = MadeBoxes(self.run_dir)
        run.catalog(self.catalog)
        run.plan(self.plan)
        run.recorded(self.recorded)
        run.step("excerpt" if boxes_options(self.spec).items == "videos" else "frames", self.made)
        run.actions(**self.actions)
        for split in self.boxes:
            run.annotated(split, "boxes", self.boxes[split])
            run.annotated(split, "key_frames", self.key_frames.get(split, []))
            run.annotated(split, "rejected", self.rejected.get(split, []))
        for split, rows in self.excluded.items():
            run.annotated(split, "excluded", rows)
        for split, rows in self.prepared.items():
            run.prepared(split, rows)
            run.prepared_facts(split, len(rows), dropped=self.dropped.get(split, 0))
        for split, rows in self.prepared_key_frames.items():
            run.prepared(split, rows, what="key_frames")
        for split, rows in self.proposals.items():
            path = f"{self.spec.root}/{split}.pkl"
            (self.root / path).write_bytes(b"pickle")
            rejected = self.proposals_rejected.get(split, {})
            run.proposals(split, rows, path=path, source=self.source, rejected=rejected)

    def row(self, split: str, index: int = 0) -> Row:
        """A row of boxes."""
        return self.boxes[split][index]

    def touch(self, *paths: str, content: bytes = b"") -> None:
        """Files below the data root."""
        for path in paths:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(content)

    def images(self, folder: str, count: int, width: int = 320, height: int = 240) -> None:
        """``img_00001.jpg`` and so on, a black JPEG each."""
        target = self.root / folder
        target.mkdir(parents=True, exist_ok=True)
        content = jpeg(width, height)
        for number in range(1, count + 1):
            (target / f"img_{number:05d}.jpg").write_bytes(content)


def said(world: BoxWorld, gate: str, **params: object) -> dict[str, list[str]]:
    """Ids of the worst rows by broken check."""
    return {name: ids(check) for name, check in broken(world.gate(gate, **params)).items()}


def proposal(video: str, second: int, score: float = 0.95) -> Row:
    return proposal_row(video, second, BOX, score)


def _media(name: str, duration: float, frames: int) -> Row:
    facts = {"duration": duration, "frames": frames, "fps": 30.0, "width": 320, "height": 240, "has_audio": True}
    return media_row(name, **facts)


FIRST, SECOND, THIRD = "-5KQ66BBWC4", "0f39OWEqJ24", "_a_film_00x"
"""AVA's training films."""


def make_ava(root: Path) -> BoxWorld:
    """Three training films and one of validation; each has two key frames: two people in the first, one in the second."""
    world = BoxWorld(root, make_spec(AVA_YAML))
    names_of_all = "-5KQ66BBWC4.mkv\n0f39OWEqJ24.mp4\n_a_film_00x.webm\n1j20qq1JyX4.mp4\n"
    world.touch("ava/annotations/ava_file_names_trainval_v2.1.txt", content=names_of_all.encode())
    films = {"train": ("-5KQ66BBWC4.mkv", "0f39OWEqJ24.mp4", "_a_film_00x.webm"), "val": ("1j20qq1JyX4.mp4",)}
    line = 0
    for split, names in films.items():
        world.boxes[split], world.excluded[split], world.proposals[split] = [], [], []
        for name in names:
            line += 1
            video = name.partition(".")[0]
            item = {**item_row(split, video, 900, 905, clip=name, line=line), "item_id": f"{split}/{video}"}
            result = {**item, **FINE, "key": "k"}
            world.catalog.append({**item, **FINE})
            world.plan.append(dict(item))
            film = {**_media(name, 3000.0, 75000), "path": f"ava/videos/{name}", "source": "local"}
            world.recorded.append({**result, **film})
            folder = f"ava/rawframes/{video}"
            cut = f"cut {name}"
            world.touch(f"ava/videos/{name}", content=video_bytes(name))
            world.touch(f"ava/videos_15min/{name}", content=video_bytes(cut))
            excerpt = {
                **_media(cut, 5.0, 150), "path": f"ava/videos_15min/{name}", "images": 150,
                "image_path": folder, "image_width": 320, "image_height": 240, "source_duration": 3000.0,
                **shows(line), "fingerprint": None,
            }  # fmt: skip
            world.made.append({**result, **excerpt})
            world.images(folder, 150)
            world.boxes[split] += [
                box_row(video, "0902", BOX, 80, 1),
                box_row(video, "0902", BOX, 1, 1),
                box_row(video, "0902", OTHER_BOX, 3, 0),
                box_row(video, "0903", BOX, 2, 1),
            ]
            world.excluded[split].append(key_row(video, "0904"))
            world.proposals[split] += [proposal(video, second, 0.28) for second in (902, 903)]
    return world


CLIPS = (("-vid_000001", 100), ("_vid_000002", 200), ("avid0000003", 12457))
"""Training videos of AVA-Kinetics, and where the window of each begins."""
VIDEOS = [video for video, _ in CLIPS]
NAMES = [f"{video}_{start:06d}_{start + 4:06d}" for video, start in CLIPS]
"""Of their clips."""


def make_ava_kinetics(root: Path) -> BoxWorld:
    """Three training windows of 4 s; val and test have key frames without boxes, as the published test csv has."""
    world = BoxWorld(root, make_spec(AVA_KINETICS_YAML), source="hog")
    world.boxes = {"train": [], "val": [], "test": []}
    for video, start in CLIPS:
        _window(world, "train", video, start)
        world.boxes["train"] += [
            box_row(video, f"{start + 2}.000000", BOX, 80, -1),
            box_row(video, f"{start + 2}.000000", BOX, 1, -1),
            box_row(video, f"{start + 2}.000000", OTHER_BOX, 3, -1),
        ]
    for split, number in (("val", 4), ("test", 5)):
        for at in (0, 1):
            video = f"vvid{number}00000{at}"
            _window(world, split, video, 50)
            world.key_frames.setdefault(split, []).append(key_row(video, "52.000000"))
    # The first video has a key frame that the clip could not keep.
    world.boxes["train"].append(box_row(CLIPS[0][0], "101.000000", BOX, 2, -1))
    world.prepared["train"] = [
        {**row, "video_id": f"{row['video_id']}_{start:06d}_{start + 4:06d}"}
        for row in world.boxes["train"]
        for video, start in CLIPS
        if row["video_id"] == video and row["time"] != "101.000000"
    ]
    world.dropped["train"] = 1
    world.proposals["train"] = [proposal(video, start + second) for video, start in CLIPS for second in (1, 2, 3)]
    lines = [csv_line(row) for row in world.prepared["train"]]
    world.touch("ava_kinetics/kinetics_train.csv", content="".join(f"{line}\n" for line in lines).encode())
    _merge(world, lines)
    return world


def csv_line(row: Row) -> str:
    """A row as the reference writes it."""
    box = ",".join(f"{row[name]:.3f}" for name in ("x1", "y1", "x2", "y2"))
    return f"{row['video_id']},{row['second']},{box},{row['action_id']},{row['person_id']}"


def kinetics_csv(world: BoxWorld, name: str, split: str, *rows: str) -> None:
    text = "".join(f"{row}\n" for row in ("label,youtube_id,time_start,time_end,split", *rows))
    world.touch(f"{name}/annotations/kinetics_{split}.csv", content=text.encode())


def _window(world: BoxWorld, split: str, video: str, start: int) -> None:
    clip = f"{video}_{start:06d}_{start + 4:06d}"
    item = item_row(split, video, start, start + 4, clip=clip, label="abseiling")
    result = {**item, **FINE, "key": "k"}
    world.catalog.append({**item, **FINE})
    world.plan.append(dict(item))
    film = {
        **_media(f"{clip}.mp4", 4.0, 120),
        "path": f"ava_kinetics/videos/{clip}.mp4",
        "source": "local",
    }
    world.touch(film["path"], content=video_bytes(f"{clip}.mp4"))
    world.recorded.append({**result, **film})
    folder = f"ava_kinetics/rawframes/{clip}"
    frames = {"path": folder, "frames": 120, "width": 320, "height": 240, "fps": 30.0, "source_duration": 4.0}
    world.made.append({**result, **frames})
    world.images(folder, 120)


def _merge(world: BoxWorld, lines: list[str]) -> None:
    """AVA beside it, and what the merge made of both."""
    csv, pickle = "ava_train_v2.2.csv", "ava_dense_proposals_train.FAIR.recall_93.9.pkl"
    theirs = [f"0f39OWEqJ24,{second:04d},0.031,0.162,0.670,0.995,12,0" for second in range(902, 906)]
    for name, content in (
        (csv, theirs),
        ("ava_val_v2.2.csv", theirs[:1]),
        ("ava_train_excluded_timestamps_v2.2.csv", []),
    ):
        text = "".join(f"{line}\n" for line in content).encode()
        world.touch(f"ava/annotations/{name}", f"ava_kinetics/annotations/{name}", content=text)
    merged = "".join(f"{line}\n" for line in [*lines, *theirs]).encode()
    world.touch(f"ava_kinetics/annotations/{csv}", content=merged)
    world.touch(f"ava/annotations/{pickle}", f"ava_kinetics/annotations/{pickle}", content=b"pickle")
    for name in ("0f39OWEqJ24", "-5KQ66BBWC4"):
        folder = world.root / "ava" / "rawframes" / name
        folder.mkdir(parents=True)
        (world.folder / "rawframes" / name).symlink_to(folder)
    told = {
        "kinetics_rows": len(lines), "ava_rows": 4, "kinetics_keys": 9, "ava_keys": 4, "keys": 13, "shared_keys": 0,
        "ava_identical": 4, "links": 2, "ava_videos": 1, "ava_videos_with_frames": 1,
        "csv": f"ava_kinetics/annotations/{csv}", "ava_csv": f"ava/annotations/{csv}", "proposals": f"ava_kinetics/annotations/{pickle}",
        "sha256": {
            f"ava_kinetics/annotations/{csv}": hashlib.sha256(merged).hexdigest(),
            f"ava_kinetics/annotations/{pickle}": hashlib.sha256(b"pickle").hexdigest(),
        },
    }  # fmt: skip
    MadeBoxes(world.run_dir).merged(told)
