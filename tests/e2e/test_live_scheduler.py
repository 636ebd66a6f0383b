"""``make up`` for real: its scheduler and workers are killed with -9 in the middle of a run, and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from clipquarry.demo.origin import Origin
from clipquarry.settings import DataRoot
from deployment import Deployment
from e2e_airflow import Airflow, lock_of, until
from kills import attempts_of

pytestmark = pytest.mark.timeout(1500)

DATASET, RUN = "kinetics_demo", "one"
IN_WORK = 16
"""Attempts that a killed shard may make twice: of four videos at once, with four clips each at most."""


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
    made = Deployment(Airflow(tmp_path / "airflow", DataRoot(tmp_path / "data")), tmp_path / "up.log", DATASET)
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
    deployment.trigger(DATASET, RUN, resize=True, short_edge=128, shards=3)

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
    assert deployment.state(DATASET, RUN) == "running"
    deployment.kill()
    assert not deployment.tree()
    assert not (data.release(DATASET) / RUN).exists()

    deployment.start()
    until(lambda: deployment.state(DATASET, RUN) in ("success", "failed"), "the run ends", 600)
    assert deployment.state(DATASET, RUN) == "success", deployment.log.read_text()[-3000:]

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
