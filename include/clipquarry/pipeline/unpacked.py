"""Annotation files that come as archives of more files than anybody names, unpacked whole into the layout."""

from __future__ import annotations

import logging
import os
from threading import Event

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.obtain import ArchiveWanted, obtain
from clipquarry.acquire.download import limits_of
from clipquarry.acquire.template import expand_environment
from clipquarry.errors import UserError
from clipquarry.pipeline.annotation_choice import annotation_spec
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.param_checks import switched_off

log = logging.getLogger(__name__)


def unpacked_annotations(ctx: RunContext, into: str | None = None) -> str:
    """Unpack the first archive of annotations that a source of the run gives, whole, into the layout; returns the source's id.

    ``into``: only archives that are unpacked into this folder count (below the data set's), where splits have one each.
    Raises UserError, with what to place where, if no source gives one.
    """
    spec = annotation_spec(ctx)
    answers: list[str] = []
    for source in spec.annotation_sources:
        if source.archive is None:
            # What gives single files, such as a list, says nothing about the archive.
            if source.kind == "manual" or into is None:
                answers.append(f"{source.id}: {source.howto or 'it gives no archive'}")
            continue
        if into is not None and source.archive.into != into:
            continue
        if unset := switched_off(source, os.environ):
            answers.append(f"{source.id}: switched off, the variable {unset[0]} is not set")
            continue
        urls = tuple(expand_environment(url, os.environ) for url in source.all_urls)
        wanted = ArchiveWanted(
            source.id,
            spec.root,
            source.archive,
            urls,
            tuple(source.files),
            sha256=source.sha256,
            limits=limits_of(source),
        )
        try:
            done = obtain(wanted, ctx.data, Event())
        except FetchFailed as error:
            answers.append(f"{source.id}: {error.evidence}")
            continue
        log.info(f"{source.id}: {done}")
        return source.id
    place = ctx.data.dataset(spec.root, into or spec.layout.get("annotations", ""))
    why = "; ".join(answers) or "the data set's YAML names no source for them"
    missing = UserError(f"The annotation files of {spec.name} cannot be had ({why}): place them in {place}.")
    missing.places = (place, ctx.data.dataset(spec.root))
    raise missing
