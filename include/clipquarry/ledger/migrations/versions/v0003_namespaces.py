"""Ids of videos and clips say whose they are: ``youtube:0wR5jVB-WPk``, ``jester:1``.

What two data sets of different namespaces shared, because their ids look alike, is told apart: items by their data set, attempts by
that of their run, states by who asked that source. No table is rebuilt. Which namespace a data set has comes with the
configuration (``namespaces``). One whose YAML is gone is judged as its YAML would be: it has YouTube's ids when its runs asked
YouTube, else its own. When the YAML comes back and says something else, the ledger moves what is the data set's.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WORLD = "youtube"


def upgrade() -> None:
    conn = op.get_bind()
    told: Mapping[str, str] = context.config.attributes.get("namespaces") or {}
    op.add_column("ledger_dataset", sa.Column("namespace", sa.Text(), nullable=True))
    for name in conn.execute(sa.text("SELECT name FROM ledger_dataset")).scalars().all():
        values = {"name": name, "namespace": told.get(name) or (_WORLD if _asked_youtube(conn, name) else name)}
        conn.execute(sa.text("UPDATE ledger_dataset SET namespace = :namespace WHERE name = :name"), values)
    for statement in _SPLIT:
        op.execute(statement)
    _split_states(conn, "clip")
    _split_states(conn, "video")
    for table in ("ledger_owner", "ledger_video_map", "ledger_clip_map"):
        op.execute(f"DROP TABLE {table}")


def _asked_youtube(conn: sa.Connection, name: str) -> bool:
    """Whether a data set's refreshes ask YouTube, or one of its runs did; its source in a data set's YAML may have any id."""
    where = sa.table("ledger_dataset", sa.column("id"), sa.column("name"), sa.column("sources", sa.JSON()))
    key, sources = conn.execute(sa.select(where.c.id, where.c.sources).where(where.c.name == name)).one()
    if _WORLD in (sources or ()):
        return True
    asked = "SELECT 1 FROM ledger_run r JOIN ledger_attempt a ON a.run_id = r.id WHERE r.dataset_id = :key AND a.source = :world LIMIT 1"
    return conn.execute(sa.text(asked), {"key": key, "world": _WORLD}).first() is not None


_FIRST = (
    f"CASE WHEN max(CASE WHEN namespace = '{_WORLD}' THEN 1 ELSE 0 END) = 1 THEN '{_WORLD}' ELSE min(namespace) END"
)
"""Who keeps the row that several share."""

_SPLIT = (
    # Whose a clip is: of the data sets that list it, and of those whose runs asked for it. What nobody claims is the world's.
    """CREATE TEMPORARY TABLE ledger_owner AS
 SELECT i.clip_id AS clip, d.namespace FROM ledger_item i JOIN ledger_dataset d ON d.id = i.dataset_id WHERE i.clip_id IS NOT NULL
 UNION SELECT a.clip_id, d.namespace FROM ledger_attempt a JOIN ledger_run r ON r.id = a.run_id JOIN ledger_dataset d ON d.id = r.dataset_id""",
    "CREATE INDEX ledger_owner_clip ON ledger_owner (clip)",
    f"""INSERT INTO ledger_owner SELECT c.id, '{_WORLD}' FROM ledger_clip c WHERE NOT EXISTS (SELECT 1 FROM ledger_owner o WHERE o.clip = c.id)""",  # noqa: S608
    # Videos: the first owner keeps the row, the others get one each.
    f"""CREATE TEMPORARY TABLE ledger_video_map AS
 SELECT p.old, p.namespace, v.video_id AS name, p.namespace = f.namespace AS is_first, p.old AS new
 FROM (SELECT DISTINCT c.video_id AS old, o.namespace FROM ledger_owner o JOIN ledger_clip c ON c.id = o.clip) p
 JOIN (SELECT c.video_id AS old, {_FIRST} AS namespace FROM ledger_owner o JOIN ledger_clip c ON c.id = o.clip GROUP BY c.video_id) f ON f.old = p.old
 JOIN ledger_video v ON v.id = p.old""",  # noqa: S608
    "CREATE INDEX ledger_video_map_old ON ledger_video_map (old, namespace)",
    f"""UPDATE ledger_video SET video_id = coalesce((SELECT m.namespace FROM ledger_video_map m WHERE m.old = ledger_video.id AND m.is_first),
 '{_WORLD}') || ':' || video_id""",  # noqa: S608
    "INSERT INTO ledger_video (video_id) SELECT namespace || ':' || name FROM ledger_video_map WHERE NOT is_first ORDER BY 1",
    """UPDATE ledger_video_map SET new = (SELECT v.id FROM ledger_video v WHERE v.video_id = ledger_video_map.namespace || ':' || ledger_video_map.name)
 WHERE NOT is_first""",
    # Clips likewise; each belongs to the video of its own namespace.
    f"""CREATE TEMPORARY TABLE ledger_clip_map AS
 SELECT o.clip AS old, o.namespace, c.clip_id AS name, m.new AS video, o.namespace = f.namespace AS is_first, o.clip AS new
 FROM ledger_owner o
 JOIN (SELECT clip, {_FIRST} AS namespace FROM ledger_owner GROUP BY clip) f ON f.clip = o.clip
 JOIN ledger_clip c ON c.id = o.clip
 JOIN ledger_video_map m ON m.old = c.video_id AND m.namespace = o.namespace""",  # noqa: S608
    "CREATE INDEX ledger_clip_map_old ON ledger_clip_map (old, namespace)",
    """UPDATE ledger_clip SET clip_id = m.namespace || ':' || m.name, video_id = m.video
 FROM ledger_clip_map m WHERE m.old = ledger_clip.id AND m.is_first""",
    """INSERT INTO ledger_clip (clip_id, video_id) SELECT namespace || ':' || name, video FROM ledger_clip_map WHERE NOT is_first ORDER BY 1""",
    """UPDATE ledger_clip_map SET new = (SELECT c.id FROM ledger_clip c WHERE c.clip_id = ledger_clip_map.namespace || ':' || ledger_clip_map.name)
 WHERE NOT is_first""",
    """UPDATE ledger_item SET clip_id = m.new, video_id = m.video FROM ledger_clip_map m, ledger_dataset d
 WHERE d.id = ledger_item.dataset_id AND m.old = ledger_item.clip_id AND m.namespace = d.namespace
 AND (m.new <> ledger_item.clip_id OR m.video <> ledger_item.video_id)""",
    """UPDATE ledger_attempt SET clip_id = m.new FROM ledger_clip_map m, ledger_run r, ledger_dataset d
 WHERE r.id = ledger_attempt.run_id AND d.id = r.dataset_id AND m.old = ledger_attempt.clip_id AND m.namespace = d.namespace
 AND m.new <> ledger_attempt.clip_id""",
)


def _split_states(conn: sa.Connection, what: str) -> None:
    """States of rows that were split go to those who asked the state's source; to all owners where no attempt tells."""
    table, key, mapped = f"ledger_{what}_state", f"{what}_id", f"ledger_{what}_map"
    names = [column["name"] for column in sa.inspect(conn).get_columns(table)]
    others = ", ".join(f"s.{name}" for name in names if name != key)
    asked_by = (
        "a.clip_id = m.new" if what == "clip" else "a.clip_id IN (SELECT id FROM ledger_clip WHERE video_id = m.new)"
    )
    # A state's source is 'youtube', '{data set}:{source}' or '{source}:{its place}'; an attempt's is the source's id.
    asked = (
        f"SELECT 1 FROM ledger_attempt a JOIN ledger_run r ON r.id = a.run_id JOIN ledger_dataset d ON d.id = r.dataset_id "  # noqa: S608
        f"WHERE {asked_by} AND a.egress = s.egress "
        "AND (a.source = s.source OR d.name || ':' || a.source = s.source "
        "OR substr(s.source, 1, length(a.source) + 1) = a.source || ':')"
    )
    nobody = f"NOT EXISTS (SELECT 1 FROM {mapped} m WHERE m.old = s.{key} AND EXISTS ({asked}))"  # noqa: S608
    op.execute(
        f"CREATE TEMPORARY TABLE ledger_moved AS SELECT m.new AS new_key, m.is_first, s.{key} AS old_key, {others} "  # noqa: S608
        f"FROM {table} s JOIN {mapped} m ON m.old = s.{key} "
        f"WHERE EXISTS (SELECT 1 FROM {mapped} n WHERE n.old = s.{key} AND NOT n.is_first) "
        f"AND (EXISTS ({asked}) OR {nobody})"
    )
    op.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT old FROM {mapped} WHERE NOT is_first)")  # noqa: S608
    listed = ", ".join([key, *(name for name in names if name != key)])
    chosen = ", ".join(["new_key", *(name for name in names if name != key)])
    op.execute(f"INSERT INTO {table} ({listed}) SELECT {chosen} FROM ledger_moved")  # noqa: S608
    op.execute("DROP TABLE ledger_moved")


def downgrade() -> None:
    """Fails where two names would be one again: restore the backup then."""
    find = "instr(" if op.get_bind().dialect.name == "sqlite" else "strpos("
    for what in ("video", "clip"):
        op.execute(f"UPDATE ledger_{what} SET {what}_id = substr({what}_id, {find}{what}_id, ':') + 1)")  # noqa: S608
    op.drop_column("ledger_dataset", "namespace")
