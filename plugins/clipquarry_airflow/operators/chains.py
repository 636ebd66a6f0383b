"""The operator that looks which data sets should be made anew because what they are made of has changed."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context


class ChainsOperator(BaseOperator):
    """Emits ``{dataset}/due`` for each of ``datasets`` that is due, and logs a sentence for each.

    Its outlets are those assets in the same order. An event is repeated every time until a run began, so that none can
    be lost; Airflow keeps one at a time for a DAG that is running, and drops those of a paused DAG.
    """

    ui_color = "#e8f0ea"

    def __init__(self, *, datasets: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.datasets = datasets

    def execute(self, context: Context) -> list[str]:
        from clipquarry.datasets.load import find_spec
        from clipquarry.errors import ClipquarryError
        from clipquarry.pipeline.chains import due
        from clipquarry.settings import Settings

        from clipquarry_airflow.operators.outcome import airflow_error
        from clipquarry_airflow.operators.plain import explain

        settings, found = Settings.from_env(), []
        told, wrong = [], list[ClipquarryError]()
        for dataset, outlet in zip(self.datasets, self.outlets, strict=True):
            try:
                asked = due(find_spec(dataset, settings.dataset_folders), settings)
            except ClipquarryError as error:  # of one data set: the others are looked at all the same
                wrong.append(error)
                continue
            self.log.info("%s", asked.sentence)
            if asked.due:
                context["outlet_events"][outlet].extra = {"why": asked.sentence, "made_of": {**asked.parts}}
                told.append(outlet)
                found.append(dataset)
        self.outlets = told
        if wrong and not told:  # a failed task emits no event
            red = airflow_error(wrong[0])
            explain(self.log.error, red)
            raise red
        for one in wrong:
            explain(self.log.error, one)
        return found
