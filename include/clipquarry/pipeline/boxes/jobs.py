"""The jobs of the steps of AVA and AVA-Kinetics."""

from __future__ import annotations

from typing import Any

from clipquarry.annotations.ava_time import FPS
from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.params import AvaParams, BoxParams
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.step_params import FLAT_FRAMES, Job, fetch_jobs, make_jobs


def ava_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Whole videos, then their fifteen minutes."""
    chosen = ctx.chosen(AvaParams)
    spec = ctx.spec
    excerpt = {
        "root": spec.root, "videos": spec.layout["videos"], "out": spec.layout["excerpts"], "frames": spec.layout["rawframes"],
        "make_video": chosen.excerpts, "make_frames": chosen.frames, "recipe": spec.recipe.model_dump(mode="json"),
    }  # fmt: skip
    made = plan.shards
    return {
        "download": fetch_jobs(ctx, plan, "download"),
        "excerpt": make_jobs(ctx, "excerpt", made, excerpt) if chosen.excerpts or chosen.frames else [],
    }


def frames_params(spec: DatasetSpec) -> dict[str, Any]:
    """The step ``frames``: the reference's images, and those of the flat layout."""
    folders = {"root": spec.root, "videos": spec.layout["videos"], "out": spec.layout["rawframes"]}
    if spec.arrangement == "flat":
        return {**folders, **FLAT_FRAMES}
    return {**folders, "fps": FPS, "quality": 1, "short_edge": 0}


def ava_kinetics_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Windows, then their images."""
    made = plan.shards
    frames = make_jobs(ctx, "frames", made, frames_params(ctx.spec)) if ctx.chosen(BoxParams).frames else []
    return {"fetch": fetch_jobs(ctx, plan), "frames": frames}
