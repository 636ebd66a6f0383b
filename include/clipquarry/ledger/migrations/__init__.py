"""The ledger's schema over time (Alembic, without an alembic.ini: everything comes from here)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

_HERE = Path(__file__).parent


def config(conn: Connection | None = None) -> Config:
    """Alembic's configuration; ``conn`` is the connection, in whose transaction the migrations run."""
    made = Config()
    made.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    made.attributes["connection"] = conn
    return made


def known() -> frozenset[str]:
    """All revisions that this version of Clipquarry can read or upgrade."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(config()).walk_revisions())


def upgrade(conn: Connection, revision: str = "head", *, namespaces: Mapping[str, str] | None = None) -> None:
    """Bring the schema to ``revision`` in the connection's transaction: all of it or nothing. ``namespaces``: whose ids data sets have."""
    made = config(conn)
    made.attributes["namespaces"] = namespaces or {}
    command.upgrade(made, revision)
