"""Clipquarry in the Airflow UI: pages behind its login, an entry in the navigation, a tab on each DAG and DAG run,
links on tasks.

Every Airflow process loads its plugins, so this module imports nothing heavy. The pages are created when the API
server asks for them.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/clipquarry"
LABELLING_PREFIX = "/clipquarry-labelling"

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='{}' "
    "stroke-width='2' stroke-linejoin='round'%3E%3Crect x='3' y='5' width='18' height='14' rx='2' fill='{}'/%3E"
    "%3Cpath d='M7 5v14M17 5v14M3 12h18'/%3E%3C/svg%3E"
)


class ClipquarryPlugin(AirflowPlugin):
    """Registered once: see ``plugins/clipquarry_plugin.py``."""

    name = "clipquarry"

    # Without a leading slash: relative to Airflow's address, which may have a path of its own.
    external_views = [  # noqa: RUF012  Airflow's own convention
        {
            "name": "Clipquarry",
            "href": f"{PREFIX[1:]}/",
            "destination": "nav",
            "url_route": "clipquarry",
            "nav_top_level": True,
            "icon": _ICON.format("%23374151", "white"),  # filled: the selected entry is dark in light mode too
            "icon_dark_mode": _ICON.format("%23e5e7eb", "none"),
        },
        {
            "name": "Labelling",
            "href": f"{LABELLING_PREFIX[1:]}/",
            "destination": "nav",
            "url_route": "clipquarry-labelling",
        },
        {
            "name": "Data quality",
            "href": f"{PREFIX[1:]}/dag/{{DAG_ID}}",
            "destination": "dag",
            "url_route": "data-quality",
        },
        {
            "name": "Data quality",
            "href": f"{PREFIX[1:]}/dag/{{DAG_ID}}/run/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "run-data-quality",
        },
    ]

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        from clipquarry_airflow.labelling.app import make_app as make_labelling
        from clipquarry_airflow.pages import make_app

        return [
            {"name": "clipquarry", "app": make_app(), "url_prefix": PREFIX},
            {"name": "clipquarry labelling", "app": make_labelling(), "url_prefix": LABELLING_PREFIX},
        ]

    @property
    def operator_extra_links(self) -> list[Any]:  # type: ignore[override]
        from clipquarry_airflow.links import ReportLink, RowsLink

        return [ReportLink(), RowsLink()]

    @property
    def fastapi_root_middlewares(self) -> list[Any]:  # type: ignore[override]
        from clipquarry_airflow.trigger import CheckedTrigger

        return [{"name": "clipquarry parameters", "middleware": CheckedTrigger}]
