"""The ledger's tables. Names begin with ``ledger_``, so that they may share a PostgreSQL database with others'.

Videos, clips and labels have integer keys, because millions of attempts and items point to them. The policy's states
are kept only for videos and clips that could not be had, one for each source that said so: what one source lacks says
nothing about another. Everything that was ever answered is in ``ledger_attempt``. The keys of runs are their order.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

HEAD = "0003"
"""The newest migration; a test holds it against ``migrations/versions``."""

VERSION_TABLE = "ledger_version"

MAX_EVIDENCE = 2000
"""Characters of evidence that are kept."""


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time. The result is exact: a float resolves a quarter of a microsecond here."""
    return round(moment.timestamp() * 1e6)


def from_micros(micros: int) -> datetime:
    """The aware time, in UTC, of microseconds since 1970."""
    return datetime.fromtimestamp(micros / 1e6, UTC)


class UtcTime(TypeDecorator[datetime]):
    """Column type of an aware time in UTC: ``timestamptz`` on PostgreSQL; microseconds since 1970 on SQLite."""

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return to_micros(value)

    def process_literal_param(self, value: datetime | None, dialect: Dialect) -> str:
        return str(self.process_bind_param(value, dialect))

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if isinstance(value, datetime) else from_micros(value)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


dataset = sa.Table(
    "ledger_dataset", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("namespace", sa.Text),  # whose its ids are: youtube, or its own name; null: its own
    sa.Column("sources", sa.JSON),  # keys of the sources that its refreshes ask; null: not known
)  # fmt: skip

label = sa.Table(
    "ledger_label", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
)  # fmt: skip

run = sa.Table(
    "ledger_run", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("dataset_id", sa.Integer, sa.ForeignKey("ledger_dataset.id"), nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # full or refresh
    sa.Column("egress", sa.Text, nullable=False),
    sa.Column("started", UtcTime, nullable=False),
    sa.Column("ended", UtcTime),
    sa.Column("expected", sa.Integer, nullable=False),  # items that the run was to provide
    sa.Column("done", sa.Integer, nullable=False),  # made by this run
    sa.Column("kept", sa.Integer, nullable=False),  # there before this run
    sa.Column("missing", sa.Integer, nullable=False),
    sa.Column("rejected", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.UniqueConstraint("dataset_id", "run"),
)  # fmt: skip

video = sa.Table(
    "ledger_video", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("video_id", sa.Text, nullable=False, unique=True),  # youtube:0wR5jVB-WPk, jester:1
)  # fmt: skip

clip = sa.Table(
    "ledger_clip", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("clip_id", sa.Text, nullable=False, unique=True),  # likewise
    sa.Column("video_id", sa.Integer, sa.ForeignKey("ledger_video.id"), nullable=False, index=True),
)  # fmt: skip

item = sa.Table(
    "ledger_item", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("dataset_id", sa.Integer, sa.ForeignKey("ledger_dataset.id"), nullable=False),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("clip_id", sa.Integer, sa.ForeignKey("ledger_clip.id")),  # null for a row that is rejected
    sa.Column("video_id", sa.Integer, sa.ForeignKey("ledger_video.id")),  # the clip's; here too: one join less
    sa.Column("split", sa.Text, nullable=False),
    sa.Column("label_id", sa.Integer, sa.ForeignKey("ledger_label.id")),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("present", sa.Boolean, nullable=False),  # its file was there and verified
    sa.Column("listed", sa.Boolean, nullable=False),  # in the newest catalog
    sa.Column("run_id", sa.Integer, sa.ForeignKey("ledger_run.id")),  # the run that last recorded a result for it
    sa.Column("updated", UtcTime),
    sa.UniqueConstraint("dataset_id", "item_id"),
    sa.CheckConstraint("present = (status IN ('done', 'kept'))", name="present"),
    sa.Index("ix_ledger_item_absent", "dataset_id", "listed", "present", "split"),
    sa.Index("ix_ledger_item_counts", "dataset_id", "listed", "split", "label_id", "status", "reason"),
)  # fmt: skip


def _state(name: str, subject: str) -> sa.Table:
    return sa.Table(
        f"ledger_{name}_state", metadata,
        sa.Column(f"{name}_id", sa.Integer, sa.ForeignKey(subject), primary_key=True),
        sa.Column("egress", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("source", sa.Text, primary_key=True),  # the source's key, see ``Ledger.record``
        sa.Column("first_seen", UtcTime, nullable=False),
        sa.Column("last_attempt", UtcTime, nullable=False),
        sa.Column("next_attempt", UtcTime),  # null: never again from this egress
        sa.Column("confirmations", sa.Integer, nullable=False),
        sa.Column("first_confirmed", UtcTime),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("setbacks", sa.Integer, nullable=False),
        sa.Column("permanent", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip


video_state = _state("video", "ledger_video.id")
clip_state = _state("clip", "ledger_clip.id")

attempt = sa.Table(
    "ledger_attempt", metadata,
    sa.Column("clip_id", sa.Integer, sa.ForeignKey("ledger_clip.id"), primary_key=True),
    sa.Column("at", UtcTime, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("egress", sa.Text, primary_key=True),
    sa.Column("nth", sa.Integer, primary_key=True),  # 0, or more for further requests to one source at the same time
    sa.Column("run_id", sa.Integer, sa.ForeignKey("ledger_run.id"), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Column("bytes", sa.BigInteger),
    sqlite_with_rowid=False,
)  # fmt: skip

run_count = sa.Table(
    "ledger_run_count", metadata,
    sa.Column("run_id", sa.Integer, sa.ForeignKey("ledger_run.id"), primary_key=True),
    sa.Column("split", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("items", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
"""Items of the whole data set by status and reason at the end of each run, for the plot of attrition."""
