"""A demo's own Airflow with its folders below one home, and the summary of a run.

The home (``.demo``) holds ``origin`` (what is served), ``data`` (the data root, emptied first, so that every demo shows the same story)
and ``airflow``, whose database is kept. Who makes a :class:`Deployment` holds the lock of ``airflow``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipquarry.airflow_home import AirflowHome
from clipquarry.demo.origin import Origin
from clipquarry.errors import UserError
from clipquarry.files import read_json, write_json
from clipquarry.media.run import tied_to_parent
from clipquarry.pipeline.summary import run_summary
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot
from clipquarry.waiting import waits_of

_LOOK_SECONDS = 0.5
"""Between two looks whether a run waits for people."""


@dataclass(frozen=True)
class Ran:
    """A run that has ended: its folder's name, and how long its DAG took."""

    name: str
    seconds: float


@dataclass
class _Meanwhile:
    """Looks whether a new run (in ``runs``, not one of ``before``) waits for people, and lets ``person`` do their work, once."""

    runs: Path
    before: set[str]
    person: Callable[[], Iterable[str]]
    done: bool = False

    def __call__(self) -> None:
        if self.done:
            return
        new = (path for path in self.runs.glob("*") if path.name not in self.before)
        note = next((wait for run in new for wait in waits_of(run) if wait.page), None)
        if note is None:
            return
        self.done = True
        print(f"the run waits for people at {note.page}, which Airflow shows under Required Actions")
        for sentence in self.person():
            print(f"  {sentence}", flush=True)
        print("the run goes on by itself", flush=True)


@dataclass(frozen=True)
class Deployment:
    """The demo of one data set. ``project`` is the checkout, with the folders ``dags`` and ``plugins``."""

    home: Path
    project: Path
    dataset: str

    @property
    def data(self) -> DataRoot:
        """The data root."""
        return DataRoot(self.home / "data")

    @property
    def log(self) -> Path:
        """Airflow's log."""
        return self.home / "demo.log"

    @property
    def airflow_home(self) -> AirflowHome:
        """The home of the demo's own Airflow."""
        return AirflowHome(self.home / "airflow")

    def begin(self) -> None:
        """Name the ffmpeg, empty the data root."""
        from clipquarry.media.tools import ffmpeg

        tool = ffmpeg()
        print(f"ffmpeg: {tool.version} ({tool.origin}: {tool.path})")
        shutil.rmtree(self.data.root, ignore_errors=True)
        self.data.root.mkdir(parents=True)
        self.log.write_text("")

    def play(self, plan: dict[str, Any]) -> None:
        """Change the server's plan, also while it runs."""
        write_json(self.home / "plan.json", plan)

    @contextmanager
    def serving(self, folder: Path, plan: dict[str, Any], what: str) -> Iterator[str]:
        """The address of a server of ``folder`` that plays ``plan``; Airflow's database is there then. ``what`` it serves is told."""
        self.play(plan)
        with Origin(folder, self.home / "plan.json", log=self.home / "origin.log") as origin:
            print(f"source: {origin.url} {what}")
            if self._airflow(origin.url, "db", "migrate"):
                raise UserError(f"Airflow's database could not be set up; see {self.log}.")
            if self.airflow_home.unended_run.exists() and self._module(origin.url, "clipquarry_airflow.left_runs"):
                raise UserError(f"The run that the demo before left could not be failed in Airflow; see {self.log}.")
            yield origin.url

    def run(self, url: str, dag: str, params: dict[str, Any], person: Callable[[], Iterable[str]] | None = None) -> Ran:
        """Run a DAG to its end. When it waits for people at a page, ``person`` does their work once, and what it says is told."""
        begun = time.monotonic()
        # The id of a test run is made from its date; a fresh one each time keeps old runs in the UI's history.
        moment = datetime.now(UTC).replace(microsecond=0)
        before = {path.name for path in self.data.runs(self.dataset).glob("*")}
        meanwhile = _Meanwhile(self.data.runs(self.dataset), before, person) if person is not None else None
        unended = self.airflow_home.unended_run
        others = unended.exists()
        unended.touch()
        code = self._airflow(
            url, "dags", "test", dag, moment.isoformat(), "--conf", json.dumps(params), meanwhile=meanwhile
        )
        if not code and not others:  # a red run may be one whose process died, with the run still "running"
            unended.unlink()
        runs = sorted({path.name for path in self.data.runs(self.dataset).glob("*")} - before)
        if len(runs) != 1:
            raise UserError(f"The DAG {dag} ended with {code} before it could begin a run; see {self.log}.")
        if code:
            print(f"The DAG {dag} is red; its log is {self.log}.")
        return Ran(runs[0], time.monotonic() - begun)

    def tell(self, title: str, ran: Ran) -> None:
        """Counts, reasons and gates of a run."""
        summary = run_summary(self.data, self.dataset, ran.name)
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(summary["reasons"].items())) or "none"
        print(f"{title} ({ran.seconds:.0f} s)")
        print(f"  expected {summary['expected']}, fetched {summary['present']}, missing {summary['missing']}, "
              f"failed {summary['failed']}")  # fmt: skip
        print(f"  why not: {reasons}")
        told = dict(read_json(self.place(ran).report_json)["tools"])
        print(f"  steps ran in: {told.get('steps ran in', 'none')}")
        for name, verdict in summary["gates"].items():
            gate = read_json(self.place(ran).gate(name))
            failed = Counter(check["id"] for check in gate["checks"] if not check["success"])
            broken = ", ".join(check if count == 1 else f"{check} ({count} times)" for check, count in failed.items())
            print(
                f"  gate {name}: {verdict}, {len(gate['checks'])} checks" + (f", not held: {broken}" if failed else "")
            )

    def place(self, ran: Ran) -> RunFolder:
        """The paths in a run's folder."""
        return RunFolder(self.data.run(self.dataset, ran.name))

    def _airflow(self, url: str, *arguments: str, meanwhile: Callable[[], None] | None = None) -> int:
        return self._module(url, "airflow", *arguments, meanwhile=meanwhile)

    def _module(self, url: str, *arguments: str, meanwhile: Callable[[], None] | None = None) -> int:
        """Run a module in the demo's environment to its end, which comes with ours at the latest: a DAG that waits for people would
        go on for days. ``meanwhile`` is called now and then.
        """
        command = [sys.executable, "-m", *arguments]
        with (
            open(self.log, "a") as handle,
            subprocess.Popen(
                command, env=self._environment(url), stdout=handle, stderr=handle, preexec_fn=tied_to_parent()
            ) as process,
        ):
            try:
                while True:
                    with suppress(subprocess.TimeoutExpired):
                        return process.wait(timeout=None if meanwhile is None else _LOOK_SECONDS)
                    if meanwhile is not None:
                        meanwhile()
            except BaseException:
                process.kill()
                raise

    def _environment(self, url: str) -> dict[str, str]:
        return {
            **os.environ,
            "AIRFLOW_HOME": str(self.airflow_home.folder),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.airflow_home.own_database,
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.project / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.project / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "CLIPQUARRY_DATA": str(self.home / "data"),
            "CLIPQUARRY_DEMO_URL": url,
            "CLIPQUARRY_ONLY": self.dataset,
            "NO_PROXY": "127.0.0.1",
        }
