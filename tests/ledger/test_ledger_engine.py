"""Opening: migrations, locks, and what a person reads when the database cannot be used."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from clipquarry.errors import ClipquarryError, RetryLater, UserError
from clipquarry.ledger import Ledger, engine, migrations
from clipquarry.ledger.models import HEAD, VERSION_TABLE, from_micros, metadata, to_micros
from ledger_helpers import DAY0


def sentence(error: pytest.ExceptionInfo[ClipquarryError]) -> str:
    text = str(error.value)
    assert "\n" not in text and text.endswith("."), text
    return text


def test_migrations_make_what_the_models_say(ledger: Ledger) -> None:
    with ledger._engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(migrations.config()).get_current_head() == HEAD


def test_down_and_up_again(url: str) -> None:
    from alembic import command

    with Ledger.open(url) as ledger:
        with engine.writing(ledger._engine) as conn:
            command.downgrade(migrations.config(conn), "base")
        with ledger._engine.connect() as conn:
            assert [name for name in sa.inspect(conn).get_table_names() if name != VERSION_TABLE] == []
    with Ledger.open(url) as ledger:
        assert ledger.runs() == []


def test_newer_schema_is_refused(url: str) -> None:
    with Ledger.open(url) as ledger, engine.writing(ledger._engine) as conn:
        conn.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(UserError) as error:
        Ledger.open(url)
    assert "has schema 9999" in sentence(error) and "upgrade Clipquarry" in sentence(error)


def test_sqlite_is_set_up_for_many_processes(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'a' / 'b' / 'l.sqlite'}") as ledger, ledger._engine.connect() as conn:
        facts = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "page_size")
        }
    assert facts == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 60_000, "page_size": 16_384}


def open_and_begin(url: str, run: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.begin_run("demo", run)


def test_first_migration_by_several_processes_at_once(url: str) -> None:
    fork = multiprocessing.get_context("fork")
    started = [fork.Process(target=open_and_begin, args=(url, f"run-{n}")) for n in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 4
    with Ledger.open(url) as ledger:
        assert sorted(run.run for run in ledger.runs()) == ["run-0", "run-1", "run-2", "run-3"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "is not a database URL"),
        ("ledger.sqlite", "is not a database URL"),
        ("postgres//user:hunter2@host/db", "is not a database URL"),
        ("postgresql://user:hunter2@host:port/db", "is not a database URL"),
        ("mysql://user:hunter2@host/db", "use SQLite or PostgreSQL"),
        ("oracle://user:hunter2@host/db", "use SQLite or PostgreSQL"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite://relative/path", "must be a file"),
        ("postgresql+nosuchdriver://user:hunter2@host/db", "driver"),
        ("postgresql+pg8000://user:hunter2@host/db?password=hunter2", "pg8000"),
    ],
)
def test_wrong_addresses(url: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        Ledger.open(url)
    assert says in sentence(error) and "hunter2" not in str(error.value)


def test_unreachable_server_is_tried_later() -> None:
    with pytest.raises(RetryLater) as error:
        Ledger.open("postgresql://user:hunter2@127.0.0.1:1/db?sslpassword=hunter3")
    assert "127.0.0.1:1" in sentence(error) and "hunter" not in str(error.value)


def test_wrong_password_and_wrong_database(postgres: str) -> None:
    with pytest.raises(UserError) as error:
        Ledger.open(re.sub(":[^:@/]+@", ":hunter2@", postgres))
    assert "password" in sentence(error) and "hunter2" not in str(error.value)
    with pytest.raises(UserError) as error:
        Ledger.open(postgres.replace("/postgres", "/nosuch"))
    assert "nosuch" in sentence(error) and "se cret" not in str(error.value) and "se%20cret" not in str(error.value)


def test_short_and_long_names_of_postgresql(postgres: str) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert engine.parse_url(postgres.replace("postgresql", scheme, 1)).drivername == "postgresql+psycopg"
    assert "***" in engine.shown(engine.parse_url(postgres)) and "se cret" not in engine.shown(
        engine.parse_url(postgres)
    )


def test_database_of_another_encoding_is_refused(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(UserError) as error:
        Ledger.open(postgres.replace("/postgres", "/latin"))
    assert "LATIN1" in sentence(error)


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        Ledger.open(f"sqlite:///{tmp_path}")
    assert "cannot be opened" in sentence(error)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError) as error:
        Ledger.open(f"sqlite:///{tmp_path}/file/ledger.sqlite")
    assert "cannot be made" in sentence(error)


def test_other_files_are_no_ledger_and_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"<html>not found</html>" * 1000)
    with pytest.raises(UserError) as error:
        Ledger.open(f"sqlite:///{path}")
    assert "damaged" in sentence(error) and "rebuild" in str(error.value)
    assert path.read_bytes().startswith(b"<html>")


def test_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.begin_run("demo", "run")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[16_384:] = b"\xa5" * (len(content) - 16_384)
    path.write_bytes(content)
    with pytest.raises(UserError) as error, Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.runs()
        ledger.begin_run("demo", "other")
    assert "damaged" in sentence(error) and "restore a backup" in str(error.value)


@pytest.mark.skipif(os.getuid() != 0, reason="Only root can become the user without rights.")
def test_file_of_somebody_else_is_one_sentence() -> None:
    folder = Path(tempfile.mkdtemp(prefix="clipquarry-readonly-"))
    folder.chmod(0o755)
    try:
        url = f"sqlite:///{folder / 'ledger.sqlite'}"
        Ledger.open(url).close()
        os.seteuid(65534)
        try:
            with pytest.raises(UserError) as error, Ledger.open(url) as ledger:
                ledger.begin_run("demo", "run")
        finally:
            os.seteuid(0)
        assert "this user" in sentence(error)
    finally:
        shutil.rmtree(folder)


def test_locked_ledger_is_waited_for_and_then_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        with Ledger.open(f"sqlite:///{path}") as ledger:
            other.execute("BEGIN IMMEDIATE")
            waiter = threading.Timer(0.5, other.execute, ("COMMIT",))
            waiter.start()
            begun = time.monotonic()
            ledger.begin_run("demo", "waits")
            assert time.monotonic() - begun > 0.3
            waiter.join()
        monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
        other.execute("BEGIN IMMEDIATE")
        with Ledger.open(f"sqlite:///{path}") as ledger:
            assert [run.run for run in ledger.runs()] == ["waits"]  # readers do not wait
            with pytest.raises(RetryLater) as error:
                ledger.begin_run("demo", "too late")
        assert "is locked by another program" in sentence(error)


def test_server_that_goes_away_is_tried_later(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE leaving")
        with Ledger.open(postgres.replace("/postgres", "/leaving")) as ledger:
            stop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'leaving'"
            with pytest.raises(RetryLater) as error, engine.writing(ledger._engine) as mine:
                conn.execute(stop)
                mine.execute(sa.text("SELECT 1"))
            assert "run this again" in sentence(error)
            ledger.begin_run("demo", "afterwards")
            conn.execute(stop)
            assert [run.run for run in ledger.runs()] == ["afterwards"]  # the pool noticed


@pytest.mark.parametrize("micros", [0, 1, 999_999, 1_767_506_400_123_457, 4_102_444_800_000_001])
def test_times_are_exact_to_the_microsecond(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros
    assert from_micros(to_micros(DAY0)) == DAY0


def test_full_disk_is_tried_later(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        with pytest.raises(RetryLater) as error, engine.writing(ledger._engine) as conn:
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar()
            conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            conn.execute(sa.text("INSERT INTO ledger_label (name) VALUES (hex(zeroblob(1000000)))"))
        assert "is full: free some space" in sentence(error)
        assert ledger.runs() == []
