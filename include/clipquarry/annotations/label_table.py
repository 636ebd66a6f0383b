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

import pyarrow as pa

from clipquarry.errors import ManifestError
from clipquarry.manifest import ManifestWriter, Row, kind_of, read_tuples, schema_of

KIND = "labels"
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
        super().__init__(target, schema_of(FIELDS, KIND))

    def add(self, item_id: str, labels: Sequence[Label]) -> None:
        """Add the labels of the catalog's next item, in the annotation's order; none for an item without labels."""
        for position, label in enumerate(labels):
            self.write({"item_id": item_id, "position": position, "index": label.index, "name": label.name})


def read_labels(table: Path) -> Iterator[tuple[str, tuple[Label, ...]]]:
    """Each item that has labels, with them in order, streamed. Raises :class:`ManifestError`."""
    if (kind := kind_of(table)) != KIND:
        raise ManifestError(f"{table} is a table of '{kind}', not of labels: run the stage that writes it again.")
    last, found = "", list[Label]()
    for item_id, position, index, name in read_tuples(table, [column.name for column in FIELDS]):
        if item_id != last:
            if found:
                yield last, tuple(found)
            last, found = item_id, []
        if position != len(found):
            raise ManifestError(
                f"{table}: the labels of {item_id!r} are not in order: run the stage that writes it again."
            )
        found.append(Label(index, name))
    if found:
        yield last, tuple(found)


def with_labels(rows: Iterable[Row], table: Path) -> Iterator[tuple[Row, tuple[Label, ...]]]:
    """Rows of a whole catalog, in its order, each with its labels; both are streamed.

    Raises :class:`ManifestError`, at the latest after the last row, if the table belongs to another catalog.
    """
    labels = read_labels(table)
    item_id, found = next(labels, ("", ()))
    for row in rows:
        if row["item_id"] == item_id:
            yield row, found
            item_id, found = next(labels, ("", ()))
        else:
            yield row, ()
    if item_id:
        raise ManifestError(
            f"{table} has labels of {item_id!r}, which is not where the catalog has it: run the stage that writes both again."
        )
