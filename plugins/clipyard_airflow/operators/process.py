"""The ``process`` runtime: a step is a child process of the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import clipyard
from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from clipyard.settings import Settings

from clipyard_airflow.operators.outcome import raise_for, read_outcome

GRACE_SECONDS = 10
"""Between SIGTERM and SIGKILL when a task is cancelled."""


class ProcessStepOperator(BaseOperator):
    """Runs ``clipyard step`` on one shard.

    ``job`` says which: paths relative to the data root, ``{"name", "items", "params", "out"}``; the plan makes it. Live output goes
    to the task's log. On a wait the task is deferred: it holds no worker slot and starts again at the time the step named.
    """

    ui_color = "#f3e9d8"

    def __init__(self, *, step: str, job: dict[str, str] | None = None, jobs: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step, self.job, self.jobs = step, job or {}, jobs
        self._child: subprocess.Popen[str] | None = None

    def argv(self, data: Path) -> list[str]:
        """The command line: what every runtime runs."""
        return [
            "step", self.step,
            "--items", str(data / self.job["items"]),
            "--params", f"@{data / self.job['params']}",
            "--out", str(data / self.job["out"]),
            "--data", str(data),
            "--jobs", str(self.jobs),
        ]  # fmt: skip

    def execute(self, context: Context, event: Any = None) -> dict[str, int]:
        from clipyard.steps.runner import result_path  # reads tables; not at parse

        data = Settings.from_env().data.root
        self.jobs = int(context["params"].get("jobs") or self.jobs)
        result_file = result_path(data / self.job["out"])
        result_file.unlink(missing_ok=True)
        returncode = self._run([sys.executable, "-m", "clipyard", *self.argv(data)])
        outcome = read_outcome(result_file, returncode)
        self.log.info("%s", outcome.sentence)
        raise_for(outcome)
        if outcome.resume_at is not None:
            self._wait(outcome.resume_at)
        return outcome.counts

    def _wait(self, moment: Any) -> None:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.log.info("Waiting until %s without a worker slot.", moment.isoformat())
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="execute")

    def _run(self, command: list[str]) -> int:
        # Found also where the package is not installed but lies in include/ (the astro CLI).
        include = str(Path(clipyard.__file__).parents[1])
        path = os.pathsep.join(filter(None, [include, os.environ.get("PYTHONPATH", "")]))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "CLIPYARD_DIE_WITH_PARENT": "1"}
        self._child = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True,
        )  # fmt: skip
        try:
            assert self._child.stdout is not None
            for line in self._child.stdout:
                self.log.info("%s", line.rstrip("\n"))
            return self._child.wait()
        finally:
            self.on_kill()

    def on_kill(self) -> None:
        """Cancelled or timed out: the step's whole process group goes."""
        child, self._child = self._child, None
        if child is None or child.poll() is not None:
            return
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
