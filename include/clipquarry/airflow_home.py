"""An Airflow home on this machine (``AIRFLOW_HOME``): who uses it, and whether a run was left in it.

``make up`` and a demo each hold the home's lock while they live. Together they would do harm: the scheduler of one takes up the
tasks of the other's run, and a demo empties the data that the UI shows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from clipquarry.errors import UserError
from clipquarry.file_lock import FileLock, holder_of

_DEMO = "demo"


@dataclass(frozen=True)
class AirflowHome:
    """The folder, which is made where there is none."""

    folder: Path

    @property
    def unended_run(self) -> Path:
        """A file that is there from the begin of a demo's run to its success: a killed demo leaves it, for whoever is next to fail the
        run in Airflow's database (``clipquarry_airflow.left_runs``).
        """
        return self.folder / "unended-run"

    @property
    def own_database(self) -> str:
        """The address of the database in it, as Airflow has it. A demo uses no other, whatever the environment names."""
        return f"sqlite:///{self.folder.absolute()}/airflow.db"

    def hold_for_ui(self, address: str) -> FileLock:
        """The lock, for ``make up``, whose browsers find it at ``address``. Raises UserError where another process has it."""
        return self._hold(address, to_a_demo="", to_a_ui="")

    def hold_for_demo(self) -> FileLock:
        """The lock, for a demo. Raises UserError where another process has it."""
        return self._hold(
            _DEMO,
            to_a_demo=", and a second one would empty its data",
            to_a_ui=", and a demo would empty the data that it shows",
        )

    def _hold(self, what: str, *, to_a_demo: str, to_a_ui: str) -> FileLock:
        path = self.folder / "up.lock"
        lock = FileLock.attempt(path, holder=f"{os.getpid()} {what}")
        if lock is not None:
            return lock
        process, _, other = holder_of(path).partition(" ")
        if not (process and other):
            raise UserError(f"Another process uses the Airflow home {self.folder}{to_a_ui}. End that one first.")
        if other == _DEMO:
            raise UserError(
                f"A demo is already running in {self.folder.parent} (process {process}){to_a_demo}. "
                f"Wait until it ends, or end it with Ctrl-C or 'kill {process}'."
            )
        raise UserError(
            f"Airflow is already running on {self.folder}: {other} (process {process}){to_a_ui}. "
            f"End that one first, with Ctrl-C or 'kill {process}'."
        )
