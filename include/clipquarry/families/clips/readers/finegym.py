"""FineGYM's ``annotation.json`` (events, the file of the split without samples) and the lists of GYM99 (their segments)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.pipeline.context import RunContext

log = logging.getLogger(__name__)
NAMES: Literal["own"] = "own"
CLASSES = 99
WRITTEN = "event_annotation.json"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Splits that are neither the events nor lists beside them, and another number of classes."""
    if len(spec.parents) != 1:
        yield ("parents",), "the reader finegym needs the one split of the events, with the folder of their clips"
        return
    events = _events(spec)
    for split, path in spec.splits.items():
        if (split == events) != path.lower().endswith(".json"):
            yield ("splits", split), f"{path!r}: the events are in annotation.json, other splits in lists of text"
        elif PurePosixPath(path).parent != PurePosixPath(spec.splits[events]).parent:
            yield ("splits", split), f"{path!r}: put the lists into the folder of {spec.splits[events]!r}"
    if spec.labels.count != CLASSES or spec.labels.unique:
        yield ("labels",), f"GYM99 has count: {CLASSES} classes, two with one name: write unique: false"


def _events(spec: DatasetSpec) -> str:
    return next(iter(spec.parents))


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.finegym import FineGym
    from clipquarry.annotations.labels import published_labels, read_label_map
    from clipquarry.families.clips.annotation_files import catalog_facts, file_called, label_map, split_files

    events = _events(ctx.spec)
    name = PurePosixPath(ctx.spec.splits[events]).name
    files = split_files(ctx, separator="", beside=[name])
    annotation = FineGym(file_called(name, files))
    given = label_map(ctx)
    labels = read_label_map(given, unique=False) if given else published_labels("finegym99")

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        return annotation.events() if split == events else annotation.segments(path, labels)

    return catalog_facts(ctx, files, write(ctx.annotation_csvs(), ctx.catalog, read, labels))


def write_beside(ctx: RunContext) -> list[Path]:
    """``event_annotation.json`` beside the lists: of the videos of which a clip is there."""
    from clipquarry.annotations.finegym import FineGym
    from clipquarry.files import writing
    from clipquarry.layout import placing
    from clipquarry.manifest import read_tuples
    from clipquarry.reasons import Status

    source = ctx.data.dataset(ctx.spec.root, ctx.spec.splits[_events(ctx.spec)])
    rows = read_tuples(ctx.state, ("video_id", "status")) if ctx.state.exists() else iter(())
    videos = {video for video, status in rows if Status(status).is_present}
    target = source.with_name(WRITTEN)
    with placing(ctx.data, target) as new, writing(new.path) as handle:
        FineGym(source).write_events(handle, videos)
    if new.told:
        log.info(f"{target.name}: {new.told}")
    return [target]
