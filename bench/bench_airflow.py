"""Airflow's own share of a shard task (process runtime): the task in a real deployment against the same step by hand. And what DAG files cost.

    python bench/bench_airflow.py [--shards N] [--only-files] [--cycles N] [--quick]

``docker/local/up.sh`` runs the DAG ``kinetics_demo`` from the demo's own web server; a task lasts from the moment the
scheduler queues it to its end. By hand, the same shards are fetched by ``clipquarry step`` into a fresh data root, as
many at a time as the pool allows.

The CPU time of DAG files is that of a real DAG processor (``airflow dag-processor --num-runs``), with all that it starts: of many cycles less
that of one, so that its own start does not count. It is measured with all data sets, and with ``CLIPQUARRY_ONLY`` naming one; the difference is
that of the other data sets' DAGs. Besides, all files are imported one after the other in one process that has imported Airflow.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from clipquarry.demo.origin import Origin
from clipquarry.families.clips.sample import make_kinetics
from clipquarry.settings import DataRoot

PROJECT = Path(__file__).parents[1]
DATASET, RUN, AT_ONCE = "kinetics_demo", "bench", 2


def rows(database: Path, query: str) -> list[tuple[str, ...]]:
    """Rows of Airflow's database; none while it is being made."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def until(database: Path, query: str, wanted: tuple[str, ...], seconds: float = 600) -> None:
    """Wait until the first row of ``query`` is one of ``wanted``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = rows(database, query)
        if found and found[0][0] in wanted:
            return
        time.sleep(0.5)
    raise SystemExit(f"not within {seconds:g} s: {query}")


@contextmanager
def live_airflow(home: Path, data: Path, **settings: str) -> Iterator[tuple[int, Callable[..., None]]]:
    """An Airflow that knows the DAG: its process id, and a function that runs a command of its."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {
        **os.environ, "AIRFLOW__API__PORT": str(port), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home), "CLIPQUARRY_DATA": str(data), "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"), **settings,
    }  # fmt: skip
    with open(home.with_suffix(".log"), "wb") as log:
        to_log: dict[str, Any] = {"env": environment, "stdout": log, "stderr": log}
        up = subprocess.Popen([PROJECT / "docker/local/up.sh", home, data], start_new_session=True, **to_log)

        def command(*arguments: str) -> None:
            subprocess.run([sys.executable, "-m", "airflow", *arguments], check=True, **to_log)

        try:
            dataset = settings["CLIPQUARRY_ONLY"]
            until(home / "airflow.db", f"SELECT dag_id FROM dag WHERE dag_id = '{dataset}'", (dataset,))
            yield up.pid, command
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)


def in_airflow(home: Path, data: Path, shards: int) -> list[float]:
    """Seconds of each fetch task, from queued to its end."""
    database = home / "airflow.db"
    with live_airflow(home, data, CLIPQUARRY_RUNTIME="process", CLIPQUARRY_ONLY=DATASET) as (_, command):
        command("dags", "trigger", DATASET, "--run-id", RUN, "--conf", json.dumps({"shards": shards}))
        until(database, f"SELECT state FROM dag_run WHERE run_id = '{RUN}'", ("success", "failed"))
        times = rows(
            database, f"SELECT queued_dttm, end_date FROM task_instance WHERE run_id = '{RUN}' AND task_id = 'fetch'"
        )
    assert len(times) > 1, times
    return [(datetime.fromisoformat(end) - datetime.fromisoformat(begun)).total_seconds() for begun, end in times]


def by_hand(data: Path, fresh: Path) -> list[float]:
    """Seconds of the same steps without Airflow."""
    plan = DataRoot(data).run(DATASET, RUN) / "plan"
    (params,) = plan.glob("params/fetch-*.json")

    def one(items: Path) -> float:
        argv = [
            sys.executable, "-m", "clipquarry", "step", "fetch", "--items", str(items), "--params", f"@{params}",
            "--out", str(fresh / "out" / items.name), "--data", str(fresh), "--jobs", "2",
        ]  # fmt: skip
        begun = time.monotonic()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - begun

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, sorted(plan.glob("items/shard-*.parquet"))))


def cycles_cpu(home: Path, cycles: int, only: str) -> float:
    """CPU seconds of a DAG processor that reads every file ``cycles`` times and ends, with its children."""
    environment = {
        **os.environ, "AIRFLOW_HOME": str(home), "CLIPQUARRY_DATA": str(home / "data"), "CLIPQUARRY_ONLY": only,
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"), "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "0",
        "CLIPQUARRY_RUNTIME": "process",
    }  # fmt: skip
    quiet = {"env": environment, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if not (home / "airflow.db").exists():
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], **quiet)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "airflow", "dag-processor", "--num-runs", str(cycles)], **quiet)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


