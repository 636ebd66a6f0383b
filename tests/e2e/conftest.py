"""An Airflow that is loaded and whose database is made once, and a data root for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clipquarry.settings import DataRoot
from e2e_airflow import Airflow, LoadedAirflow


@pytest.fixture(scope="session")
def loaded_airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """The one Airflow of all files in this folder."""
    airflow = Airflow(home := tmp_path_factory.mktemp("airflow"), DataRoot(home))
    airflow.loaded = LoadedAirflow(airflow.environment)
    made = airflow.call("db", "migrate")
    assert made.returncode == 0, made.stdout[-2000:]
    yield airflow
    airflow.loaded.close()


@pytest.fixture
def airflow(loaded_airflow: Airflow, tmp_path: Path) -> Airflow:
    """Each test has its own data root; the process and the database are shared."""
    data = tmp_path / "data"
    data.mkdir()
    return Airflow(loaded_airflow.home, DataRoot(data), loaded=loaded_airflow.loaded)
