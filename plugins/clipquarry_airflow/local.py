"""Airflow on this machine, for ``make up``: four components that are restarted when they end, and one line when all
are healthy.

``docker/local/up.sh`` sets the environment. The console stays quiet: the components' output goes to files in
``{AIRFLOW_HOME}/console``. One home has one scheduler, or one demo; a lock file enforces that while this process lives.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from clipquarry.airflow_home import AirflowHome
from clipquarry.errors import ClipquarryError, RetryLater, UserError

from clipquarry_airflow import settings_file

COMPONENTS = {
    "api-server": (), "scheduler": ("--skip-serve-logs",), "dag-processor": (), "triggerer": ("--skip-serve-logs",),
}  # fmt: skip
"""Without log servers: those would listen on every address, and the API server finds the files by itself."""
AGAIN_SECONDS = 3.0
"""Seconds between the end of a component and its next start."""
GRACE_SECONDS = 5.0
MOST_ENDS = 3
"""A component that ends this often before all are healthy will not recover."""
_PR_SET_PDEATHSIG = 1


def check_port(host: str, port: int) -> None:
    """Raises UserError if another program listens on the port already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"Port {port} of {host} cannot be had ({error.strerror}): an Airflow is already running there, or another program. "
                "Set AIRFLOW__API__PORT to another port."
            ) from None


def address_of(host: str, port: int) -> str:
    """The API server's address for a browser on this machine."""
    everywhere = ("", "0.0.0.0", "::", "127.0.0.1", "::1")  # noqa: S104
    return f"http://{'localhost' if host in everywhere else f'[{host}]' if ':' in host else host}:{port}"


