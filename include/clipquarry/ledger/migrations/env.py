"""Alembic runs this file for every command; the connection comes with the configuration."""

from __future__ import annotations

from alembic import context

from clipquarry.ledger.models import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    compare_type=True,
    transactional_ddl=True,  # on SQLite too: the transaction that we began holds the lock
)
with context.begin_transaction():
    context.run_migrations()
