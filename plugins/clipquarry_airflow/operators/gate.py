"""The gate operator: checks the results of the tasks before it, and blocks if necessary."""

from __future__ import annotations

from airflow.sdk.definitions.context import Context
from clipquarry.errors import ClipquarryError, GateBlocked

from clipquarry_airflow.operators.plain import report_address
from clipquarry_airflow.operators.stage import StageOperator


class GateOperator(StageOperator):
    """Runs the checks of a gate. If it blocks, its log says where the rows are, and its task links to them and to
    the report.
    """

    def after_error(self, error: ClipquarryError, context: Context) -> None:
        if isinstance(error, GateBlocked):
            address = report_address(self.dataset, str(context["run_id"]))
            self.log.error("%s", f"The report shows the rows: {address}")
