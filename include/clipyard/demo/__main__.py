"""``make demo``: the real DAGs on a data set that the demo makes and serves itself.

Everything lies below one folder (default ``.demo``): the web server's files, the data root and Airflow's home. The data root
is emptied first, so that every demo shows the same story; Airflow's database is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clipyard.demo.data_set import COMES_BACK, DemoSet, make_demo_set
from clipyard.demo.origin import Origin
from clipyard.errors import ClipyardError, UserError
from clipyard.files import read_json, write_json
from clipyard.pipeline.summary import run_summary
from clipyard.settings import DataRoot, slug

DATASET = "kinetics_demo"
PARAMS = {"resize": True, "frames": True, "frame_rate": 5, "shards": 2, "short_edge": 128}


def _environment(home: Path, project: Path, url: str) -> dict[str, str]:
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "CLIPYARD_DATA": str(home / "data"),
        "CLIPYARD_DEMO_URL": url,
        "CLIPYARD_RUNTIME": "process",
        "CLIPYARD_ONLY": DATASET,
        "NO_PROXY": "127.0.0.1",
    }


def _airflow(log: Path, environment: dict[str, str], *arguments: str) -> int:
    with open(log, "a") as handle:
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments], env=environment, stdout=handle, stderr=handle, check=False
        ).returncode


def _run_dag(dag: str, params: dict[str, Any], data: DataRoot, log: Path, environment: dict[str, str]) -> str:
    """Run a DAG to its end; returns the run's folder name."""
    # The id of a test run is made from its date; a fresh one each time keeps old runs in the UI's history.
    moment = datetime.now(UTC).replace(microsecond=0)
    before = {path.name for path in data.runs(DATASET).glob("*")}
    code = _airflow(log, environment, "dags", "test", dag, moment.isoformat(), "--conf", json.dumps(params))
    runs = sorted({path.name for path in data.runs(DATASET).glob("*")} - before)
    if len(runs) != 1:
        raise UserError(f"The DAG {dag} ended with {code} before it could begin a run; see {log}.")
    if code:
        print(f"The DAG {dag} is red; its log is {log}.")
    return runs[0]


def _tell(title: str, data: DataRoot, run: str, seconds: float) -> None:
    summary = run_summary(data, DATASET, run)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(summary["reasons"].items())) or "none"
    print(f"{title} ({seconds:.0f} s)")
    print(f"  expected {summary['expected']}, fetched {summary['present']}, missing {summary['missing']}, "
          f"failed {summary['failed']}")  # fmt: skip
    print(f"  why not: {reasons}")
    for name, verdict in summary["gates"].items():
        gate = read_json(data.run(DATASET, run) / "gates" / f"{name}.json")
        failed = Counter(check["id"] for check in gate["checks"] if not check["success"])
        broken = ", ".join(check if count == 1 else f"{check} ({count} times)" for check, count in failed.items())
        print(f"  gate {name}: {verdict}, {len(gate['checks'])} checks" + (f", not held: {broken}" if failed else ""))


def run_demo(home: Path, project: Path) -> None:
    """Make the data set, serve it, run the DAG and then the refresh DAG, say what happened."""
    from clipyard.media.tools import ffmpeg

    tool = ffmpeg()
    print(f"ffmpeg: {tool.version} ({tool.origin}: {tool.path})")
    data, log, plan = DataRoot(home / "data"), home / "demo.log", home / "plan.json"
    shutil.rmtree(data.root, ignore_errors=True)
    data.root.mkdir(parents=True)
    log.write_text("")
    made: DemoSet = make_demo_set(home / "origin")
    write_json(plan, made.plan)
    with Origin(made.folder, plan, log=home / "origin.log") as origin:
        environment = _environment(home, project, origin.url)
        print(f"source: {origin.url} serves {len(list((made.folder / 'videos').glob('*')))} videos and plays {len(made.plan)} dead or difficult links")  # fmt: skip
        if _airflow(log, environment, "db", "migrate"):
            raise UserError(f"Airflow's database could not be set up; see {log}.")
        begun = time.monotonic()
        first = _run_dag(DATASET, PARAMS, data, log, environment)
        _tell("1. the DAG kinetics_demo", data, first, time.monotonic() - begun)
        write_json(plan, made.after_the_return())
        later = datetime.now(UTC) + timedelta(days=2)
        print(f"the dead link {COMES_BACK} has come back, and we pretend that two days have passed")
        begun = time.monotonic()
        second = _run_dag(f"{DATASET}_refresh", {**PARAMS, "as_of": later.isoformat()}, data, log, environment)
        _tell("2. the DAG kinetics_demo_refresh", data, second, time.monotonic() - begun)
    print(f"report:  {data.run(DATASET, slug(second)) / 'report' / 'index.html'}")
    print(f"release: {data.release(DATASET) / second}")
    print("look at it in Airflow: make demo-up")


def main() -> None:
    """Entry point of ``make demo``."""
    parser = argparse.ArgumentParser(prog="clipyard.demo", description=run_demo.__doc__)
    parser.add_argument("--home", type=Path, default=Path(".demo"))
    parser.add_argument("--project", type=Path, default=Path.cwd())
    arguments = parser.parse_args()
    try:
        run_demo(arguments.home.absolute(), arguments.project.absolute())
    except ClipyardError as error:
        print(f"clipyard: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))


if __name__ == "__main__":
    main()
