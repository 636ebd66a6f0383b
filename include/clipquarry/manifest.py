"""Manifests: the tables that steps read and write (parquet, one row per item).

Every manifest begins with the columns of :data:`RESULT_FIELDS` or :data:`CATALOG_FIELDS`; a step adds its own. The
file's metadata contains the schema version: an older table is migrated when it is read, and a newer one is refused.
Reading and writing stream, so that memory does not grow with the number of rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry.errors import ManifestError, MissingColumn
from clipquarry.files import disk_errors, make_parent, publish, refuse_pipe, temporary_beside
from clipquarry.microseconds import SECOND

Row = dict[str, Any]

VERSION = 2
_META_VERSION = b"clipquarry.schema"
_META_KIND = b"clipquarry.kind"
_VERSION_TEXT = re.compile(rb"[1-9][0-9]{0,8}")

ITEM_FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),  # unique in a data set; Kinetics: {split}/{class_dir}/{clip_id}
    pa.field("video_id", pa.string()),  # its namespace (clipquarry.ids.source_name) is the data set's
    pa.field("clip_id", pa.string()),  # the file's name without suffix; Kinetics: {video_id}_{start:06d}_{end:06d}
    pa.field("split", pa.string(), nullable=False),
    pa.field("label", pa.string()),  # as in the annotation; null where there is none, or several
    pa.field("class_dir", pa.string()),  # normalised label
    pa.field("label_index", pa.int32()),  # 0-based; -1 without a label
    pa.field("start", pa.int64()),  # microseconds of the original video
    pa.field("end", pa.int64()),  # exclusive
    pa.field("row", pa.int64()),  # line of the record in the annotation file, 1 is the first
    pa.field("start_text", pa.string()),  # as in the annotation; null where it is the shortest decimal form of start
    pa.field("end_text", pa.string()),
    pa.field("parent", pa.string()),  # item that start and end are relative to; null: the original video
)
"""The columns of an item in a shard. Scalars only: labels, one or several, are in a table of their own."""

_RESULT = (
    pa.field("status", pa.string(), nullable=False),  # in a catalog: done, or rejected
    pa.field("reason", pa.string(), nullable=False),
    pa.field("evidence", pa.string(), nullable=False),
)

CATALOG_FIELDS: tuple[pa.Field, ...] = (*ITEM_FIELDS, *_RESULT)
"""The catalog: what a data set should hold."""

RESULT_FIELDS: tuple[pa.Field, ...] = (
    *ITEM_FIELDS,
    *_RESULT,
    pa.field("key", pa.string(), nullable=False),  # hash of the row, the params and the step's version
)
"""The item's columns again (so that a manifest can be read alone), then its outcome."""


_WELL_KNOWN = {f.name: f.type for f in RESULT_FIELDS}
_ID = ITEM_FIELDS[0].name
_OF_ITEMS = {f.name for f in ITEM_FIELDS if not f.nullable}
_ANEW = "delete it and run its step again"


def _to_microseconds(table: pa.Table) -> pa.Table:
    """Version 1 had whole seconds, and neither the annotation's text nor a parent."""
    for name in ("start", "end"):
        if name in table.column_names:
            at, moments = table.column_names.index(name), pc.multiply(pc.cast(table[name], pa.int64()), SECOND)
            table = table.set_column(at, name, moments)
    if "row" not in table.column_names:
        return table
    at = table.column_names.index("row") + 1
    for name in ("parent", "end_text", "start_text"):
        table = table.add_column(at, name, pa.nulls(table.num_rows, pa.string()))
    return table


MIGRATIONS: dict[int, Callable[[pa.Table], pa.Table]] = {1: _to_microseconds}
"""Migrations from version n to n + 1, of a whole table or some of its rows."""


NESTED = frozenset({"attempts", "unusable", "boxes"})
"""Columns with lists; each has one reader that goes through it row by row. All others are scalar."""


def scalar(table: pa.Table) -> pa.Table:
    """The same table. Raises TypeError, a mistake in the program, if a column holds lists, structs or maps.

    Every table that is joined, becomes a pandas table or is checked by Great Expectations goes through here. pyarrow
    cannot join such columns, and pandas and Great Expectations silently compare them wrongly.
    """
    if nested := [column.name for column in table.schema if pa.types.is_nested(column.type)]:
        raise TypeError(f"the columns {nested} hold lists: several values of an item stand in a table of their own")
    return table


