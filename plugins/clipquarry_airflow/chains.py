"""The DAG that starts data sets which are made of others; it exists if one of them had its first full run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from clipquarry.errors import ClipquarryError
from clipquarry.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import DAG

DAG_ID = "clipquarry_chains"
EVERY = "*/15 * * * *"

_DOC = """### Chains

A data set that is made of others is made anew when they are whole and one of them has changed. Events of their DAGs start it at once.
Those of a paused DAG are lost, and a run of the command line emits none: this DAG compares the releases on the disk, and starts what
is due. Its log says for each data set why it starts, or why not. `CLIPQUARRY_CHAINS=off` switches all of it off.
"""


def build_chains(environ: Mapping[str, str] = os.environ) -> dict[str, DAG]:
    """The DAG by its id; empty if nothing follows."""
    settings, specs = Settings.from_env(environ), []
    made = settings.data.data_sets_released_in_full() if settings.chains else []
    if not made:  # before Airflow and the library are imported: every DAG file is read every few minutes
        return {}
    from airflow.sdk import DAG, get_parsing_context
    from clipquarry.datasets.load import load_named

    from clipquarry_airflow.dags import due_asset, follows
    from clipquarry_airflow.operators.chains import ChainsOperator

    if get_parsing_context().dag_id not in (None, DAG_ID):
        return {}
    for name in made:
        try:
            spec = load_named(name, settings.dataset_folders)
        except ClipquarryError:  # its own DAG file, or dataset_errors.py, says what is wrong
            continue
        if follows(spec, settings) and (not settings.only or name in settings.only):
            specs.append(spec)
    if not specs:
        return {}
    with DAG(
        dag_id=DAG_ID,
        description="Starts data sets whose parts have changed",
        schedule=EVERY,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags={"clipquarry", "housekeeping"},
        doc_md=_DOC,
        default_args={"owner": "clipquarry", "retries": 2, "execution_timeout": timedelta(minutes=10)},
    ) as dag:
        ChainsOperator(
            task_id="look",
            datasets=[spec.name for spec in specs],
            outlets=[due_asset(spec) for spec in specs],
            doc_md="Compares the releases of data sets with those that others were made of.",
        )
    return {DAG_ID: dag}
