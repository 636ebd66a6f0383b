"""An auth manager for the page tests: like Airflow's simple one, but nobody may read the DAG ``kinetics600``."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class OnlyKinetics400(SimpleAuthManager):
    """Set by ``AIRFLOW__CORE__AUTH_MANAGER``."""

    def is_authorized_dag(self, **asked: Any) -> bool:
        details = asked.get("details")
        if details is not None and details.id == "kinetics600":
            return False
        return super().is_authorized_dag(**asked)
