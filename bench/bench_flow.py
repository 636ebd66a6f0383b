"""Optical flow with a short edge of 256: Clipquarry's steps against OpenCV in a bare loop, and one decode against two steps.

    python bench/bench_flow.py [--clips 4] [--turns 2] [--only alone|dis|farneback|tvl1|loop] [--quick]

The bare loop reads the same frames, calls the same algorithm, and writes the same JPEGs, one clip a process, with one thread each.
Clipquarry's side is the whole step: manifest, links, counting and decoding of every image, facts, journal and atomic renames. The other rows
make frames and flow of videos in one step, or in two: frames first, then flow from their JPEGs; for each algorithm, and for the frames alone,
which shows what is left to save. The rows of busy cores count the threads that run or wait for a core, so that other work on the machine does not
change them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from clipquarry.demo.videos import make_video
from clipquarry.manifest import ITEM_FIELDS, Row, schema_of, write_rows
from clipquarry.media.flow import grey_frames
from clipquarry.media.frame_folder import count_flow
from clipquarry.microseconds import of
from clipquarry.steps.flow import FlowStep
from clipquarry.steps.frames import FramesStep
from clipquarry.steps.runner import run_step

JOBS = os.cpu_count() or 1
FPS = 10
ROWS = ("alone", "dis", "farneback", "tvl1", "loop")
LOOK = 0.05
"""Seconds between two looks at the threads."""


class Took(NamedTuple):
    """What one side took."""

    cpu: float
    wall: float
    ready: float
    """Threads that ran or waited for a core, on average."""


class _Ready(threading.Thread):
    """Counts the ready threads of this process and of those that it started, from time to time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._counts: list[int] = []

    def run(self) -> None:
        while not self._ended.wait(LOOK):
            self._counts.append(sum(self._in(str(os.getpid()))))

    def _in(self, process: str) -> Iterator[int]:
        with suppress(OSError):
            for task in Path(f"/proc/{process}/task").iterdir():
                with suppress(OSError):
                    state = (task / "stat").read_text().rpartition(") ")[2][0]
                    yield int(state in "RD" and task.name != str(self.native_id))
                    for child in (task / "children").read_text().split():
                        yield from self._in(child)

    def end(self) -> float:
        self._ended.set()
        self.join()
        return statistics.mean(self._counts or [0])


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


def bare(folder: Path, out: Path, kind: str) -> None:
    """One clip: read, calculate, encode, write."""
    cv2.setNumThreads(1)
    out.mkdir(parents=True)
    made = (
        cv2.optflow.createOptFlow_DualTVL1()
        if kind == "tvl1"
        else cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    )
    before: Any = None
    for number, path in enumerate(sorted(folder.glob("img_*.jpg"))):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if before is not None:
            flow = made.calc(before, grey, None)
            levels = np.rint(np.clip((flow + 20) * (255 / 40), 0, 255)).astype(np.uint8)
            for at, direction in enumerate("xy"):
                cv2.imwrite(str(out / f"flow_{direction}_{number:05d}.jpg"), levels[..., at])
        before = grey


def timed(work: Callable[[], None]) -> Took:
    ready = _Ready()
    ready.start()
    begun = cpu(), time.monotonic()
    work()
    spent = cpu() - begun[0], time.monotonic() - begun[1]
    return Took(*spent, ready.end())


class Bench:
    """Clips of one size, and what is made of them."""

    def __init__(self, folder: Path, count: int, seconds: int, short: int) -> None:
        self.folder, self.short, self.frames = folder, short, seconds * FPS
        self.data, self.items = folder / "data", folder / "items.parquet"
        self.names = [row["clip_id"] for row in rows(count)]
        write_rows(self.items, schema_of(ITEM_FIELDS, "items"), rows(count))
        place = self.data / "k/videos_val/bench"
        place.mkdir(parents=True)
        for name in self.names:
            make_video(place / f"{name}.mp4", seconds, FPS, size=(640, 360), label=name)
        self.made = self.data / "k/rawframes_val/bench"

    def step(self, step: FramesStep | FlowStep, **params: Any) -> None:
        chosen = json.dumps({"root": "k"} | params)
        out = self.folder / "out.parquet"
        result = run_step(step, items=self.items, params=chosen, out=out, data=self.data, jobs=JOBS)
        assert result.counts == {"done": len(self.names)}, result

    def clear(self) -> None:
        for path in (self.made.parent, self.folder / "bare", self.data / ".clipquarry"):
            shutil.rmtree(path, ignore_errors=True)

    def loop(self, kind: str) -> None:
        with ProcessPoolExecutor(JOBS) as pool:
            for job in [pool.submit(bare, self.made / name, self.folder / "bare" / name, kind) for name in self.names]:
                job.result()

    def one_decode(self, kind: str) -> Took:
        self.clear()
        return timed(lambda: self.step(FramesStep(), short_edge=self.short, flow=True, flow_type=kind))

    def two_steps(self, kind: str) -> Took:
        self.clear()
        frames = timed(lambda: self.step(FramesStep(), short_edge=self.short))
        flow = timed(lambda: self.step(FlowStep(), flow_type=kind))
        wall = frames.wall + flow.wall
        return Took(frames.cpu + flow.cpu, wall, (frames.ready * frames.wall + flow.ready * flow.wall) / wall)

    def from_frames(self, kind: str) -> Took:
        self.clear()
        self.step(FramesStep(), short_edge=self.short)
        return timed(lambda: self.step(FlowStep(), flow_type=kind))

    def bare_loop(self, kind: str) -> Took:
        self.clear()
        self.step(FramesStep(), short_edge=self.short)
        return timed(lambda: self.loop(kind))

    def check(self, *, loop: bool) -> None:
        for name in self.names:
            made = self.folder / "bare" / name if loop else self.made / name
            assert count_flow(made)[0] == self.frames - 1


