"""While people label, the task waits deferred, and a Required Action with the way to the page stands beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType, TaskDeferred
from airflow.sdk.execution_time import hitl
from airflow.sdk.execution_time.comms import ErrorResponse
from clipquarry.datasets.load import find_spec
from clipquarry.errors import WaitUntil
from clipquarry.pipeline import stages
from clipquarry.reasons import Reason
from clipquarry_airflow.operators import stage as module
from clipquarry_airflow.operators.stage import LOOK, StageOperator
from clipquarry_airflow.params import run_params

PAGE = "/clipquarry-labelling/p/custom_ava/labels/"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Airflow is told to ask, of a stage that waits for people."""
    told: list[dict[str, Any]] = []
    moment = datetime.now(UTC) + timedelta(minutes=1)

    def waits(name: str, run: Any) -> None:
        raise WaitUntil("Two crops are not labelled.", resume_at=moment, reason=Reason.NOT_FOUND, page=run.page)

    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **one: told.append(one))
    monkeypatch.setattr(stages, "run_stage", waits)
    return told


def execute(monkeypatch: pytest.MonkeyPatch, page: str, event: Any = None) -> None:
    operator = StageOperator(task_id="labels", stage="labels", dataset="custom_ava", kind="full")
    place = SimpleNamespace(waiting=lambda name: f"/waiting/{name}.json")
    monkeypatch.setattr(StageOperator, "context_of", lambda *_: SimpleNamespace(page=page, place=place))
    context: Any = {"ti": SimpleNamespace(id="id"), "dag": SimpleNamespace(dag_id="custom_ava")}
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context, event)
    assert deferred.value.method_name == "execute"


def test_a_wait_for_people_is_a_required_action(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    execute(monkeypatch, PAGE)
    (one,) = asked
    assert one["options"] == [LOOK] and one["params"] == {}, "Airflow takes no question without a form"
    assert "Two crops are not labelled." in one["body"]
    assert f"{PAGE})" in one["body"]


def test_a_wait_for_files_is_none(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    execute(monkeypatch, "")
    assert asked == []


def test_the_answer_lets_the_task_look_at_once(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(module, "look_now", looked.append)
    execute(monkeypatch, PAGE, datetime.now(UTC))  # as a trigger that came to its time
    assert looked == []
    execute(monkeypatch, PAGE, {"chosen_options": [LOOK], "params_input": {}})
    assert looked == ["/waiting/labels.json"] and len(asked) == 2


def test_a_refused_question_does_not_end_the_wait(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(**_: Any) -> None:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500}))

    monkeypatch.setattr(hitl, "upsert_hitl_detail", refuses)
    execute(monkeypatch, PAGE)


def test_the_form_asks_for_one_annotator_or_two() -> None:
    for kind in ("full", "refresh"):
        asked = run_params(find_spec("custom_ava"), kind)["annotators"]
        assert asked.value == 1 and asked.resolve(2) == 2 and "How many people" in str(asked.description)
        for wrong in (0, 3):
            with pytest.raises(ValueError, match=r"is (less|greater) than the"):
                asked.resolve(wrong)


def test_a_run_from_the_form_pauses_for_people() -> None:
    for kind in ("full", "refresh"):
        form = run_params(find_spec("custom_ava"), kind)
        assert form["label_days"].value == 30 and form["wait_days"].value == 0, "for people, and not for videos"
    assert run_params(find_spec("ava"), "full")["wait_days"].value == 0
