"""Files that are made of the annotation: those of its parts, and a copy with the videos that are here.

The original is never changed, where the reference renames it and puts the copy in its place (Q37).
"""

from __future__ import annotations

import json
import logging
from typing import Any

import pyarrow.compute as pc

from clipquarry.families.segments.readers import reader_of
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.files import sha256_of, write_json
from clipquarry.layout import placing
from clipquarry.manifest import read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.stage import needs_catalog, needs_made, needs_plan
from clipquarry.pipeline.state import PRESENT, check_files, read_state

log = logging.getLogger(__name__)


def copies(ctx: RunContext) -> list[dict[str, str]]:
    """Write the files of ``options.copies`` into the data set's folder; returns path and sha256 of each."""
    needs_catalog(ctx)
    needs_plan(ctx)
    needs_made(ctx.recorded, "record")
    told = []
    for name, value in reader_of(ctx.spec).copies(ctx, videos_here(ctx)).items():
        target = ctx.data.dataset(ctx.spec.root, name)
        with placing(ctx.data, target) as new, open(new.path, "w", encoding="ascii") as handle:
            json.dump(value, handle)
        if new.told:
            log.info(f"{name}: {new.told}")
        told.append({"path": str(target.relative_to(ctx.data.root)), "sha256": sha256_of(target)})
        log.info(f"{name}: {_count(value)} videos")
    write_json(SegmentFiles(ctx.folder).copies, told)
    return told


def videos_here(ctx: RunContext) -> set[str]:
    """Names of the verified videos that are here, over all runs and splits."""
    state = check_files(read_state(ctx.state), ctx.data.root)
    state = state.filter(pc.is_in(state["status"], value_set=PRESENT))
    there = set(state["item_id"].to_pylist())
    return {row["clip_id"] for row in read_rows(ctx.catalog, ("item_id", "clip_id")) if row["item_id"] in there}


def _count(value: Any) -> int:
    return len(value.get("database", value)) if isinstance(value, dict) else 0