def passwords(file: Path) -> dict[str, str]:
    """Users and passwords; made at the first start, readable by their owner only."""
    if not file.exists() or not file.stat().st_size:
        new = file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
            json.dump({"admin": secrets.token_urlsafe(12)}, handle)
        new.rename(file)
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _dies_with_us() -> Callable[[], None] | None:
    """Function that a component calls first: it ends when this process dies, for whatever cause. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, ours = ctypes.CDLL(None).prctl, os.getpid()

    def first() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != ours:
            os._exit(1)

    return first


@dataclass
class Component:
    """One of Airflow's processes and its children, in a process group of its own."""

    name: str
    log: Path
    process: subprocess.Popen[bytes] | None = None
    ends: int = 0
    starts_at: float = 0.0
    _groups: list[int] = field(default_factory=list)
    """Process groups of this component's starts that still have processes: tasks outlive their scheduler."""

    def start(self) -> None:
        with open(self.log, "ab") as handle:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airflow", self.name, *COMPONENTS[self.name]],
                stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True, preexec_fn=_dies_with_us(),
            )  # fmt: skip
        self._groups.append(self.process.pid)

    def watch(self, say: Callable[[str], None]) -> None:
        """Restart the component if it has ended: one bad answer to a worker ends Airflow's scheduler."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process, self.ends, self.starts_at = None, self.ends + 1, time.monotonic() + AGAIN_SECONDS
            say(f"'airflow {self.name}' has ended ({code}) and is started again; its log is {self.log}")
        if self.process is None and time.monotonic() >= self.starts_at:
            self.start()
        self.signal(0)  # forgets empty groups: their numbers may belong to other processes later

    def signal(self, number: int) -> bool:
        """Send a signal to all its living processes; returns whether any lives."""
        if self.process is not None:
            self.process.poll()  # else it remains as a zombie of its group
        left = []
        for group in self._groups:
            try:
                os.killpg(group, number)
                left.append(group)
            except (ProcessLookupError, PermissionError):
                pass
        self._groups = left
        return bool(left)


class LocalAirflow:
    """The four components of one home."""

    def __init__(self, home: Path, address: str, host: str, port: int) -> None:
        self.home, self.address, self.logs = home, address, home / "console"
        self.logs.mkdir(exist_ok=True)
        local = "127.0.0.1" if host in ("", "0.0.0.0") else "::1" if host == "::" else host  # noqa: S104
        self._health = f"http://{f'[{local}]' if ':' in local else local}:{port}/api/v2/monitor/health"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.components = [Component(name, self.logs / f"{name}.log") for name in COMPONENTS]

    def prepare(self, project: Path) -> None:
        """The database, without runs that nothing runs any more, and the pools; raises a sentence."""
        log = self.logs / "setup.log"
        place = AirflowHome(self.home)
        modules = [(dict(os.environ), ["airflow", "db", "migrate"])]
        if place.unended_run.exists():  # of a killed demo
            its = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": place.own_database}
            modules.append((its, ["clipquarry_airflow.left_runs"]))
        with open(log, "wb") as handle:
            for env, module in modules:
                done = subprocess.run(
                    [sys.executable, "-m", *module], stdout=handle, stderr=handle, check=False, env=env
                )
                if done.returncode:
                    raise RetryLater(f"Airflow's database in {self.home} could not be set up; see {log}.")
        settings_file.load(project / "airflow_settings.yaml")
        for component in self.components:  # the last start's output is kept beside it
            if component.log.exists():
                component.log.replace(component.log.with_suffix(".before.log"))

    def unhealthy(self) -> list[str]:
        """Components that do not work yet, as the API server reports."""
        try:
            with self._opener.open(self._health, timeout=5) as answer:
                said = json.load(answer)
        except (OSError, urllib.error.URLError, ValueError):
            return ["api-server"]
        parts = {
            "metadatabase": "metadatabase",
            "scheduler": "scheduler",
            "dag_processor": "dag-processor",
            "triggerer": "triggerer",
        }
        return [name for part, name in parts.items() if (said.get(part) or {}).get("status") != "healthy"]

    def run(self, say: Callable[[str], None], ready: str) -> None:
        """Start all components and watch them until a signal ends this process; ``ready`` is logged once, when all
        are healthy.
        """
        waiting = True
        while True:
            for component in self.components:
                component.watch(say)
                if waiting and component.ends >= MOST_ENDS:
                    raise RetryLater(
                        f"'airflow {component.name}' ended {MOST_ENDS} times; its log says why: {component.log}"
                    )
            if waiting and not self.unhealthy():
                say(ready)
                waiting = False
            time.sleep(0.5 if waiting else 1.0)

    def stop(self) -> None:
        """End all started processes; those that do not react are killed."""
        end = time.monotonic() + GRACE_SECONDS
        number: int = signal.SIGTERM
        while sum(component.signal(number) for component in self.components):  # signals every one
            number = signal.SIGKILL if time.monotonic() > end else 0  # signal 0 only asks
            time.sleep(0.1)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """``python -m clipquarry_airflow.local PROJECT``, in the environment that ``docker/local/up.sh`` makes."""
    home, host, port = (
        Path(os.environ["AIRFLOW_HOME"]),
        os.environ["AIRFLOW__API__HOST"],
        int(os.environ["AIRFLOW__API__PORT"]),
    )
    address, project = address_of(host, port), Path(sys.argv[1])
    airflow: LocalAirflow | None = None

    def say(line: str) -> None:
        print(line, flush=True)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        lock = AirflowHome(home).hold_for_ui(address)
        check_port(host, port)
        airflow = LocalAirflow(home, address, host, port)
        say(f"Airflow starts, which takes about a minute; its logs are in {airflow.logs}")
        airflow.prepare(project)
        users = passwords(Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]))
        who = ", ".join(f"user {user}, password {password}" for user, password in users.items())
        airflow.run(say, f"Airflow: {address}  {who}  (data in {os.environ['CLIPQUARRY_DATA']}; Ctrl-C ends it)")
    except ClipquarryError as error:
        print(f"clipquarry: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if airflow is not None:
            airflow.stop()
    lock.release()


if __name__ == "__main__":
    main()
