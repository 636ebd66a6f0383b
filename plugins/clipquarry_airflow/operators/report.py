"""The operator of the stage ``report``, which also notes failed tasks that left no error message."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.context import Context
from clipquarry.run_folder import RunFolder

from clipquarry_airflow.operators.stage import StageOperator

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext


class ReportOperator(StageOperator):
    """Writes the report. Tasks that failed without a message (killed, out of time) are failures of the run too."""

    def before(self, run: RunContext, context: Context) -> None:
        run_id = str(context["run_id"])
        states = context["ti"].get_task_states(dag_id=context["dag"].dag_id, run_ids=[run_id]).get(run_id, {})
        note_lost_tasks(run.folder, states, context["dag"].task_ids)


def note_lost_tasks(folder: Path, states: Mapping[str, Any], tasks: Collection[str]) -> None:
    """Update the noted failures in a run's ``folder`` from ``states`` (task, or task and ``_0``, to its state).

    ``tasks`` are the names of the DAG's tasks; mapped ones have a state for each shard.
    """
    from clipquarry.pipeline.failures import clear_failure, failures_of, note_failure

    failed: dict[str, bool] = {}
    for name, state in states.items():
        task = name if name in tasks else name.rpartition("_")[0]
        failed[task] = failed.get(task, False) or state == "failed"
    said = {failure.task for failure in failures_of(folder)}
    for task, bad in failed.items():
        if task in ("report", "verdict"):
            continue
        told = task in said or (
            RunFolder(folder).gate(task.removeprefix("gate_")).exists() and task.startswith("gate_")
        )
        if bad and not told:
            note_failure(folder, task, "The task failed without a word of its own; its log says more.")
        elif not bad:
            clear_failure(folder, task)
