"""The ``process`` runtime: a step is a child process of the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import clipquarry
from airflow.sdk.definitions.context import Context
from clipquarry.errors import UserError

from clipquarry_airflow.folders import extra_roots
from clipquarry_airflow.operators.step import StepOperator

GRACE_SECONDS = 10
"""Seconds between SIGTERM and SIGKILL when a task is cancelled."""


class ProcessStepOperator(StepOperator):
    """Runs the step with the worker's own Python."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._child: subprocess.Popen[str] | None = None

    where = "process"

    def run_step(self, data: Path, context: Context) -> tuple[int, str]:
        for _, folder in extra_roots(data):
            if not Path(folder).is_dir() or not os.access(folder, os.W_OK):
                raise UserError(
                    f"CLIPQUARRY_EXTRA_ROOTS names {folder}, which is no folder that this worker can write."
                )
        # Works also if the package is not installed but lies in include/ (the astro CLI).
        include = str(Path(clipquarry.__file__).parents[1])
        path = os.pathsep.join(filter(None, [include, os.environ.get("PYTHONPATH", "")]))
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "CLIPQUARRY_DIE_WITH_PARENT": str(os.getpid()),
        }
        child = self._child = subprocess.Popen(
            [sys.executable, "-m", "clipquarry", *self.argv(data)], env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            assert child.stdout is not None
            for line in child.stdout:
                self.log.info("%s", line.rstrip("\n"))
            return child.wait(), ""
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
