"""Lines ``video<TAB>begin<TAB>end<TAB>class``, times in tenths of a second; lines that begin with ``#`` are comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.ids import id_problem, label_problem, normalise_label
from clipquarry.pipeline.family import Problem
from clipquarry.reasons import Reason

if TYPE_CHECKING:
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.pipeline.context import RunContext

NAMES: Literal["own"] = "own"
TENTH = 100_000


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Files that are no text."""
    for split, path in spec.splits.items():
        if not path.endswith(".txt"):
            yield ("splits", split), f"{path!r}: the reader toy_lines reads txt files"


def _fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(path.read_text(errors="backslashreplace").splitlines(), 1):
        if text and not text.startswith("#"):
            yield line, text.split("\t")


def _read(path: Path, labels: LabelIndex) -> Iterator[Item | RejectedRow]:
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.annotations.label_table import Label

    for line, fields in _fields(path):
        raw = " ".join(fields)[:100]
        if len(fields) != 4 or not (fields[1].isdecimal() and fields[2].isdecimal()):
            yield RejectedRow(line, Reason.BAD_ROW, "the line is not of the form video, begin, end, class", raw)
        elif problem := id_problem(fields[0]) or label_problem(fields[3]):
            yield RejectedRow(line, Reason.BAD_ID, f"the id {problem}", raw)
        else:
            video, begin, end, name = fields
            folder = normalise_label(name)
            index = labels.get(folder)
            if index is None:
                yield RejectedRow(line, Reason.UNKNOWN_LABEL, "the class is not one of train's", raw)
                continue
            texts = (f"{int(begin) / 10}", f"{int(end) / 10}")
            yield Item(line, video, f"{video}_{begin}_{end}", folder, int(begin) * TENTH, int(end) * TENTH, (Label(index, name),), *texts)  # fmt: skip


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.families.clips.annotation_files import catalog_facts, split_files

    files = split_files(ctx)
    train = next(one.path for one in files if one.label == "train")
    classes = {fields[3] for _, fields in _fields(train) if len(fields) == 4 and not label_problem(fields[3])}
    labels = LabelIndex.from_labels(classes, "train.txt")
    summary = write(ctx.annotation_csvs(), ctx.catalog, lambda _, path: _read(path, labels), labels)
    return catalog_facts(ctx, files, summary)
