"""The jobs of the steps of AVA and AVA-Kinetics."""

from __future__ import annotations

from typing import Any

from clipquarry.annotations.ava_time import FPS
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.step_files import ffmpeg_pattern
from clipquarry.families.boxes.options import boxes_options
from clipquarry.families.boxes.params import BoxParams, VideosParams
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.pipeline.step_params import Job, fetch_jobs, make_jobs


def video_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Jobs for whole videos, for their excerpts, and for the flow of the excerpts' frames."""
    chosen = ctx.chosen(VideosParams)
    spec = ctx.spec
    excerpt = {
        "root": spec.root, "videos": spec.layout["videos"], "out": spec.layout["excerpts"], "frames": spec.layout["rawframes"],
        "make_video": chosen.excerpts, "make_frames": chosen.frames, "recipe": spec.recipe.model_dump(mode="json"),
    }  # fmt: skip
    made = plan.shards
    flow = {
        "root": spec.root, "frames": spec.layout["rawframes"], "suffix": True, "pattern": ffmpeg_pattern(spec),
        "flow_type": chosen.flow_type, "flow_tool": chosen.flow_tool,
    }  # fmt: skip
    return {
        "download": fetch_jobs(ctx, plan, "download"),
        "excerpt": make_jobs(ctx, "excerpt", made, excerpt) if chosen.excerpts or chosen.frames else [],
        "flow": make_jobs(ctx, "flow", made, flow) if chosen.flow else [],
    }


def frames_params(spec: DatasetSpec) -> dict[str, Any]:
    """Parameters of the step ``frames``: all of a clip's frames at 30 a second, those of clips around key frames
    with a short edge.
    """
    folders = {"root": spec.root, "videos": spec.layout["videos"], "out": spec.layout["rawframes"]}
    made = {**folders, "fps": FPS, "quality": 1, "pattern": ffmpeg_pattern(spec)}
    if boxes_options(spec).items == "key_frames":
        return {**made, "short_edge": 256, "even": True}
    return {**made, "short_edge": 0}


def clip_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Jobs for clips, then for their frames."""
    made, chosen = plan.shards, ctx.chosen(BoxParams)
    flow = {"flow": chosen.flow, "flow_type": chosen.flow_type, "flow_tool": chosen.flow_tool}
    frames = make_jobs(ctx, "frames", made, {**frames_params(ctx.spec), **flow}) if chosen.frames else []
    return {"fetch": fetch_jobs(ctx, plan), "frames": frames}


def plan(ctx: RunContext) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`."""
    videos = boxes_options(ctx.spec).items == "videos"
    return make_plan(ctx, write_jobs=video_jobs if videos else clip_jobs)
