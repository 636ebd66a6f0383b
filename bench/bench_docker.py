"""The docker runtime: a shard's overhead against a process, and a hundred shards in the live Airflow, four at a time.

    python bench/bench_docker.py [--pairs N] [--shards N] [--quick]

Needs a Docker engine and the image clipquarry-media (``make images``). First the same shard of frames is made by either runtime's
operator in turn; then ``docker/local/up.sh`` fetches a made-up data set of small clips, and what is left behind is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
from bench_airflow import PROJECT, live_airflow, rows
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video

sys.path.append(str(PROJECT / "tests" / "operators"))

VIDEOS_A_SHARD, AT_ONCE, DATASET, RUN = 4, 4, "bench_docker", "bench"
SPEC = """
schema: dataset-spec/v1
name: bench_docker
title: Bench
family: clips
task: action-recognition
root: bench_docker
access: {kind: open}
options: {reader: kinetics_csv}
layout: {annotations: annotations, videos: "videos_{split}", resized: "videos_{split}_256p_dense_cache", rawframes: "rawframes_{split}"}
item: {level: 2, ext: [mp4]}
labels: {source: annotation, count: 1, order: codepoint}
splits: {val: annotations/kinetics_val.csv}
sources:
  - {id: csv, kind: http, provides: annotations, url: "${BENCH_URL}/{split}.csv", into: "annotations/kinetics_{split}.csv"}
  - {id: origin, kind: http, provides: items, content: video, url: "${BENCH_URL}/videos/{id}.mp4"}
lists: {videos: "bench_{split}_list_videos.txt", rawframes: "bench_{split}_list_rawframes.txt"}
expected: {rows: {val: {count: COUNT}}}
missing: {warn: 0.05, error: 0.9}
recipe: {preset: ultrafast, max_seconds: 1}
"""


def overhead(folder: Path, pairs: int) -> tuple[float, float]:
    """Median seconds of a shard in a process and in a container, made in turn."""
    from clipquarry_airflow.operators.docker import DockerStepOperator
    from clipquarry_airflow.operators.process import ProcessStepOperator
    from frames_shard import context, make_shard

    seconds: dict[str, list[float]] = {"process": [], "docker": []}
    for number in range(pairs):
        for name, operator in (("process", ProcessStepOperator), ("docker", DockerStepOperator)):
            data = folder / f"{name}-{number}"
            job = make_shard(data, clips=8)
            os.environ["CLIPQUARRY_DATA"] = str(data)
            begun = time.monotonic()
            operator(task_id="frames", step="frames", job=job).execute(context())
            seconds[name].append(time.monotonic() - begun)
    return statistics.median(seconds["process"]), statistics.median(seconds["docker"])


def engine_holds() -> tuple[int, int, int]:
    """Containers, volumes and networks of the engine."""
    asked = (["ps", "--all", "--quiet"], ["volume", "ls", "--quiet"], ["network", "ls", "--quiet"])
    counts = [len(subprocess.run(["docker", *one], capture_output=True, check=True).stdout.split()) for one in asked]
    return counts[0], counts[1], counts[2]


def scheduler_megabytes(up: psutil.Process) -> float:
    """Memory of the scheduler's own process, without its workers."""
    found = [0.0]
    for child in up.children(recursive=True):
        with suppress(psutil.Error):  # children come and go
            command = " ".join(child.cmdline()[:4])
            if "airflow" in command and "scheduler" in command:
                found.append(child.memory_info().rss / 1e6)
    return max(found)


def hundred(folder: Path, origin: Origin, shards: int) -> tuple[str, int, float, list[float]]:
    """State of the run, shards, seconds of all fetch tasks, and the scheduler's memory every second of them."""
    home, data = folder / "airflow", folder / "data"
    data.mkdir()
    database = home / "airflow.db"
    memory: list[float] = []
    settings = {
        "CLIPQUARRY_RUNTIME": "docker", "CLIPQUARRY_DOCKER_NETWORK": "host", "BENCH_URL": origin.url, "CLIPQUARRY_ONLY": DATASET,
        "CLIPQUARRY_DATASETS": str(folder / "specs"),
    }  # fmt: skip
    with live_airflow(home, data, **settings) as (pid, command):
        command("pools", "set", "clipquarry_egress", str(AT_ONCE), "")
        command("dags", "trigger", DATASET, "--run-id", RUN, "--conf", json.dumps({"shards": shards}))
        done = (
            f"SELECT count(*) FROM task_instance WHERE run_id = '{RUN}' AND task_id = 'fetch' AND end_date IS NOT NULL"
        )
        ended = f"SELECT state FROM dag_run WHERE run_id = '{RUN}'"
        while rows(database, ended)[0][0] not in ("success", "failed"):
            if int(rows(database, done)[0][0]) > 0:
                memory.append(scheduler_megabytes(psutil.Process(pid)))
            time.sleep(1)
        (state,) = rows(database, ended)[0]
        query = (
            "SELECT count(*), (julianday(max(end_date)) - julianday(min(start_date))) * 86400 FROM task_instance "
            f"WHERE run_id = '{RUN}' AND task_id = 'fetch' AND state = 'success'"
        )
        count, seconds = rows(database, query)[0]
    return state, int(count), float(seconds), memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8, help="how often either runtime makes the shard (8)")
    parser.add_argument("--shards", type=int, default=100, help="tasks of the run (100)")
    parser.add_argument("--quick", action="store_true", help="one pair, and no run through Airflow")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.pairs, arguments.shards = 1, 0
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        process, docker = overhead(folder, arguments.pairs)
        print("| a shard of 8 clips, frames, wall s | process | docker | more | at most |\n|---|---|---|---|---|")
        print(
            f"| median of {arguments.pairs}, in turn | {process:.2f} | {docker:.2f} | {docker - process:+.2f} | 2 |",
            flush=True,
        )
        if not arguments.shards:
            return
        count = arguments.shards * VIDEOS_A_SHARD
        served = folder / "served"
        (served / "videos").mkdir(parents=True)
        (folder / "specs").mkdir()
        (folder / "specs" / f"{DATASET}.yaml").write_text(SPEC.replace("COUNT", str(count)))
        make_video(served / "one.mp4", 1, fps=10, size=(64, 48))
        lines = ["label,youtube_id,time_start,time_end,split,is_cc"]
        for number in range(count):
            shutil.copy(served / "one.mp4", served / "videos" / f"video_{number:05d}.mp4")
            lines.append(f"zumba,video_{number:05d},0,1,val,0")
        (served / "val.csv").write_text("\n".join(lines) + "\n")
        before = engine_holds()
        with Origin(served, {}) as origin:
            state, done, seconds, memory = hundred(folder, origin, arguments.shards)
        after = engine_holds()
    tenth = max(1, len(memory) // 10)
    early, late = statistics.median(memory[:tenth]), statistics.median(memory[-tenth:])
    print(
        f"\nrun {state}: {done} shards, {AT_ONCE} at a time, {seconds:.0f} s ({seconds / done * AT_ONCE:.2f} s a task)"
    )
    print(
        f"left behind: {after[0] - before[0]} containers, {after[1] - before[1]} volumes, {after[2] - before[2]} networks"
    )
    print(f"scheduler: {early:.0f} MB in the first tenth of the shards, {late:.0f} MB in the last")


if __name__ == "__main__":
    main()
