"""Two Celery workers with one data root run two data sets at once; one worker dies in the middle of a download."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from celery_cluster import BOTH, FIRST, SECOND, SLOTS, WORKERS, Cluster, Sampler, begin, is_alive
from clipquarry.acquire.budget import Budget
from clipquarry.datasets.load import PACKAGED
from clipquarry.demo.origin import Origin
from clipquarry.families.clips.sample import SHORT
from clipquarry.files import read_json
from clipquarry.manifest import read_rows
from clipquarry.pipeline.sample import Served
from clipquarry.run_folder import result_path
from clipquarry.settings import DataRoot
from e2e_airflow import lock_of, until
from ports import free_port
from postgres_server import fresh_schema

pytestmark = pytest.mark.timeout(1200)
RUN = "one"
CONF = {"shards": 4, "jobs": 1}


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
