"""Who may label what, asked of Airflow: a project belongs to the DAG of its data set.

Who may read the DAG may look; who may answer its human-in-the-loop tasks may label; who may change it may give clips to people.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from fastapi import Depends, Request

May = Literal["read", "label", "give"]


class Rights(Protocol):
    """What the routes ask. Tests and measurements bring their own, without Airflow."""

    def dependencies(self) -> list[Any]:
        """Of every route."""

    def person(self, request: Request) -> str:
        """The name of whoever asks."""

    def check(self, request: Request, dataset: str, may: May) -> None:
        """Raises HTTPException."""


class AirflowRights:
    """Airflow's login and its auth manager."""

    def dependencies(self) -> list[Any]:
        from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
        from airflow.api_fastapi.core_api.security import get_user, requires_access_view, requires_authenticated

        signed_in = Depends(get_user)

        async def remember(request: Request, user: Any = signed_in) -> None:
            request.state.user = user

        return [Depends(requires_authenticated()), Depends(requires_access_view(AccessView.WEBSITE)), Depends(remember)]

    def person(self, request: Request) -> str:
        return str(request.state.user.get_name())

    def check(self, request: Request, dataset: str, may: May) -> None:
        from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
        from airflow.api_fastapi.core_api.security import requires_access_dag

        user = request.state.user
        requires_access_dag("GET", param_dag_id=dataset)(request, user)
        if may == "label":
            requires_access_dag("PUT", DagAccessEntity.HITL_DETAIL, dataset)(request, user)
        elif may == "give":
            requires_access_dag("PUT", param_dag_id=dataset)(request, user)
