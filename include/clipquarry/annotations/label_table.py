"""The table of labels: the labels of every item of a catalog, one or several, with one row per label.

==========  ======  ==================================================================================
column      type    meaning
==========  ======  ==================================================================================
item_id     string  of the catalog's item
position    int32   0-based, in the order of the annotation
index       int32   0-based number of the class
name        string  the label as the annotation writes it
==========  ======  ==================================================================================

Items stand in the order of the catalog, with their labels together; an item without a label has no row. The catalog's own rows
stay scalar: columns of lists break joins, and Great Expectations is wrong about them in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.errors import ManifestError
from clipquarry.manifest import ManifestWriter, kind_of, read_batches, schema_of

KIND = "labels"
_AT_ONCE = 8192
"""Labels that are held before they are written, or at a time when they are read."""
Values = TypeVar("Values", bound=tuple[Any, ...])
T = TypeVar("T")
FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("position", pa.int32(), nullable=False),
    pa.field("index", pa.int32(), nullable=False),
    pa.field("name", pa.string(), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Label:
    """One label of an item: the 0-based number of its class, and its spelling in the annotation."""

    index: int
    name: str


class LabelWriter(ManifestWriter):
    """Writer of the table, which appears whole when the block ends without an error; memory does not grow."""

    def __init__(self, target: Path) -> None:
        super().__init__(target, schema_of(FIELDS, KIND), rows_per_group=_AT_ONCE)
        # An item may have dozens of labels, and most readers give the same objects again: neither is made a row.
        self._ids, self._counts, self._labels = list[str](), list[int](), list[Label]()

    def add(self, item_id: str, labels: Sequence[Label]) -> None:
        """Add the labels of the catalog's next item, in the annotation's order; none for an item without labels."""
        self._ids.append(item_id)
        self._counts.append(len(labels))
        self._labels += labels
        if len(self._labels) >= _AT_ONCE:
            self._write_columns()

    def _write_columns(self) -> None:
        counts, total = np.array(self._counts), len(self._labels)
        items = np.repeat(np.arange(len(counts)), counts)
        positions = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        keys = np.fromiter(map(id, self._labels), np.int64, total)
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        different = [self._labels[at] for at in first.tolist()]
        columns = (
            pa.array(self._ids, pa.string()).take(pa.array(items)), pa.array(positions, pa.int32()),
            pa.array(np.array([label.index for label in different])[which], pa.int32()),
            pa.array([label.name for label in different], pa.string()).take(pa.array(which)),
        )  # fmt: skip
        self._ids, self._counts, self._labels = [], [], []
        self.write_table(pa.table(columns, schema=schema_of(FIELDS, KIND)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._labels:
                self._write_columns()
        except BaseException as wrong:
            super().__exit__(type(wrong), wrong, wrong.__traceback__)
            raise
        super().__exit__(kind, error, trace)


def read_labels(table: Path) -> Iterator[tuple[str, tuple[Label, ...]]]:
    """Each item that has labels, with them in order, streamed. Raises :class:`ManifestError`."""
    known: dict[tuple[int, str], Label] = {}  # there are few classes

    def label(pair: tuple[int, str]) -> Label:
        if (found := known.get(pair)) is None:
            found = known[pair] = Label(*pair)
        return found

    for item_id, found in _items(table, ("index", "name")):
        yield item_id, tuple(map(label, found))


def read_indices(table: Path) -> Iterator[tuple[str, list[int]]]:
    """As :func:`read_labels`, with the labels' numbers only, which takes a fraction of the time."""
    return _items(table, ("index",))


def _items(table: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[Any]]]:
    """Each item with the values of ``columns`` for each of its labels; of one column, without a tuple around it."""
    if (kind := kind_of(table)) != KIND:
        raise ManifestError(f"{table} is a table of '{kind}', not of labels: run the stage that writes it again.")
    last, found = "", list[Any]()
    for batch in read_batches(table, ("item_id", "position", *columns), batch=_AT_ONCE):
        ids, positions = batch.column(0).combine_chunks(), batch.column(1).to_numpy()
        begins = np.flatnonzero(positions == 0)
        names = ids.take(pa.array(begins)).to_pylist()
        if (wrong := _out_of_order(ids, positions, last, len(found))) is not None:
            raise ManifestError(
                f"{table}: the labels of {wrong!r} are not in order: run the stage that writes it again."
            )
        lists = [batch.column(at).to_pylist() for at in range(2, 2 + len(columns))]
        values = lists[0] if len(lists) == 1 else list(zip(*lists, strict=True))
        edges = [*begins.tolist(), len(values)]
        found += values[: edges[0]]
        for item_id, begin, end in zip(names, edges[:-1], edges[1:], strict=True):
            if found:
                yield last, found
            last, found = item_id, values[begin:end]
    if found:
        yield last, found


def _out_of_order(ids: pa.Array, positions: npt.NDArray[np.int32], last: str, count: int) -> str | None:
    """The first id whose labels are not counted from 0, one after the other; ``last`` had ``count`` labels so far."""
    before = np.concatenate(([count - 1], positions[:-1]))
    same = np.empty(len(positions), dtype=bool)
    if len(positions):
        same[0] = bool(last) and ids[0].as_py() == last
        same[1:] = pc.equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(positions != np.where(same, before + 1, 0))
    return str(ids[int(wrong[0])].as_py()) if len(wrong) else None


def with_labels(rows: Iterable[Values], table: Path) -> Iterator[tuple[Values, tuple[Label, ...]]]:
    """Rows of a whole catalog, in its order, whose first value is the id, each with its labels; both are streamed.

    Raises :class:`ManifestError`, at the latest after the last row, if the table belongs to another catalog.
    """
    return _beside(rows, read_labels(table), table, ())


def with_indices(rows: Iterable[Values], table: Path) -> Iterator[tuple[Values, Sequence[int]]]:
    """As :func:`with_labels`, with the labels' numbers only."""
    return _beside(rows, read_indices(table), table, ())


def _beside(
    rows: Iterable[Values], labels: Iterator[tuple[str, T]], table: Path, none: T
) -> Iterator[tuple[Values, T]]:
    item_id, found = next(labels, ("", none))
    for row in rows:
        if row[0] == item_id:
            yield row, found
            item_id, found = next(labels, ("", none))
        else:
            yield row, none
    if item_id:
        raise ManifestError(
            f"{table} has labels of {item_id!r}, which is not where the catalog has it: run the stage that writes both again."
        )
