"""Choice of a run's annotation sources, and the record of each annotation file's source.

An existing file is kept. So that a run's choice of a source is never silently dropped,
``{data}/.clipquarry/annotations/{dataset}.json`` records each file's source: path below the data set's folder to
``{"source", "sha256"}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipquarry.acquire.annotation_files import KEPT, AnnotationFile
from clipquarry.datasets.model import DatasetSpec, Source
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import inside, read_json, sha256_of, write_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.state import locked


def annotation_spec(ctx: RunContext) -> DatasetSpec:
    """The data set with the annotation sources of the run only, in the order of the run."""
    if not ctx.params.annotation_sources:
        return ctx.spec
    by_id = {source.id: source for source in ctx.spec.annotation_sources}
    others = [source for source in ctx.spec.sources if source.id not in by_id]
    return ctx.spec.model_copy(update={"sources": [*(by_id[name] for name in ctx.params.annotation_sources), *others]})


def check_kept(ctx: RunContext, paths: Iterable[str]) -> None:
    """Refuse a file at one of ``paths`` (below the data set's folder) that comes from no source that the run chose.

    Raises UserError. A source of kind ``manual`` stands for files that a person placed.
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


def remember(ctx: RunContext, obtained: Iterable[AnnotationFile]) -> None:
    """Record the sources of the files that this run downloaded."""
    root = ctx.data.dataset(ctx.spec.root)
    new = {
        str(one.path.relative_to(root)): {"source": one.source, "sha256": one.sha256}
        for one in obtained
        if one.source != KEPT and one.path.is_relative_to(root)
    }
    if new:
        path = ctx.data.annotation_origins(ctx.spec.name)
        with locked(path):  # another run may record other files
            write_json(path, {**_read(ctx), **new})


def drop_old_copies(ctx: RunContext) -> list[str]:
    """Remove annotation files that runs copied from another data set whose file has changed since; the next task copies them
    anew. Returns their paths below the data set's folder. A file that a person put there is kept.
    """
    theirs = {source.id: source for source in ctx.spec.annotation_sources if source.kind == "dataset"}
    dropped = []
    for path, told in _read(ctx).items():
        source, file = theirs.get(str(told.get("source"))), ctx.data.dataset(ctx.spec.root, path)
        original = _original(source, path, ctx) if source else None
        if original is None or not original.is_file() or not file.is_file():
            continue
        with suppress(FileNotFoundError):  # another run has just dropped it
            if sha256_of(file) == told.get("sha256") != sha256_of(original):
                file.unlink()
                dropped.append(path)
    return sorted(dropped)


def _original(source: Source, path: str, ctx: RunContext) -> Path | None:
    """The other data set's file of which ``path`` is a copy."""
    hole = re.escape("{split}")
    match = re.fullmatch(
        re.escape(source.into or "").replace(hole, "(?P<split>[a-z0-9_]+)", 1).replace(hole, "(?P=split)"), path
    )
    if match is None or not source.path:
        return None
    split = match.groupdict().get("split") or ""
    try:
        return inside(ctx.data.root, source.path.replace("{split}", source.split_names.get(split, split)))
    except UserError:
        return None


def _read(ctx: RunContext) -> dict[str, Mapping[str, Any]]:
    try:
        value = read_json(ctx.data.annotation_origins(ctx.spec.name))
    except (OSError, ClipquarryError):  # none yet, or damaged: the sources are unknown
        return {}
    return {str(key): one for key, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}
