"""Every source has a clock of its own; a data set remembers which sources its refreshes ask."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clipquarry.ledger.models import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = (
    "egress", "reason", "evidence", "source", "first_seen", "last_attempt", "next_attempt", "confirmations",
    "first_confirmed", "attempts", "setbacks", "permanent",
)  # fmt: skip


def upgrade() -> None:
    op.add_column("ledger_dataset", sa.Column("sources", sa.JSON(), nullable=True))
    # Only YouTube speaks of whole videos. A held row was told without a source, which made the name empty.
    _replace("video", "'youtube'", "", by_source=True)
    # What a mirror or a folder lacked was kept under its bare id, whatever its address: such clocks are not trusted.
    _replace("clip", "source", "WHERE source = 'youtube'", by_source=True)


def downgrade() -> None:
    for name in ("video", "clip"):
        first = f"SELECT min(o.source) FROM ledger_old o WHERE o.{name}_id = s.{name}_id AND o.egress = s.egress"  # noqa: S608
        _replace(name, "source", f"s WHERE source = ({first})", by_source=False)
    op.drop_column("ledger_dataset", "sources")


def _replace(name: str, source: str, which: str, *, by_source: bool) -> None:
    """Make a table of states anew, since SQLite cannot change a primary key."""
    table, key = f"ledger_{name}_state", f"{name}_id"
    op.execute(f"CREATE TEMPORARY TABLE ledger_old AS SELECT * FROM {table}")  # noqa: S608 - names of ours
    op.drop_table(table)
    op.create_table(
        table,
        sa.Column(key, sa.Integer(), nullable=False),
        sa.Column("egress", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("first_seen", UtcTime(), nullable=False),
        sa.Column("last_attempt", UtcTime(), nullable=False),
        sa.Column("next_attempt", UtcTime(), nullable=True),
        sa.Column("confirmations", sa.Integer(), nullable=False),
        sa.Column("first_confirmed", UtcTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("setbacks", sa.Integer(), nullable=False),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint([key], [f"ledger_{name}.id"], name=op.f(f"fk_{table}_{key}")),
        sa.PrimaryKeyConstraint(key, "egress", *(["source"] if by_source else []), name=op.f(f"pk_{table}")),
        sqlite_with_rowid=False,
    )
    names = ", ".join((key, *_COLUMNS))
    values = names.replace(" source,", f" {source},")
    op.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM ledger_old {which}")  # noqa: S608
    op.execute("DROP TABLE ledger_old")
