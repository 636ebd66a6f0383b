"""The links of tasks, in a real Airflow that is served at an address with a path: of a gate that blocked, and of tasks that never ran."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.pipeline.reporting import write_report
from clipquarry.settings import DataRoot, slug
from playwright.sync_api import Browser
from ports import free_port
from report_fixture import NOW, World, catalog_rows, result_rows, without_attempts, write_gates
from report_fixture import write_run_files as write_run_json
from test_pages import PROJECT, Server, airflow_environment, serving

RUN_ID = "manual__2026-11-28T10:00:00+00:00"
GATE = "clipquarry/dag/kinetics400/gate/clips/run/manual__2026-11-28T10:00:00+00:00"
RUN_PAGE = "clipquarry/dag/kinetics400/run/manual__2026-11-28T10:00:00+00:00"

_FILL = """
import sys
from datetime import UTC, datetime
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dagbag import DBDagBag
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
DagBundlesManager().sync_bundles_to_db()
bag = DagBag(sys.argv[1], bundle_path=None, bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
sync_bag_to_db(bag, "dags-folder", None)
with create_session() as session:
    dag = DBDagBag().get_latest_version_of_dag("kinetics400", session=session)
    run = dag.create_dagrun(run_id=sys.argv[2], run_after=datetime.now(UTC), run_type=DagRunType.MANUAL, state=DagRunState.FAILED,
                            triggered_by=DagRunTriggeredByType.TEST, session=session)
    states = {"gate_clips": TaskInstanceState.FAILED, "gate_lists": TaskInstanceState.UPSTREAM_FAILED}
    for instance in run.task_instances:
        if instance.task_id in states:
            instance.state = states[instance.task_id]
"""
"""A run whose gate ``clips`` failed, as it stands in Airflow's database; no task ran, so that no worker can have left a link."""


@pytest.fixture(scope="module")
def airflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home, port = tmp_path_factory.mktemp("links"), free_port()
    environment = airflow_environment(home, port) | {
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}/air",
        "CLIPQUARRY_ONLY": "kinetics400", "CLIPQUARRY_RUNTIME": "process",
    }  # fmt: skip
    data = DataRoot(home / "data")
    _blocked_run(data)
    commands = (
        [sys.executable, "-m", "airflow", "db", "migrate"],
        [sys.executable, "-c", _FILL, str(PROJECT / "dags"), RUN_ID],
    )
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    with serving(home, environment, port, "/air") as (url, token):
        yield Server(url, token, data.root)


def _blocked_run(data: DataRoot) -> World:
    """A gate blocked; the report is still to be written."""
    world = World(find_spec("kinetics400"), data, slug(RUN_ID), "")
    rng = random.Random(4)
    rows = catalog_rows(6, 5, rng)
    found = result_rows(rows, rng, NOW, "kinetics400", 0.2)
    world.made.catalog(rows)
    world.made.recorded(without_attempts(found))
    write_run_json(world, begun=NOW)
    write_gates(world.folder, found, blocks=True)
    return world


def links(server: Server, task: str) -> dict[str, str]:
    answer = server.get(f"/api/v2/dags/kinetics400/dagRuns/{RUN_ID}/taskInstances/{task}/links")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["extra_links"])


def test_gates_report_and_verdict_have_links_whether_they_ran_or_not(airflow_server: Server) -> None:
    assert links(airflow_server, "gate_clips") == {"Report": RUN_PAGE, "Rows": GATE}
    assert links(airflow_server, "gate_lists") == {"Report": RUN_PAGE, "Rows": GATE.replace("clips", "lists")}
    assert links(airflow_server, "report") == links(airflow_server, "verdict") == {"Report": RUN_PAGE}
    assert links(airflow_server, "plan") == {}
    ours = [one for one in airflow_server.get("/api/v2/plugins").json()["plugins"] if one["name"] == "clipquarry"]
    assert len(ours[0]["operator_extra_links"]) == 2


def test_the_links_lead_below_the_path_at_which_airflow_is_served(airflow_server: Server) -> None:
    """A browser resolves them against the base of Airflow's page, whatever page it shows."""
    page = airflow_server.get(f"/dags/kinetics400/runs/{RUN_ID}/tasks/gate_clips").text
    base = re.search(r'<base href="([^"]+)"', page)
    assert base and base[1] == "/air/"

    def follow(link: str) -> httpx.Response:
        target = httpx.URL(airflow_server.url).join(base[1]).join(link)
        return airflow_server.get(str(target).removeprefix(airflow_server.url), follow_redirects=True)

    rows = follow(links(airflow_server, "gate_clips")["Rows"])
    assert rows.status_code == 200 and "clips.coverage" in rows.text and "blocked" in rows.text
    (file,) = re.findall(r'href="([^"]+rows\.csv)"', rows.text)
    assert file == f"/air/clipquarry/runs/kinetics400/{slug(RUN_ID)}/gates/clips.rows.csv"
    assert airflow_server.get(file.removeprefix("/air")).text.startswith("check,item_id,reason\n")
    assert "has no result in this run" in follow(links(airflow_server, "gate_lists")["Rows"]).text
    report = links(airflow_server, "verdict")["Report"]
    assert "No report yet" in follow(report).text
    for link in (report, links(airflow_server, "gate_clips")["Rows"]):
        assert httpx.get(f"{airflow_server.url}/{link}").status_code == 401, "a stranger sees nothing"


def test_a_click_on_a_failed_gate(airflow_server: Server, chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(f"{airflow_server.url}/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", "secret")
    page.click("button[type=submit]")
    page.get_by_role("link", name="Clipquarry").wait_for()
    task = f"{airflow_server.url}/dags/kinetics400/runs/{RUN_ID}/tasks/gate_clips/details"
    page.goto(task)
    page.get_by_role("link", name="Rows", exact=True).click()
    page.get_by_text("clips.coverage").first.wait_for()
    assert page.url == f"{airflow_server.url}/{GATE}"
    with page.expect_download() as download:
        page.get_by_role("link", name="clips.rows.csv").click()
    assert download.value.suggested_filename == f"kinetics400.{slug(RUN_ID)}.clips.rows.csv"
    page.goto(task)
    page.get_by_role("link", name="Report", exact=True).click()
    page.get_by_text("No report yet").wait_for()
    world = World(find_spec("kinetics400"), DataRoot(airflow_server.data), slug(RUN_ID), "")
    write_report(world.spec, world.data, slug(RUN_ID), None, NOW)
    page.reload()
    page.locator(".verdict h2").wait_for()
