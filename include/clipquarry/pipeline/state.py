"""The last known result of every item, over all runs: the input of refreshes and releases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.errors import ManifestError
from clipquarry.file_lock import FileLock
from clipquarry.manifest import RESULT_FIELDS, ManifestWriter, Row, kind_of, read_table, schema_of
from clipquarry.reasons import Reason, Status
from clipquarry.steps.fields import ASKED_HEIGHT_FIELD, ATTEMPTS_FIELD, CONTENT_FIELDS, MEDIA_FIELDS, PATH_FIELD

PRESENT = pa.array([str(Status.DONE), str(Status.KEPT)], pa.string())
"""Statuses of items whose file is there."""

GONE = "the file was here and has gone from the disk; it is fetched again"
"""Evidence of an item whose file has gone."""

STATE = "state"
"""The kind of its table."""
SOURCE_FIELD = pa.field("source", pa.string())

STATE_SCHEMA = schema_of(
    (*RESULT_FIELDS, *MEDIA_FIELDS, PATH_FIELD, SOURCE_FIELD, ASKED_HEIGHT_FIELD, *CONTENT_FIELDS), STATE
)
RESULTS_SCHEMA = schema_of((*STATE_SCHEMA, ATTEMPTS_FIELD), "results")


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """One writer at a time, because a data set's full run and its refresh may record at once."""
    with FileLock.take(state.with_suffix(".lock")):
        yield


def read_state(state: Path) -> pa.Table:
    """The state as a table; empty before the first run. A column that an older version lacked is null.

    Raises :class:`ManifestError` for a table of another kind, which has none of them.
    """
    if not state.exists():
        return STATE_SCHEMA.empty_table()
    if (kind := kind_of(state)) != STATE:
        raise ManifestError(
            f"{state} is a table of '{kind}', not of the state of a data set: put the right one in its place."
        )
    table = read_table(state)
    for field in STATE_SCHEMA:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(STATE_SCHEMA.names)


def splits_of(state: Path) -> list[str]:
    """The splits with any request so far, sorted."""
    return sorted(set(pc.unique(read_table(state, ["split"])["split"]).to_pylist())) if state.exists() else []


def merged(old: pa.Table, new: pa.Table, catalog_ids: pa.Array) -> pa.Table:
    """``new`` rows replace ``old`` ones of the same item; items that left the catalog are dropped."""
    new = new.select(STATE_SCHEMA.names).cast(STATE_SCHEMA)
    keep = pc.and_(
        pc.invert(pc.is_in(old["item_id"], value_set=new["item_id"].combine_chunks())),
        pc.is_in(old["item_id"], value_set=catalog_ids),
    )
    return pa.concat_tables([old.cast(STATE_SCHEMA).filter(keep), new])


def check_files(table: pa.Table, root: Path) -> pa.Table:
    """Present rows whose file has gone from the disk become missing, with that as evidence."""
    present = pc.is_in(table["status"], value_set=PRESENT)
    gone = [
        bool(is_present) and not (path is not None and (root / path).exists())
        for is_present, path in zip(present.to_pylist(), table["path"].to_pylist(), strict=True)
    ]
    if not any(gone):
        return table
    mask = pa.array(gone)
    for name, value in (
        ("status", str(Status.MISSING)),
        ("reason", str(Reason.NO_SOURCE)),
        ("evidence", GONE),
    ):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(name), pc.if_else(mask, value, table[name]))
    return table


def write_table(target: Path, table: pa.Table, schema: pa.Schema) -> None:
    """Write a whole table as a manifest."""
    with ManifestWriter(target, schema) as writer:
        writer.write_table(table)


def write_results(target: Path, rows: Iterable[Row]) -> int:
    """Write this run's rows, without columns that results do not have."""
    names = set(RESULTS_SCHEMA.names)
    count = 0
    with ManifestWriter(target, RESULTS_SCHEMA) as writer:
        for row in rows:
            writer.write({name: value for name, value in row.items() if name in names})
            count += 1
    return count
