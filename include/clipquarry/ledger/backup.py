"""Backup of a ledger before its schema is upgraded: a file beside it, or tables with other names."""

from __future__ import annotations

import filecmp
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clipquarry.files import disk_errors, publish, sweep_unfinished, temporary_beside
from clipquarry.ledger.models import metadata


def back_up(conn: Connection, version: str) -> None:
    """Copy the ledger as it is in the connection's transaction. An existing copy is never overwritten.

    SQLite: the file ``{ledger}.of-{version}``, or ``….of-{version}-2`` where that file exists with other content; an equal
    copy is not made again. PostgreSQL: tables ``ledger_of_{version}_{table}`` (``ledger_of_{version}_2_{table}``) in the
    same schema and the same transaction.
    """
    if conn.dialect.name == "sqlite":
        _copy_file(Path(str(conn.engine.url.database)), version)
    else:
        _copy_tables(conn, version)


def _names(stem: str, link: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}{link}{number}"
        number += 1


def _copy_file(path: Path, version: str) -> None:
    sweep_unfinished(path.parent, depth=0)  # of an upgrade that was killed
    temporary = temporary_beside(path)
    try:
        # The transaction that holds the lock has written nothing yet, so that another connection reads the old state.
        with disk_errors(path), closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(temporary)) as copy:
            source.backup(copy)
        temporary.chmod(path.stat().st_mode & 0o777)
        for name in _names(f"{path.name}.of-{version}", "-"):
            target = path.with_name(name)
            if target.is_file() and filecmp.cmp(target, temporary, shallow=False):
                return
            if not (target.exists() or target.is_symlink()):
                publish(temporary, target)
                return
    finally:
        temporary.unlink(missing_ok=True)


def _copy_tables(conn: Connection, version: str) -> None:
    there = set(sa.inspect(conn).get_table_names())
    tables = [table for table in sorted(metadata.tables) if table in there]
    for prefix in _names(f"ledger_of_{version}", "_"):
        copies = {table: f"{prefix}_{table.removeprefix('ledger_')}" for table in tables}
        if there.isdisjoint(copies.values()):
            break
    for table, copy in copies.items():
        conn.exec_driver_sql(f"CREATE TABLE {copy} AS TABLE {table}")
