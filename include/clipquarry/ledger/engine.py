"""Database access of the ledger: connections, schema upgrade, locks, and errors as one sentence each."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url

from clipquarry.errors import ClipquarryError, RetryLater, UserError
from clipquarry.ledger.backup import back_up
from clipquarry.ledger.models import HEAD, VERSION_TABLE

BUSY_SECONDS = 60.0
"""Seconds that a writer waits for the one before it: longer than the longest transaction (a catalog of 650,000 rows)."""

_LOCK = 0x636C6970_79617264  # the advisory lock of writers on PostgreSQL
_WRITE = "clipquarry_write"


def parse_url(text: str) -> URL:
    """The URL of a ledger: ``sqlite:///path`` or ``postgresql://…`` (also ``postgres://``; psycopg 3 is the driver)."""
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise UserError(
            "The ledger's address (CLIPQUARRY_LEDGER) is not a database URL: "
            "use sqlite:////absolute/path or postgresql://user:password@host/database."
        ) from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UserError(f"The ledger cannot be stored in {url.get_backend_name()!r}: use SQLite or PostgreSQL.")
    if url.get_backend_name() == "sqlite" and (url.host or url.database in (None, "", ":memory:")):
        raise UserError("The ledger must be a file, so that all tasks see it: sqlite:////absolute/path/ledger.sqlite.")
    return url


def shown(url: URL) -> str:
    """The URL without its secrets; a SQLite ledger is its path."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    secret = {key: "***" for key in url.query if "password" in key.lower()}
    return url.update_query_dict(secret).set(drivername="postgresql").render_as_string(hide_password=True)


Namespaces = Callable[[], Mapping[str, str]]
"""Returns the namespace of each data set's ids, by name. It is called only for the upgrade of an older schema."""


def connect(text: str, namespaces: Namespaces | None = None) -> Engine:
    """An engine over a ledger that exists, is reachable and has the newest schema. Errors are one sentence."""
    url = parse_url(text)
    is_file = url.get_backend_name() == "sqlite"
    with explained(shown(url)):
        if is_file:
            _prepare_file(Path(str(url.database)))
        try:
            engine = _engine(url, is_file)
        except (ModuleNotFoundError, sa.exc.NoSuchModuleError):
            raise UserError(
                f"The ledger {shown(url)} asks for the driver {url.drivername!r}, which is not installed: "
                "write postgresql://user:password@host/database."
            ) from None
        try:
            _migrate(engine, shown(url), namespaces)
        except BaseException:
            engine.dispose()
            raise
    return engine


def _engine(url: URL, is_file: bool) -> Engine:
    if not is_file:
        arguments = {"connect_timeout": 10, "application_name": "clipquarry"}
        wanted = {key: value for key, value in arguments.items() if key not in url.query}
        return sa.create_engine(url, connect_args=wanted, pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_file(path: Path) -> None:
    """Create a ledger with large pages (a third fewer reads) and WAL, so that readers do not wait for writers."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The ledger's folder {path.parent} cannot be made ({error.strerror}).") from error
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as raw:
                if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                    raw.execute("PRAGMA page_size = 16384")
                    raw.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite does not wait when two processes turn WAL on at once.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _set_up(raw: sqlite3.Connection, _record: object) -> None:
    raw.isolation_level = None  # we begin transactions, also around DDL; Python's module would begin them implicitly
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("PRAGMA cache_size = -65536")  # 64 MiB
    raw.execute(
        "PRAGMA temp.cache_size = -65536"
    )  # the same for temporary tables, which otherwise go to a file at once


def _begin(conn: Connection) -> None:
    writes = conn.get_execution_options().get(_WRITE, False)
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction over one snapshot of the ledger."""
    with explained(shown(engine.url)), engine.connect() as conn:
        if conn.dialect.name == "postgresql":
            conn = conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with conn.begin():
            yield conn


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction of the only writer: no other process changes what it reads before it commits."""
    with explained(shown(engine.url)), engine.connect() as conn:
        conn = conn.execution_options(**{_WRITE: True})
        with conn.begin():
            if conn.dialect.name == "postgresql":
                conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield conn


def _version(conn: Connection) -> str | None:
    if not sa.inspect(conn).has_table(VERSION_TABLE):
        return None
    value = conn.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    return None if value is None else str(value)


def _migrate(engine: Engine, where: str, namespaces: Namespaces | None) -> None:
    with reading(engine) as conn:
        if _version(conn) == HEAD:
            return
    from clipquarry.ledger import migrations  # Alembic is slow to import, and needed once in a ledger's life

    with writing(engine) as conn:
        version = _version(conn)  # another process may have been first
        if version == HEAD:
            return
        if version is not None and version not in migrations.known():
            raise UserError(
                f"The ledger {where} has schema {version}, this Clipquarry knows up to {HEAD}: upgrade Clipquarry."
            )
        if conn.dialect.name == "postgresql":
            encoding = conn.exec_driver_sql("SHOW server_encoding").scalar()
            if encoding != "UTF8":
                raise UserError(
                    f"The ledger's database {where} is encoded in {encoding}: make one with ENCODING 'UTF8'."
                )
        if version is not None:
            back_up(conn, version)
        migrations.upgrade(conn, namespaces=namespaces() if version is not None and namespaces else {})


_SAYS: tuple[tuple[type[ClipquarryError], tuple[str, ...], str], ...] = (
    (RetryLater, ("database is locked", "database table is locked"),
     "The ledger {where} is locked by another program: end it or wait, then run this again."),
    (RetryLater, ("database or disk is full", "no space left", "disk full"),
     "The disk that holds the ledger {where} is full: free some space, then run this again."),
    (UserError, ("readonly database", "read-only"),
     "The ledger {where} cannot be written: give this user the right to write the file and its folder."),
    (UserError, ("unable to open database file",),
     "The ledger {where} cannot be opened: it is a folder, or this user may not read or write there."),
    (UserError, ("malformed", "not a database", "no such table", "no such column"),
     "The ledger {where} is damaged: "
     "restore a backup, or move the file away and rebuild the ledger from the runs' manifests."),
    (UserError, ("password authentication failed", "no pg_hba.conf entry", "permission denied", "no password supplied"),
     "The ledger's server does not let us in at {where} ({first}): check the user, the password and the rights."),
    (UserError, ("does not exist",),
     "The ledger {where} cannot be used ({first}): check the name of the database and the user."),
    (RetryLater, ("disk i/o error",),
     "The disk that holds the ledger {where} is full or fails ({first}): free some space or check it, then run this again."),
)  # fmt: skip


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn a database's error into one sentence. An error that is a defect of ours passes through unchanged."""
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        text = str(cause)
        first = text.strip().splitlines()[0] if text.strip() else type(cause).__name__
        for kind, signs, sentence in _SAYS:
            if any(sign in text.lower() for sign in signs):
                raise kind(sentence.format(where=where, first=first)) from error
        if isinstance(error, sa.exc.OperationalError):
            raise RetryLater(
                f"The ledger's server at {where} does not answer ({first}): "
                "start it or check the address, then run this again."
            ) from error
        raise
