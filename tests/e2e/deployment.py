"""``make up`` for tests: ``docker/local/up.sh`` on a port of its own, with the DAGs of some data sets."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import requests
from e2e_airflow import PROJECT, Airflow, until
from ports import free_port


class Deployment:
    """Airflow in processes of its own. ``only``: the data sets that get DAGs; the first is the one that is asked about."""

    def __init__(self, airflow: Airflow, log: Path, *only: str) -> None:
        self.airflow, self.log, self.port, self.only = airflow, log, free_port(), only
        airflow.extra = {
            "AIRFLOW__API__PORT": str(self.port),
            "CLIPQUARRY_ONLY": ",".join(only),
            # The dead are noticed by their silence; a test need not wait for minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__DAG_PROCESSOR__DISABLE_BUNDLE_VERSIONING": "True",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
            **airflow.extra,
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
        known = "SELECT 1 FROM serialized_dag WHERE dag_id = ?"
        until(lambda: all(self.ask(known, name) for name in self.only), "the DAGs are there")

    def call(self, method: str, path: str, **body: Any) -> requests.Response:
        """Ask the API as the one user whose password was shown."""
        base = f"http://127.0.0.1:{self.port}"
        password = json.loads((self.airflow.home / "passwords.json").read_text())["admin"]
        login = requests.post(f"{base}/auth/token", json={"username": "admin", "password": password}, timeout=60)
        headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
        answer = requests.request(method, f"{base}/api/v2/{path}", json=body, headers=headers, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:2000]}"
        return answer

    def trigger(self, dag: str, run: str, **conf: Any) -> None:
        self.call("POST", f"dags/{dag}/dagRuns", dag_run_id=run, logical_date=None, conf=conf)

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

    def state(self, dag: str, run: str) -> str:
        """The state of a run, ``""`` before there is one."""
        return self.ask("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", dag, run)


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
