"""A package of skeletons read sample by sample, against a load of the whole pickle.

    python bench/bench_skeletons.py [--samples 20000] [--frames 80] [--rounds 2] [--quick]

A 2D package as published: 17 points, float16, one person, a score for each point. Ours surveys the pickle, looks at every sample (shape, finite
numbers, points in the picture, label, name, splits) and writes the tables of the run. Theirs is ``pickle.load``, which executes what the file says,
with the shapes compared and the numbers tested in a loop. Each side runs ``--rounds`` times in a fresh process, in turns, and the better run
counts. The row of markdown at the end goes into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np
from clipquarry.families.skeletons.options import PackageOptions
from clipquarry.families.skeletons.read_package import read_package
from clipquarry.families.skeletons.run_files import SkeletonFiles

sys.path.append(str(Path(__file__).parent))

from bench_lists import Cost, timed

SIZE = (1080, 1920)
OPTIONS = PackageOptions(classes=60, splits={"train": None, "val": None}, benchmarks={"xsub": ("train", "val")})


def make(root: Path, samples: int, frames: int) -> int:
    """The package; returns its bytes."""
    rng = np.random.default_rng(1)
    names = [f"S001C001P001R001A{number:06d}" for number in range(samples)]
    annotations = [
        {
            "frame_dir": name, "label": number % 60, "img_shape": SIZE, "original_shape": SIZE, "total_frames": frames,
            "keypoint": (rng.random((1, frames, 17, 2), np.float32) * 1000).astype(np.float16),
            "keypoint_score": rng.random((1, frames, 17), np.float32).astype(np.float16),
        }
        for number, name in enumerate(names)
    ]  # fmt: skip
    cut = samples * 7 // 10
    value = {"split": {"train": names[:cut], "val": names[cut:]}, "annotations": annotations}
    with open(root / "package.pkl", "wb") as handle:
        pickle.dump(value, handle, protocol=4)
    return (root / "package.pkl").stat().st_size


def ours(root: Path) -> None:
    facts = read_package(root / "package.pkl", "0" * 64, "package", OPTIONS, SkeletonFiles(root))
    assert facts["faults"] == 0, facts


def theirs(root: Path) -> None:
    with open(root / "package.pkl", "rb") as handle:
        value = pickle.load(handle)
    for one in value["annotations"]:
        keypoint = one["keypoint"]
        assert keypoint.ndim == 4 and keypoint.shape[1:] == (one["total_frames"], 17, 2)
        assert np.isfinite(keypoint).all() and 0 <= one["label"] < 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--frames", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    chosen = parser.parse_args()
    samples, frames, rounds = (300, 5, 1) if chosen.quick else (chosen.samples, chosen.frames, chosen.rounds)
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        root = Path(folder)
        size = make(root, samples, frames)
        runs: list[tuple[Cost, Cost]] = [(timed(ours, root), timed(theirs, root)) for _ in range(rounds)]
    a, b = min(run[0] for run in runs), min(run[1] for run in runs)
    print("| what | ours | theirs | ratio (memory) |\n|---|---|---|---|")
    print(
        f"| a package of {samples:,} skeletons of {frames} frames, {size / 1e6:.0f} MB | {a} | {b} | {b.memory / a.memory:.1f}x |"
    )


if __name__ == "__main__":
    main()
