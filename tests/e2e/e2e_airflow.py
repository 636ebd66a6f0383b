"""The real Airflow on SQLite, in processes of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipyard.pipeline.summary import run_summary
from clipyard.settings import DataRoot

PROJECT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


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


@dataclass
class Airflow:
    """An AIRFLOW_HOME with a migrated database, and a data root."""

    home: Path
    data: DataRoot
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CLIPYARD_DATA": str(self.data.root),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **self.extra,
        }

    def call(self, *arguments: str, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        """``airflow …``; standard error is part of the output."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments], env=self.environment, text=True, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip

    def run(self, dag: str, dataset: str, **conf: Any) -> tuple[int, dict[str, Any], str, str]:
        """Run a DAG to its end: exit code, summary, run folder's name, log."""
        before = {path.name for path in self.data.runs(dataset).glob("*")}
        done = self.call("dags", "test", dag, "--conf", json.dumps(conf))
        new = sorted({path.name for path in self.data.runs(dataset).glob("*")} - before)
        assert len(new) == 1, done.stdout[-4000:]
        return done.returncode, run_summary(self.data, dataset, new[0]), new[0], done.stdout
