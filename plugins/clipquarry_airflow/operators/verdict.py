"""The last task's operator: success or failure of the whole run, in one sentence."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowFailException

from clipquarry_airflow.operators.plain import explain, report_address


class VerdictOperator(BaseOperator):
    """Fails if any task of the run failed. The report is written in any case, and must not make a broken run green."""

    ui_color = "#dfe7f3"

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset

    def execute(self, context: Context) -> str:
        from clipquarry.pipeline.summary import run_summary
        from clipquarry.settings import Settings

        run_id = str(context["run_id"])
        states = context["ti"].get_task_states(dag_id=context["dag"].dag_id, run_ids=[run_id])
        failed = sorted(task for task, state in states.get(run_id, {}).items() if state == "failed")
        sentence = str(run_summary(Settings.from_env().data, self.dataset, run_id)["sentence"])
        if failed:
            red = AirflowFailException(
                f"{sentence} Failed: {', '.join(failed)}. Look at the report: {report_address(self.dataset, run_id)}"
            )
            explain(self.log.error, red)
            raise red
        self.log.info("%s", sentence)
        return sentence