def schema_of(fields: Iterable[pa.Field], kind: str) -> pa.Schema:
    """An arrow schema with the version and the kind (step name, ``catalog``) in its metadata. TypeError: see :data:`NESTED`."""
    fields = list(fields)
    if nested := [one.name for one in fields if pa.types.is_nested(one.type) and one.name not in NESTED]:
        raise TypeError(
            f"the columns {nested} of '{kind}' hold lists: several values of an item stand in a table of their own"
        )
    return pa.schema(fields, metadata={_META_VERSION: str(VERSION).encode(), _META_KIND: kind.encode()})


class ManifestWriter:
    """Write rows to ``target`` in row groups; the file appears when the block ends well."""

    def __init__(self, target: Path, schema: pa.Schema, *, rows_per_group: int = 4096) -> None:
        self._target, self._schema, self._limit = target, schema, rows_per_group
        self._names = frozenset(schema.names)
        self._integers = tuple(field.name for field in schema if pa.types.is_integer(field.type))
        self._rows: list[Row] = []

    def __enter__(self) -> Self:
        make_parent(self._target)
        self._temporary = temporary_beside(self._target)
        try:
            with disk_errors(self._target):
                self._writer = pq.ParquetWriter(self._temporary, self._schema, compression="zstd")
        except BaseException:
            self._temporary.unlink(missing_ok=True)  # there is no block that could end
            raise
        return self

    def write(self, row: Row) -> None:
        """Add one row. Missing columns become null; unknown ones are an error, and so is a float for an integer
        column, which Arrow would truncate.
        """
        if not row.keys() <= self._names:
            raise ValueError(f"columns {sorted(row.keys() - self._names)} are not in the schema of {self._target.name}")
        for name in self._integers:
            if isinstance(row.get(name), float):
                raise ValueError(f"{row[name]} is no integer, which {name} of {self._target.name} holds")
        self._rows.append(row)
        if len(self._rows) >= self._limit:
            self._flush()

    def write_table(self, table: pa.Table) -> None:
        """Add a whole table with the same columns, without converting it to rows."""
        if self._rows:
            self._flush()
        with disk_errors(self._target):
            self._writer.write_table(table.cast(self._schema), row_group_size=self._limit)

    def _flush(self) -> None:
        with disk_errors(self._target):
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self._rows:
                    self._flush()
                with disk_errors(self._target):  # the last rows and the footer are written here
                    self._writer.close()
                    publish(self._temporary, self._target)
        finally:
            with suppress(OSError):  # after an error, which is the one to be raised
                self._writer.close()
            self._temporary.unlink(missing_ok=True)


def write_rows(target: Path, schema: pa.Schema, rows: Iterable[Row]) -> int:
    """Write all rows; returns how many."""
    count = 0
    with ManifestWriter(target, schema) as writer:
        for row in rows:
            writer.write(row)
            count += 1
    return count


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn Arrow's errors about damaged bytes into one sentence."""
    try:
        yield
    except ManifestError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        said = " ".join(str(error).split())[:200]
        raise ManifestError(f"{path} is not a readable manifest ({said}); {_ANEW}.") from error


def _checked(path: Path) -> tuple[pq.ParquetFile, int]:
    refuse_pipe(path)
    with _damage(path):
        try:
            file = pq.ParquetFile(path)
        except FileNotFoundError as error:
            raise ManifestError(f"There is no manifest {path}: run the step that writes it first.") from error
        meta = file.schema_arrow.metadata or {}
    if not _VERSION_TEXT.fullmatch(meta.get(_META_VERSION, b"")):
        raise ManifestError(f"{path} is a parquet file, but not one of Clipquarry's manifests.")
    version = int(meta[_META_VERSION])
    if version > VERSION:
        raise ManifestError(
            f"{path} has manifest schema {version}, this Clipquarry knows up to {VERSION}: upgrade Clipquarry to read it."
        )
    if version == VERSION and (odd := _odd_columns(file.schema_arrow)):
        raise ManifestError(f"{path} has other values in its column {odd!r} than a manifest has: {_ANEW}.")
    return file, version


