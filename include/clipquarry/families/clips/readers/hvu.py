"""Holistic Video Understanding: a csv of clips with tags for each split, and the table of tags beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.step_files import csv_problems
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from clipquarry.annotations.hvu import Tags
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.pipeline.context import RunContext

log = logging.getLogger(__name__)
NAMES: Literal["tenths"] = "tenths"
CATEGORIES, WRITTEN = "hvu_categories.csv", "hvu_tags.json"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Annotation files that are no csv or in several folders, and labels without categories."""
    yield from csv_problems(spec, "the reader hvu")
    folders = {PurePosixPath(path).parent for path in spec.splits.values()}
    if len(folders) > 1:
        yield ("splits",), f"the reader hvu has one folder of annotations, with {CATEGORIES}: name files of one folder"
    if not spec.labels.groups:
        yield ("labels",), "the reader hvu has tags in categories: write these with their sizes as groups"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`; and ``label_groups``."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.families.clips.annotation_files import catalog_facts, split_files

    files = split_files(ctx, beside=[CATEGORIES])
    tags = _tags(ctx)

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        return tags.rows(path)

    summary = write(ctx.annotation_csvs(), ctx.catalog, read, LabelIndex(tags.names, CATEGORIES))
    return {**catalog_facts(ctx, files, summary), "label_groups": tags.groups.sizes}


def write_beside(ctx: RunContext) -> list[Path]:
    """``hvu_tags.json`` beside the annotations: the tags of every category, in the order of their indices."""
    from clipquarry.files import writing
    from clipquarry.layout import placing

    target = _beside(ctx, WRITTEN)
    with placing(ctx.data, target) as new, writing(new.path) as handle:
        _tags(ctx).write(handle)
    if new.told:
        log.info(f"{target.name}: {new.told}")
    return [target]


def _beside(ctx: RunContext, name: str) -> Path:
    """A file in the folder of the annotations."""
    return ctx.data.dataset(ctx.spec.root, next(iter(ctx.spec.splits.values()))).with_name(name)


def _tags(ctx: RunContext) -> Tags:
    from clipquarry.annotations.hvu import Tags

    return Tags(_beside(ctx, CATEGORIES), ctx.spec.labels.groups)