_IMPORT = """
import importlib.util, pathlib, sys, time
begun = time.process_time()
from airflow.sdk import DAG
import airflow.providers.standard.operators.python
loaded = time.process_time()
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    spec = importlib.util.spec_from_file_location(f"dag_file_{path.stem}", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print("@@", loaded - begun, time.process_time() - loaded)
"""


def in_one_process(folder: Path, tries: int) -> None:
    """Print the CPU seconds of ``import airflow``, and those of all DAG files after it: medians."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder / "one"),
        "CLIPQUARRY_DATA": str(folder / "one"),
        "CLIPQUARRY_RUNTIME": "process",
    }
    both = []
    for _ in range(tries):
        asked: list[str | Path] = [sys.executable, "-c", _IMPORT, PROJECT / "dags"]
        done = subprocess.run(asked, env=environment, check=True, text=True, capture_output=True)
        both.append([float(word) for word in done.stdout.rpartition("@@")[2].split()])
    airflow, files = (statistics.median(column) for column in zip(*both, strict=True))
    print(
        "| all DAG files in one process | import airflow, CPU s | the files, CPU s more | at most |\n|---|---|---|---|"
    )
    print(f"| {len(list((PROJECT / 'dags').glob('*.py')))} files | {airflow:.2f} | {files:.2f} | 2 |")


def dag_files(folder: Path, cycles: int, *, every_data_set: bool = True) -> None:
    """Print what a cycle over ``dags/`` costs, and a DAG of it; of 0 cycles, the first one with Airflow's start."""
    every: dict[str, tuple[float, int]] = {}
    for only in ("", DATASET) if every_data_set else (DATASET,):
        home = folder / f"airflow-{only}"
        home.mkdir()
        cost = cycles_cpu(home, 1, only)  # it writes into Airflow's database what the next ones find unchanged
        if cycles:
            cost = (cycles_cpu(home, 1 + cycles, only) - cycles_cpu(home, 1, only)) / cycles
        (number,) = rows(home / "airflow.db", "SELECT count(*) FROM dag")[0]
        every[only] = cost, int(number)
    files = len(list((PROJECT / "dags").glob("*.py")))
    one_cost, one_dags = every[DATASET]
    print("| DAG files | files | DAGs | CPU s a cycle | CPU s a DAG | of a core at 300 s |\n|---|---|---|---|---|---|")
    if every_data_set:
        all_cost, all_dags = every[""]
        each = (all_cost - one_cost) / (all_dags - one_dags)
        print(f"| all data sets | {files} | {all_dags} | {all_cost:.1f} | {each:.2f} | {all_cost / 300:.0%} |")
    print(f"| one (CLIPQUARRY_ONLY) | {files} | {one_dags} | {one_cost:.1f} | | {one_cost / 300:.0%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=8, help="how many tasks at most (8)")
    parser.add_argument("--only-files", action="store_true", help="measure the DAG files only")
    parser.add_argument("--cycles", type=int, default=3, help="how often the DAG files are read (3)")
    parser.add_argument("--quick", action="store_true", help="two shards, and the DAG files of one data set read once")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.shards, arguments.cycles = 2, 0
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-", ignore_cleanup_errors=True) as name:
        in_one_process(Path(name), 1 if arguments.quick else 5)
        dag_files(Path(name), arguments.cycles, every_data_set=not arguments.quick)
    if arguments.only_files:
        return
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = make_kinetics(folder / "origin")
        quick = {path: how for path, how in made.plan.items() if how in ("404", "410", "html")}
        with Origin(made.folder, quick) as origin:
            os.environ["CLIPQUARRY_DEMO_URL"] = origin.url
            (folder / "data").mkdir()
            tasks = in_airflow(folder / "airflow", folder / "data", arguments.shards)
            shutil.rmtree(folder / "airflow")
            steps = by_hand(folder / "data", folder / "fresh")
    assert len(steps) == len(tasks), (steps, tasks)
    share = statistics.mean(tasks) - statistics.mean(steps)
    print("| a shard task, process runtime | by hand | in Airflow | Airflow's share | at most |\n|---|---|---|---|---|")
    print(
        f"| fetch of a shard of {DATASET}, mean of {len(tasks)}, {AT_ONCE} at a time, wall s"
        f" | {statistics.mean(steps):.2f} | {statistics.mean(tasks):.2f} | {share:.2f} | 2 |"
    )


if __name__ == "__main__":
    main()
