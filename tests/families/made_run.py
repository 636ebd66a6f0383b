"""A run's folder without a run: the one writer of its tables and documents for tests and benchmarks.

The product's own schemas and its owner of the run's folder say what is written and where, so that a new column is in every made run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from clipquarry.annotations.label_table import Label, LabelWriter
from clipquarry.files import write_json
from clipquarry.manifest import CATALOG_FIELDS, ITEM_FIELDS, ManifestWriter, Row, schema_of
from clipquarry.microseconds import of
from clipquarry.pipeline.state import RESULTS_SCHEMA, STATE_SCHEMA
from clipquarry.release.lists import MISSING_FIELDS
from clipquarry.run_folder import RunFolder, labels_beside, shard
from clipquarry.steps.registry import make_step

CATALOG = schema_of(CATALOG_FIELDS, "catalog")
STATE = STATE_SCHEMA
PLAN = schema_of(ITEM_FIELDS, "plan")
MISSING = schema_of(MISSING_FIELDS, "missing")
FINE = {"status": "done", "reason": "ok", "evidence": ""}
"""How an item that is there ended."""

Rows = Iterable[Row] | pa.Table
"""A table may lack columns, which are null then."""


@cache
def step_schema(step: str) -> pa.Schema:
    """Of the tables that a step writes."""
    return make_step(step).schema()


def item_row(
    split: str,
    video: str,
    start: float,
    end: float,
    *,
    clip: str,
    folder: str | None = None,
    label: str | None = None,
    index: int = -1,
    line: int | None = None,
) -> Row:
    """An item: ``start`` and ``end`` in seconds; ``folder`` is that of its class."""
    return {
        "item_id": f"{split}/{clip}" if folder is None else f"{split}/{folder}/{clip}", "video_id": video, "clip_id": clip,
        "split": split, "label": label, "class_dir": folder, "label_index": index, "start": of(start), "end": of(end), "row": line,
    }  # fmt: skip


def filled(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with all columns of the schema. ValueError for one that the schema has not."""
    if unknown := set(table.column_names) - set(schema.names):
        raise ValueError(f"the product's table has no {sorted(unknown)}")
    known = set(table.column_names)
    columns = [table[f.name] if f.name in known else pa.nulls(table.num_rows, f.type) for f in schema]
    return pa.table(columns, names=schema.names).cast(schema)


def write_manifest(path: Path, schema: pa.Schema, rows: Rows) -> None:
    """Rows may lack columns that can be null; ValueError for an unknown one."""
    with ManifestWriter(path, schema, rows_per_group=50_000) as writer:
        if isinstance(rows, pa.Table):
            writer.write_table(filled(rows, schema))
            return
        for row in rows:
            writer.write(row)


class MadeRun:
    """Writes into the folder of a run. Whatever is written again is replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, RunFolder(folder)

    def catalog(self, rows: Rows) -> None:
        write_manifest(self.place.catalog, CATALOG, rows)

    def labels(self, rows: Iterable[tuple[str, Sequence[Label]]]) -> None:
        """Items with their labels, in the order of the catalog."""
        with LabelWriter(labels_beside(self.place.catalog)) as writer:
            for item_id, labels in rows:
                writer.add(item_id, labels)

    def plan(self, rows: Rows) -> None:
        """What is asked for, in one shard."""
        write_manifest(shard(self.place.items, "shard", 0), PLAN, rows)

    def recorded(self, rows: Rows) -> None:
        write_manifest(self.place.recorded, STATE_SCHEMA, rows)

    def results(self, rows: Rows) -> None:
        write_manifest(self.place.results, RESULTS_SCHEMA, rows)

    def step(self, name: str, rows: Sequence[Row], shards: int = 1) -> None:
        """What the tasks of a step wrote, cut into so many tables."""
        size = -(-len(rows) // shards)
        for number in range(shards):
            write_manifest(
                self.place.manifest(name, number), step_schema(name), rows[number * size : (number + 1) * size]
            )

    def missing(self, form: str, rows: Rows) -> None:
        """What stands in no list of the form."""
        write_manifest(self.place.missing(form), MISSING, rows)

    def lists(self, entries: Sequence[Mapping[str, Any]]) -> None:
        write_json(self.place.lists, [{"path": f"{one['split']}_{one['format']}.txt", **one} for one in entries])

    def facts(self, **facts: Any) -> None:
        """What the run is; see :class:`clipquarry.run_documents.RunFacts`."""
        write_json(self.place.run_file, facts)

    def gate(self, name: str, result: Mapping[str, Any]) -> None:
        write_json(self.place.gate(name), dict(result))
