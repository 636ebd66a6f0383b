"""Operator that removes containers of tasks that Airflow no longer runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context
from clipquarry.settings import Settings


class HousekeepingOperator(BaseOperator):
    """Checks the engine that this worker uses. Its XCom is the list of removed containers' ids."""

    ui_color = "#eeeeee"

    def execute(self, context: Context) -> list[str]:
        from airflow.providers.docker.hooks.docker import DockerHook

        from clipquarry_airflow.engine import DockerSettings, deployment_of
        from clipquarry_airflow.orphans import remove_ended

        def states(dag: str, run: str) -> Mapping[str, Any]:
            found: Mapping[str, Any] = context["ti"].get_task_states(dag_id=dag, run_ids=[run]).get(run, {})
            return found

        settings = DockerSettings.from_env(Settings.from_env().data.root)
        engine = DockerHook(
            docker_conn_id=None, base_url=os.environ.get("DOCKER_HOST") or "unix://var/run/docker.sock"
        ).api_client
        removed = remove_ended(engine, deployment_of(settings.data), states, self.log)
        self.log.info("Removed %d containers of tasks that do not run.", len(removed))
        return removed
