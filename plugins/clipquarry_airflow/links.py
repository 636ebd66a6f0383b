"""Links on tasks to our pages: the run's report, and the rows that broke a gate.

The plug-in registers them, so that the API server creates them when it shows a task, even one that has not run or
was killed. Like the external views they are relative: the base of Airflow's pages is the address at which it is
served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk.bases.operatorlink import BaseOperatorLink

from clipquarry_airflow.operators.gate import GateOperator
from clipquarry_airflow.operators.report import ReportOperator
from clipquarry_airflow.operators.verdict import VerdictOperator

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

_PAGES = "clipquarry/dag"


class ReportLink(BaseOperatorLink):
    """The run's report, or the page that says when it will exist."""

    name = "Report"
    operators = [GateOperator, ReportOperator, VerdictOperator]  # noqa: RUF012  Airflow's own convention

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return f"{_PAGES}/{quote(ti_key.dag_id)}/run/{quote(ti_key.run_id, safe='~:+')}"


class RowsLink(BaseOperatorLink):
    """A gate's result, with the rows that broke it."""

    name = "Rows"
    operators = [GateOperator]  # noqa: RUF012  Airflow's own convention

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        gate = quote(ti_key.task_id.removeprefix("gate_"))
        return f"{_PAGES}/{quote(ti_key.dag_id)}/gate/{gate}/run/{quote(ti_key.run_id, safe='~:+')}"
