"""Bulk inserts and updates for SQLite and PostgreSQL. The dialects differ only here and in ``engine.py``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clipquarry.ledger.models import MAX_EVIDENCE, to_micros

T = TypeVar("T")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str | None, limit: int = MAX_EVIDENCE) -> str:
    """Text that every database can store: no NUL, no lone surrogate, at most ``limit`` characters."""
    return _UNSTORABLE.sub("\ufffd", text[:limit]) if text else ""


def pieces(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size`` values."""
    iterator = iter(values)
    while piece := list(islice(iterator, size)):
        yield piece


def is_postgres(conn: Connection) -> bool:
    return conn.dialect.name == "postgresql"


def moment(conn: Connection, value: datetime | None) -> Any:
    """A time as the driver accepts it (see :class:`clipquarry.ledger.models.UtcTime`)."""
    return value if value is None or is_postgres(conn) else to_micros(value)


def insert_rows(conn: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert tuples of driver values: COPY on PostgreSQL, one prepared statement on SQLite."""
    if not rows:
        return
    names = ", ".join(columns)
    if is_postgres(conn):
        _copy(conn, f"COPY {table} ({names}) FROM STDIN", rows)
        return
    marks = ", ".join("?" * len(columns))
    conn.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", [tuple(row) for row in rows])  # noqa: S608


def _copy(conn: Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    import psycopg  # only where the ledger is on PostgreSQL

    try:
        with cast(psycopg.Cursor[Any], conn.connection.cursor()) as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:  # wrapped as SQLAlchemy does: callers handle only its errors
        raise sa.exc.DBAPIError.instance(statement, None, error, psycopg.Error, dialect=conn.dialect) from error


def update_rows(conn: Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Update rows by ``id``, which is the last value of every tuple."""
    if not rows:
        return
    if is_postgres(conn):
        names = [*columns, "id"]
        types = [table.c[name].type.compile(conn.dialect) for name in names]
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        sets = ", ".join(f"{name} = s.{name}" for name in columns)
        conn.exec_driver_sql(
            f"UPDATE {table.name} t SET {sets} FROM unnest({arrays}) AS s({', '.join(names)}) WHERE t.id = s.id",  # noqa: S608
            tuple(list(column) for column in zip(*rows, strict=True)),
        )
        return
    sets = ", ".join(f"{name} = ?" for name in columns)
    conn.exec_driver_sql(f"UPDATE {table.name} SET {sets} WHERE id = ?", [tuple(row) for row in rows])  # noqa: S608
