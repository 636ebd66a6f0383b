"""The operator of a stage: a task that needs the ledger or the whole table, and runs in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from clipquarry.errors import ClipquarryError

from clipquarry_airflow.operators.outcome import airflow_error
from clipquarry_airflow.operators.plain import explain

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext


class StageOperator(BaseOperator):
    """Runs one function of :mod:`clipquarry.pipeline.stages` for the run; the DAG run's params are the run's
    parameters.

    ``stage`` is the name of the stage, ``dataset`` the data set and ``kind`` ``full`` or ``refresh``. The stage's
    return value is the task's XCom. A stage without work is skipped; one that finds no work for the whole run also
    skips all tasks after it.
    """

    ui_color = "#e8f0ea"

    def __init__(self, *, stage: str, dataset: str, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage, self.dataset, self.kind = stage, dataset, kind

    def execute(self, context: Context) -> Any:
        from clipquarry.pipeline.make_context import make_context
        from clipquarry.pipeline.stages import NothingInThisRun, NothingToDo, run_stage

        try:
            run = make_context(self.dataset, context["run_id"], dict(context["params"]), kind=self.kind, started=True)  # type: ignore[arg-type]
            self.before(run, context)
            result = run_stage(self.stage, run)
            self._announce(run, context)
            return result
        except NothingInThisRun as nothing:
            # All at once, whatever their trigger rules: twenty tasks that skip one another would occupy the pools for a
            # minute.
            self.log.info("%s", nothing)
            raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False))) from None  # type: ignore[no-untyped-call]
        except NothingToDo as nothing:
            raise AirflowSkipException(str(nothing)) from None
        except ClipquarryError as error:
            red = airflow_error(error)
            explain(self.log.error, red)
            self.after_error(error, context)
            raise red from None

    def before(self, run: RunContext, context: Context) -> None:
        """Hook that runs before the stage."""

    def after_error(self, error: ClipquarryError, context: Context) -> None:
        """Hook that logs after an error's sentence."""

    def _announce(self, run: RunContext, context: Context) -> None:
        """Emit events only for complete and changed data; the outlets stay in the DAG, to show what it makes."""
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
