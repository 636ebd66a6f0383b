"""Jobs of the steps of a run of tubes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipquarry.families.tubes.here import copy_of_tree
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.fetch_params import fetch_params
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.sources import enabled_sources
from clipquarry.pipeline.step_params import Job, extract_jobs, fetch_jobs

UNPACKED = "unpacked"
"""Source of frames that lie in the data set's folder below a top folder of their archive."""


def write_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Jobs by step, their parameter files written."""
    extract = extract_jobs(ctx, plan)
    return {"extract": extract, "collect_frames": fetch_jobs(ctx, plan, "collect_frames", **_of_copy(ctx))}


def _of_copy(ctx: RunContext) -> dict[str, Any]:
    """Parameters that make the step look into a copy of the tree, in which frames lie as in the layout."""
    copy = copy_of_tree(ctx)
    if copy is None:
        return {}
    frames = f"{copy}/{ctx.spec.layout['rawframes']}/{{class}}/{{clip}}"
    if copy.parent == ctx.data.dataset(ctx.spec.root):
        beside = {"id": UNPACKED, "kind": "local", "provides": "items", "content": "file", "path": str(Path(frames).relative_to(ctx.data.root))}  # fmt: skip
        return {"sources": [*fetch_params(ctx)["sources"], beside]}
    local = [source.id for source in enabled_sources(ctx) if source.kind == "local"]
    return {"overrides": dict.fromkeys(local, frames)}
