"""BSN's annotation of ActivityNet: ``video_info_new.csv``, which ``splits`` names, and ``anet_anno_action.json`` beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.segments.one_file import split_problems
from clipquarry.families.segments.options import segments_options
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.annotations.activitynet import Video
    from clipquarry.annotations.items import RejectedRow
    from clipquarry.pipeline.context import RunContext

ENTRIES = "anet_anno_action.json"
CLASS_ORDER = "anet_activity_indexes_val.txt"
"""The classes in the order of the official evaluation, which conversions of proposals number them by."""


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Splits in several files, or with names that are no subset's."""
    yield from split_problems(spec, ".csv", "activitynet_bsn")


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.segments.readers.Reader`."""
    from clipquarry.families.segments.videos import get_files, write_videos

    lists = segments_options(ctx.spec).frame_lists
    more = [ENTRIES, CLASS_ORDER, *([lists.annotation] if lists else [])]
    files = get_files(ctx, more)
    names = tuple(segments_options(ctx.spec).numbered())
    entries = next(one.path for one in files if one.path.name == ENTRIES)
    return write_videos(ctx, files, entries, _videos(entries, files[0].path, names))


def _videos(entries: Path, table: Path, names: tuple[str, ...]) -> Iterator[Video | RejectedRow]:
    from clipquarry.annotations.activitynet import BsnEntry, read_bsn, read_object, video_of
    from clipquarry.families.segments.videos import WHAT

    for one in read_bsn(read_object(entries, WHAT, spelled=True), table):
        if isinstance(one, BsnEntry):
            yield from video_of(one, names)
        else:
            yield one


def copies(ctx: RunContext, here: set[str]) -> Mapping[str, Any]:
    """See :class:`clipquarry.families.segments.readers.Reader`."""
    from clipquarry.annotations.activitynet import BsnEntry, by_subset, read_bsn, read_object, with_videos
    from clipquarry.families.segments.videos import WHAT, split_file

    options, table = segments_options(ctx.spec).copies, split_file(ctx)
    if options is None:
        return {}
    value = read_object(table.with_name(ENTRIES), WHAT)
    found: dict[str, Any] = {}
    if options.parts is not None:
        parts = by_subset(one for one in read_bsn(value, table) if isinstance(one, BsnEntry))
        found |= {options.parts.replace("{part}", part): entries for part, entries in parts.items()}
    if options.here is not None:
        found[options.here] = with_videos(value, here)
    return found
