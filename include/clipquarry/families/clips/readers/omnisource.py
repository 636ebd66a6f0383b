"""OmniSource's lists: a list for each source, whose items are files, folders of files, or long videos that are cut into parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.options import clips_options
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.annotations.labels import LabelIndex
    from clipquarry.annotations.omnisource import Listed
    from clipquarry.pipeline.context import RunContext

NAMES: Literal["own"] = "own"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """What a split holds is not said, or not as its list says it."""
    options = clips_options(spec)
    if spec.labels.source != "file" or spec.labels.path is None or spec.labels.count is None:
        yield ("labels",), "the reader omnisource has a file of classes: write source: file, its path and their count"
    if "{split}" not in spec.layout.get("videos", ""):
        yield ("layout", "videos"), "each source has a folder of its own: write {split} in it"
    for split, path in spec.splits.items():
        holds = options.holds.get(split)
        if holds is None:
            yield ("options", "holds"), f"it does not say what an item of '{split}' is: file, folder or parts"
        elif (holds == "parts") != path.endswith(".json"):
            yield ("splits", split), f"{path!r}: parts are listed as JSON, files as text"
    for index, source in enumerate(spec.sources):
        if source.provides == "items" and (source.kind != "manual" or source.archive is None):
            yield (
                ("sources", index, "kind"),
                "items that splits hold in different ways come in archives that a person places",
            )
    for split in options.holds:
        if split not in spec.splits:
            yield ("options", "holds"), f"the data set has no split '{split[:60]}'"
    for path, one in options.lists_of.items():
        if lacking := [split for split in one.of if split not in spec.splits]:
            yield ("options", "lists_of", path), f"the data set has no split '{lacking[0]}'"
        elif not one.of:
            yield ("options", "lists_of", path), "it names no split whose files it lists"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.labels import read_label_map
    from clipquarry.annotations.omnisource import read_listed
    from clipquarry.families.clips.annotation_files import catalog_facts, split_files

    options, classes = clips_options(ctx.spec), ctx.spec.labels.path or ""
    further = {path: True for path, one in options.lists_of.items() if set(one.of) <= set(ctx.splits)}
    files = split_files(ctx, separator="", further={classes: False, **further})
    labels = read_label_map(ctx.data.dataset(ctx.spec.root, classes))

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        return _items(read_listed(path), split, options.holds[split], labels)

    return catalog_facts(ctx, files, write(ctx.annotation_csvs(), ctx.catalog, read, labels))


def _items(listed: Iterator[Listed], split: str, holds: str, labels: LabelIndex) -> Iterator[Item | RejectedRow]:
    """The items of a split's list: its files; each folder of files once, where the list names it first; or its long videos."""
    from clipquarry.annotations.csv_records import visible
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.annotations.label_table import Label
    from clipquarry.reasons import Reason

    known = [Label(index, name) for index, name in enumerate(labels.names)]
    seen = set[int]()
    for one in listed:
        problem, reason = one.problem, Reason.BAD_ROW
        if not problem and one.label >= len(known):
            problem, reason = f"the class {one.label} is not one of 0 to {len(known) - 1}", Reason.UNKNOWN_LABEL
        *folders, name = one.path.removeprefix(f"{split}/").split("/") if one.path else [""]
        wanted = {"file": 0, "folder": 2, "parts": 1}[holds]
        if not problem and len(folders) != wanted:
            problem = f"its path has {len(folders)} folders, not {wanted}"
        if problem:
            yield RejectedRow(one.line, reason, problem, visible(one.text, 200))
            continue
        if holds == "folder":
            if (key := hash((folders[0], folders[1]))) in seen:
                continue
            seen.add(key)
            yield Item(one.line, f"{folders[0]}-{folders[1]}", folders[1], folders[0], None, None, (known[one.label],))
        else:
            stem = name if holds == "parts" else name.rpartition(".")[0] or name
            yield Item(one.line, stem, stem, folders[0] if folders else None, None, None, (known[one.label],))
