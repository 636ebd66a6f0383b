"""Jobs of the steps of a run of labelled intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.video_features import SUFFIXES
from clipquarry.datasets.step_files import ffmpeg_pattern
from clipquarry.families.segments.options import FEATURES, segments_options
from clipquarry.families.segments.params import SegmentsParams
from clipquarry.manifest import read_table
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan import SHARD_SCHEMA, Plan
from clipquarry.pipeline.state import write_table
from clipquarry.pipeline.step_params import Job, extract_jobs, fetch_jobs, make_jobs
from clipquarry.run_folder import shard


def _frames_params(ctx: RunContext, suffixes: list[str]) -> dict[str, Any]:
    """Every frame: lists count them."""
    chosen = ctx.chosen(SegmentsParams)
    return {
        "root": ctx.spec.root,
        "videos": ctx.spec.layout["videos"],
        "suffixes": suffixes,
        "out": ctx.spec.layout["rawframes"],
        "short_edge": segments_options(ctx.spec).frame_short_edge,
        "pattern": ffmpeg_pattern(ctx.spec),
        "start_index": ctx.spec.item.start_index,
        "flow": chosen.flow,
        "flow_type": chosen.flow_type,
        "flow_tool": chosen.flow_tool,
    }


def _pool_params(ctx: RunContext) -> dict[str, Any]:
    rgb, flow, out = (ctx.spec.layout[key] for key in FEATURES)
    return {"root": ctx.spec.root, "rgb": rgb, "flow": flow, "out": out}


def _others_with_scores(ctx: RunContext, plan: Plan) -> list[Path]:
    """A shard of the videos that the run does not ask for, because they are not due or nowhere, and whose scores lie there."""
    root = ctx.data.dataset(ctx.spec.root)
    folders = [root / ctx.spec.layout[key] for key in FEATURES[:2]]
    tables = []
    for path in (ctx.place.held, ctx.place.absent):
        table = read_table(path, SHARD_SCHEMA.names)
        there = [
            all(any((folder / f"{name}{suffix}").is_file() for suffix in SUFFIXES) for folder in folders)
            for name in table["clip_id"].to_pylist()
        ]
        tables.append(table.filter(pa.array(there, pa.bool_())))
    found = pa.concat_tables(tables)
    for path in plan.shards:  # some that are not due are looked for in folders
        found = found.filter(pc.invert(pc.is_in(found["item_id"], value_set=_ids(path))))
    if not found.num_rows:
        return []
    path = shard(ctx.place.samples, "scores", 0)
    write_table(path, found, SHARD_SCHEMA)
    return [path]


def _ids(shard: Path) -> pa.Array:
    return read_table(shard, ["item_id"])["item_id"].combine_chunks()


def write_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Jobs by step, their parameter files written."""
    suffixes = [f".{suffix}" for suffix in ctx.spec.item.ext]
    chosen = ctx.chosen(SegmentsParams)
    made = plan.shards
    if ctx.spec.item.medium == "array":
        return {"extract": extract_jobs(ctx, plan), "collect_features": fetch_jobs(ctx, plan, "collect_features")}
    jobs = {
        "extract": extract_jobs(ctx, plan),
        "collect": fetch_jobs(ctx, plan, "collect", suffixes=suffixes),
        "frames": make_jobs(ctx, "frames", made, _frames_params(ctx, suffixes)) if chosen.frames else [],
    }
    if chosen.pool_features:
        jobs["pool_features"] = make_jobs(
            ctx, "pool_features", [*made, *_others_with_scores(ctx, plan)], _pool_params(ctx)
        )
    return jobs
