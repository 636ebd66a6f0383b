"""Move of a data set in the ledger to another namespace of ids.

It is needed when a YAML gains the key ``item.ids``, and when a ledger was upgraded before the data set's YAML existed.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection


def move(conn: Connection, dataset: int, old: str, new: str) -> None:
    """Rename a data set's items, its runs' attempts and the clocks that these set, from namespace ``old`` to ``new``.

    State of other data sets under the old names stays. A clock that exists under the new name is kept.
    """
    values = {"dataset": dataset, "old": f"{old}:", "new": f"{new}:"}

    def run(statement: str) -> None:
        conn.execute(sa.text(statement), {name: value for name, value in values.items() if f":{name}" in statement})

    for statement in _NAMES:
        run(statement)
    for what in ("clip", "video"):
        for statement in _clocks(what):
            run(statement)
    run(_ATTEMPTS)
    for what in ("clip", "video"):
        for statement in _forget(what):
            run(statement)
    run("DROP TABLE ledger_moving")


_NAMES = (
    "DROP TABLE IF EXISTS ledger_moving",
    # Created first and filled later: PostgreSQL takes no parameters in CREATE TABLE.
    """CREATE TEMPORARY TABLE ledger_moving
 (old_clip integer, new_clip integer, old_video integer, new_video integer, clip text, video text)""",
    """INSERT INTO ledger_moving
 SELECT c.id, c.id, v.id, v.id, :new || substr(c.clip_id, length(:old) + 1), :new || substr(v.video_id, length(:old) + 1)
 FROM ledger_clip c JOIN ledger_video v ON v.id = c.video_id
 WHERE substr(c.clip_id, 1, length(:old)) = :old AND c.id IN (
  SELECT clip_id FROM ledger_item WHERE dataset_id = :dataset AND clip_id IS NOT NULL
  UNION SELECT a.clip_id FROM ledger_attempt a JOIN ledger_run r ON r.id = a.run_id WHERE r.dataset_id = :dataset)""",
    "CREATE INDEX ledger_moving_old ON ledger_moving (old_clip)",
    """INSERT INTO ledger_video (video_id) SELECT DISTINCT m.video FROM ledger_moving m
 WHERE NOT EXISTS (SELECT 1 FROM ledger_video v WHERE v.video_id = m.video)""",
    """INSERT INTO ledger_clip (clip_id, video_id) SELECT m.clip, v.id FROM ledger_moving m JOIN ledger_video v ON v.video_id = m.video
 WHERE NOT EXISTS (SELECT 1 FROM ledger_clip c WHERE c.clip_id = m.clip)""",
    """UPDATE ledger_moving SET new_clip = (SELECT c.id FROM ledger_clip c WHERE c.clip_id = ledger_moving.clip),
 new_video = (SELECT c.video_id FROM ledger_clip c WHERE c.clip_id = ledger_moving.clip)""",
    """UPDATE ledger_item SET clip_id = m.new_clip, video_id = m.new_video FROM ledger_moving m
 WHERE ledger_item.dataset_id = :dataset AND m.old_clip = ledger_item.clip_id""",
)

_ATTEMPTS = """UPDATE ledger_attempt SET clip_id = m.new_clip, nth = ledger_attempt.nth + coalesce((
  SELECT max(t.nth) + 1 FROM ledger_attempt t WHERE t.clip_id = m.new_clip AND t.at = ledger_attempt.at
  AND t.source = ledger_attempt.source AND t.egress = ledger_attempt.egress), 0)
 FROM ledger_moving m, ledger_run r
 WHERE r.id = ledger_attempt.run_id AND r.dataset_id = :dataset AND m.old_clip = ledger_attempt.clip_id"""


def _told(what: str, who: str) -> str:
    """SQL: whether an attempt set clock ``s``. ``who`` is a condition on the attempts' runs ``r`` of data sets ``d``.

    A clock's source is 'youtube', '{data set}:{source}' or '{source}:{its place}'; an attempt's is the source's id.
    """
    whose = "= s.clip_id" if what == "clip" else "IN (SELECT id FROM ledger_clip WHERE video_id = s.video_id)"
    return (
        "SELECT 1 FROM ledger_attempt a JOIN ledger_run r ON r.id = a.run_id JOIN ledger_dataset d ON d.id = r.dataset_id "  # noqa: S608
        f"WHERE a.clip_id {whose} AND {who} AND a.egress = s.egress AND (a.source = s.source "
        "OR d.name || ':' || a.source = s.source OR substr(s.source, 1, length(a.source) + 1) = a.source || ':')"
    )


_COLUMNS = (
    "egress", "reason", "evidence", "source", "first_seen", "last_attempt", "next_attempt", "confirmations",
    "first_confirmed", "attempts", "setbacks", "permanent",
)  # fmt: skip


def _clocks(what: str) -> tuple[str, ...]:
    """Copy the clocks that the data set's runs set, before their attempts are moved."""
    state, key = f"ledger_{what}_state", f"{what}_id"
    names = ", ".join(_COLUMNS)
    chosen = ", ".join(f"t.{name}" for name in _COLUMNS)
    return (
        f"DROP TABLE IF EXISTS ledger_moving_{what}",
        f"CREATE TEMPORARY TABLE ledger_moving_{what} AS SELECT s.{key} AS new_key, s.* FROM {state} s WHERE 1 = 0",  # noqa: S608
        f"INSERT INTO ledger_moving_{what} SELECT p.new_key, s.* "  # noqa: S608
        f"FROM (SELECT DISTINCT old_{what} AS old_key, new_{what} AS new_key FROM ledger_moving) p "
        f"JOIN {state} s ON s.{key} = p.old_key WHERE EXISTS ({_told(what, 'r.dataset_id = :dataset')})",
        f"CREATE INDEX ledger_moving_{what}_old ON ledger_moving_{what} ({key})",
        f"INSERT INTO {state} ({key}, {names}) SELECT t.new_key, {chosen} FROM ledger_moving_{what} t "  # noqa: S608
        f"WHERE NOT EXISTS (SELECT 1 FROM {state} o WHERE o.{key} = t.new_key AND o.egress = t.egress AND o.source = t.source)",
    )


def _forget(what: str) -> tuple[str, ...]:
    """Delete these clocks under the old names, unless another data set's attempts set them too."""
    state, key = f"ledger_{what}_state", f"{what}_id"
    told = _told(what, "1 = 1").replace("s.", f"{state}.")
    return (
        f"DELETE FROM {state} WHERE EXISTS (SELECT 1 FROM ledger_moving_{what} t WHERE t.{key} = {state}.{key} "  # noqa: S608
        f"AND t.egress = {state}.egress AND t.source = {state}.source) AND NOT EXISTS ({told})",
        f"DROP TABLE ledger_moving_{what}",
    )
