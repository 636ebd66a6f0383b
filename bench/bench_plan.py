"""The plan of a large catalog: seconds and memory of the stage ``plan``, on an empty data root and beside what an earlier run left.

    python bench/bench_plan.py [--clips 650000] [--here 0.5] [--missing 0.16] [--quick]

Makes the catalog of a data set as large as Kinetics-700 (700 classes, three splits) and its ledger, and plans a full run that asks a
mirror, each in a fresh process: first where nothing is there; then with files (empty ones, in their places) for a share ``--here`` of
the clips, and with a ledger that knows them and what is missing. Tells wall and CPU seconds and peak memory. The rows of markdown at
the end go into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clipquarry.manifest import read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.sources import askers
from clipquarry.settings import DataRoot, Settings

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from families.made_run import CATALOG, FINE, STATE, item_row, step_schema, write_manifest

CLASSES = 700
DATASET = "kinetics700"
PARAMS = {
    "sources": ["mirror"],
    "mirror_url": "http://127.0.0.1:1/{clip}.mp4",
    "resize": True,
    "splits": ["train", "val", "test"],
}
REASONS = ("removed", "private", "unavailable", "terminated")


def item(n: int) -> dict[str, object]:
    split = "train" if n % 10 < 8 else "val" if n % 10 == 8 else "test"
    name, start = f"some class name {n % CLASSES}", n % 300
    video = f"{n * 2654435761 % 2**32:08x}{n % 997:03d}"
    place = {"clip": f"{video}_{start:06d}_{start + 10:06d}", "folder": name.replace(" ", "_"), "label": name}
    return {**item_row(split, video, start, start + 10, **place, index=n % CLASSES, line=n + 2), **FINE}  # type: ignore[arg-type]


def context(root: Path, run: str) -> RunContext:
    settings = Settings(DataRoot(root), f"sqlite:///{root}/.clipquarry/ledger.sqlite")
    return make_context(DATASET, run, PARAMS, settings=settings)


def make(root: Path, run: str, clips: int) -> None:
    ctx = context(root, run)
    write_manifest(ctx.catalog, CATALOG, map(item, range(clips)))
    with ctx.ledger() as ledger:
        ledger.sync_catalog(DATASET, ctx.catalog)


def left(root: Path, clips: int, here: float, missing: float) -> None:
    """Files, state and ledger of an earlier run."""
    ctx = context(root, "before")
    at = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    key = "0" * 64

    def result(n: int) -> dict[str, object] | None:
        row, turn = item(n), n % 1000
        if turn < here * 1000:
            path = f"kinetics700/videos_{row['split']}/{row['class_dir']}/{row['clip_id']}.mp4"
            tried = {"source": "mirror", "at": at, "reason": "ok", "evidence": "", "seconds": 1.5, "bytes": 1_500_000}
            more = {
                "bytes": 1_400_000,
                "duration": 10.0,
                "frames": 300,
                "fps": 30.0,
                "width": 340,
                "height": 256,
                "has_audio": True,
            }
            return {
                **row,
                "key": key,
                "attempts": [tried],
                "path": path,
                "source": "mirror",
                "sha256": "0" * 64,
                **more,
            }
        if turn < (here + missing) * 1000:
            why = REASONS[n % len(REASONS)]
            tried = {"source": "mirror", "at": at, "reason": why, "evidence": why, "seconds": 1.0, "bytes": 0}
            return {**row, "status": "missing", "reason": why, "evidence": why, "key": key, "attempts": [tried]}
        return None

    folders: set[str] = set()
    for n in range(clips):
        if (row := result(n)) is not None and (path := row.get("path")):
            file = root / str(path)
            if str(file.parent) not in folders:
                file.parent.mkdir(parents=True, exist_ok=True)
                folders.add(str(file.parent))
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY))
    results = root / "results.parquet"
    write_manifest(results, step_schema("fetch"), (row for n in range(clips) if (row := result(n)) is not None))
    state = ({k: v for k, v in row.items() if k in STATE.names} for row in read_rows(results))
    write_manifest(ctx.state, STATE, state)
    who = askers(ctx)
    with ctx.ledger() as ledger:
        ledger.begin_run(DATASET, "before", kind="full", egress="default")
        ledger.record(DATASET, "before", "default", [results], datetime.now(UTC), sources=who.keys)


def plan(root: Path, run: str) -> None:
    """In a process of its own."""
    import resource
    import time

    from clipquarry.pipeline.stages import run_stage

    wall, cpu = time.monotonic(), time.process_time()
    run_stage("plan", context(root, run))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([time.monotonic() - wall, time.process_time() - cpu, used * 1024]))


def measured(root: Path, run: str, clips: int, what: str) -> str:
    done = subprocess.run(
        [sys.executable, __file__, "--plan", str(root), run], capture_output=True, text=True, check=True
    )
    if done.stderr:
        print(done.stderr)
    wall, cpu, most = json.loads(done.stdout.splitlines()[-1])
    return f"| plan of {clips:,} clips, {what} | {wall:.1f} s, {cpu:.1f} CPU s, {most / 1e6:,.0f} MB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=650_000)
    parser.add_argument("--here", type=float, default=0.5, help="share of the clips that are there (0.5)")
    parser.add_argument("--missing", type=float, default=0.16, help="share that the ledger knows as missing (0.16)")
    parser.add_argument("--quick", action="store_true", help="a few thousand clips")
    parser.add_argument("--plan", nargs=2, metavar=("ROOT", "RUN"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.plan:
        plan(Path(args.plan[0]), args.plan[1])
        return
    clips = 3000 if args.quick else args.clips
    with tempfile.TemporaryDirectory(prefix="bench-plan-") as name:
        root = Path(name)
        make(root, "empty", clips)
        rows = [measured(root, "empty", clips, "nothing there")]
        left(root, clips, args.here, args.missing)
        make(root, "again", clips)
        rows.append(measured(root, "again", clips, f"{args.here:.0%} there"))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
