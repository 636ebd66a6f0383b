"""Airflow on this machine, as ``make up`` starts it: four components that are started again when they end, one line when all are healthy.

``docker/local/up.sh`` sets the environment. The console stays quiet: what the components say goes to files in ``{AIRFLOW_HOME}/console``. One home has
one scheduler, which a lock file holds for as long as this process lives.
"""

from __future__ import annotations

import ctypes
import fcntl
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
from typing import IO

from clipquarry.errors import ClipquarryError, RetryLater, UserError

from clipquarry_airflow import settings_file

COMPONENTS = {
    "api-server": (), "scheduler": ("--skip-serve-logs",), "dag-processor": (), "triggerer": ("--skip-serve-logs",),
}  # fmt: skip
"""Without servers of logs: those would listen on every address, and the API server finds the files by itself."""
AGAIN_SECONDS = 3.0
"""Between the end of a component and its next start."""
GRACE_SECONDS = 5.0
MOST_ENDS = 3
"""A component that ends so often before all are healthy will not become so."""
_PR_SET_PDEATHSIG = 1


def one_at_a_time(home: Path, address: str) -> IO[str]:
    """The lock of an Airflow home, with our process and address in it; keep it open. Raises UserError where another process has it."""
    lock = open(home / "up.lock", "a+", encoding="utf-8")  # noqa: SIM115  it is held for as long as we live
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        process, _, where = lock.read().strip().partition(" ")
        lock.close()
        raise UserError(
            f"Airflow is already running on {home}: {where} (process {process}). End that one first, with Ctrl-C or 'kill {process}'."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()} {address}\n")
    lock.flush()
    return lock


def check_port(host: str, port: int) -> None:
    """Raises UserError where somebody listens on the port already."""
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
    """Where a person of this machine finds the API server."""
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
    """What a component does first: it is told to end when this process dies, however it dies. Linux only."""
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
    """One of Airflow's processes, with what it started, in a group of its own."""

    name: str
    log: Path
    process: subprocess.Popen[bytes] | None = None
    ends: int = 0
    starts_at: float = 0.0
    _groups: list[int] = field(default_factory=list)
    """Process groups of this one's starts in which somebody lives: tasks outlive their scheduler."""

    def start(self) -> None:
        with open(self.log, "ab") as handle:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airflow", self.name, *COMPONENTS[self.name]],
                stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True, preexec_fn=_dies_with_us(),
            )  # fmt: skip
        self._groups.append(self.process.pid)

    def watch(self, say: Callable[[str], None]) -> None:
        """Start it again when it has ended: one bad answer to a worker ends Airflow's scheduler."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process, self.ends, self.starts_at = None, self.ends + 1, time.monotonic() + AGAIN_SECONDS
            say(f"'airflow {self.name}' has ended ({code}) and is started again; its log is {self.log}")
        if self.process is None and time.monotonic() >= self.starts_at:
            self.start()
        self.signal(0)  # forgets the groups that are empty: their numbers may be somebody else's some day

    def signal(self, number: int) -> bool:
        """Tell all that lives of it; whether anything does."""
        if self.process is not None:
            self.process.poll()  # else it stays as a zombie of its group
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
        """The database and the pools; raises a sentence."""
        log = self.logs / "setup.log"
        with open(log, "wb") as handle:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"], stdout=handle, stderr=handle, check=False
            )
        if done.returncode:
            raise RetryLater(f"Airflow's database in {self.home} could not be set up; see {log}.")
        settings_file.load(project / "airflow_settings.yaml")
        for component in self.components:  # what the last start said is kept beside
            if component.log.exists():
                component.log.replace(component.log.with_suffix(".before.log"))

    def unhealthy(self) -> list[str]:
        """What does not work yet, as the API server says."""
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
        """Start all and watch them until a signal ends this process; ``ready`` is said once, when all are healthy."""
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
        """End all that was started; what does not hear is killed."""
        end = time.monotonic() + GRACE_SECONDS
        number: int = signal.SIGTERM
        while sum(component.signal(number) for component in self.components):  # every one is told
            number = signal.SIGKILL if time.monotonic() > end else 0  # 0 only asks
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
        lock = one_at_a_time(home, address)
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
    lock.close()


if __name__ == "__main__":
    main()
