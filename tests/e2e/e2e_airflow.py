"""The real Airflow on SQLite, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clipquarry.pipeline.summary import run_summary
from clipquarry.settings import DataRoot

PROJECT = Path(__file__).parents[2]


def until(true: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    """Wait for a true value, and give it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def lock_of(data: DataRoot, dataset: str, run: str) -> bytes:
    return (data.release(dataset) / run / f"{dataset}.lock").read_bytes()


class LoadedAirflow:
    """A process that has loaded Airflow and runs commands in children of its own (:mod:`loaded_airflow`)."""

    def __init__(self, environment: dict[str, str]) -> None:
        program = Path(__file__).with_name("loaded_airflow.py")
        self.process = subprocess.Popen(
            [sys.executable, program], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._answer() == "ready"

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def call(
        self, arguments: tuple[str, ...], environment: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """``airflow …`` in the given environment; ``timeout`` in seconds, after which it is killed with all that it started."""
        assert self.process.stdin is not None
        with TemporaryDirectory() as folder:
            output = Path(folder) / "output"
            asked = {"arguments": arguments, "environment": environment, "output": str(output)}
            print(json.dumps(asked), file=self.process.stdin, flush=True)
            child = int(self._answer())
            timer = threading.Timer(timeout, _kill_session, [child])
            timer.start()
            code = int(self._answer())
            timer.cancel()
            said = output.read_text(errors="replace")
        if code == -signal.SIGKILL:
            raise subprocess.TimeoutExpired(["airflow", *arguments], timeout, said)
        return subprocess.CompletedProcess(["airflow", *arguments], code, said)

    def close(self) -> None:
        """End it: it goes with its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def _kill_session(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@dataclass
class Airflow:
    """An AIRFLOW_HOME with a migrated database, and a data root."""

    home: Path
    data: DataRoot
    extra: dict[str, str] = field(default_factory=dict)
    loaded: LoadedAirflow | None = None
    """Runs the commands where there is one for this home; else each is a process of its own."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CLIPQUARRY_DATA": str(self.data.root),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **self.extra,
        }

    def call(self, *arguments: str, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        """``airflow …``; standard error is part of the output."""
        if self.loaded is not None:
            return self.loaded.call(arguments, self.environment, timeout)
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments], env=self.environment, text=True, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip

    def run(self, dag: str, dataset: str, **conf: Any) -> tuple[int, dict[str, Any], str, str]:
        """Run a DAG to its end: exit code, summary, run folder's name, log."""
        before = {path.name for path in self.data.runs(dataset).glob("*")}
        # Of all data sets' DAGs, each of which takes half a second to parse, only this one's.
        alone = replace(self, extra={"CLIPQUARRY_ONLY": dataset, **self.extra})
        done = alone.call("dags", "test", dag, "--conf", json.dumps(conf))
        new = sorted({path.name for path in self.data.runs(dataset).glob("*")} - before)
        assert len(new) == 1, done.stdout[-4000:]
        return done.returncode, run_summary(self.data, dataset, new[0]), new[0], done.stdout
