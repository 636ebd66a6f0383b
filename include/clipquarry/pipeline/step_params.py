"""The jobs of a plan that runtimes start, and the files of their parameters.

A job is ``{"name", "items", "params", "out"}`` with paths relative to the data root. A step operator needs no more.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from clipquarry.acquire.archives.obtain import is_placed
from clipquarry.acquire.template import expand_environment
from clipquarry.datasets.model import Archive, Source
from clipquarry.datasets.namespace import namespace_of
from clipquarry.datasets.ways import about_files
from clipquarry.files import write_json
from clipquarry.manifest import read_rows, schema_of, write_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.crawl import kept_folders
from clipquarry.pipeline.fetch_params import fetch_params
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.sources import archive_wanted, enabled_sources, folders_of
from clipquarry.run_folder import shard
from clipquarry.steps.unpack import VOLUME_FIELDS, write_volumes

log = logging.getLogger(__name__)

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
    if plan.answers is not None:
        more["answers"] = plan.answers
    if ctx.place.others.exists():
        more["others"] = _relative(ctx, ctx.place.others)
    if step == "fetch" and (kept := kept_folders(ctx)):
        more["kept"] = kept
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
            "attempts": source.attempts, "timeout_s": source.timeout_s, "verify_certificate": source.verify_certificate,
        }  # fmt: skip
        jobs += make_jobs(ctx, "unpack", shards, params, first=len(jobs))
    return jobs


def extract_jobs(ctx: RunContext, plan: Plan) -> list[Job]:
    """Jobs for the archives of whole items that the plan reads, one each.

    An archive without an address has one where it was placed, or where the run may wait for it and no other source has
    an archive of the same folder. That source's job takes it when it is placed later.
    """
    jobs: list[Job] = []
    folders = folders_of(ctx)
    sources = [source for source in enabled_sources(ctx) if source.archive is not None and plan.archives.get(source.id)]
    asked = {source.archive.into for source in sources if source.archive and source.all_urls}
    for source in sources:
        archive = _archive(source)
        wanted = archive_wanted(ctx, source)
        if (
            not source.all_urls
            and not is_placed(wanted, ctx.data)
            and (ctx.params.wait_days == 0 or archive.into in asked)
        ):
            log.info(f"{source.id}: no {' or '.join(source.files)} was placed in {ctx.data.dataset(ctx.spec.root)}")
            continue
        asked.add(archive.into)
        one = _one_archive(source)
        table = ctx.place.archive_table(source.id)
        row = {
            "item_id": f"archive/{source.id}", "split": plan.archives[source.id][0], "url": (one["urls"] or source.files)[0],
        }  # fmt: skip
        write_rows(table, schema_of(VOLUME_FIELDS, "parts"), [row])
        plan.counts.setdefault("archives", {})[source.id] = {"parts": 1, "problems": {}}
        others = [each for each in sources if each is not source and not each.all_urls]
        params = {
            **one, "root": ctx.spec.root, "folders": folders, "wait_days": ctx.params.wait_days,
            "instead": [_one_archive(each) for each in others if _archive(each).into == archive.into],
            "about": about_files(ctx.spec, archive),
            "waiting": _relative(ctx, ctx.place.waiting(f"extract_{source.id}")) if ctx.params.wait_days else None,
        }  # fmt: skip
        shards = _cut(table, ctx.place.archive_shards(source.id), source.id, 1)
        jobs += make_jobs(ctx, "extract", shards, params, first=len(jobs))
    return jobs


def _archive(source: Source) -> Archive:
    assert source.archive is not None
    return source.archive


def _one_archive(source: Source) -> dict[str, Any]:
    """The parameters of a source's archive: see :class:`clipquarry.steps.extract.OneArchive`."""
    return {
        "source": source.id, "urls": [expand_environment(url, os.environ) for url in source.all_urls],
        "patterns": source.files, "archive": _archive(source).model_dump(mode="json"), "sha256": source.sha256,
        "attempts": source.attempts, "timeout_s": source.timeout_s, "verify_certificate": source.verify_certificate,
        "howto": source.howto or "",
    }  # fmt: skip


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
