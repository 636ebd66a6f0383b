"""Containers of workers that died are removed on the real engine; those of the living stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clipquarry_airflow.engine import deployment_of
from clipquarry_airflow.operators.docker import DockerStepOperator
from clipquarry_airflow.orphans import remove_ended, remove_orphans, shard_labels
from docker_engine import containers
from docker_world import data as data
from docker_world import wait_for
from frames_shard import context, make_shard

import docker

pytestmark = pytest.mark.timeout(300)
WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
from frames_shard import context
from docker_world import SLEEP, odd
odd(SLEEP.format("")).execute(context(run=sys.argv[2]))
"""


def start_worker(data: Path, run: str) -> subprocess.Popen[bytes]:
    """A worker process whose task waits for a container."""
    (data / "begun").unlink(missing_ok=True)
    tests = Path(__file__).parent
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tests), run],
        env={**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for((data / "begun").exists, 60)
    return worker


def test_a_killed_workers_container_is_removed_by_the_next_step(data: Path) -> None:
    make_shard(data)
    worker = start_worker(data, "run 1")
    other = start_worker(data, "run 2")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    deployment = deployment_of(str(data))
    assert len(containers(deployment=deployment)) == 2, "the engine does not notice that the worker died"
    cli = docker.APIClient()
    labels = shard_labels(str(data), context(run="run 3"))
    removed = remove_orphans(cli, labels, DockerStepOperator(task_id="x", step="frames").log)
    assert len(removed) == 1
    assert containers(deployment=deployment) == containers(run="run 2"), "that of the living worker stays"
    # The same shard's next try takes over, whoever is alive.
    remove_orphans(
        cli, shard_labels(str(data), context(run="run 2")), DockerStepOperator(task_id="x", step="frames").log
    )
    assert not containers(deployment=deployment)
    other.kill()
    other.wait()


def test_housekeeping_asks_airflow(data: Path) -> None:
    make_shard(data)
    workers = [start_worker(data, f"run {number}") for number in (1, 2, 3)]
    for worker in workers:
        worker.kill()
        worker.wait()
    states = {"run 1": {"frames_0": "running"}, "run 2": {"frames_0": "failed", "frames_1": "running"}, "run 3": {}}
    log = DockerStepOperator(task_id="x", step="frames").log
    removed = remove_ended(docker.APIClient(), deployment_of(str(data)), lambda _, run: states[run], log)
    assert len(removed) == 2
    assert containers(deployment=deployment_of(str(data))) == containers(run="run 1")
    remove_ended(docker.APIClient(), deployment_of(str(data)), lambda *_: {}, log)
