"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clipquarry.ledger.models import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_dataset",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_dataset")),
        sa.UniqueConstraint("name", name=op.f("uq_ledger_dataset_name")),
    )
    op.create_table(
        "ledger_label",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_label")),
        sa.UniqueConstraint("name", name=op.f("uq_ledger_label_name")),
    )
    op.create_table(
        "ledger_video",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_video")),
        sa.UniqueConstraint("video_id", name=op.f("uq_ledger_video_video_id")),
    )
    op.create_table(
        "ledger_clip",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clip_id", sa.Text(), nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["ledger_video.id"], name=op.f("fk_ledger_clip_video_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_clip")),
        sa.UniqueConstraint("clip_id", name=op.f("uq_ledger_clip_clip_id")),
    )
    op.create_index(op.f("ix_ledger_clip_video_id"), "ledger_clip", ["video_id"], unique=False)
    op.create_table(
        "ledger_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("egress", sa.Text(), nullable=False),
        sa.Column("started", UtcTime(), nullable=False),
        sa.Column("ended", UtcTime(), nullable=True),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["ledger_dataset.id"], name=op.f("fk_ledger_run_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_run")),
        sa.UniqueConstraint("dataset_id", "run", name=op.f("uq_ledger_run_dataset_id")),
    )
    op.create_table(
        "ledger_video_state",
        sa.Column("video_id", sa.Integer(), nullable=False),
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
        sa.ForeignKeyConstraint(["video_id"], ["ledger_video.id"], name=op.f("fk_ledger_video_state_video_id")),
        sa.PrimaryKeyConstraint("video_id", "egress", name=op.f("pk_ledger_video_state")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_attempt",
        sa.Column("clip_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("egress", sa.Text(), nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["clip_id"], ["ledger_clip.id"], name=op.f("fk_ledger_attempt_clip_id")),
        sa.ForeignKeyConstraint(["run_id"], ["ledger_run.id"], name=op.f("fk_ledger_attempt_run_id")),
        sa.PrimaryKeyConstraint("clip_id", "at", "source", "egress", "nth", name=op.f("pk_ledger_attempt")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_clip_state",
        sa.Column("clip_id", sa.Integer(), nullable=False),
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
        sa.ForeignKeyConstraint(["clip_id"], ["ledger_clip.id"], name=op.f("fk_ledger_clip_state_clip_id")),
        sa.PrimaryKeyConstraint("clip_id", "egress", name=op.f("pk_ledger_clip_state")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("clip_id", sa.Integer(), nullable=True),
        sa.Column("video_id", sa.Integer(), nullable=True),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("label_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("updated", UtcTime(), nullable=True),
        sa.CheckConstraint("present = (status IN ('done', 'kept'))", name=op.f("ck_ledger_item_present")),
        sa.ForeignKeyConstraint(["clip_id"], ["ledger_clip.id"], name=op.f("fk_ledger_item_clip_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["ledger_dataset.id"], name=op.f("fk_ledger_item_dataset_id")),
        sa.ForeignKeyConstraint(["label_id"], ["ledger_label.id"], name=op.f("fk_ledger_item_label_id")),
        sa.ForeignKeyConstraint(["run_id"], ["ledger_run.id"], name=op.f("fk_ledger_item_run_id")),
        sa.ForeignKeyConstraint(["video_id"], ["ledger_video.id"], name=op.f("fk_ledger_item_video_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_item")),
        sa.UniqueConstraint("dataset_id", "item_id", name=op.f("uq_ledger_item_dataset_id")),
    )
    op.create_index("ix_ledger_item_absent", "ledger_item", ["dataset_id", "listed", "present", "split"], unique=False)
    op.create_index(
        "ix_ledger_item_counts",
        "ledger_item",
        ["dataset_id", "listed", "split", "label_id", "status", "reason"],
        unique=False,
    )
    op.create_table(
        "ledger_run_count",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["ledger_run.id"], name=op.f("fk_ledger_run_count_run_id")),
        sa.PrimaryKeyConstraint("run_id", "split", "status", "reason", name=op.f("pk_ledger_run_count")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in (
        "run_count", "item", "clip_state", "attempt", "video_state", "run", "clip", "video", "label", "dataset",
    ):  # fmt: skip
        op.drop_table(f"ledger_{table}")