def compare(bench: Bench, kind: str, turns: int, first: str, second: str, what: str, goal: str) -> None:
    """Rows for CPU, wall time and busy cores; who goes first alternates."""
    spent: dict[str, list[Took]] = {first: [], second: []}
    for turn in range(turns):
        for side in sorted(spent, reverse=bool(turn % 2)):
            spent[side].append(getattr(bench, side)(kind))
            bench.check(loop=side == "bare_loop")
    theirs, ours = (Took(*map(statistics.median, zip(*spent[side], strict=True))) for side in (first, second))
    size = f"{len(bench.names)} clips of {bench.frames} frames, {JOBS} at a time, median of {turns}"
    for name, unit in (("cpu", "CPU s"), ("wall", "wall s")):
        before, after = getattr(theirs, name), getattr(ours, name)
        ratio = f"{after / before:.3f}" if first == "bare_loop" else f"{before / after:.2f}×"
        print(f"| {kind}, {what}, {size}, {unit} | {before:.2f} | {after:.2f} | {ratio} | {goal} |", flush=True)
    busy = f"{theirs.ready:.2f} | {ours.ready:.2f}"
    print(f"| {kind}, {what}: threads that run or wait for a core | {busy} | {JOBS} cores | all busy |", flush=True)


def least(bench: Bench) -> None:
    """A row of what there is to save: the frames' step alone, and the decode of the frames' JPEGs, which one decode spares."""
    bench.clear()
    frames = timed(lambda: bench.step(FramesStep(), short_edge=bench.short))
    paths = [path for name in bench.names for path in sorted((bench.made / name).glob("img_*.jpg"))]
    spared = timed(lambda: deque(grey_frames_of(paths), maxlen=0))
    saved = f"{frames.cpu + spared.cpu:.2f} | {frames.cpu:.2f} | {1 + spared.cpu / frames.cpu:.2f}×"
    print(
        f"| frames, and the decode of their JPEGs, against the frames alone, {len(paths)} frames, CPU s | {saved} | – |"
    )


def grey_frames_of(paths: list[Path]) -> Iterator[Any]:
    """Clip by clip, because their sizes differ."""
    for _, clip in groupby(paths, lambda path: path.parent):
        yield from grey_frames(clip)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--clips", type=int, default=4, help="clips of a second for TV-L1; the quick algorithms get longer ones"
    )
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--only", choices=ROWS, help="the frames alone, one algorithm, or TV-L1 against a bare loop")
    parser.add_argument("--quick", action="store_true", help="few small clips")
    options = parser.parse_args()
    quick, turns = options.quick, 1 if options.quick else options.turns
    one = "frames and flow, two steps against one decode"
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        few = Bench(Path(folder) / "few", *((2, 1, 64) if quick else (options.clips, 1, 256)))
        many = Bench(Path(folder) / "many", *((2, 1, 64) if quick else (options.clips, 6, 256)))
        print("| optical flow | before | Clipquarry | ratio | goal |\n|---|---|---|---|---|")
        wanted = (options.only,) if options.only else ROWS
        if "alone" in wanted:
            least(many)
        for kind in (kind for kind in ROWS[1:4] if kind in wanted):
            compare(few if kind == "tvl1" else many, kind, turns, "two_steps", "one_decode", one, "1.3×")
        if "loop" in wanted:
            compare(
                few, "tvl1", turns, "bare_loop", "from_frames", "from frames, against OpenCV in a bare loop", "1.05"
            )


if __name__ == "__main__":
    main()
