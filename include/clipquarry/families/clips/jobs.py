"""Jobs of the steps of a run of labelled clips."""

from __future__ import annotations

from typing import Any

from clipquarry.datasets.step_files import ffmpeg_pattern
from clipquarry.families.clips.options import clips_options
from clipquarry.families.clips.params import ClipsParams
from clipquarry.families.clips.readers import reader_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.step_params import Job, fetch_jobs, make_jobs, unpack_jobs


def _resize_params(ctx: RunContext) -> dict[str, Any]:
    return {
        "root": ctx.spec.root,
        "videos": ctx.spec.layout["videos"],
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
        "out": ctx.spec.layout["rawframes"],
        "short_edge": 0 if fixed else chosen.short_edge,
        "width": chosen.frame_width,
        "height": chosen.frame_height,
        "fps": chosen.frame_rate,
        "quality": frames.quality,
        "enlarge": frames.enlarge,
        "even": frames.even,
        "pattern": ffmpeg_pattern(ctx.spec),
    }


def write_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Jobs by step, their parameter files written."""
    made = plan.shards
    chosen = ctx.chosen(ClipsParams)
    return {
        "unpack": unpack_jobs(ctx, plan),
        "fetch": fetch_jobs(ctx, plan, names=reader_of(ctx.spec).NAMES),
        "resize": make_jobs(ctx, "resize", made, _resize_params(ctx)) if chosen.resize else [],
        "frames": make_jobs(ctx, "frames", made, _frames_params(ctx)) if chosen.frames else [],
    }
