"""The annotations of a run as tables; :mod:`~clipquarry.families.boxes.run_files` names their files.

The gates and the report read them; the csvs are read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry.annotations.action_list import read_action_list
from clipquarry.annotations.box_csv import BOXES, KEY_FRAMES, REJECTED, BoxTable, Form, read_boxes
from clipquarry.families.boxes.run_files import BoxFiles, What
from clipquarry.files import disk_errors, publish, sha256_of, temporary_beside, write_json
from clipquarry.manifest import Row
from clipquarry.reasons import Reason, Status


@dataclass(frozen=True)
class SplitFiles:
    """The annotation files of one split: the csv of boxes (None: no labels) and AVA's excluded timestamps."""

    csv: Path | None
    excluded: Path | None = None


def save(table: pa.Table, path: Path) -> None:
    """Write a plain parquet file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = temporary_beside(path)
    try:
        with disk_errors(path):
            pq.write_table(table, beside, compression="zstd")
            publish(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def has(run: Path, split: str, what: What) -> bool:
    """Whether the split has such a table; see :func:`load`."""
    return BoxFiles(run).annotated(split, what).exists()


def load(run: Path, split: str, what: What) -> pa.Table:
    """A table of the run; empty if the split has none."""
    if has(run, split, what):
        return pq.read_table(BoxFiles(run).annotated(split, what))
    schemas: dict[str, pa.Schema] = {"boxes": BOXES, "rejected": REJECTED, "excluded_rejected": REJECTED}
    return schemas.get(what, KEY_FRAMES).empty_table()


def write_tables(
    run: Path, files: dict[str, SplitFiles], form: Form, actions: Path, evaluated: Path | None
) -> dict[str, Any]:
    """Read every split's files and write their tables; returns ``catalog.json``'s ``splits``. ``form``: that of the csvs of boxes."""
    splits: dict[str, Any] = {}
    place = BoxFiles(run)
    names = read_action_list(actions)
    for split, one in files.items():
        read = read_boxes(one.csv, form, names) if one.csv else BoxTable.empty()
        if one.excluded is not None:
            excluded = read_boxes(one.excluded, "excluded")
            save(excluded.key_frames, place.annotated(split, "excluded"))
            save(excluded.rejected, place.annotated(split, "excluded_rejected"))
        save(read.boxes, place.annotated(split, "boxes"))
        save(read.key_frames, place.annotated(split, "key_frames"))
        save(read.rejected, place.annotated(split, "rejected"))
        reasons = {entry["values"]: entry["counts"] for entry in pc.value_counts(read.rejected["reason"]).to_pylist()}
        good = read.boxes.num_rows + read.key_frames.num_rows
        splits[split] = {
            "csv": str(one.csv) if one.csv else "", "sha256": sha256_of(one.csv) if one.csv else "",
            "rows": good + read.rejected.num_rows, "good": good, "rejected": reasons,
            "labels": pc.count_distinct(read.boxes["action_id"]).as_py(),
        }  # fmt: skip
    scored = read_action_list(evaluated) if evaluated is not None else names
    told = {"names": _numbered(names), "evaluated": sorted(scored), "evaluated_names": _numbered(scored)}
    write_json(place.actions, told)
    return splits


def _numbered(names: Mapping[int, str]) -> dict[str, str]:
    return {str(number): name for number, name in names.items()}


def rejected_rows(run: Path, split: str) -> list[Row]:
    """The unusable csv rows, as rows of the catalog; including those of the excluded timestamps."""
    kinds: tuple[tuple[str, What], ...] = (("row", "rejected"), ("excluded", "excluded_rejected"))
    return [
        rejected_item(f"{split}/#{name}-{row['line']}", split, row["reason"], f"{row['evidence']}: {row['text']}", row["line"])
        for name, what in kinds
        for row in load(run, split, what).to_pylist()
    ]  # fmt: skip


def rejected_item(item_id: str, split: str, reason: Reason | str, evidence: str, line: int | None = None) -> Row:
    return {"item_id": item_id, "split": split, "row": line, "status": str(Status.REJECTED), "reason": str(reason),
            "evidence": evidence}  # fmt: skip


def key_frames(table: pa.Table) -> pa.Table:
    """Distinct ``video_id, second`` in the order of the rows."""
    return table.select(["video_id", "second"]).group_by(["video_id", "second"], use_threads=False).aggregate([])
