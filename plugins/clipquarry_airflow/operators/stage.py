"""The operator of a stage: a task that needs the ledger or the whole table, and runs in the worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException, DownstreamTasksSkipped
from clipquarry.errors import ClipquarryError, WaitUntil
from clipquarry.waiting import look_now

from clipquarry_airflow.operators.outcome import airflow_error, defer_until
from clipquarry_airflow.operators.plain import explain

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext

log = logging.getLogger(__name__)

LOOK: Final = "Look now"


def by_itself(context: Context) -> bool:
    """Whether assets started the DAG run, and no person."""
    run = context.get("dag_run")
    return run is not None and str(getattr(run.run_type, "value", run.run_type)) == "asset_triggered"


def ask_to_look(wait: WaitUntil, context: Context) -> None:
    """Show under Required Actions what a person does on a page, while the task is deferred. The task looks by itself all the same;
    an answer only lets it look at once.
    """
    from airflow.sdk.execution_time.hitl import upsert_hitl_detail

    from clipquarry_airflow.operators.plain import page_address

    try:
        upsert_hitl_detail(
            ti_id=context["ti"].id, options=[LOOK], params={}, subject=f"{context['dag'].dag_id} waits for people",
            body=f"{wait}\n\n[Go there]({page_address(wait.page)})\n\nThe run looks by itself from time to time. **{LOOK}** lets it "
            "look at once. This text is of its first look: the task's log says what is still missing.",
        )  # fmt: skip
    except AirflowRuntimeError as error:  # the question is a help: without it the task looks by itself all the same
        log.warning("Airflow takes no Required Action for this wait: %s", error)


class StageOperator(BaseOperator):
    """Runs one function of :mod:`clipquarry.pipeline.stages` for the run; the DAG run's params are the run's
    parameters.

    ``stage`` is the name of the stage, ``dataset`` the data set and ``kind`` ``full`` or ``refresh``. The stage's
    return value is the task's XCom. A stage without work is skipped; one that finds no work for the whole run also
    skips all tasks after it. One that lacks files that a person can place is deferred, and looks again later; where a page of
    the UI ends the wait, it is also among the Required Actions.
    """

    ui_color = "#e8f0ea"

    def __init__(self, *, stage: str, dataset: str, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage, self.dataset, self.kind = stage, dataset, kind

    def execute(self, context: Context, event: Any = None) -> Any:
        from clipquarry.pipeline.stages import NothingInThisRun, NothingToDo, run_stage

        run: RunContext | None = None
        try:
            run = self.context_of(context)
            if isinstance(event, dict) and event.get("chosen_options") == [LOOK]:
                look_now(run.place.waiting(self.stage))
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
        except WaitUntil as wait:
            self.log.info("%s", wait)
            if wait.page:
                ask_to_look(wait, context)
            defer_until(self, wait.resume_at)
        except ClipquarryError as error:
            self.pause(error, run, context)
            red = airflow_error(error)
            explain(self.log.error, red)
            self.after_error(error, context)
            raise red from None

    def context_of(self, context: Context) -> RunContext:
        """The run, as its stages know it."""
        from clipquarry.pipeline.make_context import make_context

        return make_context(
            self.dataset, context["run_id"], dict(context["params"]), kind=self.kind,  # type: ignore[arg-type]
            started=True, automatic=by_itself(context),
        )  # fmt: skip

    def pause(self, error: ClipquarryError, run: RunContext | None, context: Context) -> None:
        """Hook that may let the task wait for a person instead of failing; ``run`` is None where it could not be made."""

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
