"""A run whose clips are not to be had: 580,317 rows over an empty local folder, through ``clipquarry run``.

    python bench/bench_nowhere.py [--rows 580317] [--there 0] [--quick]

Makes the csvs of a data set as large as Kinetics-700 (700 classes, train and val) and runs it with ``--source local`` over
a folder that holds ``--there`` clips (empty files, which are no videos) of them. Tells the wall and CPU seconds of the
whole run (annotations, plan, record, gates, lists, release, report), what it wrote, its memory, and how many tasks it
planned; then the look-up alone, in this process: items a second, bytes of memory an item. The row of markdown at the end
goes into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from clipquarry.files import read_json
from clipquarry.manifest import read_table
from clipquarry.pipeline.fetch_params import fetch_params
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.nearby import Nearby
from clipquarry.pipeline.plan import SHARD_SCHEMA
from clipquarry.settings import DataRoot, Settings

CLASSES = 700
VAL = 35_000 / 580_317
DATASET = "kinetics_nowhere"


def make(folder: Path, rows: int, there: int) -> None:
    """The csvs, the data set's YAML, and the local folder."""
    annotations = folder / "data" / DATASET / "annotations"
    annotations.mkdir(parents=True)
    (folder / "mine").mkdir()
    sizes = {"val": round(rows * VAL)}
    sizes["train"] = rows - sizes["val"]
    for split, count in sizes.items():
        with open(annotations / f"kinetics_{split}.csv", "w", encoding="utf-8") as handle:
            handle.write("label,youtube_id,time_start,time_end,split\n")
            for n in range(count):
                label = f"class {n * CLASSES // count:03d} (of many)"
                video = f"{(n + (split == 'val') * 10**7) * 2654435761 % 2**44:011x}"
                handle.write(f"{label},{video},{n % 300},{n % 300 + 10},{split}\n")
                if split == "train" and n < there:
                    (folder / "mine" / f"{video}_{n % 300:06d}_{n % 300 + 10:06d}.mp4").touch()
    spec = (Path(__file__).parents[1] / "include/clipquarry/datasets/kinetics700.yaml").read_text()
    spec = spec.replace("kinetics700", DATASET).replace(
        "missing: {warn: 0.05, error: 0.6}", "missing: {warn: 1, error: 1}"
    )
    spec = spec.replace("count: 545317", f"count: {sizes['train']}").replace("count: 35000", f"count: {sizes['val']}")
    (folder / "specs").mkdir()
    (folder / "specs/nowhere.yaml").write_text(spec)


def run(folder: Path) -> tuple[float, float, int, int]:
    """Wall and CPU seconds, bytes written and peak memory of the whole run."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLIPQUARRY_")}
    env |= {
        "CLIPQUARRY_DATA": str(folder / "data"), "CLIPQUARRY_DATASETS": str(folder / "specs"),
        "CLIPQUARRY_LOCAL": str(folder / "mine"),
    }  # fmt: skip
    argv = [sys.executable, "-m", "clipquarry", "run", DATASET, "--run", "one", "--source", "local"]
    before, begun = written(), time.monotonic()
    with open(folder / "log.txt", "w") as log:
        child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begun
    if child.returncode:
        raise SystemExit((folder / "log.txt").read_text()[-3000:])
    return wall, used.ru_utime + used.ru_stime, written() - before, used.ru_maxrss * 1024


def written() -> int:
    """Bytes that this process and its children that have ended sent to disks."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def look_up(folder: Path) -> tuple[float, float]:
    """Items a CPU second, and bytes of memory an item at most, of the look-up alone."""
    settings = Settings(DataRoot(folder / "data"), "sqlite://", dataset_folders=(folder / "specs",))
    ctx = make_context(DATASET, "one", {"sources": ["local"], "local_folder": str(folder / "mine")}, settings=settings)
    items = read_table(ctx.catalog, SHARD_SCHEMA.names)
    nearby = Nearby(ctx, fetch_params(ctx, only=frozenset()))
    begun = time.process_time()
    nearby.may_lie(items)
    rate = items.num_rows / (time.process_time() - begun)
    tracemalloc.start()
    Nearby(ctx, fetch_params(ctx, only=frozenset())).may_lie(items)
    peak = tracemalloc.get_traced_memory()[1] / items.num_rows
    tracemalloc.stop()
    return rate, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=580_317)
    parser.add_argument("--there", type=int, default=0, help="how many clips lie in the folder (0)")
    parser.add_argument("--quick", action="store_true", help="a few thousand rows")
    args = parser.parse_args()
    if args.quick:
        args.rows = 2800
    with tempfile.TemporaryDirectory(prefix="bench-nowhere-") as name:
        folder = Path(name)
        make(folder, args.rows, args.there)
        wall, cpu, size, memory = run(folder)
        plan = read_json(folder / f"data/.clipquarry/runs/{DATASET}/one/plan.json")
        tasks = len(plan["jobs"]["fetch"])
        print((folder / "log.txt").read_text()[-1500:])
        rate, peak = look_up(folder)
    print(f"look-up: {rate:,.0f} items a CPU second, at most {peak:.0f} bytes of memory an item")
    print(
        f"| a run of {args.rows:,} rows over a local folder with {args.there:,} of them | {wall:.0f} s wall, {cpu:.0f} CPU s, "
        f"{size / 1e6:,.0f} MB written ({size / args.rows:,.0f} bytes an item), {memory / 1e6:,.0f} MB of memory, {tasks} tasks of "
        f"fetch; look-up {rate:,.0f} items a CPU second |"
    )


if __name__ == "__main__":
    main()
