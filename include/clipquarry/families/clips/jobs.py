"""Jobs of the steps of a run of labelled clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.datasets.step_files import ffmpeg_pattern
from clipquarry.families.clips.options import clips_options
from clipquarry.families.clips.params import ClipsParams, FoldersParams
from clipquarry.families.clips.readers import reader_of
from clipquarry.frame_names import pattern_of
from clipquarry.manifest import read_table
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan import SHARD_SCHEMA, Plan
from clipquarry.pipeline.state import write_table
from clipquarry.pipeline.step_params import Job, extract_jobs, fetch_jobs, make_jobs, unpack_jobs


def _suffixes(ctx: RunContext) -> list[str]:
    """Suffixes of the items' files, with their dots."""
    return [f".{suffix}" for suffix in ctx.spec.item.ext] if ctx.spec.has_files else [".mp4"]


def _resize_params(ctx: RunContext) -> dict[str, Any]:
    return {
        "root": ctx.spec.root,
        "videos": ctx.spec.layout["videos"],
        "suffixes": _suffixes(ctx),
        "out": ctx.spec.layout["resized"],
        "short_edge": ctx.chosen(ClipsParams).short_edge,
        "recipe": ctx.spec.recipe.model_dump(mode="json"),
    }


def _frames_params(ctx: RunContext) -> dict[str, Any]:
    chosen = ctx.chosen(ClipsParams)
    fixed = bool(chosen.frame_width)
    frames = clips_options(ctx.spec).frames
    return {
        "root": ctx.spec.root,
        "videos": ctx.spec.layout["videos"],
        "suffixes": _suffixes(ctx),
        "out": ctx.spec.layout["rawframes"],
        "short_edge": 0 if fixed else chosen.short_edge,
        "width": chosen.frame_width,
        "height": chosen.frame_height,
        "fps": chosen.frame_rate,
        "quality": frames.quality,
        "parity": frames.parity,
        "even": frames.even,
        "pattern": ffmpeg_pattern(ctx.spec),
        "start_index": ctx.spec.item.start_index,
        "flow": chosen.flow,
        "flow_type": chosen.flow_type,
        "flow_tool": chosen.flow_tool,
    }


def _flow_params(ctx: RunContext) -> dict[str, Any]:
    """Of folders of frames."""
    chosen, item = ctx.chosen(FoldersParams), ctx.spec.item
    return {
        "root": ctx.spec.root,
        "frames": ctx.spec.layout["rawframes"],
        "pattern": pattern_of(item.rgb_pattern),
        "start_index": item.start_index,
        "flow_type": chosen.flow_type,
        "flow_tool": chosen.flow_tool,
    }


def _video_params(ctx: RunContext) -> dict[str, Any]:
    """Of folders of frames."""
    chosen, item = ctx.chosen(FoldersParams), ctx.spec.item
    return {
        "root": ctx.spec.root,
        "frames": ctx.spec.layout["rawframes"],
        "out": ctx.spec.layout["videos"],
        "pattern": pattern_of(item.rgb_pattern),
        "start": item.start_index,
        "fps": chosen.encode_fps,
        "codec": chosen.encode_codec,
        "recipe": ctx.spec.recipe.model_dump(mode="json"),
    }


def _audio_params(ctx: RunContext) -> dict[str, Any]:
    return {
        "root": ctx.spec.root,
        "videos": ctx.spec.layout["videos"],
        "suffixes": _suffixes(ctx),
        "out": ctx.spec.layout["audio"],
    }


def _feature_params(ctx: RunContext) -> dict[str, Any]:
    return {"root": ctx.spec.root, "audio": ctx.spec.layout["audio"], "out": ctx.spec.layout["audio_features"]}


def _keeping(ctx: RunContext) -> dict[str, Any]:
    """Parameters of ``fetch`` in a run that keeps source videos: of YouTube's too, whole ones instead of sections."""
    if not ctx.chosen(ClipsParams).keep_videos:
        return {}
    return {"keep": ctx.spec.layout["sources"], "youtube": {"sections": "never"}}


def _of_samples(ctx: RunContext, plan: Plan) -> list[Path]:
    """The plan's shards without the rows of parents, of which nothing else is made."""
    if not ctx.spec.parents:
        return plan.shards
    parents, found = pa.array(list(ctx.spec.parents), pa.string()), list[Path]()
    for whole in plan.shards:
        table = read_table(whole)
        samples = table.filter(pc.invert(pc.is_in(table["split"], value_set=parents)))
        if samples.num_rows:
            found.append(ctx.place.samples / whole.name)
            write_table(found[-1], samples, SHARD_SCHEMA)
    return found


def write_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Jobs by step, their parameter files written."""
    made = _of_samples(ctx, plan)
    if ctx.spec.has_folders:
        return {
            "extract": extract_jobs(ctx, plan),
            "collect_frames": fetch_jobs(ctx, plan, "collect_frames"),
            "flow": make_jobs(ctx, "flow", made, _flow_params(ctx)) if ctx.chosen(FoldersParams).flow else [],
            "encode_video": make_jobs(ctx, "encode_video", made, _video_params(ctx))
            if ctx.chosen(FoldersParams).encode
            else [],
        }
    chosen = ctx.chosen(ClipsParams)
    if ctx.spec.has_files:
        brought = {
            "extract": extract_jobs(ctx, plan),
            "collect": fetch_jobs(ctx, plan, "collect", suffixes=_suffixes(ctx)),
        }
    else:
        names = "window" if reader_of(ctx.spec).NAMES == "window" else "own"
        brought = {"unpack": unpack_jobs(ctx, plan), "fetch": fetch_jobs(ctx, plan, names=names, **_keeping(ctx))}
    return {
        **brought,
        "resize": make_jobs(ctx, "resize", made, _resize_params(ctx)) if chosen.resize else [],
        "frames": make_jobs(ctx, "frames", made, _frames_params(ctx)) if chosen.frames else [],
        "audio": make_jobs(ctx, "audio", made, _audio_params(ctx)) if chosen.audio else [],
        "audio_features": make_jobs(ctx, "audio_features", made, _feature_params(ctx)) if chosen.audio_features else [],
    }
