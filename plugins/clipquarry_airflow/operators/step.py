"""The base of every runtime's step operator: the command line, the result file, the wait."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException
from clipquarry.errors import ClipquarryError
from clipquarry.files import as_object, disk_errors, known_object, write_json
from clipquarry.run_folder import result_path
from clipquarry.settings import Settings

from clipquarry_airflow.operators.outcome import airflow_error, defer_until, raise_for, read_outcome
from clipquarry_airflow.operators.plain import explain


def _note_runtime(result_file: Path, where: str) -> None:
    """Note in a step's result where it ran. The file's owner stays the same, even if the worker is root."""
    owner = result_file.stat()
    write_json(result_file, {**known_object(result_file), "runtime": where})
    if os.geteuid() == 0:
        os.chown(result_file, owner.st_uid, owner.st_gid)


class StepOperator(BaseOperator):
    """Runs ``clipquarry step`` on one shard; a runtime implements :meth:`run_step`.

    ``job`` is the shard, with paths relative to the data root: ``{"name", "items", "params", "out"}``; the plan
    creates it. Live output goes to the task's log. On a wait the task is deferred: it holds no worker slot, and
    starts again at the step's time. The result is read from the file that the step leaves in the workspace, never
    from its output, and never unpickled.
    """

    ui_color = "#f3e9d8"
    template_fields = ()  # labels and ids of a data set are data, never templates

    def __init__(self, *, step: str, job: dict[str, str] | None = None, jobs: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step, self.job, self.jobs = step, job or {}, jobs

    def argv(self, data: Path) -> list[str]:
        """The command line, without the program: what every runtime runs."""
        return [
            "step", self.step,
            "--items", str(data / self.job["items"]),
            "--params", f"@{data / self.job['params']}",
            "--out", str(data / self.job["out"]),
            "--data", str(data),
            "--jobs", str(self.jobs),
        ]  # fmt: skip

    @property
    def where(self) -> str:
        """The runtime in words, after the step has run: ``process``, ``docker (IMAGE)``. The report shows it."""
        return "unknown"

    def run_step(self, data: Path, context: Context) -> tuple[int, str]:
        """Run :meth:`argv`; returns the exit status, and what the runtime knows about an end that the step could not
        report.
        """
        raise NotImplementedError

    def execute(self, context: Context, event: Any = None) -> dict[str, int]:
        from clipquarry.pipeline.finished import finished_shard
        from clipquarry.pipeline.plan_files import check_job

        root = Settings.from_env().data
        data, out = root.root, root.root / self.job["out"]
        if (finished := finished_shard(root, self.step, out)) is not None:
            self.log.info("An earlier try finished this shard and could not say so: %s", finished.get("sentence"))
            return as_object(finished.get("counts"))
        self.jobs = int(context["params"].get("jobs") or self.jobs)
        result_file = result_path(out)
        try:
            with disk_errors(result_file):
                result_file.unlink(missing_ok=True)
            check_job(data, self.job)
            returncode, why = self.run_step(data, context)
        except ClipquarryError as error:  # a damaged plan, or the runtime's own settings
            red = airflow_error(error)
            explain(self.log.error, red)
            raise red from None
        if result_file.exists():
            _note_runtime(result_file, self.where)
        outcome = read_outcome(result_file, returncode, why)
        try:
            raise_for(outcome)
        except AirflowException as error:
            explain(self.log.error, error)
            raise
        self.log.info("%s", outcome.sentence)
        if outcome.resume_at is not None:
            defer_until(self, outcome.resume_at)
        return outcome.counts
