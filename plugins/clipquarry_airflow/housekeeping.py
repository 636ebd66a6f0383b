"""The DAG that removes orphaned containers; it exists if a step runs in Docker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from clipquarry.steps.registry import STEPS

from clipquarry_airflow.operators.housekeeping import HousekeepingOperator
from clipquarry_airflow.runtimes import place_of

DAG_ID = "clipquarry_housekeeping"

_DOC = """### Housekeeping

A worker that is killed leaves its container running. The shard's next try removes it; this DAG removes those whose task
never gets another try: cancelled, failed for good, or of a run that was deleted.
"""


def build_housekeeping(environ: Mapping[str, str] = os.environ) -> dict[str, DAG]:
    """The DAG by its id; empty if every step is a process or a pod (Kubernetes removes pods itself)."""
    if all(place_of(step, environ).runtime != "docker" for step in STEPS):
        return {}
    with DAG(
        dag_id=DAG_ID,
        description="Removes containers that killed workers left",
        schedule="*/15 * * * *",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags={"clipquarry", "housekeeping"},
        doc_md=_DOC,
        default_args={"owner": "clipquarry", "retries": 0, "execution_timeout": timedelta(minutes=5)},
    ) as dag:
        HousekeepingOperator(task_id="containers")
    return {DAG_ID: dag}
