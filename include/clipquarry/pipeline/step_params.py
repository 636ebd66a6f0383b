"""The jobs of a plan that runtimes start, and the files of their parameters.

A job is ``{"name", "items", "params", "out"}`` with paths relative to the data root. A step operator needs no more.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from clipquarry.datasets.namespace import namespace_of
from clipquarry.files import write_json
from clipquarry.manifest import read_rows, schema_of, write_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.fetch_params import fetch_params
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.sources import enabled_sources
from clipquarry.run_folder import shard
from clipquarry.steps.unpack import VOLUME_FIELDS, write_volumes

Job = dict[str, str]

MAX_UNPACK_SHARDS = 200
"""Limit for all archives together: Airflow maps the sum."""


def _relative(ctx: RunContext, path: Path) -> str:
    return str(path.relative_to(ctx.data.root))


def make_jobs(ctx: RunContext, step: str, shards: list[Path], params: dict[str, Any], first: int = 0) -> list[Job]:
    """One job for each shard; writes the parameters' file."""
    if not shards:
        return []
    prefix = shards[0].name.rpartition("-")[0]
    params_file = ctx.place.params(step, prefix)
    write_json(params_file, params)
    return [
        {
            "name": shard.stem,
            "items": _relative(ctx, shard),
            "params": _relative(ctx, params_file),
            "out": _relative(ctx, ctx.place.manifest(step, number)),
        }
        for number, shard in enumerate(shards, first)
    ]


def fetch_jobs(ctx: RunContext, plan: Plan, step: str = "fetch", **more: Any) -> list[Job]:
    """Jobs that fetch the items, of the step ``fetch`` or of one with the same parameters; ``more`` are the step's own."""
    jobs: list[Job] = []
    for group in plan.groups:
        jobs += make_jobs(ctx, step, group.shards, {**fetch_params(ctx, only=group.sources), **more}, first=len(jobs))
    return jobs


def unpack_jobs(ctx: RunContext, plan: Plan) -> list[Job]:
    """Jobs for the archives that the plan reads."""
    jobs: list[Job] = []
    archives = sum(source.archive is not None for source in enabled_sources(ctx))
    for source in enabled_sources(ctx):
        splits = plan.archives.get(source.id)
        if not splits:
            continue
        table = ctx.place.archive_table(source.id)
        count, problems = write_volumes(source, splits, table, ctx.data, environ=os.environ)
        plan.counts.setdefault("archives", {})[source.id] = {"parts": count, "problems": problems}
        shards = _cut(table, ctx.place.archive_shards(source.id), source.id, max(1, MAX_UNPACK_SHARDS // archives))
        params = {
            "source": source.id, "namespace": namespace_of(ctx.spec), "wanted": _relative(ctx, ctx.place.wanted), "recipe": ctx.spec.recipe.model_dump(mode="json"),
            "attempts": source.attempts, "timeout_s": source.timeout_s,
        }  # fmt: skip
        jobs += make_jobs(ctx, "unpack", shards, params, first=len(jobs))
    return jobs


def _cut(table: Path, folder: Path, prefix: str, most: int) -> list[Path]:
    """The volumes in at most ``most`` shards, in order."""
    rows = list(read_rows(table))
    size = max(1, -(-len(rows) // most))
    paths = []
    for number, begin in enumerate(range(0, len(rows), size)):
        path = shard(folder, f"{prefix}_parts", number)
        write_rows(path, schema_of(VOLUME_FIELDS, "parts"), rows[begin : begin + size])
        paths.append(path)
    return paths
