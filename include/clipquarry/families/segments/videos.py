"""What the readers of ActivityNet's annotations share: their files, and the catalog of a file that has all splits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from clipquarry.annotations.activitynet import SUBSETS, Segment, Video, spelling
from clipquarry.annotations.interval_files import Interval
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex
from clipquarry.families.segments.options import segments_options
from clipquarry.microseconds import of

if TYPE_CHECKING:
    from clipquarry.acquire.annotation_files import AnnotationFile
    from clipquarry.pipeline.context import RunContext

log = logging.getLogger(__name__)

WHAT = "annotation of ActivityNet"


def split_file(ctx: RunContext) -> Path:
    """The file of all splits."""
    return ctx.data.dataset(ctx.spec.root, next(iter(ctx.spec.splits.values())))


def get_files(ctx: RunContext, beside: Sequence[str]) -> list[AnnotationFile]:
    """The file of all splits, in place, and those ``beside`` it. Raises UserError or RetryLater if one cannot be had."""
    from clipquarry.acquire.annotation_files import download_annotations
    from clipquarry.acquire.annotation_source import FileWanted
    from clipquarry.pipeline.annotation_choice import annotation_spec, check_kept, remember

    whole = PurePosixPath(next(iter(ctx.spec.splits.values())))
    paths = [str(whole), *(str(whole.with_name(name)) for name in beside)]
    check_kept(ctx, paths)
    wanted = [FileWanted(path, separator="," if path.endswith(".csv") else "") for path in paths]
    files = download_annotations(annotation_spec(ctx), ctx.data, wanted)
    remember(ctx, files)
    for one in files:
        log.info(f"{one.label}: {one.path} ({one.source}, sha256 {one.sha256[:12]}…)")
    return files


def write_videos(
    ctx: RunContext, files: Sequence[AnnotationFile], source: Path, rows: Iterable[Video | RejectedRow]
) -> dict[str, Any]:  # fmt: skip
    """Write the catalog and the table of intervals from the rows of one annotation, ``source``; returns the content of ``catalog.json``.

    A rejected row of no known split stands in the first split, once.
    """
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.families.segments.intervals import IntervalWriter
    from clipquarry.families.segments.run_files import SegmentFiles
    from clipquarry.pipeline.pins import pin

    options = segments_options(ctx.spec)
    labels = LabelIndex(tuple(options.numbered()), "the packaged list of classes")
    by_split: dict[str, list[Video | RejectedRow]] = {split: [] for split in ctx.spec.splits}
    first = next(iter(by_split))
    for row in rows:
        split = first if isinstance(row, RejectedRow) else SUBSETS[row.subset]
        if split in by_split:
            by_split[split].append(row)
    with IntervalWriter(SegmentFiles(ctx.folder).intervals) as intervals:

        def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
            for row in by_split[split]:
                if isinstance(row, RejectedRow):
                    yield row
                    continue
                name, seen = f"{options.name_prefix}{row.video_id}", dict[int, str]()
                for position, one in enumerate(row.segments):
                    index = labels.get(one.label)
                    assert index is not None, "the reader has checked it"
                    seen[index] = one.label
                    interval = _interval(row, one, index, source.name)
                    intervals.add(split, position, interval, file=name, seconds=float(row.duration))
                shown = tuple(Label(index, seen[index]) for index in sorted(seen))
                yield Item(row.number, row.video_id, name, None, None, None, shown)

        summary = write(dict.fromkeys(by_split, files[0].path), ctx.catalog, read, labels)
    return {
        "rows": summary.rows,
        **summary.as_json(),
        "label_names": list(labels.names),
        "obtained": [{"part": one.label, "source": one.source, "sha256": one.sha256} for one in files],
        "files": pin(ctx, [one.path for one in files]),
    }


def _interval(row: Video, one: Segment, index: int, file: str) -> Interval:
    start, end = spelling(one.start), spelling(one.end)
    return Interval(row.video_id, index, one.label, of(start), of(end), start, end, file, row.number)
