"""Sync of a data set's catalog into the ledger: every row becomes an item, also before its first attempt."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clipquarry.errors import UserError
from clipquarry.ids import source_name
from clipquarry.ledger.bulk import clean, insert_rows, is_postgres, pieces
from clipquarry.ledger.models import dataset, item
from clipquarry.ledger.namespaces import move
from clipquarry.manifest import Row, read_rows
from clipquarry.reasons import Reason, Status

COLUMNS = ("item_id", "video_id", "clip_id", "split", "label", "status", "reason", "evidence")
_BATCH = 20_000


class Synced(NamedTuple):
    """Number of items that a catalog added, changed, and no longer lists."""

    added: int
    changed: int
    left: int


class DatasetKey(NamedTuple):
    """A data set in the ledger, and the namespace of its ids."""

    id: int
    namespace: str


def dataset_key(conn: Connection, name: str, namespace: str | None = None) -> DatasetKey:
    """The key of a data set, which is added when it is new.

    ``namespace``: that of its ids; None: the one in the ledger, else the data set's own. Where it differs from the one in
    the ledger, the data set's items, attempts and clocks move to the new names.
    """
    query = sa.select(dataset.c.id, dataset.c.namespace).where(dataset.c.name == name)
    found = conn.execute(query).first()
    if found is None:
        conn.execute(dataset.insert().values(name=name, namespace=namespace or name))
        found = conn.execute(query).one()
    elif namespace is not None and namespace != (before := found.namespace or name):
        move(conn, int(found.id), before, namespace)
        conn.execute(dataset.update().where(dataset.c.id == found.id).values(namespace=namespace))
    return DatasetKey(int(found.id), namespace or found.namespace or name)


def sync(conn: Connection, key: DatasetKey, catalog: Path) -> Synced:
    """Make the ledger's items equal the catalog's, in one transaction. Items that left the catalog are kept and marked.

    Memory does not grow with the catalog: the rows go through a temporary table. A new item is ``missing`` with reason
    ``not_asked``. The status of a known item stays, except that a rejected row is rejected at once.
    """
    _make_stage(conn)
    try:
        for rows in pieces(read_rows(catalog, COLUMNS), _BATCH):
            stage(conn, rows, key.namespace)
    except sa.exc.IntegrityError as error:
        raise UserError(f"The catalog {catalog} holds an item_id twice or none at all: make it again.") from error
    left = conn.execute(sa.text(_LEFT), {"dataset": key.id, "yes": True, "no": False}).rowcount
    added, changed = _take_over(conn, key.id)
    conn.exec_driver_sql("DROP TABLE ledger_stage")
    return Synced(added, changed, left)


def add_items(conn: Connection, key: DatasetKey, rows: Iterable[Row]) -> None:
    """Add items that are in a manifest and in no catalog that the ledger has seen."""
    _make_stage(conn)
    stage(conn, ({**row, "status": Status.DONE, "reason": Reason.OK, "evidence": ""} for row in rows), key.namespace)
    _take_over(conn, key.id)
    conn.exec_driver_sql("DROP TABLE ledger_stage")


def _make_stage(conn: Connection) -> None:
    conn.exec_driver_sql("DROP TABLE IF EXISTS ledger_stage")
    texts = ", ".join(f"{name} text" for name in COLUMNS[1:])
    # Without a second index tree for the key, most of the table stays in memory and is never written to disk.
    once = "" if is_postgres(conn) else " WITHOUT ROWID"
    conn.exec_driver_sql(f"CREATE TEMPORARY TABLE ledger_stage (item_id text NOT NULL PRIMARY KEY, {texts}){once}")


def stage(conn: Connection, rows: Iterable[Row], namespace: str) -> None:
    insert_rows(conn, "ledger_stage", COLUMNS, [_values(row, namespace) for row in rows])


def _values(row: Row, namespace: str) -> tuple[Any, ...]:
    rejected = row["status"] == Status.REJECTED
    name = row["clip_id"] or row["video_id"]  # in a data set of whole videos, the video is the clip
    return (
        clean(row["item_id"]) or None,
        None if rejected or not name else source_name(namespace, clean(row["video_id"] or name)),
        None if rejected or not name else source_name(namespace, clean(name)),
        clean(row["split"]),
        None if row["label"] is None else clean(row["label"]),
        str(Status.REJECTED if rejected else Status.MISSING),
        str(row["reason"] if rejected else Reason.NOT_ASKED),
        clean(row["evidence"]) if rejected else "",
    )


_NEW_NAMES = (
    """INSERT INTO ledger_label (name) SELECT DISTINCT s.label FROM ledger_stage s
 WHERE s.label IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ledger_label l WHERE l.name = s.label)""",
    """INSERT INTO ledger_video (video_id) SELECT DISTINCT s.video_id FROM ledger_stage s
 WHERE s.video_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ledger_video v WHERE v.video_id = s.video_id)""",
    """INSERT INTO ledger_clip (clip_id, video_id) SELECT s.clip_id, min(v.id)
 FROM ledger_stage s JOIN ledger_video v ON v.video_id = s.video_id
 WHERE NOT EXISTS (SELECT 1 FROM ledger_clip c WHERE c.clip_id = s.clip_id) GROUP BY s.clip_id""",
)

_CHANGED = """UPDATE ledger_item SET listed = :yes,
 clip_id = n.clip_id, video_id = n.video_id, split = n.split, label_id = n.label_id,
 status = CASE WHEN 'rejected' IN (n.status, ledger_item.status) THEN n.status ELSE ledger_item.status END,
 reason = CASE WHEN 'rejected' IN (n.status, ledger_item.status) THEN n.reason ELSE ledger_item.reason END,
 evidence = CASE WHEN 'rejected' IN (n.status, ledger_item.status) THEN n.evidence ELSE ledger_item.evidence END,
 present = CASE WHEN n.status = 'rejected' THEN :no ELSE present END
 FROM (
  SELECT s.item_id, c.id AS clip_id, c.video_id, s.split, l.id AS label_id, s.status, s.reason, s.evidence
  FROM ledger_stage s LEFT JOIN ledger_clip c ON c.clip_id = s.clip_id LEFT JOIN ledger_label l ON l.name = s.label
 ) n
 WHERE ledger_item.dataset_id = :dataset AND ledger_item.item_id = n.item_id AND (
  ledger_item.listed = :no OR ledger_item.split <> n.split
  OR coalesce(ledger_item.label_id, 0) <> coalesce(n.label_id, 0)
  OR coalesce(ledger_item.clip_id, 0) <> coalesce(n.clip_id, 0)
  OR (ledger_item.status = 'rejected') <> (n.status = 'rejected')
  OR (n.status = 'rejected' AND (ledger_item.reason <> n.reason OR ledger_item.evidence <> n.evidence))
 )"""

_ADDED = """INSERT INTO ledger_item
 (dataset_id, item_id, clip_id, video_id, split, label_id, status, reason, evidence, present, listed)
 SELECT :dataset, s.item_id, c.id, c.video_id, s.split, l.id, s.status, s.reason, s.evidence, :no, :yes
 FROM ledger_stage s LEFT JOIN ledger_clip c ON c.clip_id = s.clip_id LEFT JOIN ledger_label l ON l.name = s.label
 WHERE NOT EXISTS (SELECT 1 FROM ledger_item i WHERE i.dataset_id = :dataset AND i.item_id = s.item_id)
 ORDER BY s.item_id"""

_LEFT = """UPDATE ledger_item SET listed = :no WHERE dataset_id = :dataset AND listed = :yes
 AND NOT EXISTS (SELECT 1 FROM ledger_stage s WHERE s.item_id = ledger_item.item_id)"""


def _take_over(conn: Connection, dataset_id: int) -> tuple[int, int]:
    """Move rows from the stage into the tables; returns the numbers of added and changed items."""
    if is_postgres(conn):
        conn.exec_driver_sql(
            "ANALYZE ledger_stage"
        )  # the table is new: without this the joins would be planned for no rows
    values: dict[str, Any] = {"dataset": dataset_id, "yes": True, "no": False}
    for statement in _NEW_NAMES:
        conn.execute(sa.text(statement))
    known = conn.execute(sa.select(item.c.id).where(item.c.dataset_id == dataset_id).limit(1)).scalar()
    changed = 0 if known is None else conn.execute(sa.text(_CHANGED), values).rowcount
    added = conn.execute(sa.text(_ADDED), values).rowcount
    return added, changed
