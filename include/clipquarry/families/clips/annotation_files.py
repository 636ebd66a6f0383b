"""Annotation files of a run of labelled clips, a file for each split, and their facts for the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from clipquarry.acquire.annotation_files import AnnotationFile, download_annotations, files_of_splits
from clipquarry.acquire.annotation_source import FileWanted
from clipquarry.annotations.catalog import CatalogSummary
from clipquarry.errors import RetryLater, UserError
from clipquarry.families.clips.params import LabelledParams
from clipquarry.pipeline.annotation_choice import annotation_spec, check_kept, remember
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.pins import pin

log = logging.getLogger(__name__)


def label_map(ctx: RunContext) -> Path | None:
    """The label map that the run was given."""
    chosen = ctx.chosen(LabelledParams).label_map
    return Path(chosen) if chosen else None


def split_files(
    ctx: RunContext,
    *,
    separator: str = ",",
    beside: Sequence[str] = (),
    perhaps: Sequence[str] = (),
    further: Mapping[str, bool] = MappingProxyType({}),
) -> list[AnnotationFile]:
    """The annotation files of the run's splits, in place, and of train where its labels number the classes, unless the
    run was given a label map.

    ``separator`` is that of the csv files. ``beside``: names of further files in the folder of the splits' files; ``perhaps``: of
    those that not every source has. ``further``: paths of files below the data set's folder, and whether they may be absent. Raises UserError or RetryLater if the file of a chosen split cannot be downloaded.
    """
    spec = annotation_spec(ctx)
    check_kept(ctx, (spec.splits[split] for split in ctx.splits))
    wanted, train = files_of_splits(spec, ctx.splits, separator=separator), list[FileWanted]()
    folder = PurePosixPath(next(iter(spec.splits.values()))).parent
    wanted += [FileWanted(str(folder / name), separator="") for name in beside]
    wanted += [FileWanted(str(folder / name), separator="", optional=True) for name in perhaps]
    wanted += [FileWanted(path, separator="", optional=may_lack) for path, may_lack in further.items()]
    numbers_labels = spec.labels.source == "annotation" and spec.labels.order == "codepoint"
    if numbers_labels and "train" in spec.splits and "train" not in ctx.splits and label_map(ctx) is None:
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


def file_called(name: str, files: Sequence[AnnotationFile]) -> Path:
    """The file of this name, of those that :func:`split_files` gave."""
    return next(one.path for one in files if one.path.name == name)


def catalog_facts(ctx: RunContext, files: list[AnnotationFile], summary: CatalogSummary) -> dict[str, Any]:
    """The content of ``catalog.json``, see :class:`clipquarry.families.clips.readers.Reader`; files are pinned."""
    return {
        "rows": summary.rows,
        **summary.as_json(),
        "label_names": list(summary.label_names),
        "obtained": [{"part": one.label, "source": one.source, "sha256": one.sha256} for one in files],
        "files": pin(ctx, dict.fromkeys((*ctx.annotation_csvs().values(), *(one.path for one in files)))),
    }
