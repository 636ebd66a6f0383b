"""``custom_ava`` in the real Airflow: the run pauses under Required Actions, a person labels on the served page, and the run goes on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from clipquarry.families.boxes.own.sample import SAMPLE, make
from clipquarry.settings import DataRoot
from deployment import Deployment
from e2e_airflow import Airflow, until

pytestmark = pytest.mark.timeout(1500)

DATASET, RUN = SAMPLE.dataset, "one"
PAGE = f"clipquarry-labelling/p/{DATASET}/labels"


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    data = DataRoot(tmp_path / "data")
    make(tmp_path / "made").place(data.dataset(DATASET))
    for path in data.root.rglob("*_finish.json"):
        path.unlink()
    made = Deployment(Airflow(tmp_path / "airflow", data), tmp_path / "up.log", DATASET)
    yield made
    made.stop()


class Person:
    """Labels on the page of a deployment, as its user."""

    def __init__(self, deployment: Deployment) -> None:
        self.base = f"http://127.0.0.1:{deployment.port}"
        token = deployment.call("GET", "dags?limit=1").request.headers["Authorization"]
        self.headers = {"Authorization": str(token), "X-Clipquarry": "labelling", "Sec-Fetch-Site": "same-origin"}

    def ask(self, path: str, body: Any = None) -> Any:
        way = "GET" if body is None else "POST"
        answer = requests.request(way, f"{self.base}/{PAGE}/{path}", json=body, headers=self.headers, timeout=120)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json()

    def label(self, clip: str) -> None:
        """Everybody stands."""
        state = self.ask(f"clips/{clip}/shared")["state"]
        writes = [[region, "labels/1", ["0"]] for region in state["regions"] if region != "@clip"]
        name = uuid.uuid4().hex
        one = {"op": name, "client": name, "base": state["seq"], "what": "label"}
        sent = [{**one, "writes": [*writes, ["@clip", "done", True]]}]
        told = self.ask(f"clips/{clip}/shared", {"seen": state["seq"], "operations": sent})
        assert told["kept"] and not told["refused"]


def test_the_run_pauses_for_people_and_goes_on_when_they_are_done(deployment: Deployment) -> None:
    deployment.start_until_ready()
    form = deployment.call("GET", f"dags/{DATASET}/details").json()["params"]
    assert form["label_days"]["value"] == 30 and form["wait_days"]["value"] == 0
    deployment.trigger(DATASET, RUN, **{**SAMPLE.params, "score": 0.3})
    details = f"dags/{DATASET}/dagRuns/{RUN}/hitlDetails?response_received=false"

    def asked() -> Any:
        found = deployment.call("GET", details).json()["hitl_details"]
        return next((one for one in found if one["task_instance"]["state"] == "deferred"), None)

    question = until(asked, "the run asks people to label", 600)
    assert question["options"] == ["Look now"] and question["task_instance"]["task_id"] == "labels"
    assert f"/{PAGE}/)" in question["body"] and "3 of 3 crops are not labelled" in question["body"]

    person = Person(deployment)
    clips = [one["clip"] for one in person.ask("project")["clips"]]
    for clip in clips[:-1]:
        person.label(clip)
    answer = f"dags/{DATASET}/dagRuns/{RUN}/taskInstances/labels/-1/hitlDetails"
    deployment.call("PATCH", answer, chosen_options=["Look now"], params_input={})
    person.label(clips[-1])
    until(lambda: deployment.state(DATASET, RUN) in ("success", "failed"), "the run goes on by itself", 600)
    assert deployment.state(DATASET, RUN) == "success", deployment.log.read_text()[-3000:]
    assert (deployment.airflow.data.release(DATASET) / RUN / "labels.csv").read_text().count("\n") > 5
    assert not deployment.call("GET", details.replace("?", "?state=deferred&")).json()["hitl_details"]
