"""The pages in a real Airflow API server: who may see what, what a hostile address gets, and how it looks in the UI."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.api_fastapi.core_api.security import AccessView, requires_access_view, requires_authenticated
from clipquarry.datasets.load import find_spec
from clipquarry.pipeline.reporting import write_report
from clipquarry.settings import DataRoot
from clipquarry_airflow.pages import make_app
from fastapi.routing import APIRoute
from playwright.sync_api import Browser
from ports import free_port
from report_fixture import NOW, RUN, World, catalog_rows, result_rows, without_attempts, write_gates
from report_fixture import write_run_files as write_run_json

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
RUN_ID = "scheduled__2026-11-21T00:00:00+00:00"
REPORT = f"/clipquarry/runs/kinetics400/{RUN}/report/index.html"
PACKED = f"/clipquarry/runs/kinetics400/{RUN}/gates/frames.rows.csv.gz"
ROWS = 'item_id,check,scope,severity,values\nval/a/<script>x</script>,frames.x,,warn,"{""a"": 1}"\n'
ROUTES = (
    "/clipquarry/", "/clipquarry/index.html", "/clipquarry/dataset/kinetics400",
    f"/clipquarry/report/kinetics400/{RUN}", REPORT,
    f"/clipquarry/runs/kinetics400/{RUN}/report/missing.csv", f"/clipquarry/runs/kinetics400/{RUN}/report/report.json",
    f"/clipquarry/runs/kinetics400/{RUN}/gates/clips.rows.csv", PACKED, "/clipquarry/dag/kinetics400",
    "/clipquarry/dag/kinetics400_refresh", f"/clipquarry/dag/kinetics400/run/{RUN_ID}", "/clipquarry/dag/other",
    "/clipquarry/dag/kinetics400/run/manual__not_yet", f"/clipquarry/dag/kinetics400/gate/clips/run/{RUN_ID}",
    "/clipquarry/dag/kinetics400_refresh/gate/lists/run/manual__not_yet",
)  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A running API server and a token for it."""

    url: str
    token: str
    data: Path

    def get(self, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(self.url + path, headers=headers, timeout=30, **more)


def make_run(data: DataRoot, dataset: str) -> World:
    world = World(find_spec(dataset), data, RUN, "")
    rng = random.Random(4)
    rows = catalog_rows(6, 5, rng)
    found = result_rows(rows, rng, NOW, dataset, 0.2)
    world.made.catalog(rows)
    world.made.recorded(without_attempts(found))
    write_run_json(world, begun=NOW)
    write_gates(world.folder, found)
    (world.folder / "gates" / PACKED.rpartition("/")[2]).write_bytes(gzip.compress(ROWS.encode(), mtime=0))
    write_report(world.spec, data, RUN, None, NOW)
    return world


def airflow_environment(home: Path, port: int) -> dict[str, str]:
    (home / "users.json").write_text(json.dumps({"admin": "secret"}))
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CLIPQUARRY"))},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(Path(__file__).parent),
        "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"), "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__AUTH_MANAGER": "only_kinetics400.OnlyKinetics400",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "users.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin", "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}", "AIRFLOW__API__WORKERS": "1",
        "CLIPQUARRY_DATA": str(home / "data"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def airflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("airflow")
    data = DataRoot(home / "data")
    port = free_port()
    environment = airflow_environment(home, port)
    migrating = subprocess.Popen([BIN / "airflow", "db", "migrate"], env=environment, stdout=subprocess.DEVNULL)
    for dataset in ("kinetics400", "kinetics600"):
        make_run(data, dataset)
    (home / "data" / "secret.txt").write_text("secret")
    assert migrating.wait(300) == 0
    with serving(home, environment, port) as url_and_token:
        yield Server(*url_and_token, data.root)


@contextmanager
def serving(home: Path, environment: dict[str, str], port: int, below: str = "") -> Iterator[tuple[str, str]]:
    """Airflow's API server at a path ``below`` the address of a port: its URL, and a token for it."""
    url = f"http://127.0.0.1:{port}{below}"
    with open(home / "api.log", "wb") as log:
        process = subprocess.Popen(
            [BIN / "airflow", "api-server"], env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield url, _log_in(url, process, home / "api.log")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _log_in(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answer = httpx.post(f"{url}/auth/token", json={"username": "admin", "password": "secret"}, timeout=10)
            return str(answer.json()["access_token"])
        except httpx.HTTPError:
            time.sleep(0.3)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


def test_the_plugin_is_registered_once(airflow_server: Server) -> None:
    assert airflow_server.get("/api/v2/plugins/importErrors").json()["total_entries"] == 0
    ours = [one for one in airflow_server.get("/api/v2/plugins").json()["plugins"] if one["name"] == "clipquarry"]
    assert len(ours) == 1
    views = {(view["destination"], view["name"]): view for view in ours[0]["external_views"]}
    assert views[("nav", "Clipquarry")]["href"] == "clipquarry/"
    assert views[("nav", "Labelling")]["href"] == "clipquarry-labelling/"
    assert views[("dag_run", "Data quality")]["href"] == "clipquarry/dag/{DAG_ID}/run/{RUN_ID}"
    assert len({view["url_route"] for view in views.values()}) == 4


def test_no_page_can_be_added_without_a_login() -> None:
    # Every page asks by itself today, so that the server shows no difference; the next page must not have to remember.
    asks = (requires_authenticated().__qualname__, requires_access_view(AccessView.WEBSITE).__qualname__)
    for route in make_app().routes:
        assert isinstance(route, APIRoute), f"{route} is mounted beside the pages and asks nobody"
        assert [one.dependency.__qualname__ for one in route.dependencies if one.dependency] == list(asks), route.path


@pytest.mark.parametrize("path", ROUTES)
def test_a_stranger_sees_nothing(airflow_server: Server, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Cookie": "_token=nonsense"}):
        answer = httpx.get(airflow_server.url + path, headers=headers)
        assert answer.status_code in (401, 403), headers
        assert "Kinetics-400" not in answer.text and "val/" not in answer.text
    assert httpx.post(airflow_server.url + path).status_code in (401, 403, 405)


@pytest.mark.parametrize("path", ["/clipquarry/docs", "/clipquarry/redoc", "/clipquarry/openapi.json"])
def test_there_are_no_pages_about_the_pages(airflow_server: Server, path: str) -> None:
    assert airflow_server.get(path).status_code == 404


@pytest.mark.parametrize("path", ROUTES)
def test_a_user_sees_every_page_with_its_headers(airflow_server: Server, path: str) -> None:
    answer = airflow_server.get(path, follow_redirects=True)
    assert answer.status_code == 200
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    if path.endswith((".csv", ".json", ".gz")):
        assert answer.headers["content-disposition"].startswith("attachment;")
        name = path.rpartition("/")[2]
        folder = "gates" if "/gates/" in path else "report"
        assert answer.content == (DataRoot(airflow_server.data).run("kinetics400", RUN) / folder / name).read_bytes()


def test_packed_rows_arrive_as_the_file_that_was_written(airflow_server: Server) -> None:
    """A browser must save the file, not unpack it on the way or show what is in it."""
    answer = airflow_server.get(PACKED)
    assert answer.headers["content-type"] == "application/gzip"
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-disposition"] == f'attachment; filename="kinetics400.{RUN}.frames.rows.csv.gz"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert gzip.decompress(answer.content).decode() == ROWS
    assert airflow_server.get(PACKED.replace("frames", "absent")).status_code == 404


def test_the_pages_say_what_they_should(airflow_server: Server) -> None:
    assert "kinetics400" in airflow_server.get("/clipquarry/").text
    runs = airflow_server.get("/clipquarry/dag/kinetics400_refresh").text
    assert f'href="{REPORT}"' in runs
    assert airflow_server.get(f"/clipquarry/dag/kinetics400/run/{RUN_ID}").headers["location"] == REPORT
    report = airflow_server.get(REPORT).text
    assert "clipquarry:nav" not in report and 'href="/clipquarry/dataset/kinetics400"' in report
    assert "No report yet" in airflow_server.get("/clipquarry/dag/kinetics400/run/manual__not_yet").text
    assert "does not prepare a Clipquarry data set" in airflow_server.get("/clipquarry/dag/other").text
    assert "never run" in airflow_server.get("/clipquarry/dag/kinetics700").text
    assert airflow_server.get("/clipquarry/dataset/unknown").status_code == 404


def test_a_gates_page_shows_the_rows_that_broke_it(airflow_server: Server) -> None:
    page = airflow_server.get(f"/clipquarry/dag/kinetics400/gate/clips/run/{RUN_ID}").text
    assert "clips.coverage" in page and "Kinetics-400" in page
    assert f'href="/clipquarry/runs/kinetics400/{RUN}/gates/clips.rows.csv"' in page
    assert f'href="/clipquarry/dag/kinetics400/run/{RUN_ID}"' in page
    told = airflow_server.get(f"/clipquarry/dag/kinetics400/gate/annotations/run/{RUN_ID}").text
    assert "4 videos are in two splits." in told and "<img src=x" not in told
    nothing = airflow_server.get(f"/clipquarry/dag/kinetics400/gate/merged/run/{RUN_ID}").text
    assert "The gate merged has no result in this run" in nothing
    assert "does not prepare" in airflow_server.get(f"/clipquarry/dag/other/gate/clips/run/{RUN_ID}").text


def test_every_link_of_the_index_and_the_report_leads_somewhere(airflow_server: Server) -> None:
    gate = f"/clipquarry/dag/kinetics400/gate/clips/run/{RUN_ID}"
    for page in ("/clipquarry/", "/clipquarry/dataset/kinetics400", REPORT, gate):
        links = re.findall(r'href="([^"#]+)"', airflow_server.get(page).text)
        assert links
        for link in links:
            target = httpx.URL(airflow_server.url + page).join(link)
            assert target.host == "127.0.0.1"
            assert airflow_server.get(target.raw_path.decode()).status_code in (200, 307), link


@pytest.mark.parametrize(
    "path",
    [
        f"/clipquarry/runs/kinetics400/{RUN}/gates/..%2frun.json", f"/clipquarry/runs/kinetics400/{RUN}/gates/run.json",
        f"/clipquarry/runs/kinetics400/{RUN}/report/..%2f..%2frun.json",
        f"/clipquarry/runs/kinetics400/{RUN}/report/summary.json", f"/clipquarry/runs/kinetics400/{RUN}/report/%00",
        f"/clipquarry/runs/kinetics400/{RUN}/gates/..%5crun.rows.csv",
        "/clipquarry/runs/kinetics400/%2e%2e/report/index.html",
        "/clipquarry/runs/%2e%2e/x/report/index.html", "/clipquarry/runs/..%2f..%2f..%2f/x/report/index.html",
        "/clipquarry/runs/kinetics400/..%2f..%2f..%2f/gates/x.rows.csv", "/clipquarry/report/kinetics400/..%2f..",
        "/clipquarry/dataset/..%2f..%2fetc", "/clipquarry/dataset/Kinetics400%0a", "/clipquarry/dataset/%3Cscript%3E",
        f"/clipquarry/runs/kinetics400/{RUN}/gates/linked.rows.csv",
        f"/clipquarry/runs/kinetics400/{RUN}/gates/linked.rows.csv.gz", f"/clipquarry/runs/kinetics400/{RUN}/gates/run.gz",
        f"/clipquarry/runs/kinetics400/{RUN}/gates/..%2fgates%2fframes.rows.csv.gz",
        f"/clipquarry/runs/kinetics400/{RUN}/gates/%3Cscript%3E.rows.csv.gz",
        f"/clipquarry/runs/kinetics400/{RUN}/gates/frames.rows.csv.gz%0a", f"/clipquarry/runs/kinetics400/{RUN}/gates/frames.rows.csv.gz.gz",
        "/clipquarry/runs/kinetics400/linked/report/index.html", "/clipquarry/dag/kinetics400/gate/clips/run/linked",
        f"/clipquarry/dag/kinetics400/gate/..%2frun/run/{RUN_ID}", f"/clipquarry/dag/kinetics400/gate/..%2f..%2fclips/run/{RUN_ID}",
        f"/clipquarry/dag/kinetics400/gate/%3Cscript%3E/run/{RUN_ID}", f"/clipquarry/dag/kinetics400/gate/clips%0a/run/{RUN_ID}",
    ],
)  # fmt: skip
def test_no_address_leaves_the_run(airflow_server: Server, path: str) -> None:
    folder = DataRoot(airflow_server.data).run("kinetics400", RUN)
    for link, target in (
        (folder / "gates" / "linked.rows.csv", airflow_server.data / "secret.txt"),
        (folder / "gates" / "linked.rows.csv.gz", airflow_server.data / "secret.txt"),
        (folder.parent / "linked", airflow_server.data),
    ):
        if not link.is_symlink():
            link.symlink_to(target)
    (airflow_server.data / "report").mkdir(exist_ok=True)
    (airflow_server.data / "report" / "index.html").write_text("secret")
    answer = airflow_server.get(path, follow_redirects=True)
    assert answer.status_code == 404
    assert "secret" not in answer.text and "<script>" not in answer.text


def test_who_may_not_read_a_dag_does_not_see_its_report(airflow_server: Server) -> None:
    for path in ROUTES:
        if "kinetics400" in path:
            assert (
                airflow_server.get(path.replace("kinetics400", "kinetics600"), follow_redirects=True).status_code == 403
            ), path
    assert "kinetics600" not in airflow_server.get("/clipquarry/").text


def test_labelling_is_behind_the_login_and_the_rights_of_the_dag(airflow_server: Server) -> None:
    """Its routes have tests of their own (tests/labelling); here Airflow decides."""
    place = "/clipquarry-labelling/p/{}/none"
    for path in ("/", "/projects", "/static/label.js", "/vendor/konva.min.js"):
        assert httpx.get(f"{airflow_server.url}/clipquarry-labelling{path}").status_code in (401, 403)
        answer = airflow_server.get(f"/clipquarry-labelling{path}")
        assert answer.status_code == 200
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert airflow_server.get("/clipquarry-labelling/projects").json() == {"projects": []}
    assert airflow_server.get(f"{place.format('kinetics600')}/project").status_code == 403
    headers = {"Authorization": f"Bearer {airflow_server.token}", "X-Clipquarry": "labelling"}
    for dataset, status in (("kinetics400", 404), ("kinetics600", 403)):
        path = f"{airflow_server.url}{place.format(dataset)}/take"
        assert httpx.post(path, json={}, headers=headers).status_code == status
        assert httpx.post(path, json={}).status_code in (401, 403)


def test_the_navigation_entry_in_the_ui(airflow_server: Server, chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(airflow_server.url)
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", "secret")
    page.click("button[type=submit]")
    page.get_by_role("link", name="Clipquarry").click()
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="report").click()
    frame.locator(".verdict h2").wait_for()
    assert "clips are here" in frame.locator(".verdict h2").inner_text()
    with page.expect_download() as download:
        frame.get_by_role("link", name="missing.csv").click()
    assert download.value.suggested_filename == f"kinetics400.{RUN}.missing.csv"


def test_the_folder_registers_the_plugin_only_where_nothing_is_installed(tmp_path: Path) -> None:
    script = """
import importlib.metadata as metadata, runpy, sys
path = sys.argv[1]
assert "ClipquarryPlugin" not in runpy.run_path(path)
known = metadata.distribution
def absent(name):
    if name == "clipquarry":
        raise metadata.PackageNotFoundError(name)
    return known(name)
metadata.distribution = absent
plugin = runpy.run_path(path)["ClipquarryPlugin"]
assert plugin.name == "clipquarry"
assert not {"fastapi", "matplotlib", "clipquarry.report"} & set(sys.modules), "the plugin loads heavy modules"
from airflow._shared.module_loading.file_discovery import find_path_from_directory
print(sorted(path for path in find_path_from_directory(sys.argv[2], ".airflowignore") if path.endswith(".py")))
"""
    environment = airflow_environment(tmp_path, 0)
    folder = PROJECT / "plugins"
    command = [sys.executable, "-c", script, str(folder / "clipquarry_plugin.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == str([str(folder / "clipquarry_plugin.py")])
