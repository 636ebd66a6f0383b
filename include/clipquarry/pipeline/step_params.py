"""The parameters of each step, made from the data set's YAML and the run's; and the jobs that runtimes start.

A job is ``{"name", "items", "params", "out"}`` with paths relative to the data root: all that a step operator needs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from clipquarry.acquire.budget import ACCOUNT_PER_HOUR, GUEST_PER_HOUR
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import Source
from clipquarry.files import write_json
from clipquarry.manifest import read_rows, schema_of, write_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.params import KineticsParams
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.sources import NEAR, enabled_sources, overrides
from clipquarry.steps.unpack import PART_FIELDS, write_parts

Job = dict[str, str]

MAX_UNPACK_SHARDS = 200
"""Of all archives together: Airflow maps the sum."""


def fetch_params(ctx: RunContext, *, only: frozenset[str] | None = None) -> dict[str, Any]:
    """Parameters of the step ``fetch``. Only ids that are switched on are named, so that keys do not depend on them.

    ``only``: ids of the sources that may be asked, besides those that ask nobody; None: all of the run.
    """
    sources = [s for s in enabled_sources(ctx) if only is None or s.kind in NEAR or s.id in only]
    replaced = overrides(ctx)
    return {
        "root": ctx.spec.root,
        "videos": ctx.spec.layout["videos"],
        "sources": [_definition(ctx, source).model_dump(mode="json", exclude_defaults=True) for source in sources],
        "overrides": {name: address for name, address in replaced.items() if name in {s.id for s in sources}},
        "recipe": ctx.spec.recipe.model_dump(mode="json"),
        "egress": ctx.settings.egress,
        "cookies": str(ctx.settings.cookies) if ctx.settings.cookies else None,
        "budget_per_hour": ctx.settings.budget_per_hour
        or (ACCOUNT_PER_HOUR if ctx.settings.cookies else GUEST_PER_HOUR),
        "budget_pause": ctx.settings.budget_pause,
        "source_cache_gb": ctx.settings.source_cache_gb,
        "breaker_row": ctx.settings.breaker_row,
        "canary": ctx.settings.canary,
        "plugins": list(ctx.settings.ytdlp_plugins),
        "extractor_args": list(ctx.settings.ytdlp_args),
    }


def _definition(ctx: RunContext, source: Source) -> Source:
    """A source as the step gets it: another data set is told by the folder of its clips."""
    if source.kind != "dataset" or source.path:
        return source
    other = find_spec(source.dataset or "", ctx.settings.dataset_folders)
    return source.model_copy(update={"path": f"{other.root}/{other.layout['videos'].replace('{part}', '{split}')}"})


def _resize_params(ctx: RunContext) -> dict[str, Any]:
    return {
        "root": ctx.spec.root,
        "videos": ctx.spec.layout["videos"],
        "out": ctx.spec.layout["resized"],
        "short_edge": ctx.chosen(KineticsParams).short_edge,
        "recipe": ctx.spec.recipe.model_dump(mode="json"),
    }


FLAT_FRAMES: dict[str, Any] = {
    "fps": 30,
    "quality": 1,
    "short_edge": 256,
    "enlarge": False,
    "even": True,
    "pattern": "%06d.jpg",
}
"""Images of a flat layout, which has one folder of clips for all splits (specification 1.13). A run may choose other sizes and rates."""


def _frames_params(ctx: RunContext) -> dict[str, Any]:
    chosen = ctx.chosen(KineticsParams)
    fixed = bool(chosen.frame_width)
    return {
        **(FLAT_FRAMES if ctx.spec.arrangement == "flat" else {}),
        "root": ctx.spec.root,
        "videos": ctx.spec.layout["videos"],
        "out": ctx.spec.layout["rawframes"],
        "short_edge": 0 if fixed else chosen.short_edge,
        "width": chosen.frame_width,
        "height": chosen.frame_height,
        "fps": chosen.frame_rate,
    }


def _relative(ctx: RunContext, path: Path) -> str:
    return str(path.relative_to(ctx.data.root))


def make_jobs(ctx: RunContext, step: str, shards: list[Path], params: dict[str, Any], first: int = 0) -> list[Job]:
    """One job for each shard; the parameters' file is written."""
    if not shards:
        return []
    prefix = shards[0].name.rpartition("-")[0]
    params_file = ctx.place.params / f"{step}-{prefix}.json"
    write_json(params_file, params)
    return [
        {
            "name": shard.stem,
            "items": _relative(ctx, shard),
            "params": _relative(ctx, params_file),
            "out": _relative(ctx, ctx.place.part(step, number)),
        }
        for number, shard in enumerate(shards, first)
    ]


def fetch_jobs(ctx: RunContext, plan: Plan, step: str = "fetch") -> list[Job]:
    """Jobs that bring the items, of the step ``fetch`` or of one with the same parameters."""
    jobs: list[Job] = []
    for group in plan.groups:
        jobs += make_jobs(ctx, step, group.shards, fetch_params(ctx, only=group.sources), first=len(jobs))
    return jobs


def write_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    """Jobs by step, their parameter files written."""
    made = plan.shards
    chosen = ctx.chosen(KineticsParams)
    return {
        "unpack": _unpack_jobs(ctx, plan),
        "fetch": fetch_jobs(ctx, plan),
        "resize": make_jobs(ctx, "resize", made, _resize_params(ctx)) if chosen.resize else [],
        "frames": make_jobs(ctx, "frames", made, _frames_params(ctx)) if chosen.frames else [],
    }


def _unpack_jobs(ctx: RunContext, plan: Plan) -> list[Job]:
    """The archives that the plan chose to read."""
    jobs: list[Job] = []
    archives = sum(source.archive is not None for source in enabled_sources(ctx))
    for source in enabled_sources(ctx):
        splits = plan.archives.get(source.id)
        if not splits:
            continue
        table = ctx.place.archives / f"{source.id}.parquet"
        count, problems = write_parts(source, splits, table, ctx.data, environ=os.environ)
        plan.counts.setdefault("archives", {})[source.id] = {"parts": count, "problems": problems}
        shards = _cut(table, ctx.place.archives / source.id, source.id, max(1, MAX_UNPACK_SHARDS // archives))
        params = {
            "source": source.id, "wanted": _relative(ctx, ctx.place.wanted), "recipe": ctx.spec.recipe.model_dump(mode="json"),
            "attempts": source.attempts, "timeout_s": source.timeout_s,
        }  # fmt: skip
        jobs += make_jobs(ctx, "unpack", shards, params, first=len(jobs))
    return jobs


def _cut(table: Path, folder: Path, prefix: str, most: int) -> list[Path]:
    """The parts in at most ``most`` shards, in order."""
    rows = list(read_rows(table))
    size = max(1, -(-len(rows) // most))
    paths = []
    for number, begin in enumerate(range(0, len(rows), size)):
        path = folder / f"{prefix}_parts-{number:05d}.parquet"
        write_rows(path, schema_of(PART_FIELDS, "parts"), rows[begin : begin + size])
        paths.append(path)
    return paths
