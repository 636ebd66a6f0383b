"""Skeleton files of NTU RGB+D to a package, against the reference's algorithm in plain Python.

    python bench/bench_ntu.py [--files 1000] [--frames 84] [--rounds 2] [--quick]

Files as a Kinect writes them, of ``--frames`` frames (published samples have some 30 to 300), a fifth of them with two people. Both sides read all files and
choose the people; ours also checks every number, notes a row for each file and writes the package sample by sample, theirs keeps all
samples and pickles them at the end. Each side runs ``--rounds`` times in a fresh process, in turns, and the better run counts; both
packages must hold the same arrays. The row of markdown at the end goes into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from pathlib import Path

from clipquarry.annotations.ntu_names import TASKS
from clipquarry.annotations.ntu_package import write_package

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

from annotations.ntu_files import plain_package, skeleton_text
from bench_lists import Cost, timed


def make(root: Path, files: int, frames: int) -> int:
    """The files; returns their bytes. Every tenth has a text of its own, because texts take longer to make than to read."""
    (root / "files").mkdir()
    texts = [skeleton_text([2 if seed % 5 == 0 else 1] * frames, seed) for seed in range(10)]
    size = 0
    for number in range(files):
        name = f"S{number % 17 + 1:03d}C{number % 3 + 1:03d}P{number // 60 % 40 + 1:03d}R{number // 2400 % 2 + 1:03d}A{number % 60 + 1:03d}"
        size += (root / "files" / f"{name}.skeleton").write_bytes(texts[number % 10])
    return size


def ours(root: Path) -> None:
    write_package(root / "files", root / "ours.pkl", TASKS["ntu60"], lambda row: None, ignored=())


def theirs(root: Path) -> None:
    (root / "theirs.pkl").write_bytes(pickle.dumps(plain_package(root / "files", "ntu60", set()), protocol=4))


def compare(root: Path) -> None:
    """Both packages hold the same."""
    one, other = (pickle.loads((root / f"{side}.pkl").read_bytes()) for side in ("ours", "theirs"))
    assert one["split"] == other["split"], "the splits differ"
    for sample, wanted in zip(one["annotations"], other["annotations"], strict=True):
        assert sample["keypoint"].tobytes() == wanted["keypoint"].tobytes(), "key points differ"
        assert {**sample, "keypoint": 0} == {**wanted, "keypoint": 0}, "the rest differs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=84)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    chosen = parser.parse_args()
    files, frames, rounds = (30, 5, 1) if chosen.quick else (chosen.files, chosen.frames, chosen.rounds)
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        root = Path(folder)
        size = make(root, files, frames)
        runs: list[tuple[Cost, Cost]] = [(timed(ours, root), timed(theirs, root)) for _ in range(rounds)]
        compare(root)
    a, b = min(run[0] for run in runs), min(run[1] for run in runs)
    print("| what | ours | theirs | ratio (CPU) |\n|---|---|---|---|")
    print(f"| {files:,} skeleton files of {frames} frames, {size / 1e6:.0f} MB | {a} | {b} | {b.cpu / a.cpu:.1f}x |")


if __name__ == "__main__":
    main()
