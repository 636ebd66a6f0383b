"""Several releases of Kinetics in one folder, from the csv files of each (``options.releases``).

A split is called ``{release}_{part}`` (``k400_train``), and its csv alike. A clip that several releases have is one file, and
an item of each: every release keeps its lists, and numbers its own classes in code-point order. Training rows whose video any
release evaluates on are rejected, unless the run's ``training_lists`` says otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import TRAIN, part_of, release_of
from clipquarry.datasets.step_files import csv_problems
from clipquarry.families.clips.options import clips_options
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.annotations.kinetics_releases import Releases
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.pipeline.context import RunContext

NAMES: Literal["window"] = "window"
log = logging.getLogger(__name__)


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Annotation files that are no csv, splits of no release, and releases without a training csv."""
    yield from csv_problems(spec, "the reader kinetics_releases")
    releases = clips_options(spec).releases
    if not releases:
        yield ("options", "releases"), "the reader kinetics_releases needs the releases, such as k400"
    for split, path in spec.splits.items():
        if release_of(split) not in releases:
            yield (
                ("splits", split),
                "it is called as a release of options.releases and a part of it, such as k400_train",
            )
        elif PurePosixPath(path).name != f"{split}.csv":
            yield ("splits", split), f"{path!r}: the file is called {split}.csv"
    for release in releases:
        if f"{release}_{TRAIN}" not in spec.splits:
            yield ("options", "releases", release), f"it has no split '{release}_{TRAIN}', which numbers its classes"
    if spec.item.level != 1 or "{" in spec.layout.get("videos", ""):
        yield ("item", "level"), "all clips lie in one folder: level 1, and layout.videos without a placeholder"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.kinetics_releases import Part
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.families.clips.annotation_files import catalog_facts, split_files

    # Whatever splits are chosen: what training leaves out depends on the evaluation of all, classes on training.
    chosen = set(ctx.splits)
    beside = [PurePosixPath(path).name for split, path in ctx.spec.splits.items() if split not in chosen]
    files = split_files(ctx, beside=beside)
    labels = _labels(ctx)
    made = _releases(ctx, labels)

    def read(split: str, _: Path) -> Iterator[Item | RejectedRow]:
        return made.rows(Part(release_of(split), part_of(split)))

    names = sorted({name for index in labels.values() for name in index.names})
    every = LabelIndex(tuple(names), "classes of all releases")
    facts = catalog_facts(ctx, files, write(ctx.annotation_csvs(), ctx.catalog, read, every))
    del facts["label_names"]  # a number means another class in another release
    return facts | {"label_names_of": {release: list(index.names) for release, index in labels.items()}}


def write_beside(ctx: RunContext) -> list[Path]:
    """``{name}_clips.csv``: each clip once, with the releases and splits that it is of, and its class in each."""
    from clipquarry.files import writing
    from clipquarry.layout import placing

    target = ctx.data.dataset(ctx.spec.root, f"{ctx.spec.name}_clips.csv")
    with placing(ctx.data, target) as new, writing(new.path) as handle:
        count = _releases(ctx, {}).write_clips(handle)
    log.info(f"{target.name}: {count} clips{f'; {new.told}' if new.told else ''}")
    return [target]


def _releases(ctx: RunContext, labels: dict[str, LabelIndex]) -> Releases:
    from clipquarry.annotations.kinetics_releases import Part, Releases
    from clipquarry.families.clips.params import ReleasesParams

    places = {
        Part(release_of(split), part_of(split)): ctx.data.dataset(ctx.spec.root, path)
        for split, path in ctx.spec.splits.items()
    }
    return Releases(places, labels, apart=ctx.chosen(ReleasesParams).keeps_apart)


def _labels(ctx: RunContext) -> dict[str, LabelIndex]:
    """The classes of each release, numbered by its training csv."""
    from clipquarry.annotations.labels import index_labels

    return {
        release: index_labels(
            {TRAIN: ctx.data.dataset(ctx.spec.root, ctx.spec.splits[f"{release}_{TRAIN}"])},
            label_map=None,
            expected=one.classes,
        )
        for release, one in clips_options(ctx.spec).releases.items()
    }
