"""Ground truth of tubes of UCF101-24's size: reading it without executing it, measuring every tube, and counting the flow on the disk.

    python bench/bench_tubes.py [--videos 3194] [--frames 170] [--folders 300] [--quick]

The pickle is made: videos of ``--frames`` frames on average, 1.4 tubes each, as many boxes as frames; protocol 2, as python 2 wrote. The first part is the
task ``annotations`` in a fresh process without the ledger: read, measure, write the tables. Beside it, pickle alone reads the same file. The second part counts ``--folders`` folders of
images (empty files) as the task ``flow_images`` does. The rows of markdown at the end go into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np
from clipquarry.annotations.tube_measures import measure
from clipquarry.annotations.tube_pickle import read_truth
from clipquarry.families.tubes.flow_images import count_images
from clipquarry.families.tubes.report.shown import write_shown
from clipquarry.families.tubes.tables import write_tables

sys.path.append(str(Path(__file__).parent))

from bench_lists import timed

CLASSES, TUBES, LIMIT = 24, 1.4, 10.0
PATTERN, PICKLE = "%05d.jpg", "GT.pkl"


def make_truth(target: Path, videos: int, frames: int) -> int:
    """Write the pickle; returns the number of boxes."""
    chance, boxes = np.random.default_rng(0), 0
    labels = [f"Class{number:02d}" for number in range(CLASSES)]
    truth: dict[str, dict[str, object]] = {"gttubes": {}, "nframes": {}, "resolution": {}}
    names = []
    for number in range(videos):
        index = number % CLASSES
        name, length = (
            f"{labels[index]}/v_{labels[index]}_g{number:05d}",
            int(chance.integers(frames // 2, frames * 3 // 2)),
        )
        tubes = []
        for _ in range(1 + int(chance.random() < TUBES - 1)):
            left, top = chance.uniform(0, 200, length), chance.uniform(0, 150, length)
            tubes.append(
                np.stack([np.arange(1, length + 1), left, top, left + 60, top + 80], axis=1).astype(np.float32)
            )
            boxes += length
        truth["gttubes"][name], truth["nframes"][name], truth["resolution"][name] = {index: tubes}, length, (240, 320)
        names.append(name)
    cut = videos * 2284 // 3194
    whole = {**truth, "labels": labels, "train_videos": [names[:cut]], "test_videos": [names[cut:]]}
    target.write_bytes(pickle.dumps(whole, protocol=2))
    return boxes


def validate(folder: Path) -> None:
    """What a run does with the file."""
    truth = read_truth(folder / PICKLE)
    write_tables(truth, measure(truth), folder / "videos.parquet", folder / "tubes.parquet")
    write_shown(truth, folder / "shown.json")


def only_load(folder: Path) -> None:
    """What pickle takes, which executes it."""
    with (folder / PICKLE).open("rb") as handle:
        pickle.load(handle, encoding="latin1")


def count(folder: Path) -> None:
    """The flow of every folder."""
    for place in sorted((folder / "flow").iterdir()):
        images, problem = count_images(place, PATTERN)
        assert images and not problem, place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=3194)
    parser.add_argument("--frames", type=int, default=170)
    parser.add_argument("--folders", type=int, default=300)
    parser.add_argument("--quick", action="store_true", help="small numbers")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.videos, chosen.folders, chosen.frames = 100, 5, 20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / PICKLE
        boxes = make_truth(path, chosen.videos, chosen.frames)
        for number in range(chosen.folders):
            place = folder / f"flow/{number:05d}"
            place.mkdir(parents=True)
            for image in range(1, chosen.frames + 1):
                (place / (PATTERN % image)).write_bytes(b"x")
        ours, alone = timed(validate, folder), timed(only_load, folder)
        counted = timed(count, folder)
        size = path.stat().st_size / 1e6
    print(
        f"| ground truth of {chosen.videos:,} videos with {boxes:,} boxes ({size:.1f} MB): read without executing it, every tube measured, tables written | "
        f"{ours.cpu:.2f} CPU s, {ours.wall:.2f} s wall, {ours.memory:.0f} MB | {alone.cpu:.2f} CPU s, {alone.wall:.2f} s wall, "
        f"{alone.memory:.0f} MB (pickle alone, which executes it) | {ours.cpu / max(alone.cpu, 1e-9):.1f} (CPU) | {LIMIT:.0f} s | `python bench/bench_tubes.py` |"
    )
    print(
        f"| the flow of {chosen.folders:,} videos counted, {chosen.folders * chosen.frames:,} images | {counted.cpu:.2f} CPU s, {counted.wall:.2f} s wall | – | – | – | the same |"
    )
    return 0 if ours.wall < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
