"""All of Airflow's components on one machine as if on several: CeleryExecutor, two workers, homes of their own."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg
import requests
from clipquarry.settings import DataRoot
from cryptography.fernet import Fernet
from e2e_airflow import PROJECT, Airflow, until
from ports import free_port

FIRST, SECOND = "kinetics_demo", "kinetics_again"
BOTH = (FIRST, SECOND)
POOL, SLOTS = "clipquarry_egress", 2
WORKERS = ("w1", "w2")
MARK = "CLIPQUARRY_TEST_WORKER"
"""Names a worker in the environment of all that it starts."""


class Cluster:
    """Airflow's components, each in a session of its own; on leaving, none is left, and after an error their logs show."""

    def __init__(self, folder: Path, data: DataRoot, server: str, broker: str, extra: dict[str, str]) -> None:
        self.folder, self.data, self.port = folder, data, free_port()
        name = f"airflow_{uuid.uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        self.database = server.removesuffix("/postgres") + f"/{name}"
        url = self.database.replace("postgresql://", "postgresql+psycopg2://")
        self.api = f"http://127.0.0.1:{self.port}"
        self.extra = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{url}",
            "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.api,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.api}/execution/",
            # Machines share no airflow.cfg, so what Airflow would write into it must be the same for all.
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            # The dead are noticed by their silence; a test need not wait for minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
            "CLIPQUARRY_ONLY": ",".join(BOTH),
            **extra,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.gone: set[str] = set()

    def airflow(self, name: str) -> Airflow:
        """Each component has an AIRFLOW_HOME of its own, as it would have on another machine."""
        return Airflow(self.folder / name, self.data, self.extra)

    def start(self, name: str, *arguments: str, **environment: str) -> None:
        with open(self.log(name), "ab") as handle:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments], env={**self.airflow(name).environment, **environment},
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True,
            )  # fmt: skip

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def until(self, true: Callable[[], Any], what: str, seconds: float = 240) -> Any:
        """Wait; a component that has ended meanwhile is an error of its own."""

        def looked() -> Any:
            for name, process in self.processes.items():
                assert name in self.gone or process.poll() is None, f"{name} has ended while waiting: {what}"
            return true()

        return until(looked, what, seconds)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def call(self, method: str, path: str, **body: Any) -> Any:
        token = requests.get(f"{self.api}/auth/token", timeout=30).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.request(method, f"{self.api}/api/v2/{path}", json=body or None, headers=headers, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:2000]}"
        return answer.json()

    def is_up(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.api}/api/v2/monitor/health", timeout=10).ok
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for name in self.processes:
                tail = self.log(name).read_text(errors="replace").splitlines()[-40:]
                print(f"--- {name}", *tail, sep="\n")
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + 15
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, end - time.monotonic()))
        # Tasks have groups of their own, and steps sessions of their own.
        while left := self.processes_left():
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.2)
        for process in self.processes.values():
            process.wait(10)

    def processes_left(self) -> list[psutil.Process]:
        """All that runs of this deployment. Celery writes its title over its environment; its session tells."""
        sessions = {process.pid for process in self.processes.values()}
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                ours = environment(process).get("CLIPQUARRY_DATA") == str(self.data.root)
                if is_alive(process) and (ours or os.getsid(process.pid) in sessions):
                    found.append(process)
        return found

    def states(self, task: str = "fetch") -> dict[tuple[str, int], tuple[str, int]]:
        """Data set and shard to state and number of the try."""
        found = self.ask("SELECT dag_id, map_index, state, try_number FROM task_instance WHERE task_id = %s", task)
        return {(dag, index): (str(state), tries) for dag, index, state, tries in found if index >= 0}

    def fetches(self) -> dict[psutil.Process, str]:
        """Fetch steps that really run, whatever Airflow believes, and the worker of each."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = process.cmdline()
                if line[1:5] == ["-m", "clipquarry", "step", "fetch"] and str(self.data.root) in line:
                    found[process] = (process.ppid(), environment(process).get(MARK, ""))
        # A step's child looks like the step until it has become ffmpeg.
        pids = {process.pid for process in found}
        return {process: worker for process, (parent, worker) in found.items() if parent not in pids}


def environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except (psutil.Error, OSError):
        return {}


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class Sampler(threading.Thread):
    """Looks several times a second how much of the pool is taken: by Airflow's word, and by counting processes."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(name="sampler", daemon=True)
        self.cluster, self.end = cluster, threading.Event()
        self.taken: Counter[int] = Counter()
        self.running: Counter[int] = Counter()
        self.seen: Counter[str] = Counter()
        self.most: list[str] = []
        """The most fetches that ran at once: who they were."""
        self.error: BaseException | None = None

    def run(self) -> None:
        query = "SELECT count(*) FROM task_instance WHERE pool = %s AND state IN ('queued', 'running')"
        try:
            while not self.end.wait(0.3):
                self.taken[self.cluster.ask(query, POOL)[0][0]] += 1
                fetches = self.cluster.fetches()
                self.running[len(fetches)] += 1
                self.seen.update(fetches.values())
                if len(fetches) > len(self.most):
                    self.most = [f"{worker}: {process}" for process, worker in fetches.items()]
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self.join(30)


def begin(cluster: Cluster) -> None:
    """Start all components; wait until they are ready and know both DAGs."""
    done = cluster.airflow("api-server").call("db", "migrate", timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    pools = [sys.executable, "-m", "clipquarry_airflow.settings_file", PROJECT / "airflow_settings.yaml"]
    subprocess.run(pools, env=cluster.airflow("api-server").environment, check=True, timeout=120)
    cluster.start("api-server", "api-server")
    cluster.start("scheduler", "scheduler", "--skip-serve-logs")
    cluster.start("dag-processor", "dag-processor")
    cluster.start("triggerer", "triggerer", "--skip-serve-logs")
    for name in WORKERS:
        worker = ["celery", "worker", "--concurrency", "2", "--celery-hostname", f"{name}@%h", "--skip-serve-logs"]
        cluster.start(name, *worker, **{MARK: name})
    cluster.until(cluster.is_up, "the API server answers")
    for name in WORKERS:
        cluster.until(lambda name=name: " ready." in cluster.log(name).read_text(errors="replace"), f"{name} is ready")
    known = "SELECT count(DISTINCT dag_id) FROM serialized_dag WHERE dag_id IN (%s, %s)"
    cluster.until(lambda: cluster.ask(known, *BOTH) == [(2,)], "both DAGs are there")
    assert cluster.call("GET", f"pools/{POOL}")["slots"] == SLOTS
