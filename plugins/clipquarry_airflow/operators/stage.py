"""A stage of the pipeline that needs the ledger or the whole table: runs in the worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from clipquarry.errors import ClipquarryError, GateBlocked

from clipquarry_airflow.operators.outcome import airflow_error
from clipquarry_airflow.operators.plain import explain, report_address

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext


class StageOperator(BaseOperator):
    """Runs one function of :mod:`clipquarry.pipeline.stages` for the run; the DAG run's params are the run's parameters.

    ``stage`` is the name of the stage, ``dataset`` the data set and ``kind`` ``full`` or ``refresh``. What the stage returns is
    the task's XCom. A stage that has nothing to do is skipped; one that finds nothing to do for the whole run skips all that follows.
    """

    ui_color = "#e8f0ea"

    def __init__(self, *, stage: str, dataset: str, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage, self.dataset, self.kind = stage, dataset, kind

    def execute(self, context: Context) -> Any:
        from clipquarry.pipeline.context import make_context
        from clipquarry.pipeline.stages import NothingInThisRun, NothingToDo, run_stage

        try:
            run = make_context(self.dataset, context["run_id"], dict(context["params"]), kind=self.kind, started=True)  # type: ignore[arg-type]
            if self.stage == "report":
                self._note_lost_tasks(run.folder, context)
            result = run_stage(self.stage, run, say=self.log.info)
            self._announce(run, context)
            return result
        except NothingInThisRun as nothing:
            # All at once, whatever their trigger rules: twenty tasks that skip one another take a minute of the pools.
            self.log.info("%s", nothing)
            raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False))) from None  # type: ignore[no-untyped-call]
        except NothingToDo as nothing:
            raise AirflowSkipException(str(nothing)) from None
        except ClipquarryError as error:
            red = airflow_error(error)
            explain(self.log.error, red)
            if isinstance(error, GateBlocked):
                self.log.error(
                    "%s", f"The report shows the rows: {report_address(self.dataset, str(context['run_id']))}"
                )
            raise red from None

    def _announce(self, run: RunContext, context: Context) -> None:
        """Events only for what is whole and has changed; the outlets stay in the DAG, for whoever looks at what it makes."""
        from clipquarry.pipeline.announce import announcement

        told = []
        for outlet in self.outlets:
            extra = announcement(run, str(outlet.name).rpartition("/")[2])
            if extra is None:
                self.log.info(
                    "%s is not announced: nothing changed, or this run is not about the whole data set.", outlet.name
                )
                continue
            context["outlet_events"][outlet].extra = extra
            told.append(outlet)
        self.outlets = told

    def _note_lost_tasks(self, folder: Path, context: Context) -> None:
        """Tasks that failed and could not say why (killed, out of time) are failures of the run too."""
        run_id = str(context["run_id"])
        states = context["ti"].get_task_states(dag_id=context["dag"].dag_id, run_ids=[run_id]).get(run_id, {})
        note_lost_tasks(folder, states, context["dag"].task_ids)


def note_lost_tasks(folder: Path, states: Mapping[str, Any], tasks: Collection[str]) -> None:
    """Bring the failures that are noted in a run's ``folder`` in line with ``states`` (task, or task and ``_0``, to its state).

    ``tasks`` are the names of the DAG's tasks, of which the mapped ones have a state for each shard.
    """
    from clipquarry.pipeline.failures import clear_failure, failures_of, note_failure

    failed: dict[str, bool] = {}
    for name, state in states.items():
        part = name if name in tasks else name.rpartition("_")[0]
        failed[part] = failed.get(part, False) or state == "failed"
    said = {failure.part for failure in failures_of(folder)}
    for part, bad in failed.items():
        if part in ("report", "verdict"):
            continue
        told = part in said or (
            (folder / "gates" / f"{part.removeprefix('gate_')}.json").exists() and part.startswith("gate_")
        )
        if bad and not told:
            note_failure(folder, part, "The task failed without a word of its own; its log says more.")
        elif not bad:
            clear_failure(folder, part)
