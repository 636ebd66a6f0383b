"""``make up`` for real: its scheduler and workers are killed with -9 in the middle of a run, and the run goes on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from clipquarry.demo.origin import Origin
from clipquarry.settings import DataRoot
from e2e_airflow import PROJECT, Airflow, lock_of, until
from kills import attempts_of
from ports import free_port

pytestmark = pytest.mark.timeout(1500)

DATASET, RUN = "kinetics_demo", "one"
IN_WORK = 16
"""Attempts that a killed shard may make twice: of four videos at once, with four clips each at most."""


class Deployment:
    """``docker/local/up.sh`` on a port of its own, with the DAGs of the demo."""

    def __init__(self, airflow: Airflow, log: Path) -> None:
        self.airflow, self.log, self.port = airflow, log, free_port()
        airflow.extra |= {
            "AIRFLOW__API__PORT": str(self.port),
            "CLIPQUARRY_ONLY": DATASET,
            # The dead are noticed by their silence; a test need not wait for minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__DAG_PROCESSOR__DISABLE_BUNDLE_VERSIONING": "True",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self.log, "ab") as handle:
            self.process = subprocess.Popen(
                [PROJECT / "docker/local/up.sh", self.airflow.home, self.airflow.data.root],
                env=self.airflow.environment, stdout=handle, stderr=handle, start_new_session=True,
            )  # fmt: skip

    def start_until_ready(self) -> None:
        """Start it, and wait until it knows the data set's DAG and answers."""
        self.start()
        until(lambda: "Airflow:" in self.log.read_text(), "all components are healthy, and user and password are shown")
        until(lambda: self.ask("SELECT 1 FROM serialized_dag WHERE dag_id = ?", DATASET), "the DAG is there")

    def call(self, method: str, path: str, **body: Any) -> requests.Response:
        """Ask the API as the one user whose password was shown."""
        base = f"http://127.0.0.1:{self.port}"
        password = json.loads((self.airflow.home / "passwords.json").read_text())["admin"]
        login = requests.post(f"{base}/auth/token", json={"username": "admin", "password": password}, timeout=60)
        headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
        answer = requests.request(method, f"{base}/api/v2/{path}", json=body, headers=headers, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:2000]}"
        return answer

    def trigger(self, **conf: Any) -> None:
        self.call("POST", f"dags/{DATASET}/dagRuns", dag_run_id=RUN, logical_date=None, conf=conf)

    def tree(self) -> list[psutil.Process]:
        """All processes of the deployment: what descends from it, and what lost its parent (its environment tells)."""
        home, found = str(self.airflow.home), {}
        if self.process is not None and psutil.pid_exists(self.process.pid):
            parent = psutil.Process(self.process.pid)
            found = {process.pid: process for process in [parent, *parent.children(recursive=True)]}
        for process in psutil.process_iter():
            if _environment(process).get("AIRFLOW_HOME") == home:
                found[process.pid] = process
        return [process for process in found.values() if _is_alive(process)]

    def kill(self) -> None:
        """-9 to all of it at once, as when the machine loses power."""
        while alive := self.tree():
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        assert self.process is not None
        self.process.wait()

    def stop(self) -> None:
        """Ctrl-C; whatever is left after that is killed."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
        if self.process is not None:
            self.kill()

    def ask(self, query: str, *values: str) -> str:
        """The first value of the first row, ``""`` where there is none; from the database, since a command takes seconds."""
        with closing(sqlite3.connect(f"file:{self.airflow.home / 'airflow.db'}?mode=ro", uri=True)) as database:
            return str((database.execute(query, values).fetchone() or ("",))[0])

    def state(self) -> str:
        """The state of the run, ``""`` before there is one."""
        return self.ask("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", DATASET, RUN)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return {}


def _step(deployment: Deployment, name: str) -> psutil.Process | None:
    """The child process of a running task that works on a shard."""
    for process in deployment.tree():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if line[1:5] == ["-m", "clipquarry", "step", name]:
            return process
    return None


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    (tmp_path / "data").mkdir()
    made = Deployment(Airflow(tmp_path / "airflow", DataRoot(tmp_path / "data")), tmp_path / "up.log")
    yield made
    made.stop()


def test_a_killed_worker_and_a_killed_scheduler_change_nothing(
    deployment: Deployment, demo_origin: Origin, tmp_path: Path
) -> None:
    dead = {path: how for path, how in demo_origin.script.plan.items() if how["do"] in ("404", "410", "html")}
    demo_origin.set_plan({**dead, "videos/*": {"do": "slow", "seconds": 1}})
    data = deployment.airflow.data
    deployment.start_until_ready()
    assert len(deployment.log.read_text().splitlines()) <= 3, "the console is quiet"
    listens = {c.laddr.ip for p in deployment.tree() for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    assert listens == {"127.0.0.1"}, "nobody else can reach it"
    deployment.trigger(resize=True, short_edge=128, shards=3)

    # 1. A worker dies in the middle of a fetch: the task and whoever watches it.
    root = data.dataset(DATASET)
    until(lambda: len(list(root.glob("videos_train/*/*.mp4"))) >= 2, "some clips are there")
    step = _step(deployment, "fetch")
    assert step is not None, "it is killed in the middle of its work"
    task = step.parent()
    watcher = task.parent() if task else None
    assert task is not None and watcher is not None
    for process in (watcher, task):
        process.kill()
    until(lambda: not step.is_running() or step.status() == psutil.STATUS_ZOMBIE, "the step dies with its worker", 20)

    # 2. The scheduler dies with all its workers while another shard is fetched; nobody starts it again by hand.
    until(lambda: _step(deployment, "fetch"), "a shard is being fetched")
    assert not (data.run(DATASET, RUN) / "results.parquet").exists()
    scheduler = next(p for p in deployment.tree() if "scheduler" in p.cmdline())
    for process in [scheduler, *scheduler.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()

    # 3. Everything dies in the middle of a resize.
    until(lambda: list(root.glob("videos_train_256p_dense_cache/*/*.mp4")), "some resized copies are there", 400)
    assert deployment.state() == "running"
    deployment.kill()
    assert not deployment.tree()
    assert not (data.release(DATASET) / RUN).exists()

    deployment.start()
    until(lambda: deployment.state() in ("success", "failed"), "the run ends", 600)
    assert deployment.state() == "success", deployment.log.read_text()[-3000:]

    calm = tmp_path / "calm"
    argv = ["run", DATASET, "--run", RUN, "--resize", "--short-edge", "128", "--shards", "3"]
    environment = {**os.environ, "CLIPQUARRY_DATA": str(calm)}
    subprocess.run([sys.executable, "-m", "clipquarry", *argv], env=environment, check=True, capture_output=True)
    assert lock_of(DataRoot(calm), DATASET, RUN) == lock_of(data, DATASET, RUN)
    told, wanted = attempts_of(data.root), attempts_of(calm)
    assert (told - wanted).total() <= 2 * IN_WORK, "what was finished is told once"
    forgotten = wanted.keys() - told.keys()
    assert len(forgotten) <= 4, "nothing is forgotten, but for what was in work at the very moment"
    deployment.process.send_signal(signal.SIGTERM)
    deployment.process.wait(60)
    until(lambda: not deployment.tree(), "Ctrl-C leaves nobody behind", 30)