def _odd_columns(schema: pa.Schema) -> str:
    """The first column of a table of items whose name is that of an item's or a result's, but whose values are of another kind.

    Other tables, such as one of the samples in a package, may call what they like a label.
    """
    of_items = set(schema.names) >= _OF_ITEMS
    for told in schema:
        wanted = _WELL_KNOWN.get(told.name) if of_items or told.name == _ID else None
        alike = pa.types.is_integer if wanted is not None and pa.types.is_integer(wanted) else _is_text
        if wanted is not None and not (alike(told.type) or pa.types.is_null(told.type)):
            return str(told.name)
    return ""


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _selected(table: pa.Table, columns: Sequence[str] | None, path: Path) -> pa.Table:
    """Some columns. A row without an id, of a damaged or foreign table, would join and record nothing."""
    if _ID in table.column_names and table[_ID].null_count:
        raise ManifestError(f"{path} has rows without {_ID!r}: {_ANEW}.")
    if columns is None:
        return table
    if absent := [name for name in columns if name not in table.column_names]:
        raise MissingColumn(f"{path} has no column {absent[0]!r}, so it is another table than was expected: {_ANEW}.")
    return table.select(list(columns))


def check_items(path: Path) -> None:
    """Raise :class:`ManifestError` unless the table's rows are items."""
    if absent := _OF_ITEMS - set(column_names(path)):
        raise MissingColumn(f"{path} has no column {min(absent)!r}, so it holds no items: {_ANEW}.")


def kind_of(path: Path) -> str:
    """The step (or ``catalog``) that wrote a manifest."""
    file, _ = _checked(path)
    with file:
        return str((file.schema_arrow.metadata or {}).get(_META_KIND, b"").decode())


def count_rows(path: Path) -> int:
    """Rows of a manifest, from its footer."""
    file, _ = _checked(path)
    with file:
        return int(file.metadata.num_rows)


def _migrated(table: pa.Table, version: int) -> pa.Table:
    for step in range(version, VERSION):
        table = MIGRATIONS[step](table)
    return table


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole manifest as an arrow table, migrated to the current version."""
    file, version = _checked(path)
    with file, _damage(path):
        table = file.read(columns=list(columns) if columns is not None and version == VERSION else None)
    return _selected(_migrated(table, version), columns, path)


def _batches(
    path: Path, columns: Sequence[str] | None, batch: int, rows_of: Callable[[pa.Table], list[Any]]
) -> Iterator[list[Any]]:
    """Yields the result of ``rows_of`` for each batch of rows, migrated to the current version."""
    file, version = _checked(path)
    with file:
        pieces = file.iter_batches(
            batch_size=batch, columns=list(columns) if columns is not None and version == VERSION else None
        )
        while True:
            with _damage(path):
                piece = next(pieces, None)
                if piece is None:
                    return
                table = _migrated(pa.Table.from_batches([piece]), version)
                rows = rows_of(_selected(table, columns, path))
            yield rows


def read_tuples(path: Path, columns: Sequence[str], *, batch: int = 4096) -> Iterator[tuple[Any, ...]]:
    """The values of ``columns`` row by row, streamed. For long tables, where building a dict for every row takes
    most of the time.
    """
    for values in _batches(path, columns, batch, lambda table: [column.to_pylist() for column in table.columns]):
        yield from zip(*values, strict=True)


def read_batches(path: Path, columns: Sequence[str], *, batch: int = 4096) -> Iterator[pa.Table]:
    """Some columns in tables of at most ``batch`` rows, streamed. For long tables whose rows are not needed one by one."""
    for tables in _batches(path, columns, batch, lambda table: [table]):
        yield from tables


def read_rows(path: Path, columns: Sequence[str] | None = None, *, batch: int = 4096) -> Iterator[Row]:
    """Rows one by one, streamed, migrated to the current version."""
    for rows in _batches(path, columns, batch, _as_rows):
        yield from rows


def _as_rows(table: pa.Table) -> list[Row]:
    """As ``to_pylist``, which takes twice as long."""
    names, values = table.column_names, [column.to_pylist() for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def column_names(path: Path) -> frozenset[str]:
    """The columns that :func:`read_table` gives."""
    file, version = _checked(path)
    with file:
        return frozenset(_migrated(file.schema_arrow.empty_table(), version).column_names)


def column_of_seconds(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of microseconds in seconds: int64 if all are whole, else float64."""
    whole = pc.divide(moments, SECOND)  # division of integers truncates
    if pc.all(pc.equal(pc.multiply(whole, SECOND), moments), min_count=0).as_py():
        return whole
    return pc.divide(pc.cast(moments, pa.float64()), float(SECOND))
