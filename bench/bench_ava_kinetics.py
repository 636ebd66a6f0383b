"""AVA-Kinetics' annotations: rows prepared for the clips on disk, and proposals merged.

    python bench/bench_ava_kinetics.py [--rows N] [--rounds N] [--keys N] [--quick]

The other side is the reference's way of preparing (specification 3.5) in plain Python: every line split, its video's clips
looked through, the line formatted and written. Both read the same csv and know the same clips; the files must be equal.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

SEED = 3


def make(folder: Path, rows: int) -> dict[str, int]:
    """A raw csv and the clips (name to number of images): seven rows a key frame, one key frame in ten without boxes."""
    rng = random.Random(SEED)
    clips: dict[str, int] = {}
    with open(folder / "raw.csv", "w") as handle:
        written = 0
        while written < rows:
            video = f"{written:07d}_-Ab"
            start = rng.randint(0, 300)
            time_ = start + 2 + rng.random() * 0.04
            if rng.random() < 0.95:
                clips[f"{video}_{start:06d}_{start + 4:06d}"] = 120
            if rng.random() < 0.1:
                handle.write(f"{video},{time_:.6f}\n")
                written += 1
                continue
            for _ in range(7):
                x1, y1 = rng.random() * 0.5, rng.random() * 0.5
                handle.write(
                    f"{video},{time_:.6f},{x1:.3f},{y1:.3f},{x1 + 0.3:.3f},{y1 + 0.4:.3f},{rng.randint(1, 80)}\n"
                )
                written += 1
    return clips


def plain(folder: Path, clips: dict[str, int]) -> None:
    """The reference's algorithm."""
    lookup = defaultdict(list)
    for name, images in clips.items():
        video, start, _ = name.rsplit("_", 2)
        lookup[video].append((int(start), int(start) + images // 30, name))
    with open(folder / "raw.csv") as handle:
        rows = [fields for fields in (line.split(",") for line in handle.readlines()) if len(fields) == 7]
    lines = []
    for fields in rows:
        for start, end, name in lookup.get(fields[0], ()):
            if start < float(fields[1]) < end:
                box = ",".join(f"{float(text):.3f}" for text in fields[2:6])
                lines.append(f"{name},{int(float(fields[1]))},{box},{int(fields[6])},-1\n")
                break
    with open(folder / "plain.csv", "w") as handle:
        handle.writelines(lines)


def ours(folder: Path, clips: dict[str, int]) -> None:
    from clipquarry.annotations.ava_kinetics import prepare_rows, write_rows
    from clipquarry.annotations.box_csv import read_boxes

    write_rows(prepare_rows(read_boxes(folder / "raw.csv", "ava_kinetics").boxes, clips).rows, folder / "ours.csv")


def measured(action: object, *arguments: object) -> tuple[float, float]:
    """CPU and wall seconds."""
    begun, cpu = time.monotonic(), time.process_time()
    action(*arguments)  # type: ignore[operator]
    return time.process_time() - cpu, time.monotonic() - begun


def merge(keys: int) -> None:
    """Merge and write proposals of ``keys`` keys; prints seconds and the peak of memory of this process."""
    import numpy as np
    from clipquarry.annotations.proposals import merge_proposals, read_proposals, write_proposals

    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, first in (("kinetics", 0), ("ava", keys // 3)):
            boxes = {}
            for number in range(first, first + keys * 2 // 3):
                corner = rng.random((5, 2)) * 0.5
                boxes[f"{number // 900:011d},{number % 900:04d}"] = np.hstack(
                    [corner, corner + 0.3, rng.random((5, 1))]
                )
            write_proposals(boxes, folder / part)
        del boxes
        begun = time.monotonic()
        merged = merge_proposals(read_proposals(folder / "kinetics")[0], read_proposals(folder / "ava")[0])
        write_proposals(merged, folder / "merged")
        seconds = time.monotonic() - begun
    # Not ru_maxrss, which a child has from the process that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9
    print(f"| merge proposals of {len(merged):,} keys, 5 boxes each | {seconds:.1f} s, {peak:.2f} GB | – | – | 2 GB |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keys", type=int, default=300_000)
    parser.add_argument("--merge-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a few thousand rows and keys, one round")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.rounds, arguments.keys = 7000, 1, 1800
    if arguments.merge_only:
        merge(arguments.keys)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = make(folder, arguments.rows)
        import clipquarry.annotations.ava_kinetics
        import clipquarry.annotations.box_csv  # noqa: F401

        # In turn, the best of each: the first touch of a virtual machine's memory can cost as much as the work itself.
        rounds = [(*measured(ours, folder, clips), *measured(plain, folder, clips)) for _ in range(arguments.rounds)]
        cpu, wall, cpu_plain, wall_plain = map(min, zip(*rounds, strict=True))
        assert (folder / "ours.csv").read_bytes() == (folder / "plain.csv").read_bytes()
    print("| what | Clipquarry | the reference's way | ratio | asked for |\n|---|---|---|---|---|")
    print(
        f"| prepare annotations of {arguments.rows:,} rows | {cpu:.2f} CPU s, {wall:.2f} s | {cpu_plain:.2f} CPU s, {wall_plain:.2f} s"
        f" | {cpu_plain / cpu:.1f}x CPU, {wall_plain / wall:.1f}x | 10x |",
        flush=True,
    )
    subprocess.run([sys.executable, __file__, "--merge-only", "--keys", str(arguments.keys)], check=True)


if __name__ == "__main__":
    main()
