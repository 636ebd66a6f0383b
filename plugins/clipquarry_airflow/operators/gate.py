"""The gate operator: checks the results of the tasks before it, blocks if necessary, and asks a person where the run says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.sdk import Param
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput
from clipquarry.approvals import AIRFLOW, LONGEST, RELEASE, STOP, Approval, note, read_approval
from clipquarry.errors import ApprovalWanted, ClipquarryError, GateBlocked, UserError

from clipquarry_airflow.operators.plain import explain, gate_address, report_address
from clipquarry_airflow.operators.stage import StageOperator

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext

ANSWERS: Final = {"Release": RELEASE, "Stop": STOP}
BECAUSE: Final = "because"
VERDICT: Final = "verdict"


class GateOperator(StageOperator):
    """Runs the checks of a gate. If it blocks, its log says where the rows are, and its task links to them and to
    the report.

    If the gate does not hold and a person may release all the same, the task waits in Airflow's state ``awaiting_input``,
    without a worker, until somebody answers under Required Actions. After that the gate runs again: the answer is about what
    the person saw, and the files may have changed meanwhile.
    """

    def after_error(self, error: ClipquarryError, context: Context) -> None:
        if isinstance(error, GateBlocked):
            address = report_address(self.dataset, str(context["run_id"]))
            self.log.error("%s", f"The report shows the rows: {address}")

    def pause(self, error: ClipquarryError, run: RunContext | None, context: Context) -> None:
        if not isinstance(error, ApprovalWanted) or run is None:
            return
        if (asked := read_approval(run.place, error.gate)) is not None:
            self._ask(replace(asked, where=AIRFLOW), run, context)

    def _ask(self, asked: Approval, run: RunContext, context: Context) -> NoReturn:
        """Ask, and let the task wait without a worker."""
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail
        from clipquarry.pipeline.approving import question
        from clipquarry.quality.results import load_result

        from clipquarry_airflow.notify import SummaryNotifier

        note(run.place, asked)
        page = gate_address(context["dag"].dag_id, asked.gate, str(context["run_id"]))
        body = (
            f"{question(load_result(run.place.gate(asked.gate)), asked)}\n\n[The gate's page, with all rows]({page})\n\n"
            "**Release** goes on all the same: the lock and the report name you and your reason. **Stop** ends the run. Both need a "
            f"reason. This is about the verdict {asked.code}; if the page shows another code, the gate ran again: look there, and "
            "write that code."
        )
        upsert_hitl_detail(
            ti_id=context["ti"].id, options=[*ANSWERS], subject=f"Release although the gate '{asked.gate}' does not hold?",
            body=body, params={name: param.serialize() for name, param in _form(asked).items()},
        )  # fmt: skip
        SummaryNotifier(self.dataset, "waits for an answer").notify(context)
        self.log.info("%s", f"A person is asked (Required Actions). {asked.problem}".rstrip())
        raise TaskAwaitingInput(method_name="answered")

    def answered(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on after an answer; asks again where it has no reason, or is about another verdict."""
        run = self.context_of(context)
        asked = read_approval(run.place, self.stage.removeprefix("gate_"))
        if asked is None:  # the run's folder was removed or is damaged: the gate says what is so
            return self.execute(context)
        try:
            told = _answer(asked, event)
        except UserError as error:
            self.log.warning("%s", error)
            self._ask(replace(asked, answer="", problem=f"The last answer was not taken. {error}"), run, context)
        note(run.place, told)
        self.log.info("%s", f"{told.told}.")
        if told.answer == RELEASE:
            return self.execute(context)
        red = AirflowFailException(f"The gate '{told.gate}' did not hold, and {told.told}.")
        explain(self.log.error, red)
        raise red


def _form(asked: Approval) -> dict[str, Param]:
    """The fields beside the buttons. An empty text keeps the buttons off until somebody writes."""
    return {
        BECAUSE: Param(
            "", type="string", title="Because", minLength=1, maxLength=LONGEST,
            description="Why. It stands in the release and in the report; an answer without it is not taken.",
        ),
        VERDICT: Param(
            asked.code, type="string", title="Verdict", description="The verdict that you answer about: leave it as it is."
        ),
    }  # fmt: skip


def _answer(asked: Approval, event: dict[str, Any]) -> Approval:
    """The answer that Airflow passes on. Who gave it is the user of the login. Raises :class:`UserError`."""
    fields, chosen = event.get("params_input") or {}, list(event.get("chosen_options") or [])
    if fields.get(VERDICT) != asked.code:
        raise UserError(
            f"It was about the verdict {str(fields.get(VERDICT))[:20]!r}, and the gate's verdict is {asked.code}: look at the gate's "
            f"page, and answer again with '{VERDICT}' {asked.code}."
        )
    if len(chosen) != 1 or chosen[0] not in ANSWERS:
        raise UserError(f"Choose one of {' and '.join(ANSWERS)}.")
    user = event.get("responded_by_user") or {}
    user = user if isinstance(user, dict) else {"id": getattr(user, "id", ""), "name": getattr(user, "name", "")}
    name, key = str(user.get("name") or ""), str(user.get("id") or "")
    by = f"{name} ({key})" if name and key and name != key else name or key
    return asked.answered(ANSWERS[chosen[0]], by=by, because=fields.get(BECAUSE))
