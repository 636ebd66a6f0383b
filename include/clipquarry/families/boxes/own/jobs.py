"""The jobs of the steps of a person's own AVA."""

from __future__ import annotations

from typing import Any

from clipquarry.families.boxes.jobs import frames_params
from clipquarry.families.boxes.own.label_page import check_annotators
from clipquarry.families.boxes.own.margins import check_margins
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.tracks import how_long
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.pipeline.step_params import Job, fetch_jobs, make_jobs


def crop_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Jobs for the crops, whose names do not tell their times, then for their frames."""
    chosen = ctx.chosen(CropsParams)
    frames = {
        **frames_params(ctx.spec), "fps": chosen.fps,
        "flow": chosen.flow, "flow_type": chosen.flow_type, "flow_tool": chosen.flow_tool,
    }  # fmt: skip
    check_margins(ctx)
    plan.estimate["sentences"] += how_long(ctx, plan)
    return {
        "fetch": fetch_jobs(ctx, plan, names="own"),
        "frames": make_jobs(ctx, "frames", plan.shards, frames) if chosen.frames else [],
    }


def plan(ctx: RunContext) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`. Raises UserError where the labels could not be read as they are asked for."""
    check_annotators(ctx)
    return make_plan(ctx, write_jobs=crop_jobs)
