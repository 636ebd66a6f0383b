"""Runs of the command line that are killed at chosen moments, and what they leave, to be compared with an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.manifest import read_rows
from clipquarry.settings import DataRoot

Moment = Callable[["Killed"], bool]
"""Whether a run has come so far."""


def attempts_of(data: Path) -> Counter[tuple[str, str, str]]:
    """How often each source was asked for each clip, and what it said: from the ledger of a data root."""
    with closing(sqlite3.connect(data / ".clipquarry/ledger.sqlite")) as ledger:
        rows = ledger.execute(
            "SELECT c.clip_id, a.source, a.reason FROM ledger_attempt a JOIN ledger_clip c ON c.id = a.clip_id"
        )
        return Counter(rows.fetchall())


@dataclass(frozen=True)
class Killed:
    """Runs of one data set in one data root, always under the same name and with the same arguments."""

    data: Path
    dataset: str
    arguments: tuple[str, ...] = ()
    command: str = "run"
    name: str = "one"
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the runs, besides this process's own."""

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return DataRoot(self.data).run(self.dataset, self.name)

    @property
    def layout(self) -> Path:
        return self.data / self.dataset

    def start(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "clipquarry", self.command, self.dataset, "--run", self.name, *self.arguments]
        environment = {**os.environ, **self.environment, "CLIPQUARRY_DATA": str(self.data)}
        return subprocess.Popen(
            argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def finish(self) -> None:
        """Run it to its end."""
        assert self.start().wait(400) == 0

    def kill_at(self, reached: Moment, rng: random.Random, within: float = 0.5) -> None:
        """Start it, and -9 to its whole group some time after the moment: nobody gets to clean up."""
        run = self.start()
        while not reached(self) and run.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, within))
        assert run.poll() is None, "it is killed in the middle of its work"
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()

    def lock(self) -> bytes:
        return (DataRoot(self.data).release(self.dataset) / self.name / f"{self.dataset}.lock").read_bytes()

    def files(self) -> dict[str, bytes]:
        """Every file of the layout, half-made ones too."""
        return {
            str(path.relative_to(self.layout)): path.read_bytes()
            for path in sorted(self.layout.rglob("*"))
            if path.is_file()
        }

    def attempts(self) -> Counter[tuple[str, str, str]]:
        """See :func:`attempts_of`."""
        return attempts_of(self.data)

    def rows(self, table: str, but: Iterable[str] = ()) -> list[dict[str, Any]]:
        """The rows of a table below the private folder, by item, without the columns ``but``."""
        found = read_rows(self.data / ".clipquarry" / table)
        plain = [{name: value for name, value in row.items() if name not in but} for row in found]
        return sorted(plain, key=lambda row: str(row["item_id"]))

    def leftovers(self) -> list[str]:
        """What a run that has ended should not leave: half-made files, journals, downloads, processes."""
        left = [
            str(path.relative_to(self.data))
            for path in self.data.rglob("*")
            if path.name.startswith(TEMPORARY_PREFIX) or path.name.endswith(".journal.jsonl") or ".part" in path.name
        ]
        running = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
        return left + [" ".join(line) for line in running if line and str(self.data) in " ".join(line)]
