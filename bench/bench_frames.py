"""Raw frames with a short edge of 256: Clipquarry's step against ffmpeg alone writing the same images.

    python bench/bench_frames.py [--quick]

Both sides run the same ffmpeg arguments over the same clips, as many at a time, in turns within one run. Clipquarry's
side is the whole step: manifest, hashing, checking of every folder, facts, journal and atomic renames.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clipquarry.demo.videos import make_video
from clipquarry.manifest import ITEM_FIELDS, Row, schema_of, write_rows
from clipquarry.media.frames import FrameRecipe, count_frames, frames_argv
from clipquarry.media.probe import probe
from clipquarry.media.stamped import Readable
from clipquarry.media.timeline import read_timeline
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of
from clipquarry.steps.frames import FramesStep
from clipquarry.steps.runner import run_step

JOBS = os.cpu_count() or 1


def cpu() -> float:
    """CPU seconds of this process and of its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def rows(count: int) -> list[Row]:
    """Items of one class."""
    clips = [f"bench{n:06d}_000000_000010" for n in range(count)]
    return [
        {
            "item_id": f"val/bench/{clip}", "video_id": clip[:11], "clip_id": clip, "split": "val", "label": "bench",
            "class_dir": "bench", "label_index": 0, "start": 0, "end": of(10), "row": number + 2,
        }
        for number, clip in enumerate(clips)
    ]  # fmt: skip


def alone(clips: list[Path], out: Path) -> tuple[float, float]:
    """ffmpeg and nothing else: CPU and wall seconds."""
    argvs = [
        frames_argv(Readable(clip), read_timeline(clip), probe(clip, decode=False), FrameRecipe(256)) for clip in clips
    ]
    begun = cpu(), time.monotonic()

    def one(clip: Path, argv: list[str]) -> None:
        folder = out / clip.stem
        folder.mkdir(parents=True)
        subprocess.run(argv, cwd=folder, check=True)

    with ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(one, clips, argvs))
    return cpu() - begun[0], time.monotonic() - begun[1]


def step(data: Path, items: Path, out: Path) -> tuple[float, float]:
    """The step, as it runs in a task: CPU and wall seconds."""
    begun = cpu(), time.monotonic()
    result = run_step(FramesStep(), items=items, params=json.dumps({"root": "k"}), out=out, data=data, jobs=JOBS)
    assert result.counts == {"done": len(list((data / "k" / "videos_val" / "bench").iterdir()))}, result
    return cpu() - begun[0], time.monotonic() - begun[1]


def compare(count: int, seconds: int, turns: int, folder: Path) -> None:
    """The row of the table."""
    data, items = folder / "data", folder / "items.parquet"
    write_rows(items, schema_of(ITEM_FIELDS, "items"), rows(count))
    place = data / "k" / "videos_val" / "bench"
    place.mkdir(parents=True)
    clips = [place / f"{row['clip_id']}.mp4" for row in rows(count)]
    for clip in clips:
        make_video(clip, seconds, size=(640, 360), label=clip.stem)
    spent: dict[str, list[tuple[float, float]]] = {"alone": [], "step": []}
    for turn in range(turns):  # who goes first alternates: the file system's own work falls on whoever comes next
        for side in sorted(spent, reverse=bool(turn % 2)):
            shutil.rmtree(data / "k" / "rawframes_val", ignore_errors=True)
            shutil.rmtree(folder / "alone", ignore_errors=True)
            took = alone(clips, folder / "alone") if side == "alone" else step(data, items, folder / "out.parquet")
            spent[side].append(took)
            made = folder / "alone" if side == "alone" else data / "k" / "rawframes_val" / "bench"
            assert {count_frames(path)[0] for path in made.iterdir()} == {30 * seconds}
    (their_cpu, their_wall), (our_cpu, our_wall) = (
        tuple(statistics.median(turn[i] for turn in spent[side]) for i in (0, 1)) for side in spent
    )
    print(ffmpeg())
    print("| frames, short edge 256 | ffmpeg alone | Clipquarry | more | at most |\n|---|---|---|---|---|")
    what = f"{count} clips of {seconds} s, 640x360, {JOBS} at a time, median of {turns}"
    for unit, theirs, ours in (("CPU s", their_cpu, our_cpu), ("wall s", their_wall, our_wall)):
        print(f"| {what}, {unit} | {theirs:.2f} | {ours:.2f} | {100 * (ours / theirs - 1):.1f} % | 10 % |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few short clips")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        if arguments.quick:
            compare(4, 3, 1, Path(folder))
        else:
            compare(24, 10, 6, Path(folder))


if __name__ == "__main__":
    main()
