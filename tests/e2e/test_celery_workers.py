"""Two Celery workers with one data root run two data sets at once; one worker dies in the middle of a download."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg
import pytest
import requests
from clipquarry.acquire.budget import Budget
from clipquarry.datasets.load import PACKAGED
from clipquarry.demo.origin import Origin
from clipquarry.families.clips.sample import SHORT
from clipquarry.files import read_json
from clipquarry.manifest import read_rows
from clipquarry.pipeline.sample import Served
from clipquarry.run_folder import result_path
from clipquarry.settings import DataRoot
from cryptography.fernet import Fernet
from e2e_airflow import PROJECT, Airflow, lock_of, until
from ports import free_port
from postgres_server import fresh_schema

pytestmark = pytest.mark.timeout(1200)

FIRST, SECOND, RUN = "kinetics_demo", "kinetics_again", "one"
BOTH = (FIRST, SECOND)
POOL, SLOTS = "clipquarry_egress", 2
WORKERS = ("w1", "w2")
MARK = "CLIPQUARRY_TEST_WORKER"
"""Names a worker in the environment of all that it starts."""
CONF = {"shards": 4, "jobs": 1}


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


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """URL of a private Redis."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("No Redis server is installed: several workers are not tested.")
    port = free_port()
    folder = tmp_path / "redis"
    folder.mkdir()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([binary, *options], stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: b"Ready to accept" in (folder / "log").read_bytes(), "Redis listens", 30)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def second_data_set(tmp_path: Path) -> Path:
    """A folder with a second data set that wants the same clips of the same videos."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    text = (PACKAGED / f"{FIRST}.yaml").read_text(encoding="utf-8")
    (folder / f"{SECOND}.yaml").write_text(text.replace(FIRST, SECOND), encoding="utf-8")
    return folder


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


def is_between(cluster: Cluster) -> bool:
    """Each data set has a shard that is done and one that is not."""
    states = cluster.states()
    return all(
        {True, False} == {state == "success" for (dag, _), (state, _) in states.items() if dag == b} for b in BOTH
    )


def out(step: psutil.Process) -> str:
    line = step.cmdline()
    return line[line.index("--out") + 1]


@dataclass(frozen=True)
class Death:
    """A worker that was killed, and what it had under way: shards (by their output) and source videos."""

    worker: str
    shards: frozenset[str]
    videos: frozenset[str]
    others: frozenset[str]
    """Shards under way at the other worker."""


def kill_in_the_middle(cluster: Cluster) -> Death:
    """-9 to a worker and its tasks in the middle of a download, when both data sets have shards done and shards to do."""

    def frozen() -> tuple[Death, list[psutil.Process]] | None:
        if not is_between(cluster) or not (workers := cluster.fetches()):
            return None
        name = next(iter(workers.values()))
        worker = psutil.Process(cluster.processes[name].pid)
        tree = [worker, *worker.children(recursive=True)]
        steps = [process for process in cluster.fetches() if process in tree]
        # Stopped, they can be looked at in peace: what they hold now is what they hold when they die.
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        shards, videos = set(), set()
        for step in steps:
            with contextlib.suppress(psutil.Error):
                if held := {Path(file.path).stem for file in step.open_files() if file.path.endswith(".lock")}:
                    videos |= held
                    shards.add(out(step))
        if videos:
            others = {out(step) for step, other in workers.items() if other != name}
            return Death(name, frozenset(shards), frozenset(videos), frozenset(others)), tree
        for process in reversed(tree):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        return None

    death, tree = cluster.until(frozen, "both data sets are in the middle, and a worker downloads", 400)
    cluster.gone.add(death.worker)
    worker = cluster.processes[death.worker]
    for process in tree:  # the worker, who watches its tasks, and the tasks; steps have sessions of their own
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == worker.pid:
                process.kill()
    worker.wait()
    for process in tree:  # a step that was stopped while it started must go on to see that it is alone
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            process.resume()
    until(lambda: not any(map(is_alive, tree)), "the steps die with their worker", 40)
    return death


def written(result: Path) -> int:
    """When the result of a step was written, in nanoseconds."""
    return result_path(result).stat().st_mtime_ns


def test_a_dead_worker_loses_nothing_and_repeats_nothing(
    postgres: str, broker: str, demo_set: Served, demo_origin: Origin, second_data_set: Path, tmp_path: Path
) -> None:
    dead = {path: how for path, how in demo_origin.script.plan.items() if how["do"] in ("404", "410", "html")}
    demo_origin.set_plan({**dead, "videos/*": {"do": "slow", "seconds": 1}})
    (tmp_path / "data").mkdir()
    data = DataRoot(tmp_path / "data")
    own = {"CLIPQUARRY_DATASETS": str(second_data_set)}
    with Cluster(tmp_path, data, postgres, broker, {**own, "CLIPQUARRY_LEDGER": fresh_schema(postgres)}) as cluster:
        begin(cluster)
        with Sampler(cluster) as sampler:
            for name in BOTH:
                cluster.call("POST", f"dags/{name}/dagRuns", dag_run_id=RUN, logical_date=None, conf=CONF)
            death = kill_in_the_middle(cluster)
            at_kill = cluster.states()
            outs = {
                (name, index): data.root / job["out"]
                for name in BOTH
                for index, job in enumerate(read_json(data.run(name, RUN) / "plan.json")["jobs"]["fetch"])
            }
            finished = {shard: written(outs[shard]) for shard, (state, _) in at_kill.items() if state == "success"}

            def ended() -> dict[str, str]:
                found = dict(cluster.ask("SELECT dag_id, state FROM dag_run WHERE state IN ('success', 'failed')"))
                return found if len(found) == len(BOTH) else {}

            assert cluster.until(ended, "both runs end", 600) == dict.fromkeys(BOTH, "success")
        asked, states = Counter(demo_origin.asked), cluster.states()

    # Nothing is done twice: shards that were finished, or under way elsewhere, had one try; those of the dead had two.
    tries = {shard: tries for shard, (_, tries) in states.items()}
    assert {name for name, _ in finished} == set(BOTH), "each data set had finished shards"
    assert {shard: written(outs[shard]) for shard in finished} == finished
    assert {tries[shard] for shard in finished} == {1}
    assert death.shards and {tries[shard] for shard, path in outs.items() if str(path) in death.shards} == {2}
    assert {tries[shard] for shard, path in outs.items() if str(path) in death.others} <= {1}

    # A source video is fetched once for both data sets, but for those that the dead worker was fetching. The short one
    # is asked for its second window by each: nobody can know that it ends before it.
    served = {f"videos/{path.name}" for path in (demo_set.folder / "videos").glob("*.mp4")} - set(dead)
    assert len(served) == 11
    for path in served:
        video_id, times = Path(path).stem, asked[path]
        assert 1 <= times <= 1 + (video_id == SHORT) + (video_id in death.videos), f"{video_id}: {times}"
    made: Counter[str] = Counter()
    for name in BOTH:
        made.update(
            row["clip_id"] for row in read_rows(data.run(name, RUN) / "results.parquet") if row["status"] == "done"
        )
    assert made and set(made.values()) == {1}, "a clip is cut for one data set and linked for the other"

    # The pool holds over all workers and through the death: by Airflow's word and by the processes that really run.
    assert sampler.error is None and sampler.seen.keys() == set(WORKERS)
    assert max(sampler.taken) == SLOTS and len(sampler.most) == SLOTS, (sampler.taken, sampler.running, sampler.most)

    # Nothing is lost: the locks are those of undisturbed runs, each with a data root and a ledger of its own.
    demo_origin.set_plan(dead)
    for name in BOTH:
        calm = tmp_path / f"calm-{name}"
        argv = ["run", name, "--run", RUN, "--shards", str(CONF["shards"])]
        env = {**os.environ, **own, "CLIPQUARRY_DATA": str(calm)}
        subprocess.run([sys.executable, "-m", "clipquarry", *argv], env=env, check=True, capture_output=True)
        assert lock_of(DataRoot(calm), name, RUN) == lock_of(data, name, RUN)


TAKE = """
import sys
import time
from pathlib import Path
from clipquarry.acquire.budget import Budget
while not Path(sys.argv[2]).exists():
    time.sleep(0.01)
budget, refused = Budget(Path(sys.argv[1]), pause=0, per_hour=50), 0
while refused < 20:
    if budget.take() == 0:
        print("taken", flush=True)
    else:
        refused += 1
"""


def test_workers_never_exceed_the_hours_number(tmp_path: Path) -> None:
    """Four processes that know nothing of each other but the folder, as the steps of several workers do."""
    go = tmp_path / "go"
    argv = [sys.executable, "-c", TAKE, str(tmp_path / "egress"), str(go)]
    children = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    go.touch()
    taken = [len(child.communicate(timeout=60)[0].split()) for child in children]
    assert all(child.returncode == 0 for child in children)
    assert sum(taken) == 50 == Budget(tmp_path / "egress").used(), taken
