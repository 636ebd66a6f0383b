"""Lists of a whole data set on disk, against the rule of the reference list builder.

    python bench/bench_lists.py [--clips 650000] [--missing 0.15] [--quick]

Makes empty files for all but the missing clips in a temporary folder (700 classes), then builds the train list of
videos on both sides, each twice in a fresh process, after everything was listed once. Ours reads the catalog and the
table of recorded states and also writes the table of missing clips with their reasons; theirs (one directory listing
per class, a dictionary, a look-up per csv row) has no such table. Both lists must be equal. A quarter of the clips is
timed too: the time per clip must not grow. The row of markdown at the end goes into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import csv
import glob
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from pathlib import Path
from typing import NamedTuple

from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.datasets.load import find_spec
from clipquarry.manifest import read_rows
from clipquarry.release.lists import build_lists
from clipquarry.settings import DataRoot

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from families.made_run import FINE, MadeRun

CLASSES = 700


def make(root: Path, clips: int, missing: float) -> None:
    """A train csv sorted by label, the files of the clips that are there, the catalog and the recorded states."""
    annotations = root / "kinetics700" / "annotations"
    annotations.mkdir(parents=True)
    with open(annotations / "kinetics_train.csv", "w", encoding="utf-8") as handle:
        handle.write("label,youtube_id,time_start,time_end,split\n")
        for n in range(clips):
            label = f"class {n * CLASSES // clips:03d} (of many)"
            handle.write(f"{label},{n * 2654435761 % 2**44:011x},{n % 300},{n % 300 + 10},train\n")
    begun, cpu = time.monotonic(), time.process_time()
    build_catalog({"train": annotations / "kinetics_train.csv"}, root / "catalog.parquet")
    print(f"catalog of {clips} rows: {time.monotonic() - begun:.1f} s ({time.process_time() - cpu:.1f} s CPU)")
    videos = root / "kinetics700" / "videos_train"
    states, last = [], ""
    for n, row in enumerate(read_rows(root / "catalog.parquet", ["item_id", "class_dir", "clip_id", "split"])):
        gone = int(n * missing) != int((n + 1) * missing)
        if not gone:
            if row["class_dir"] != last:
                last = row["class_dir"]
                (videos / last).mkdir(parents=True)
            os.close(os.open(f"{videos}/{last}/{row['clip_id']}.mp4", os.O_CREAT | os.O_WRONLY))
        state = {"status": "missing", "reason": "private", "evidence": "Private video"} if gone else FINE
        states.append({"item_id": row["item_id"], "split": "train", "key": "", **state})
    MadeRun(root).recorded(states)


def ours(root: Path) -> None:
    """What the task of the pipeline does."""
    spec = find_spec("kinetics700")
    build_lists(spec, DataRoot(root), root / "catalog.parquet", root / "out", recorded=root / "recorded.parquet")


def theirs(root: Path) -> None:
    """The rule of the reference, as its documentation and its output show it."""
    source = str(root / "kinetics700" / "videos_train")
    found = {}
    for path in glob.glob(f"{source}/*/*"):  # noqa: PTH207 - as theirs
        found[os.path.relpath(path.split(".")[0], source)] = os.path.relpath(path, source)
    with open(root / "kinetics700" / "annotations" / "kinetics_train.csv", encoding="utf-8", newline="") as handle:
        rows = list(csv.reader(handle))[1:]
    names = sorted({row[0].replace(" ", "_").replace('"', "") for row in rows})
    index = {name: number for number, name in enumerate(names)}
    lines = []
    for label, video_id, start, end, _ in rows:
        folder = label.replace(" ", "_").replace('"', "")
        key = f"{folder}/{video_id}_{int(float(start)):06d}_{int(float(end)):06d}"
        if key in found:
            lines.append(f"{found[key]} {index[folder]}\n")
    with open(root / "theirs.txt", "w", encoding="utf-8") as handle:
        handle.writelines(lines)


class Cost(NamedTuple):
    """What one side took: seconds on the clock, CPU seconds (user and system), peak memory in MB."""

    cpu: float
    wall: float
    memory: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.cpu:.1f} s CPU, {self.memory:.0f} MB)"


def _child(function: Callable[[Path], None], root: Path, answer: Queue[Cost]) -> None:
    wall, cpu = time.monotonic(), time.process_time()
    function(root)
    # VmHWM and not ru_maxrss, which a child has from its parent.
    status = Path("/proc/self/status").read_text()
    memory = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    answer.put(Cost(time.process_time() - cpu, time.monotonic() - wall, memory))


def timed(function: Callable[[Path], None], root: Path) -> Cost:
    """One run in a fresh process."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_child, args=(function, root, answer))
    process.start()
    cost: Cost = answer.get()
    process.join()
    return cost


def measure(clips: int, missing: float) -> tuple[Cost, Cost]:
    """Both sides on a fresh tree of ``clips`` rows, in turns; the better of two runs each."""
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        root = Path(folder)
        make(root, clips, missing)
        files = sum(len(names) for _, _, names in os.walk(root / "kinetics700" / "videos_train"))
        runs = [(timed(ours, root), timed(theirs, root)) for _ in range(2)]
        a, b = min(run[0] for run in runs), min(run[1] for run in runs)
        text = (root / "kinetics700" / "kinetics700_train_list_videos.txt").read_text()
        assert text == (root / "theirs.txt").read_text(), "the lists differ"
        assert text.count("\n") == files
    print(f"{clips} clips, {files} files: ours {a}, theirs {b}")
    return a, b


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=650_000)
    parser.add_argument("--missing", type=float, default=0.15, help="share of clips without a file")
    parser.add_argument("--quick", action="store_true", help="a few thousand clips")
    options = parser.parse_args()
    if options.quick:
        options.clips = 2800
    quarter, _ = measure(options.clips // 4, options.missing)
    whole, reference = measure(options.clips, options.missing)
    growth = whole.cpu / quarter.cpu
    print("| what | ours | theirs | ratio |\n|---|---|---|---|")
    print(
        f"| lists of {options.clips:,} clips, {options.missing:.0%} missing (4× the clips: {growth:.1f}× the CPU time) "
        f"| {whole} | {reference} | {whole.cpu / reference.cpu:.2f} |"
    )


if __name__ == "__main__":
    main()
