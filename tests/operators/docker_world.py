"""What tests of the docker runtime on the real engine share: a data root that must be left clean, and steps that do odd things."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry_airflow.engine import deployment_of
from clipquarry_airflow.operators.docker import DockerStepOperator
from docker_engine import containers
from frames_shard import JOB, context

SLEEP = "import signal, sys, time, os\nopen(sys.argv[1] + '/begun', 'w')\n{}time.sleep(300)"


class OddStep(DockerStepOperator):
    """The container of a step, with another program in it: what the step's code could not do is shown by code that tries."""

    def __init__(self, *, code: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entrypoint = ["tini", "-g", "--", "python", "-c", code]

    def argv(self, data: Path) -> list[str]:
        return [str(data)]


@pytest.fixture
def data(tmp_path: Path, media_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "a data root"
    root.mkdir()
    monkeypatch.setenv("CLIPQUARRY_DATA", str(root))
    yield root
    left = containers(deployment=deployment_of(str(root)))
    if left:
        subprocess.run(["docker", "rm", "-f", *left], check=True, stdout=subprocess.DEVNULL)
    assert not left, "a container was left behind"


def odd(code: str, step: str = "frames") -> OddStep:
    return OddStep(code=code, task_id="frames", step=step, job=JOB)


def wait_for(what: Any, seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def in_thread(operator: DockerStepOperator, **params: Any) -> tuple[threading.Thread, list[BaseException]]:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            operator.execute(context(**params))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, caught
