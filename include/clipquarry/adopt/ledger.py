"""Adoption of a ledger of the old name: its database, if that had the name too, and the private folder in its stored
paths.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from clipquarry import former
from clipquarry.errors import UserError
from clipquarry.ledger.engine import Namespaces, connect, parse_url, shown, writing
from clipquarry.settings import PRIVATE

_TEXTS = (("ledger_item", "evidence"), ("ledger_attempt", "evidence"), ("ledger_video_state", "evidence"),
          ("ledger_clip_state", "evidence"), ("ledger_run", "params"))  # fmt: skip
"""Columns that may name files of the private folder."""


def adopt_ledger(url: str, namespaces: Namespaces | None = None) -> int:
    """Adopt the ledger at ``url`` (``namespaces``: see ``Ledger.open``); returns the number of changed rows. One
    that does not exist (SQLite) is not created.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not Path(str(parsed.database)).exists():
            return 0
    else:
        _rename_database(parsed)
    engine = connect(url, namespaces)
    try:
        with writing(engine) as conn:
            return sum(_replace(conn, table, column) for table, column in _TEXTS)
    finally:
        engine.dispose()


def _replace(conn: sa.Connection, table: str, column: str) -> int:
    # JSON is text on both databases, but PostgreSQL has a type for it.
    cast = ("CAST(", " AS text)") if column == "params" else ("", "")
    back = "CAST({} AS json)" if column == "params" and conn.dialect.name == "postgresql" else "{}"
    value = f"{cast[0]}{column}{cast[1]}"
    changed = back.format(f"replace({value}, :old, :new)")
    statement = f"UPDATE {table} SET {column} = {changed} WHERE {value} LIKE :like ESCAPE '!'"  # noqa: S608 - constants
    old = f"{former.PRIVATE}/"
    values = {"old": old, "new": f"{PRIVATE}/", "like": f"%{old}%"}
    return conn.execute(sa.text(statement), values).rowcount


def _rename_database(url: URL) -> None:
    """Give a PostgreSQL database of the old name the one that ``url`` asks for, which does not exist yet."""
    server = sa.create_engine(
        url.set(database="postgres"), isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10}
    )
    names = sa.text("SELECT datname FROM pg_database")
    try:
        with server.connect() as conn:
            there = set(conn.execute(names).scalars())
            if url.database in there or former.NAME not in there:
                return
            quote = conn.dialect.identifier_preparer.quote
            conn.exec_driver_sql(f"ALTER DATABASE {quote(former.NAME)} RENAME TO {quote(str(url.database))}")
    except sa.exc.DBAPIError as error:
        first = str(error.orig).strip().splitlines()[0]
        raise UserError(
            f"The database {former.NAME!r} at {shown(url)} cannot be renamed ({first}): end what is connected to it, or let its owner "
            f"say ALTER DATABASE {former.NAME} RENAME TO {url.database}; then run this again."
        ) from error
    finally:
        server.dispose()
