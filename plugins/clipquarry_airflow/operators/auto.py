"""The ``auto`` runtime: the worker of each shard decides by :mod:`clipquarry_airflow.choice` where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk.definitions.context import Context

from clipquarry_airflow.choice import choose_for
from clipquarry_airflow.operators.step import StepOperator
from clipquarry_airflow.runtimes import operator_class


class AutoStepOperator(StepOperator):
    """Runs the step with the operator of the chosen runtime."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._chosen: StepOperator | None = None

    @property
    def where(self) -> str:
        return self._chosen.where if self._chosen is not None else "auto"

    def run_step(self, data: Path, context: Context) -> tuple[int, str]:
        choice = choose_for(self.step, data / self.job["params"], data)
        self.log.info(
            "The step runs in %s, because %s.", "a container" if choice.runtime == "docker" else "a process", choice.why
        )
        self._chosen = operator_class(choice.runtime)(
            task_id=self.task_id, step=self.step, job=self.job, jobs=self.jobs
        )
        return self._chosen.run_step(data, context)

    def on_kill(self) -> None:
        """Cancelled or timed out: the chosen runtime ends the step."""
        if self._chosen is not None:
            self._chosen.on_kill()
