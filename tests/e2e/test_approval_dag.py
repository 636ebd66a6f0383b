"""A gate blocks in the real Airflow, the run waits for a person, and the answer over Airflow's own API decides."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from clipquarry.demo.origin import Origin
from e2e_airflow import Airflow, lock_of, until
from ports import free_port

pytestmark = pytest.mark.timeout(1200)

DATASET, GATE = "kinetics_demo", "gate_clips"


@dataclass
class Server:
    """Airflow's API server over the database of the tests, as the user ``ada``."""

    url: str
    token: str

    def call(self, method: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"{self.url}/{path}", json=body or None, headers=headers, timeout=120)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:2000]}"
        return answer

    def asked(self) -> dict[str, Any] | None:
        """The question that waits for an answer; none while a task is about to ask it."""
        found = self.call("GET", f"api/v2/dags/{DATASET}/dagRuns/~/hitlDetails?response_received=false").json()[
            "hitl_details"
        ]
        return next((one for one in found if one["task_instance"]["state"] == "awaiting_input"), None)

    def answer(self, asked: dict[str, Any], option: str, because: str) -> None:
        run, fields = (
            asked["task_instance"]["dag_run_id"],
            {name: one["value"] for name, one in asked["params"].items()},
        )
        path = f"api/v2/dags/{DATASET}/dagRuns/{run}/taskInstances/{GATE}/-1/hitlDetails"
        self.call("PATCH", path, chosen_options=[option], params_input={**fields, "because": because})


@pytest.fixture
def server(airflow: Airflow) -> Iterator[Server]:
    home, port = airflow.home, free_port()
    (home / "users.json").write_text(json.dumps({"ada": "secret"}))
    environment = replace(
        airflow,
        extra={
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:admin", "AIRFLOW__API__PORT": str(port), "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "users.json"), "CLIPQUARRY_ONLY": DATASET,
        },
    ).environment  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with open(home / "api.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "api-server"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield Server(url, until(lambda: _token(url, process), "the API server answers"))
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _token(url: str, process: subprocess.Popen[bytes]) -> str:
    assert process.poll() is None, "the API server ended"
    try:
        answer = requests.post(f"{url}/auth/token", json={"username": "ada", "password": "secret"}, timeout=10)
        return str(answer.json()["access_token"])
    except (requests.RequestException, ValueError, KeyError):
        return ""


class Person(threading.Thread):
    """Does something while a run goes on in the test's own thread; its error is the test's."""

    def __init__(self, does: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.does, self.error = does, list[BaseException]()
        self.start()

    def run(self) -> None:
        try:
            self.does()
        except BaseException as error:
            self.error.append(error)

    def ended(self) -> None:
        self.join(60)
        assert not self.error, self.error
        assert not self.is_alive()


def test_a_person_decides_over_a_gate_that_blocks(airflow: Airflow, server: Server, demo_origin: Origin) -> None:
    demo_origin.set_plan({"videos/*": "404", "clips/*": "404"})
    chosen: dict[str, Any] = {"splits": ["val"], "limit": 2, "approve_gates": "blocked"}
    seen: list[dict[str, Any]] = []

    def releases() -> None:
        asked = until(server.asked, "the run asks")
        seen.append(asked)
        run = asked["task_instance"]["dag_run_id"]
        page = f"clipquarry/dag/{DATASET}/run/{run}"
        assert "The run waits for an answer" in server.call("GET", page).text
        server.answer(asked, "Release", " ")  # Airflow takes it, the gate does not
        until(
            lambda: "An answer needs a reason" in server.call("GET", page).text, "an answer without a reason is refused"
        )
        server.answer(until(server.asked, "it asks again"), "Release", "7 % are <gone>")

    person = Person(releases)
    code, summary, run, log = airflow.run(DATASET, DATASET, **chosen)
    person.ended()
    assert code == 0, log[-4000:]
    (asked,) = seen
    assert asked["options"] == ["Release", "Stop"] and asked["task_instance"]["task_id"] == GATE
    assert "clips.coverage" in asked["body"] and "2 of 2 clips are missing" in asked["body"]
    assert f"clipquarry/dag/{DATASET}/gate/clips/run/" in asked["body"]
    assert summary["gates"]["clips"] == "approved" and not summary["blocked"]
    (entry,) = json.loads(lock_of(airflow.data, DATASET, run).splitlines()[0])["approved"]
    assert (entry["gate"], entry["by"], entry["because"]) == ("clips", "ada", "7 % are <gone>")
    report = Path(summary["report"]).read_text()
    assert "ada released all the same" in report and "7 % are &lt;gone&gt;" in report

    person = Person(lambda: server.answer(until(server.asked, "the run asks"), "Stop", "wait for the mirror"))
    code, summary, run, log = airflow.run(DATASET, DATASET, **chosen)
    person.ended()
    assert code == 1
    assert summary["gates"]["clips"] == "stopped" and summary["blocked"]
    assert (
        "The gate 'clips' did not hold, and ada stopped the run at" in log
        and "because “wait for the mirror”" in " ".join(log.split())
    )
    assert "Traceback" not in log
    assert not (airflow.data.release(DATASET) / run).exists()
