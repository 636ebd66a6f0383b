"""An Airflow whose database is made once, and a data root for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipyard.settings import DataRoot
from e2e_airflow import Airflow


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("airflow")
    made = Airflow(home, DataRoot(home)).call("db", "migrate")
    assert made.returncode == 0, made.stdout[-2000:]
    return home


@pytest.fixture
def airflow(airflow_home: Path, tmp_path: Path) -> Airflow:
    """Each test has its own data root; the database is shared."""
    data = tmp_path / "data"
    data.mkdir()
    return Airflow(airflow_home, DataRoot(data))
