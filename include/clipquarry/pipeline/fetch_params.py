"""The parameters of the steps that fetch the items, from the data set's YAML and the run's parameters."""

from __future__ import annotations

from typing import Any

from clipquarry.acquire.budget import ACCOUNT_PER_HOUR, GUEST_PER_HOUR
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import Source
from clipquarry.datasets.namespace import namespace_of
from clipquarry.frame_names import pattern_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.sources import NEAR, enabled_sources, overrides


def fetch_params(ctx: RunContext, *, only: frozenset[str] | None = None) -> dict[str, Any]:
    """Parameters of the step ``fetch``. They name only sources that are switched on, so that keys do not depend on
    the others.

    ``only``: ids of the sources that may be requested, besides local ones; None: all of the run.
    """
    sources = [s for s in enabled_sources(ctx) if only is None or s.kind in NEAR or s.id in only]
    replaced, item = overrides(ctx), ctx.spec.item
    table = ctx.place.named_files
    named = {"named": table.relative_to(ctx.data.root).as_posix()} if table.exists() else {}
    frames = (
        {"pattern": pattern_of(item.rgb_pattern), "prefix": item.rgb_prefix, "start_index": item.start_index}
        if ctx.spec.has_folders
        else {}
    )
    folders = {"folders": ctx.spec.parents} if ctx.spec.parents else {}
    return {
        **named,
        **frames,
        **folders,
        "root": ctx.spec.root,
        "namespace": namespace_of(ctx.spec),
        "videos": ctx.spec.layout[ctx.spec.items_in],
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
    """A source in the form for the step: another data set becomes the folder of its clips."""
    if source.kind != "dataset" or source.path:
        return source
    other = find_spec(source.dataset or "", ctx.settings.dataset_folders)
    return source.model_copy(update={"path": f"{other.root}/{other.layout[other.items_in]}"})
