"""Notification at the end of a run, through Airflow's notifier interface.

``CLIPQUARRY_NOTIFY_URL`` names a web hook, which gets a small JSON document by POST. Without it nothing is sent.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import BaseNotifier
from clipquarry.errors import ClipquarryError

TIMEOUT_SECONDS = 10


class SummaryNotifier(BaseNotifier):
    """Posts ``{"text", "dataset", "dag_id", "run_id", "state", "summary"}``; a failing hook never fails a run."""

    def __init__(self, dataset: str, state: str, url: str | None = None) -> None:
        super().__init__()
        self.dataset, self.state = dataset, state
        self.url = url or os.environ.get("CLIPQUARRY_NOTIFY_URL", "")

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """No field is a template; and callbacks get a DAG that cannot make a template environment."""

    def message(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The JSON document to send."""
        from clipquarry.pipeline.summary import run_summary
        from clipquarry.settings import Settings

        try:
            summary = run_summary(Settings.from_env().data, self.dataset, run_id)
        except ClipquarryError as error:
            summary = {"sentence": str(error)}
        return {
            "text": f"{dag_id}: {self.state}. {summary['sentence']}",
            "dataset": self.dataset, "dag_id": dag_id, "run_id": run_id, "state": self.state, "summary": summary,
        }  # fmt: skip

    def notify(self, context: Any) -> None:
        """Send the message of the DAG run."""
        if not self.url:
            return
        import requests

        run = context["dag_run"]
        try:
            requests.post(
                self.url, json=self.message(run.dag_id, run.run_id), timeout=TIMEOUT_SECONDS
            ).raise_for_status()
        except requests.RequestException as error:
            self.log.warning("The notification to CLIPQUARRY_NOTIFY_URL was not delivered: %s", type(error).__name__)
