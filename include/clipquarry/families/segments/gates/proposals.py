"""Suites of the gate ``proposals`` of labelled intervals: the lists that were written, read again from the disk (C20)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from clipquarry.annotations.proposal_list import Block, Proposal, Truth, read_blocks
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.segments.options import segments_options
from clipquarry.families.segments.places import list_file, list_link
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, UNIQUE, Rule, Suite
from clipquarry.quality.label_files import first_problem
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, among, pick
from clipquarry.settings import DataRoot

_NOTHING = {"value_set": [""]}


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``proposals``."""
    place = SegmentFiles(run.run_dir)
    splits, classes = place.block_splits(), len(segments_options(spec).numbered())
    files, read = [], dict[str, list[dict[str, Any]]]()
    for split in splits:
        told = run.json(place.proposal_facts(split))
        path = list_file(spec, data, split)
        read[split], problem = _read(path, split, classes)
        files.append({
            "item_id": f"{split}/{path.name}", "problem": problem, "first": first_problem(told["published"]),
            "alias": _alias_problem(spec, data, split),
        })  # fmt: skip
    table = pd.DataFrame(files).astype("str")
    rules = [
        Rule("proposal_list.file", IN_SET, {"column": "problem", **_NOTHING}, show=("problem",)),
        Rule("proposal_list.changed", IN_SET, {"column": "first", **_NOTHING}, show=("first",)),
        Rule("proposal_list.alias", IN_SET, {"column": "alias", **_NOTHING}, show=("alias",)),
    ]
    yield Suite("files", table, rules)
    catalog = run.load("catalog", ("item_id", "split", "status"))
    videos = pick(catalog, catalog["status"] != REJECTED)
    for split in splits:
        published = run.load(
            place.blocks(split), ("item_id", "video_id", "line", "frames", "written", "reason", "evidence")
        )
        yield _blocks(split, read[split])
        yield _counts(split, published, read[split])
        yield _published(split, published)
        listed = pick(videos, videos["split"] == split, "item_id")
        listed["listed"] = among(listed["item_id"], published["item_id"])
        yield Suite(f"{split}_videos", listed, [
            Rule("proposal_list.listed", IN_SET, {"column": "listed", "value_set": [True]}, split),
        ])  # fmt: skip


def _alias_problem(spec: DatasetSpec, data: DataRoot, split: str) -> str:
    link, wanted = list_link(spec, data, split), list_file(spec, data, split)
    if link is None or (link.is_file() and link.resolve() == wanted.resolve()):
        return ""
    return f"{link} does not lead to {wanted}"


def _read(path: Path, split: str, classes: int) -> tuple[list[dict[str, Any]], str]:
    """A row for each block of a list, and what is wrong with the list's form."""
    rows: list[dict[str, Any]] = []
    try:
        for number, block in enumerate(read_blocks(path, normalised=False)):
            rows.append({"item_id": f"{split}/{block.video}", **_judged(block, classes), "block": number})
    except ClipquarryError as error:
        return rows, str(error)
    return rows, ""


def _judged(block: Block, classes: int) -> dict[str, Any]:
    """How many of a block's lines have a label or frames out of range, or no length; and the first such line of the file."""
    last = block.frames * block.rate
    lines: list[Truth | Proposal] = [*block.truths, *block.proposals]
    wrong = {
        "labels": [one.line for one in lines if not 0 <= one.label <= classes],
        "range": [one.line for one in lines if not (0 <= one.start <= last and 0 <= one.end <= last)],
        "order": [one.line for one in lines if one.end <= one.start],
    }
    counts = {f"{name}_wrong": len(found) for name, found in wrong.items()}
    first = {f"{name}_line": found[0] if found else 0 for name, found in wrong.items()}
    return {"line": block.line, "listed_frames": int(block.frames), **counts, **first}


_COLUMNS = (
    "item_id", "line", "listed_frames", "labels_wrong", "range_wrong", "order_wrong", "labels_line", "range_line",
    "order_line", "block",
)  # fmt: skip


def _blocks(split: str, read: list[dict[str, Any]]) -> Suite:
    table = pd.DataFrame(read, columns=list(_COLUMNS)).astype({"item_id": "str"})
    table = table.astype(dict.fromkeys(_COLUMNS[1:], "int64"))
    rules = [
        Rule(f"proposal_list.{check}", BETWEEN, {"column": f"{name}_wrong", "max_value": 0}, split,
             show=(f"{name}_wrong", f"{name}_line"), worst_by=f"{name}_wrong")
        for check, name in (("label", "labels"), ("range", "range"), ("order", "order"))
    ]  # fmt: skip
    return Suite(f"{split}_blocks", table, rules)


def _counts(split: str, published: pd.DataFrame, read: list[dict[str, Any]]) -> Suite:
    """Every video of the list that was to be written: the frames that were counted then, and those of the list that is there."""
    table = pick(published, published["written"], "item_id", "frames")
    listed = {row["item_id"]: row["listed_frames"] for row in read}
    table["listed_frames"] = [listed.get(item, -1) for item in table["item_id"]]
    rule = Rule("proposal_list.frames_here", EQUAL, {"column_A": "frames", "column_B": "listed_frames"}, split,
                show=("frames", "listed_frames"))  # fmt: skip
    return Suite(f"{split}_frames", table, [rule])


def _published(split: str, published: pd.DataFrame) -> Suite:
    return Suite(f"{split}_published", published, [
        Rule("proposal_list.one_block", UNIQUE, {"column": "item_id"}, split, show=("line",)),
        Rule("proposal_list.left_out", IN_SET, {"column": "written", "value_set": [True]}, split,
             show=("line", "reason", "evidence")),
    ])  # fmt: skip
