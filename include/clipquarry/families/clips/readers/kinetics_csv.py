"""Kinetics' csv files: ``label,youtube_id,time_start,time_end,split``; the test csv may lack the label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.namespace import namespace_of
from clipquarry.datasets.step_files import csv_problems
from clipquarry.ids import YOUTUBE
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext

NAMES: Literal["window"] = "window"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Annotation files that are no csv."""
    yield from csv_problems(spec, "the reader kinetics_csv")


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.kinetics_catalog import build_catalog
    from clipquarry.families.clips.annotation_files import catalog_facts, label_map, split_files

    files = split_files(ctx)
    summary = build_catalog(
        ctx.annotation_csvs(),
        ctx.catalog,
        label_map=label_map(ctx),
        expected_labels=ctx.spec.labels.count,
        own_ids=namespace_of(ctx.spec) != YOUTUBE,
    )
    return catalog_facts(ctx, files, summary)
