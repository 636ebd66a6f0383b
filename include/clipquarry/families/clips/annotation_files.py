"""Annotation files of a run of labelled clips, a file for each split, and their facts for the run."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipquarry.acquire.annotation_files import AnnotationFile, download_annotations, files_of_splits
from clipquarry.acquire.annotation_source import FileWanted
from clipquarry.annotations.catalog import CatalogSummary
from clipquarry.errors import RetryLater, UserError
from clipquarry.families.clips.params import ClipsParams
from clipquarry.pipeline.annotation_choice import annotation_spec, check_kept, remember
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.pins import pin

log = logging.getLogger(__name__)


def label_map(ctx: RunContext) -> Path | None:
    """The label map that the run was given."""
    chosen = ctx.chosen(ClipsParams).label_map
    return Path(chosen) if chosen else None


def split_files(ctx: RunContext, *, separator: str = ",") -> list[AnnotationFile]:
    """The annotation files of the run's splits, in place, and of train unless the run was given a label map.

    ``separator`` is that of the csv files. Raises UserError or RetryLater if the file of a chosen split cannot be downloaded.
    """
    spec = annotation_spec(ctx)
    check_kept(ctx, (spec.splits[split] for split in ctx.splits))
    wanted, train = files_of_splits(spec, ctx.splits, separator=separator), list[FileWanted]()
    if "train" in spec.splits and "train" not in ctx.splits and label_map(ctx) is None:
        # The label index comes from train; without it the labels of the other splits must be complete.
        train = files_of_splits(spec, ["train"], separator=separator)
    # An archive that is read for the chosen splits gives train's file too.
    files = download_annotations(spec, ctx.data, [*wanted, *(replace(one, optional=True) for one in train)])
    if train and all(one.label != "train" for one in files):
        try:
            files += download_annotations(spec, ctx.data, train)
        except (UserError, RetryLater) as error:
            log.info(f"Going on without the annotations of train: {error}")
    remember(ctx, files)
    for one in files:
        log.info(f"{one.label}: {one.path} ({one.source}, sha256 {one.sha256[:12]}…)")
    return files


def catalog_facts(ctx: RunContext, files: list[AnnotationFile], summary: CatalogSummary) -> dict[str, Any]:
    """The content of ``catalog.json``, see :class:`clipquarry.families.clips.readers.Reader`; files are pinned."""
    return {
        "rows": summary.rows,
        **summary.as_json(),
        "label_names": list(summary.label_names),
        "obtained": [{"part": one.label, "source": one.source, "sha256": one.sha256} for one in files],
        "files": pin(ctx, ctx.annotation_csvs().values()),
    }
