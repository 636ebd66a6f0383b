"""A person's own files, or folders of frames: a csv ``file,label,split``, or the folders that they lie in.

Without a source of annotations, the folder of the items is looked through at each run, and the table is written to the place
of the splits' file, where everybody can read what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.options import clips_options
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.annotations.file_table import FileRow
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.pipeline.context import RunContext

NAMES: Literal["own"] = "own"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Splits in several files, and items that lie in no folder of this machine."""
    if len(set(spec.splits.values())) > 1:
        yield ("splits",), "the reader own_files has one table for all splits: name the same file for each"
    if not any(source.kind == "local" for source in spec.item_sources):
        yield ("sources",), "the reader own_files needs a source of kind local: the folder of the files"
    for index, source in enumerate(spec.sources):
        if source.provides == "annotations" and source.kind == "local":
            for key in {"sha256", "archive"} & source.model_fields_set:
                yield ("sources", index, key), "a table on this machine is read as it is at each run: leave it out"
    share = clips_options(spec).val_share
    if share and spec.annotation_sources:
        yield ("options", "val_share"), "the table says the split of each file: leave it out"
    elif share and "val" not in spec.splits:
        yield ("options", "val_share"), "the data set has no split 'val'"
    if spec.item.level != 2:
        yield ("item", "level"), "the reader own_files makes class folders: level 2"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.file_table import FileRow, read_file_table
    from clipquarry.annotations.items import Item
    from clipquarry.annotations.label_table import Label
    from clipquarry.families.clips.annotation_files import catalog_facts, split_files

    table = ctx.data.dataset(ctx.spec.root, next(iter(ctx.spec.splits.values())))
    is_ours = _take(ctx, table)
    files = [] if is_ours else split_files(ctx)
    rows = read_file_table(table, ctx.spec.splits, folders=ctx.spec.has_folders)
    good = [row for row in rows if isinstance(row, FileRow)]
    labels = _labels(ctx, good)
    _write_names(ctx, good)
    first = next(iter(ctx.splits))

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        for row in rows:
            if not isinstance(row, FileRow):
                if split == first:  # nobody knows whose it is
                    yield row
                continue
            if row.split == split:
                index = labels.get(row.class_dir)
                given = () if index is None else (Label(index, row.label),)
                yield (
                    Item(row.line, _video_id(row), row.clip_id, row.class_dir, None, None, given)
                    if given
                    else _unknown(row, labels)
                )

    splits = dict.fromkeys(ctx.splits, table)
    facts = catalog_facts(ctx, files, write(splits, ctx.catalog, read, labels))
    if is_ours:  # a person changes these files: that is no other release of somebody's annotations
        facts["files"] = [{**one, "first": one["sha256"]} for one in facts["files"]]
    return facts


def _take(ctx: RunContext, table: Path) -> bool:
    """Bring the table up to date, from the folder or from a csv on this machine; False where it is downloaded."""
    import os
    import shutil
    from pathlib import Path

    from clipquarry.acquire.template import expand_environment
    from clipquarry.errors import UserError
    from clipquarry.layout import placing
    from clipquarry.pipeline.annotation_choice import annotation_spec

    sources = annotation_spec(ctx).annotation_sources
    if not sources:
        _look_through(ctx, table)
        return True
    if sources[0].kind != "local":
        return False
    mine = Path(expand_environment(sources[0].path or "", os.environ))
    if not mine.is_file():
        raise UserError(
            f"The table of files {mine} is not there: put it there, or correct the path in the data set's YAML."
        )
    with placing(ctx.data, table) as new:
        shutil.copyfile(mine, new.path)
    return True


def _video_id(row: FileRow) -> str:
    """An id for a file: its class and name, or a hash of both where an id may not be as long."""
    import hashlib

    from clipquarry.ids import MAX_ID_BYTES

    name = f"{row.class_dir}+{row.clip_id}"
    return name if len(name.encode()) <= MAX_ID_BYTES else hashlib.sha256(name.encode()).hexdigest()[:32]


def _unknown(row: FileRow, labels: LabelIndex) -> RejectedRow:
    from clipquarry.annotations.items import RejectedRow
    from clipquarry.reasons import Reason

    why = f"the label is not one of the {len(labels)} of {labels.origin}"
    return RejectedRow(row.line, Reason.UNKNOWN_LABEL, why, f"{row.file},{row.label}")


def _labels(ctx: RunContext, rows: list[FileRow]) -> LabelIndex:
    """The classes in code-point order: those of train where there is one, else of all splits."""
    from clipquarry.annotations.labels import LabelIndex, read_label_map
    from clipquarry.datasets.splits import is_train
    from clipquarry.errors import UserError
    from clipquarry.families.clips.annotation_files import label_map
    from clipquarry.ids import shared_folder

    if problem := shared_folder(row.label for row in rows):
        raise UserError(f"{problem}: give one of them another name, or both the same.")
    if (given := label_map(ctx)) is not None:
        return read_label_map(given)
    train = [row.label for row in rows if is_train(row.split)]
    return LabelIndex.from_labels(train or [row.label for row in rows], "train" if train else "all splits")


def _write_names(ctx: RunContext, rows: list[FileRow]) -> None:
    import pyarrow as pa

    from clipquarry.manifest import schema_of, write_rows

    schema = schema_of(
        [pa.field(name, pa.string(), nullable=False) for name in ("class_dir", "clip_id", "file")], "files"
    )
    names = {(row.class_dir, row.clip_id): row.file for row in rows}
    told = ({"class_dir": folder, "clip_id": clip, "file": file} for (folder, clip), file in names.items())
    write_rows(ctx.place.named_files, schema, told)


def _is_frame(spec: DatasetSpec) -> Callable[[str], bool] | None:
    """Which files of a folder are frames, where the items are folders of them."""
    from clipquarry.frame_names import frame_number, pattern_of

    pattern = pattern_of(spec.item.rgb_pattern) if spec.has_folders else None
    return None if pattern is None else lambda name: frame_number(name, pattern) is not None


def _look_through(ctx: RunContext, table: Path) -> None:
    """Write the table of what lies in the folder of the items."""
    from clipquarry.annotations.file_table import look_through, overlap_problem, table_text, top_folders
    from clipquarry.errors import UserError
    from clipquarry.layout import placing
    from clipquarry.pipeline.sources import folders_of

    folders = folders_of(ctx)
    if not folders:
        raise UserError(f"{ctx.spec.name} has no folder of files: its source of kind local is switched off.")
    folder = Path(folders[0])
    if problem := overlap_problem(folder, ctx.data.dataset(ctx.spec.root)):
        raise UserError(problem)
    share = clips_options(ctx.spec).val_share
    is_frame = _is_frame(ctx.spec)
    splits, others = top_folders(folder, is_frame)
    if len(ctx.spec.splits) > 1 and not share and others:
        beside = (
            f"beside those of the splits ({', '.join(splits)})" if splits else "where those of the splits should be"
        )
        raise UserError(
            f"In {folder} the folder {others[0]} lies {beside}: move it away, or describe the folder anew with 'clipquarry init'."
        )
    # Names that are not UTF-8 are rejected as rows: their escapes hold a backslash.
    with placing(ctx.data, table) as new, open(new.path, "w", encoding="utf-8", errors="backslashreplace") as handle:
        lines = table_text(look_through(folder, is_frame), list(ctx.spec.splits), share)
        handle.writelines(lines)
