"""ActivityNet's lists of frames and its pooled features, against the reference's algorithms in plain Python.

    python bench/bench_activitynet.py [--videos 14950] [--frames 600] [--features 300] [--rounds 2] [--quick]
    python bench/bench_activitynet.py --frames 3400 --features 14950 --rounds 1    # the published size

Lists: an annotation of the published size (14,950 videos of train and val with 23,064 intervals) and folders of empty frames, with flow; published
videos have 3,400 frames.
Ours is the task ``lists`` of a run, with the tables of what has no line; theirs reads the annotation, lists each folder, counts its
``img_*`` and writes the four lists. The same once more with all files counted, as the reference does (``frame_count_rule=all_files``). Pooling: arrays [T, 200] of frames and flow, T as of a video of two minutes. Ours is the step
``pool_features``, which also verifies each csv, flushes it to the disk, and notes its checksum; theirs interpolates point by point and
formats number by number. Each side runs ``--rounds`` times, in a fresh process, and the better one counts; all files must be equal, byte for byte. The rows of markdown at the
end go into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import pickle
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from clipquarry.annotations.name_lists import known_names
from clipquarry.manifest import ITEM_FIELDS, schema_of, write_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.stages import run_stage
from clipquarry.settings import DataRoot, Settings
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step

sys.path.append(str(Path(__file__).parent))

from bench_lists import Cost, timed

INTERVALS, TRAIN = 23_064 / 14_950, 10_024 / 14_950
SHARED = 20
"""Folders of frames that all videos share, by links: a file system holds no hundred million frames for a bench."""
CLIPS = 224
"""Of a video of two minutes at 30 frames a second."""
NAMES = known_names("activitynet")
LISTS = tuple(f"anet_{split}_{kind}.txt" for split in ("train", "val") for kind in ("video", "clip"))


def context(root: Path, **more: str) -> RunContext:
    settings = Settings(DataRoot(root), f"sqlite:///{root}/.clipquarry/ledger.sqlite")
    params = {"sources": ["local"], "local_folder": str(root / "empty"), **more}
    return make_context("activitynet", "one", params, settings=settings)


def make_lists(root: Path, videos: int, frames: int) -> None:
    """The annotation, frames of each video, and a run that has come to the task ``lists``."""
    chance = random.Random(0)
    database: dict[str, Any] = {}
    (root / "ActivityNet/rawframes").mkdir(parents=True)
    for number in range(SHARED):
        place = root / f"shared/{number}"
        place.mkdir(parents=True)
        for frame in range(frames + number):
            for kind in ("img", "flow_x", "flow_y"):
                os.close(os.open(place / f"{kind}_{frame:05d}.jpg", os.O_CREAT | os.O_WRONLY))
    for number in range(videos):
        name, duration = f"{number:011d}", round(chance.uniform(5, 240), 2)
        times = [
            sorted(round(chance.uniform(0, duration), 3) for _ in range(2))
            for _ in range(1 + (chance.random() < INTERVALS - 1))
        ]
        database[name] = {
            "duration": duration, "subset": "training" if number < videos * TRAIN else "validation", "resolution": "320x240",
            "url": f"https://www.youtube.com/watch?v={name}",
            "annotations": [{"segment": segment, "label": chance.choice(NAMES)} for segment in times],
        }  # fmt: skip
        (root / f"ActivityNet/rawframes/v_{name}").symlink_to(root / f"shared/{number % SHARED}")
    (root / "ActivityNet/activity_net.v1-3.min.json").write_text(json.dumps({"database": database}))
    (root / "empty").mkdir()
    for stage in ("annotations", "plan", "record"):
        run_stage(stage, context(root))


def our_lists(root: Path) -> None:
    run_stage("lists", context(root))


def our_lists_of_all_files(root: Path) -> None:
    run_stage("lists", context(root, frame_count_rule="all_files"))


def their_lists(root: Path, pattern: str = "img_*") -> None:
    """The rule of the reference, with frames counted right."""
    database = json.loads((root / "ActivityNet/activity_net.v1-3.min.json").read_text())["database"]
    index = {name: number for number, name in enumerate(NAMES)}
    source = root / "ActivityNet/rawframes"
    there = set(os.listdir(source))  # noqa: PTH208 - as theirs
    lines: dict[str, list[str]] = {name: [] for name in LISTS}
    for video, entry in database.items():
        name = f"v_{video}"
        if name not in there or entry["subset"] == "testing":
            continue
        split = "train" if entry["subset"] == "training" else "val"
        frames = len(fnmatch.filter(os.listdir(source / name), pattern))  # noqa: PTH208 - as theirs
        lines[f"anet_{split}_video.txt"].append(f"{name} {frames} {index[entry['annotations'][0]['label']]}")
        rate = frames / entry["duration"]
        for one in entry["annotations"]:
            start, end = (int(moment * rate) for moment in one["segment"])
            end = min(end, frames - 1)
            lines[f"anet_{split}_clip.txt"].append(f"{name} {start} {end - start + 1} {index[one['label']]}")
    for name, found in lines.items():
        (root / f"theirs_{name}").write_text("\n".join(found))


def their_lists_of_all_files(root: Path) -> None:
    """The same, with all files counted, as it does."""
    their_lists(root, "*")


def make_features(root: Path, videos: int) -> None:
    """Arrays of frames and of flow, pickled as mmaction2 does."""
    chance = np.random.default_rng(0)
    rows = []
    for number in range(videos):
        name = f"v_{number:011d}"
        for kind in ("rgb_feat", "flow_feat"):
            path = root / f"ActivityNet/{kind}/{name}.pkl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(chance.normal(size=(CLIPS, 200)).astype(np.float32)))
        rows.append({
            "item_id": f"train/{name}", "video_id": name[2:], "clip_id": name, "split": "train", "label": None, "class_dir": None,
            "label_index": -1, "row": number + 1,
        })  # fmt: skip
    write_rows(root / "items.parquet", schema_of(ITEM_FIELDS, "plan"), rows)
    (root / "theirs").mkdir()


def our_pooling(root: Path) -> None:
    """From nothing, whatever an earlier call has left."""
    out = f"mmaction_feat_{os.getpid()}"
    params = {"root": "ActivityNet", "rgb": "rgb_feat", "flow": "flow_feat", "out": out}
    done = run_step(
        make_step("pool_features"), items=root / "items.parquet", params=json.dumps(params),
        out=root / f"{out}/part-00000.parquet", data=root, jobs=1,
    )  # fmt: skip
    assert done.exit == 0, done.sentence


def their_pooling(root: Path) -> None:
    """The rule of the reference: three points for each of 100 windows, a mean, four decimals."""
    for path in sorted((root / "ActivityNet/rgb_feat").iterdir()):
        halves = []
        for kind in ("rgb_feat", "flow_feat"):
            with open(root / f"ActivityNet/{kind}/{path.name}", "rb") as handle:
                scores = pickle.load(handle)
            begin, end = 1e-4, len(scores) - 1 - 1e-4
            width, rows = (end - begin) / 100, []
            for _ in range(100):
                points = []
                for third in range(3):
                    place = begin + width * (third / 3)
                    below = min(int(place), len(scores) - 2)
                    slope = (scores[below + 1] - scores[below]).astype(np.float64)
                    points.append(slope * (place - below) + scores[below])
                rows.append((points[0] + points[1] + points[2]) / 3)
                begin += width
            halves.append(np.stack(rows))
        table = np.concatenate(halves, axis=1)
        lines = [",".join(f"f{n}" for n in range(400)), *(",".join(f"{value:.4f}" for value in row) for row in table)]
        with open(root / f"theirs/{path.stem}.csv", "w") as out:
            out.write("\n".join(lines))


def _lists_equal(root: Path) -> bool:
    return all((root / f"theirs_{name}").read_bytes() == (root / f"ActivityNet/{name}").read_bytes() for name in LISTS)


def _features_equal(root: Path) -> bool:
    return all(
        path.read_bytes() == (folder / path.name).read_bytes()
        for folder in (root / "ActivityNet").glob("mmaction_feat_*")
        for path in (root / "theirs").iterdir()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=14_950)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--features", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="100 videos of 3 frames, features of 3")
    options = parser.parse_args()
    videos, frames, features = (100, 3, 3) if options.quick else (options.videos, options.frames, options.features)
    print("| what | ours | theirs | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        root = Path(folder)
        make_lists(root, videos, frames)
        their_lists(root)  # so that both find the folders in the cache
        for what, ours, theirs in (
            (f"{videos:,} videos", our_lists, their_lists),
            (f"{videos:,} videos, all files counted", our_lists_of_all_files, their_lists_of_all_files),
        ):
            runs: list[tuple[Cost, Cost]] = [(timed(ours, root), timed(theirs, root)) for _ in range(options.rounds)]
            assert _lists_equal(root), "the lists differ"
            a, b = min(run[0] for run in runs), min(run[1] for run in runs)
            print(f"| ActivityNet: 4 lists of {what} | {a} | {b} | {a.cpu / b.cpu:.2f} |", flush=True)
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        root = Path(folder)
        make_features(root, features)
        runs = [(timed(our_pooling, root), timed(their_pooling, root)) for _ in range(options.rounds)]
        assert _features_equal(root), "the features differ"
        a, b = min(run[0] for run in runs), min(run[1] for run in runs)
        print(f"| ActivityNet: features of {features:,} videos pooled | {a} | {b} | {a.cpu / b.cpu:.2f} |")


if __name__ == "__main__":
    main()
