"""The real Airflow on SQLite, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipyard.pipeline.summary import run_summary
from clipyard.settings import DataRoot

PROJECT = Path(__file__).parents[2]


@dataclass
class Airflow:
    """An AIRFLOW_HOME with a migrated database, and a data root."""

    home: Path
    data: DataRoot
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CLIPYARD_DATA": str(self.data.root),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **self.extra,
        }

    def call(self, *arguments: str, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        """``airflow …``; standard error is part of the output."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments], env=self.environment, text=True, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip

    def run(self, dag: str, dataset: str, **conf: Any) -> tuple[int, dict[str, Any], str, str]:
        """Run a DAG to its end: exit code, summary, run folder's name, log."""
        before = {path.name for path in self.data.runs(dataset).glob("*")}
        done = self.call("dags", "test", dag, "--conf", json.dumps(conf))
        new = sorted({path.name for path in self.data.runs(dataset).glob("*")} - before)
        assert len(new) == 1, done.stdout[-4000:]
        return done.returncode, run_summary(self.data, dataset, new[0]), new[0], done.stdout
