"""The middleware that refuses wrong parameters when a run is triggered, over a stand-in for Airflow's server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clipquarry_airflow.trigger import CheckedTrigger, trigger_problem
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

RUNS, BACKFILLS = "/api/v2/dags/{}/dagRuns", "/api/v2/backfills"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Answers with what arrived; a token is sent with every request."""
    monkeypatch.setenv("CLIPQUARRY_DATA", str(tmp_path))
    app = FastAPI()

    @app.post("/{path:path}")
    async def arrived(request: Request) -> Any:
        return {"arrived": (await request.body()).decode()}

    app.add_middleware(CheckedTrigger)
    return TestClient(app, headers={"Authorization": "Bearer x"})


@pytest.mark.parametrize("dag", ["kinetics400", "kinetics400_refresh", "kinetics%34%30%30"])
@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"dryrun": True}, "kinetics400 has no parameter 'dryrun'"),
        ({"limit": 0}, "Parameter 'limit'"),
        ({"frame_rate": 10}, "does nothing in this run"),
        ({"splits": ["holdout"]}, "no split 'holdout'"),
    ],
)
def test_wrong_parameters_are_refused_with_a_sentence(
    client: TestClient, dag: str, conf: dict[str, Any], words: str
) -> None:
    answer = client.post(RUNS.format(dag), json={"logical_date": None, "conf": conf})
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_backfills_are_checked_too(client: TestClient) -> None:
    body = {"dag_id": "kinetics400_refresh", "dag_run_conf": {"dryrun": True}}
    assert client.post(BACKFILLS, json=body).status_code == 400
    assert client.post(BACKFILLS, json={**body, "dag_run_conf": None}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (RUNS.format("kinetics400"), '{"conf": {"limit": 3, "dry_run": true, "classes": null}}'),
        (RUNS.format("kinetics400"), '{"conf": {}}'),
        (RUNS.format("kinetics400"), '{"logical_date": null}'),
        (RUNS.format("kinetics400"), "no json"),
        (RUNS.format("kinetics400"), "[1]"),
        (RUNS.format("kinetics400"), '{"conf": [1]}'),
        (RUNS.format("somebody_elses"), '{"conf": {"dryrun": true}}'),
        (RUNS.format("kinetics400") + "/list", '{"conf": {"dryrun": true}}'),
        (RUNS.format("kinetics400"), json.dumps({"conf": {"dryrun": "x" * (1 << 20)}})),
    ],
)
def test_all_else_arrives_as_it_was_sent(client: TestClient, path: str, body: str) -> None:
    answer = client.post(path, content=body)
    assert answer.status_code == 200
    assert answer.json() == {"arrived": body}


def test_a_stranger_gets_airflows_answer(client: TestClient) -> None:
    body = {"conf": {"dryrun": True}}
    del client.headers["Authorization"]
    assert client.post(RUNS.format("kinetics400"), json=body).json() == {
        "arrived": json.dumps(body, separators=(",", ":"))
    }
    assert client.post(RUNS.format("kinetics400"), json=body, cookies={"_token": "x"}).status_code == 400


def test_every_data_set_takes_what_its_form_sends() -> None:
    from clipquarry.datasets.load import load_all
    from clipquarry_airflow.params import run_params

    for spec in load_all()[0].values():
        for kind, name in (("full", spec.name), ("refresh", f"{spec.name}_refresh")):
            conf = {key: param.value for key, param in run_params(spec, kind).items()}
            assert (
                trigger_problem(name, {key: None if value in ("", []) else value for key, value in conf.items()}) == ""
            )
