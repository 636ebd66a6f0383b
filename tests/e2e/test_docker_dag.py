"""The real DAGs with every step in a container of the real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
import pytest
from clipquarry.demo.origin import Origin
from clipquarry.pipeline.summary import run_summary
from clipquarry.release.lock import open_lock
from clipquarry.settings import DataRoot
from clipquarry_airflow.engine import deployment_of
from docker_engine import containers
from e2e_airflow import PROJECT, Airflow, until
from test_live_scheduler import Deployment

pytestmark = pytest.mark.timeout(1500)

# The demo's source is on this machine's loopback, which a container sees on the host's network only.
DOCKER = {"CLIPQUARRY_RUNTIME": "docker", "CLIPQUARRY_DOCKER_NETWORK": "host"}
PARAMS: dict[str, Any] = {"resize": True, "frames": True, "shards": 2, "short_edge": 128, "splits": ["val"]}


def release(data: DataRoot, run: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Rows of the lock, and its tools."""
    with open_lock(data.release("kinetics_demo") / run / "kinetics_demo.lock") as lock:
        return {row.path: row for row in lock}, dict(lock.header.tools)


def test_containers_make_what_processes_make(
    airflow: Airflow, demo_origin: Origin, media_image: str, tmp_path: Path
) -> None:
    in_docker = replace(airflow, extra=DOCKER)
    code, summary, run, log = in_docker.run("kinetics_demo", "kinetics_demo", **PARAMS)
    assert code == 0, log[-3000:]
    assert "Starting docker container from image" in log
    rows, tools = release(in_docker.data, run)
    assert rows
    assert tools["ffmpeg_origin"] == "wheel", "the lock says what did the work, not what the worker has"
    assert not containers(deployment=deployment_of(str(airflow.data.root)))
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in airflow.data.root.rglob("*")}
    assert len(owners) == 1, "the worker's and the containers' files have one owner"

    other = tmp_path / "other"
    other.mkdir()
    as_process = {**os.environ, "CLIPQUARRY_FFMPEG": imageio_ffmpeg.get_ffmpeg_exe(), "CLIPQUARRY_DATA": str(other)}
    argv = [sys.executable, "-m", "clipquarry", "run", "kinetics_demo", "--run", run]
    options = [text for name, value in PARAMS.items() for text in ("--set", f"{name}={json.dumps(value)}")]
    subprocess.run([*argv, *options], env=as_process, check=True, capture_output=True)
    process_rows, process_tools = release(DataRoot(other), run)
    assert rows == process_rows, "the same bytes"
    assert tools["ffmpeg"] == process_tools["ffmpeg"]
    expected = run_summary(DataRoot(other), "kinetics_demo", run)
    assert {**summary, "report": None, "sentence": ""} == {**expected, "report": None, "sentence": ""}


def test_a_task_that_takes_too_long_leaves_no_container(airflow: Airflow, media_image: str, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "slow.py").write_text(
        textwrap.dedent(f"""
        import sys
        from datetime import datetime, timedelta
        sys.path[:0] = [{str(PROJECT / "tests")!r}, {str(PROJECT / "tests" / "operators")!r}]
        from airflow.sdk import DAG
        from docker_world import SLEEP, OddStep
        from frames_shard import JOB

        with DAG("slow", schedule=None, start_date=datetime(2026, 1, 1)):
            OddStep(task_id="frames", step="frames", job=JOB, code=SLEEP.format(""), execution_timeout=timedelta(seconds=6))
        """)
    )
    (airflow.data.root / "run").mkdir()
    (airflow.data.root / "run" / "params.json").write_text(json.dumps({}))
    slow = replace(airflow, extra={**DOCKER, "AIRFLOW__CORE__DAGS_FOLDER": str(dags)})
    done = slow.call("dags", "test", "slow", timeout=120)
    assert done.returncode == 1
    assert (airflow.data.root / "begun").exists(), "the container ran"
    assert "Timeout" in done.stdout
    assert not containers(deployment=deployment_of(str(airflow.data.root)))


def test_cancelled_and_killed_tasks_of_the_live_airflow(media_image: str, demo_origin: Origin, tmp_path: Path) -> None:
    demo_origin.set_plan({"videos/*": {"do": "slow", "seconds": 120}})
    (tmp_path / "data").mkdir()
    airflow = Airflow(tmp_path / "airflow", DataRoot(tmp_path / "data"), extra=dict(DOCKER))
    deployment = Deployment(airflow, tmp_path / "up.log", "kinetics_demo")
    ours = deployment_of(str(airflow.data.root))

    def shard(number: int) -> list[str]:
        return containers(deployment=ours, task="fetch", map_index=str(number))

    try:
        deployment.start_until_ready()
        deployment.trigger("kinetics_demo", "one", shards=2)
        until(lambda: shard(0) and shard(1), "two shards are fetched at once", 200)

        # A person marks a running task as failed.
        deployment.call("PATCH", "dags/kinetics_demo/dagRuns/one/taskInstances/fetch/0", new_state="failed")
        until(lambda: not shard(0), "its container is gone", 30)

        # A worker is killed: its container lives on, until the next try of the shard.
        (first,) = shard(1)
        labels = json.loads(subprocess.run(["docker", "inspect", first], capture_output=True, check=True).stdout)[0][
            "Config"
        ]["Labels"]
        task = psutil.Process(int(labels["org.clipquarry.process"].partition(":")[0]))
        watcher = task.parent()
        assert watcher is not None
        for process in (watcher, task):
            process.kill()
        # It is held where it is: of a shard that an orphan finishes, the next try would read the result and start nothing.
        subprocess.run(["docker", "pause", first], check=True, stdout=subprocess.DEVNULL)
        assert shard(1) == [first]
        until(lambda: (now := shard(1)) and first not in now, "the next try has made another one", 200)
        assert len(shard(1)) == 1
    finally:
        deployment.stop()
        for left in containers(deployment=ours):
            subprocess.run(["docker", "rm", "-f", left], check=True, stdout=subprocess.DEVNULL)


def test_housekeeping_removes_what_no_task_owns(airflow: Airflow, media_image: str) -> None:
    labels = {
        "deployment": deployment_of(str(airflow.data.root)),
        "dag": "gone",
        "run": "r",
        "task": "fetch",
        "map_index": "3",
    }
    marks = [f"--label=org.clipquarry.{name}={value}" for name, value in labels.items()]
    subprocess.run(
        ["docker", "run", "--detach", *marks, "--entrypoint=sleep", media_image, "300"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert containers(deployment=labels["deployment"])
    done = replace(airflow, extra=DOCKER).call("dags", "test", "clipquarry_housekeeping", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Removed 1 containers" in done.stdout
    assert not containers(deployment=labels["deployment"])
