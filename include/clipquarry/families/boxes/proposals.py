"""Person proposals of a run, from detections or from published pickles: the pickle, and the tables about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.proposals import Boxes, read_proposals, write_proposals
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.tables import save
from clipquarry.files import sha256_of, write_json
from clipquarry.layout import placing
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.pins import pin

TABLE = pa.schema([
    ("key", pa.string()), ("video_id", pa.string()), ("second", pa.int64()), ("x1", pa.float64()), ("y1", pa.float64()),
    ("x2", pa.float64()), ("y2", pa.float64()), ("score", pa.float64()),
])  # fmt: skip


def from_detections(found: pa.Table, score: float) -> dict[str, Boxes]:
    """Detections that score more than ``score``, by key, best first; keys without any are left out."""
    made: dict[str, Boxes] = {}
    for batch in found.select(["item_id", "boxes"]).to_batches(max_chunksize=4096):
        for item, boxes in zip(batch["item_id"].to_pylist(), batch["boxes"].to_pylist(), strict=True):
            array = np.array(boxes or [], dtype=np.float64).reshape(-1, 5)
            array = array[array[:, 4] > score]
            if len(array):
                made[item.partition("/")[2]] = array
    return made


def as_table(proposals: Mapping[str, Boxes]) -> pa.Table:
    """One row for each box; ``score`` is -1 where a file has none."""
    counts = np.array([len(boxes) for boxes in proposals.values()], dtype=np.int64)
    keys = pa.array(list(proposals), pa.string())
    parts = pc.split_pattern(keys, ",", max_splits=1)
    scored = [boxes if boxes.shape[1] == 5 else np.c_[boxes, np.full(len(boxes), -1.0)] for boxes in proposals.values()]
    numbers = np.concatenate(scored) if scored else np.zeros((0, 5))
    index = pa.array(np.repeat(np.arange(len(counts)), counts))
    columns = [
        pc.take(keys, index),
        pc.take(pc.list_element(parts, 0), index) if len(keys) else pa.array([], pa.string()),
        pc.cast(pc.take(pc.list_element(parts, 1), index), pa.int64()) if len(keys) else pa.array([], pa.int64()),
        *(pa.array(numbers[:, column]) for column in range(5)),
    ]
    return pa.table(columns, schema=TABLE)


def tell(
    ctx: RunContext, split: str, proposals: Mapping[str, Boxes], rejected: Mapping[str, str], path: Path, source: str
) -> dict[str, Any]:
    """Write the tables about a split's proposals; returns its numbers."""
    place = BoxFiles(ctx.folder)
    save(as_table(proposals), place.proposals(split))
    write_json(place.rejected_proposals(split), dict(rejected))
    numbers = {
        "path": str(path.relative_to(ctx.data.root)), "keys": len(proposals),
        "boxes": sum(len(boxes) for boxes in proposals.values()), "rejected": len(rejected), "source": source,
        "sha256": sha256_of(path),
    }  # fmt: skip
    write_json(place.proposal_facts(split), numbers)
    return numbers


def publish(ctx: RunContext, split: str, found: pa.Table, score: float, path: Path, source: str) -> dict[str, Any]:
    """Write a split's detections as its proposal file. Unreadable frames are in the table of rejected keys."""
    of_split = found.filter(pc.equal(found["split"], split))
    made = from_detections(of_split, score)
    with placing(ctx.data, path) as new:
        write_proposals(made, new.path)
    failed = of_split.filter(pc.is_in(of_split["status"], value_set=pa.array(["failed", "missing"])))
    rejected = {row["item_id"].partition("/")[2]: f"{row['reason']}: {row['evidence']}" for row in failed.to_pylist()}
    return {**tell(ctx, split, made, rejected, path, source), "moved": new.told}


def adopt(ctx: RunContext, split: str, path: Path, source: str) -> dict[str, Any]:
    """Use a published proposal file as it is; its unusable keys are in the table of rejected keys."""
    good, rejected = read_proposals(path)
    numbers = tell(ctx, split, good, rejected, path, source)
    numbers["first"] = pin(ctx, [path])[0]["first"]
    write_json(BoxFiles(ctx.folder).proposal_facts(split), numbers)
    return numbers
