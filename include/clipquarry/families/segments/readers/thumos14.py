"""THUMOS'14's files, one for each class, in a folder for each split, which ``splits`` names; they come as an archive for each folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.acquire.annotation_files import AnnotationFile
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.families.segments.intervals import IntervalWriter
    from clipquarry.pipeline.context import RunContext


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Splits whose files nobody can tell apart."""
    for split, path in spec.splits.items():
        if PurePosixPath(path).suffix:
            yield ("splits", split), f"{path!r}: the reader thumos14 reads a folder with a file for each class"
        if list(spec.splits.values()).count(path) > 1:
            yield ("splits", split), f"{path!r} is the folder of two splits"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.segments.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.families.segments.intervals import IntervalWriter
    from clipquarry.families.segments.options import segments_options
    from clipquarry.families.segments.run_files import SegmentFiles
    from clipquarry.pipeline.pins import pin

    labels = LabelIndex(tuple(segments_options(ctx.spec).numbered()), "the data set's YAML")
    files = _files(ctx, labels)
    folders = {split: folder for split, folder in ctx.annotation_csvs().items() if not _lacking(split, folder, labels)}
    digests = {folder: _digest(split, folder, labels) for split, folder in folders.items()}
    with IntervalWriter(SegmentFiles(ctx.folder).intervals) as intervals:

        def read(split: str, folder: Path) -> Iterator[Item | RejectedRow]:
            return _read(split, folder, labels, intervals)

        summary = write(folders, ctx.catalog, read, labels, digest=digests.__getitem__)
    paths = [path for split, folder in folders.items() for path in _paths(split, folder, labels)]
    return {
        "rows": summary.rows,
        **summary.as_json(),
        "label_names": list(labels.names),
        "obtained": [{"part": one.label, "source": one.source, "sha256": one.sha256} for one in files],
        # A file without a line, such as that of no ambiguous interval, is right, and has nothing that could change unseen.
        "files": pin(ctx, [path for path in paths if path.stat().st_size]),
    }


def _paths(split: str, folder: Path, labels: LabelIndex) -> list[Path]:
    from clipquarry.annotations.interval_files import file_names

    return [folder / name for name in file_names(labels.names, split)]


def _lacking(split: str, folder: Path, labels: LabelIndex) -> list[str]:
    """Names of a split's files that are not there."""
    return [path.name for path in _paths(split, folder, labels) if not path.is_file()]


def _files(ctx: RunContext, labels: LabelIndex) -> list[AnnotationFile]:
    """The files of the run's splits, in place. Raises UserError with what to place where if a source lacks one."""
    from clipquarry.acquire.annotation_files import KEPT, AnnotationFile
    from clipquarry.errors import UserError
    from clipquarry.files import sha256_of
    from clipquarry.pipeline.annotation_choice import check_kept, remember
    from clipquarry.pipeline.unpacked import unpacked_annotations

    found: list[AnnotationFile] = []
    for split in ctx.splits:
        into = ctx.spec.splits[split]
        folder, source = ctx.data.dataset(ctx.spec.root, into), KEPT
        check_kept(ctx, (f"{into}/{path.name}" for path in _paths(split, folder, labels)))
        if _lacking(split, folder, labels):
            source = unpacked_annotations(ctx, into)
        if lacking := _lacking(split, folder, labels):
            more = f" and {len(lacking) - 1} more of its files" if len(lacking) > 1 else ""
            raise UserError(
                f"The annotation of {ctx.spec.name}, split '{split}', lacks {lacking[0]}{more}: the archive is another one, or its "
                f"folder {folder} was changed. Place them there, then run this again."
            )
        paths = _paths(split, folder, labels)
        found += [AnnotationFile(split, path, source, sha256_of(path), path.stat().st_size) for path in paths]
    remember(ctx, found)
    return found


def _digest(split: str, folder: Path, labels: LabelIndex) -> str:
    """One sha256 for a split: of the names and sums of its files."""
    from hashlib import sha256

    from clipquarry.files import sha256_of

    lines = "".join(f"{sha256_of(path)}  {path.name}\n" for path in _paths(split, folder, labels))
    return sha256(lines.encode()).hexdigest()


def _read(split: str, folder: Path, labels: LabelIndex, intervals: IntervalWriter) -> Iterator[Item | RejectedRow]:
    """The rejected lines, then the annotated videos by name; their intervals go to the table."""
    from clipquarry.annotations.interval_files import Interval, read_intervals
    from clipquarry.annotations.items import Item
    from clipquarry.annotations.label_table import Label

    videos: dict[str, list[Interval]] = {}
    for one in read_intervals(folder, split, labels):
        if isinstance(one, Interval):
            videos.setdefault(one.video, []).append(one)
        else:
            yield one
    for number, video in enumerate(sorted(videos), 1):
        for position, one in enumerate(videos[video]):
            intervals.add(split, position, one)
        names = {one.number: one.name for one in videos[video] if not one.ambiguous}
        shown = tuple(Label(index, names[index]) for index in sorted(names))
        yield Item(number, video, video, None, None, None, shown)
