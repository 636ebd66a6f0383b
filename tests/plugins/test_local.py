"""``docker/local/up.sh`` with a stand-in for Airflow: what is said, who may start, what is left. The real one: ``tests/e2e/test_live_scheduler.py``."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from docker_engine import PROJECT
from ports import free_port

pytestmark = pytest.mark.timeout(120)

STAND_IN = """
import json, os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
name, home = sys.argv[1], os.environ["AIRFLOW_HOME"]
with open(f"{home}/starts", "a") as file:
    file.write(name + chr(10))
if name in ("db", "pools", "connections", "variables"):
    sys.exit(0)
for number in range(200):
    print(name, "noise", number)
if os.path.exists(f"{home}/{name}-is-broken"):
    sys.exit("broken")
if name != "api-server":
    time.sleep(600)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        ready = {"status": "healthy"} if not os.path.exists(f"{home}/sick") else {"status": None}
        text = json.dumps({"metadatabase": {"status": "healthy"}, **dict.fromkeys(("scheduler", "dag_processor", "triggerer"), ready)}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(text))); self.end_headers(); self.wfile.write(text)
HTTPServer((os.environ["AIRFLOW__API__HOST"], int(os.environ["AIRFLOW__API__PORT"])), Handler).serve_forever()
"""


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return found


@dataclass
class World:
    """Homes below one folder, and what was started there."""

    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def home(self, name: str) -> Path:
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name

    def up(self, name: str, port: int, **extra: str) -> subprocess.Popen[bytes]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")}
        environment = {
            **clean, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(self.folder / "fake"),
            "AIRFLOW__API__PORT": str(port), **extra,
        }  # fmt: skip
        with open(self.home(name) / "said", "ab") as said:
            self.started.append(
                subprocess.Popen(
                    [PROJECT / "docker/local/up.sh", self.home(name), self.folder / "data"], env=environment, stdout=said, stderr=said,
                    start_new_session=True,
                )
            )  # fmt: skip
        return self.started[-1]

    def said(self, name: str) -> list[str]:
        return (self.home(name) / "said").read_text().splitlines()

    def starts(self, name: str, component: str) -> int:
        return (self.home(name) / "starts").read_text().split().count(component)

    def alive(self, name: str) -> list[psutil.Process]:
        """The stand-ins of a home, by their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get("AIRFLOW_HOME") == str(self.home(name))
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except (psutil.Error, OSError):
                pass
        return found

    def ready(self, name: str) -> str:
        return str(
            until(lambda: [line for line in self.said(name) if line.startswith("Airflow: ")], "the address is shown")[0]
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "fake/airflow").mkdir(parents=True)
    (tmp_path / "fake/airflow/__init__.py").touch()
    (tmp_path / "fake/airflow/__main__.py").write_text(STAND_IN)
    made = World(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            process.wait()
    for folder in tmp_path.iterdir():
        until(lambda one=folder.name: not made.alive(one), "nothing is left")


def test_a_quiet_console_one_line_with_the_address_and_nobody_else_can_reach_it(world: World) -> None:
    port = free_port()
    (world.home("a") / "sick").touch()
    process = world.up("a", port)
    until(lambda: (world.home("a") / "console/triggerer.log").exists(), "all were started")
    until(lambda: len(world.alive("a")) == 5, "all live")
    assert not [line for line in world.said("a") if "password" in line], "the scheduler is not healthy yet"
    (world.home("a") / "sick").unlink()
    line = world.ready("a")
    password = json.loads((world.home("a") / "passwords.json").read_text())["admin"]
    assert f"http://localhost:{port}  user admin, password {password}" in line
    assert stat.S_IMODE((world.home("a") / "passwords.json").stat().st_mode) == 0o600
    assert len(world.said("a")) == 2
    assert "noise 199" in (world.home("a") / "console/scheduler.log").read_text()
    listens = {
        (c.laddr.ip, c.laddr.port)
        for p in world.alive("a")
        for c in p.net_connections()
        if c.status == psutil.CONN_LISTEN
    }
    assert listens == {("127.0.0.1", port)}

    # A component that ends is started again, which is one line.
    (scheduler,) = [one for one in world.alive("a") if "scheduler" in one.cmdline()]
    scheduler.kill()
    until(lambda: world.starts("a", "scheduler") == 2, "another scheduler")
    assert sum("'airflow scheduler' has ended" in line for line in world.said("a")) == 1

    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert world.alive("a") == []


def test_a_second_start_says_so_and_starts_nothing(world: World) -> None:
    port, other = free_port(), free_port()
    first = world.up("a", port)
    world.ready("a")
    assert world.up("a", other).wait(60) == 2
    assert (
        f"is already running on {world.home('a')}: http://localhost:{port} (process {first.pid})" in world.said("a")[-1]
    )
    assert world.up("b", port).wait(60) == 2
    assert world.said("b") == [
        f"clipquarry: Port {port} of 127.0.0.1 cannot be had (Address already in use): an Airflow is already running there, or another "
        "program. Set AIRFLOW__API__PORT to another port."
    ]
    assert world.starts("a", "scheduler") == 1
    assert not (world.home("b") / "starts").exists()

    # The lock dies with its owner, and so do the components, however it dies.
    first.kill()
    first.wait()
    until(lambda: world.alive("a") == [], "the components end too")
    again = world.up("a", port, AIRFLOW__API__HOST="0.0.0.0")
    until(lambda: sum(line.startswith("Airflow: ") for line in world.said("a")) == 2, "it starts again")
    listens = {c.laddr.ip for p in world.alive("a") for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    assert listens == {"0.0.0.0"}, "somebody asked for it"
    again.send_signal(signal.SIGTERM)
    assert again.wait(30) == 0


def test_a_component_that_cannot_start_is_told(world: World) -> None:
    for name in ("sick", "dag-processor-is-broken"):
        (world.home("a") / name).touch()
    assert world.up("a", free_port()).wait(60) == 11
    last = world.said("a")[-1]
    assert (
        last
        == f"clipquarry: 'airflow dag-processor' ended 3 times; its log says why: {world.home('a')}/console/dag-processor.log"
    )
    assert world.alive("a") == []
