"""Manifests: the tables that steps read and write (parquet, one row per item).

Every manifest begins with the columns of :data:`RESULT_FIELDS` or :data:`CATALOG_FIELDS`; a step adds its own. The file's
metadata carries the schema version; an older one is migrated on reading, a newer one refused with a sentence.
Reading and writing stream: memory does not grow with the number of rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from clipquarry.errors import ManifestError
from clipquarry.files import disk_errors, publish, refuse_pipe, temporary_beside

Row = dict[str, Any]

VERSION = 1
_META_VERSION = b"clipquarry.schema"
_META_KIND = b"clipquarry.kind"
_VERSION_TEXT = re.compile(rb"[1-9][0-9]{0,8}")

MIGRATIONS: dict[int, Callable[[pa.Table], pa.Table]] = {}
"""From version n to n + 1."""

CATALOG_FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),  # {split}/{class_dir}/{clip_id}, unique in a data set
    pa.field("video_id", pa.string()),
    pa.field("clip_id", pa.string()),  # {video_id}_{start:06d}_{end:06d}
    pa.field("split", pa.string(), nullable=False),
    pa.field("label", pa.string()),  # as in the csv; null in a test csv without labels
    pa.field("class_dir", pa.string()),  # normalised label
    pa.field("label_index", pa.int32()),  # 0-based; -1 without a label
    pa.field("start", pa.int32()),  # seconds of the original video
    pa.field("end", pa.int32()),  # exclusive
    pa.field("row", pa.int64()),  # line of the csv record, 1 is the header
    pa.field("status", pa.string(), nullable=False),  # done, or rejected
    pa.field("reason", pa.string(), nullable=False),
    pa.field("evidence", pa.string(), nullable=False),
)
"""The catalog: what a data set should hold."""

ITEM_FIELDS: tuple[pa.Field, ...] = CATALOG_FIELDS[:10]
"""What a shard tells a step about each item."""

RESULT_FIELDS: tuple[pa.Field, ...] = (
    *ITEM_FIELDS,
    pa.field("status", pa.string(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("evidence", pa.string(), nullable=False),
    pa.field("key", pa.string(), nullable=False),  # hash of the row, the params and the step's version
)
"""The item's columns again (so that a manifest can be read alone), then how it ended."""


def schema_of(fields: Iterable[pa.Field], kind: str) -> pa.Schema:
    """An arrow schema with the version and the kind (step name, ``catalog``) in its metadata."""
    return pa.schema(list(fields), metadata={_META_VERSION: str(VERSION).encode(), _META_KIND: kind.encode()})


class ManifestWriter:
    """Write rows to ``target`` in row groups; the file appears when the block ends well."""

    def __init__(self, target: Path, schema: pa.Schema, *, rows_per_group: int = 4096) -> None:
        self._target, self._schema, self._limit = target, schema, rows_per_group
        self._names = frozenset(schema.names)
        self._rows: list[Row] = []

    def __enter__(self) -> Self:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = temporary_beside(self._target)
        try:
            with disk_errors(self._target):
                self._writer = pq.ParquetWriter(self._temporary, self._schema, compression="zstd")
        except BaseException:
            self._temporary.unlink(missing_ok=True)  # there is no block that could end
            raise
        return self

    def write(self, row: Row) -> None:
        """Add one row; missing columns become null, unknown ones are an error."""
        if not row.keys() <= self._names:
            raise ValueError(f"columns {sorted(row.keys() - self._names)} are not in the schema of {self._target.name}")
        self._rows.append(row)
        if len(self._rows) >= self._limit:
            self._flush()

    def write_table(self, table: pa.Table) -> None:
        """Add a whole table of the same columns, without a detour over rows."""
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
            if kind is None and self._rows:
                self._flush()
            self._writer.close()
            if kind is None:
                with disk_errors(self._target):
                    publish(self._temporary, self._target)
        finally:
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
    """Whatever Arrow says of bytes that make no sense as one sentence; a column that is not there stays a KeyError."""
    try:
        yield
    except KeyError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        said = " ".join(str(error).split())[:200]
        raise ManifestError(f"{path} is not a readable manifest ({said}); delete it and run its step again.") from error


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
    return file, version


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


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole manifest as an arrow table, migrated to the current version."""
    file, version = _checked(path)
    with file, _damage(path):
        table = file.read(columns=list(columns) if columns is not None and version == VERSION else None)
    for step in range(version, VERSION):
        table = MIGRATIONS[step](table)
    return table if columns is None else table.select(list(columns))


def read_rows(path: Path, columns: Sequence[str] | None = None, *, batch: int = 4096) -> Iterator[Row]:
    """Rows one by one, streamed."""
    file, version = _checked(path)
    if version < VERSION:
        file.close()
        yield from read_table(path, columns).to_pylist()
        return
    with file:
        pieces = file.iter_batches(batch_size=batch, columns=list(columns) if columns is not None else None)
        while True:
            with _damage(path):
                rows = next((piece.to_pylist() for piece in pieces), None)
            if rows is None:
                return
            yield from rows
