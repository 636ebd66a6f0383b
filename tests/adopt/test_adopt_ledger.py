"""A ledger of the old name, on both databases."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from clipquarry import former
from clipquarry.adopt.ledger import adopt_ledger
from clipquarry.errors import UserError
from clipquarry.ledger import Ledger
from clipquarry.settings import PRIVATE


def _fill(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.begin_run("demo", "one", params={"local_folder": f"/data/{former.PRIVATE}/local", "limit": 3})
        ledger.begin_run("demo", "two", params={"local_folder": "/data/local", "limit": 3})


def _params(url: str) -> list[dict[str, object]]:
    with Ledger.open(url) as ledger:
        return [run.params for run in ledger.runs("demo")]


def test_paths_in_what_runs_were_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    assert adopt_ledger(url) == 0 and not (tmp_path / "ledger.sqlite").exists(), "none is made"
    _fill(url)
    assert adopt_ledger(url) == 1
    assert _params(url) == [
        {"local_folder": f"/data/{PRIVATE}/local", "limit": 3},
        {"local_folder": "/data/local", "limit": 3},
    ]
    assert adopt_ledger(url) == 0


def test_a_database_of_the_old_name_gets_the_new_one(postgres: str) -> None:
    server, _, _ = postgres.rpartition("/")
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {former.NAME} ENCODING 'UTF8' TEMPLATE template0")
        try:
            _fill(f"{server}/{former.NAME}")
            with psycopg.connect(f"{server}/{former.NAME}"), pytest.raises(UserError, match="end what is connected"):
                adopt_ledger(f"{server}/clipquarry")
            assert adopt_ledger(f"{server}/clipquarry") == 1
            assert adopt_ledger(f"{server}/clipquarry") == 0
            assert _params(f"{server}/clipquarry")[0]["local_folder"] == f"/data/{PRIVATE}/local"
            names = {name for (name,) in conn.execute("SELECT datname FROM pg_database").fetchall()}
            assert former.NAME not in names
        finally:
            for name in (former.NAME, "clipquarry"):
                conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
