"""The jobs of the steps of AVA and AVA-Kinetics."""

from __future__ import annotations

from typing import Any

from clipyard.annotations.ava_kinetics_flat import FPS
from clipyard.datasets.model import DatasetSpec
from clipyard.pipeline.context import RunContext
from clipyard.pipeline.params import AvaParams, BoxParams
from clipyard.pipeline.plan import Plan
from clipyard.pipeline.step_params import Job, fetch_jobs, make_jobs


def ava_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Whole videos, then their fifteen minutes."""
    chosen = ctx.chosen(AvaParams)
    spec = ctx.spec
    excerpt = {
        "root": spec.root, "videos": spec.layout["videos"], "out": spec.layout["excerpts"], "frames": spec.layout["rawframes"],
        "make_video": chosen.excerpts, "make_frames": chosen.frames, "recipe": spec.recipe.model_dump(mode="json"),
    }  # fmt: skip
    made = [*plan.shards, *plan.local_shards]
    return {
        "download": fetch_jobs(ctx, plan, "download"),
        "excerpt": make_jobs(ctx, "excerpt", made, excerpt) if chosen.excerpts or chosen.frames else [],
    }


def frames_params(spec: DatasetSpec) -> dict[str, Any]:
    """The step ``frames``: the reference's images, and those of the flat layout."""
    shared = {
        "root": spec.root,
        "videos": spec.layout["videos"],
        "out": spec.layout["rawframes"],
        "fps": FPS,
        "quality": 1,
    }
    if spec.arrangement == "flat":
        return {**shared, "short_edge": 256, "enlarge": False, "even": True, "pattern": "%06d.jpg"}
    return {**shared, "short_edge": 0}


def ava_kinetics_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Windows, then their images."""
    made = [*plan.shards, *plan.local_shards]
    frames = make_jobs(ctx, "frames", made, frames_params(ctx.spec)) if ctx.chosen(BoxParams).frames else []
    return {"fetch": fetch_jobs(ctx, plan), "frames": frames}
