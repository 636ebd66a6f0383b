"""ActivityNet's official file, which has all splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.segments.one_file import split_problems
from clipquarry.families.segments.options import segments_options
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Splits in several files, or with names that are no subset's."""
    yield from split_problems(spec, ".json", "activitynet")
    copies = segments_options(spec).copies
    if copies is not None and copies.parts is not None:
        yield ("options", "copies", "parts"), "the reader activitynet makes none: BSN's annotation is divided"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.segments.readers.Reader`."""
    from clipquarry.annotations.activitynet import database_of, read_database, read_object
    from clipquarry.families.segments.videos import WHAT, get_files, write_videos

    names = tuple(segments_options(ctx.spec).numbered())
    files = get_files(ctx, [])
    path = files[0].path
    return write_videos(
        ctx, files, path, read_database(database_of(read_object(path, WHAT, spelled=True), path), names)
    )


def copies(ctx: RunContext, here: set[str]) -> Mapping[str, Any]:
    """See :class:`clipquarry.families.segments.readers.Reader`."""
    from clipquarry.annotations.activitynet import read_object, with_videos
    from clipquarry.families.segments.videos import WHAT, split_file

    options = segments_options(ctx.spec).copies
    if options is None or options.here is None:
        return {}
    return {options.here: with_videos(read_object(split_file(ctx), WHAT), here)}
