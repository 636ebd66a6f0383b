"""Which annotation sources a run asks, and from which one each annotation file on disk came.

A file that is there is kept. So that a run's choice of a source is never dropped in silence, ``{data}/.clipquarry/annotations/{dataset}.json``
remembers where each file came from: path below the data set's folder to ``{"source", "sha256"}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clipquarry.acquire.official import Obtained
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.pipeline.context import RunContext

KEPT = "kept"


def annotation_spec(ctx: RunContext) -> DatasetSpec:
    """The data set with the annotation sources of the run only, in the order of the run."""
    if not ctx.params.annotation_sources:
        return ctx.spec
    by_id = {source.id: source for source in ctx.spec.annotation_sources}
    others = [source for source in ctx.spec.sources if source.id not in by_id]
    return ctx.spec.model_copy(update={"sources": [*(by_id[name] for name in ctx.params.annotation_sources), *others]})


def check_kept(ctx: RunContext, paths: Iterable[str]) -> None:
    """Refuse a file that lies at one of ``paths`` (below the data set's folder) and is of no source that the run chose.

    Raises UserError. A source of kind ``manual`` stands for whatever a person has placed.
    """
    chosen = set(ctx.params.annotation_sources)
    by_hand = {source.id for source in ctx.spec.annotation_sources if source.kind == "manual"}
    if not chosen or chosen & by_hand:
        return
    known = _read(ctx)
    for path in paths:
        file = ctx.data.dataset(ctx.spec.root, path)
        if not file.is_file():
            continue
        told = known.get(path, {})
        source = told.get("source") if told.get("sha256") == sha256_of(file) else None
        if source not in chosen:
            origin = (
                f"from the source '{source}'" if source else "and did not come from a source that this data root knows"
            )
            raise UserError(
                f"{file} is there already, {origin}: move it away to get it from {', '.join(ctx.params.annotation_sources)}, or leave "
                "annotation_sources out."
            )


def remember(ctx: RunContext, obtained: Iterable[Obtained]) -> None:
    """Note where files came from that this run brought."""
    root = ctx.data.dataset(ctx.spec.root)
    new = {
        str(one.path.relative_to(root)): {"source": one.source, "sha256": one.sha256}
        for one in obtained
        if one.source != KEPT and one.path.is_relative_to(root)
    }
    if new:
        write_json(_file(ctx), {**_read(ctx), **new})


def _file(ctx: RunContext) -> Path:
    return ctx.data.private / "annotations" / f"{ctx.spec.name}.json"


def _read(ctx: RunContext) -> dict[str, Mapping[str, Any]]:
    try:
        value = read_json(_file(ctx))
    except (OSError, ClipquarryError):  # none yet, or damaged: then nobody knows
        return {}
    return {str(key): one for key, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}
