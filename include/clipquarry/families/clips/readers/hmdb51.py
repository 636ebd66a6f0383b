"""HMDB51's split files, a file for each class and division, which make lists in UCF101's form beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from clipquarry.pipeline.context import RunContext

NAMES: Literal["own"] = "own"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """A split whose list nothing makes."""
    from pathlib import PurePosixPath

    for split, path in spec.splits.items():
        if not PurePosixPath(path).name.startswith(("trainlist", "testlist")):
            yield ("splits", split), f"{path!r}: the reader hmdb51 makes trainlist01.txt, testlist01.txt and so on"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from pathlib import PurePosixPath

    from clipquarry.families.clips.readers import ucf101
    from clipquarry.pipeline.unpacked import unpacked_annotations

    folder = ctx.data.dataset(ctx.spec.root, str(PurePosixPath(next(iter(ctx.spec.splits.values()))).parent))
    if not _are_complete(folder, ctx.spec):
        unpacked_annotations(ctx)
    _make_lists(ctx, folder)
    return ucf101.write_catalog(ctx)


def _are_complete(folder: Path, spec: DatasetSpec) -> bool:
    from clipquarry.annotations.hmdb_splits import split_files

    counts = {len(division) for division in split_files(folder).values()}
    return counts == {spec.labels.count}


def _make_lists(ctx: RunContext, folder: Path) -> None:
    """Write the class index, if there is none, and the lists; those that a person wrote are set aside."""
    from clipquarry.annotations.hmdb_splits import LISTS, classes_of, list_text, split_files
    from clipquarry.annotations.ucf_lists import class_index_text, read_class_index
    from clipquarry.errors import UserError
    from clipquarry.layout import placing

    files = split_files(folder)
    classes = classes_of(files)
    index = folder / "classInd.txt"
    if not index.exists():
        with placing(ctx.data, index) as new:
            new.path.write_text(class_index_text(classes))
    numbered = list(read_class_index(index).names)  # one that is there decides, as in the reference
    if lacking := [name for name in classes if name not in numbered]:
        raise UserError(
            f"{index} lacks the class {lacking[0]!r}, which has split files beside it: add it, or remove {index.name}."
        )
    for number, division in files.items():
        for name, code in LISTS.items():
            with placing(ctx.data, folder / f"{name}{int(number):02d}.txt") as new:
                new.path.write_text(list_text(division, numbered, code))
