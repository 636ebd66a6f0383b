"""Suites of the gate ``lists`` of labelled intervals: the lists of frames that were written, read again from the disk (C16 to C18)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from clipquarry.annotations.file_list import ListEntry, read_list
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.families.segments.frame_lists import list_names
from clipquarry.families.segments.frames_here import count_files, counted_prefix
from clipquarry.families.segments.options import segments_options
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.files import inside
from clipquarry.quality.disk import file_problem
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables
from clipquarry.settings import DataRoot


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``lists``."""
    lists = segments_options(spec).frame_lists
    assert lists is not None, f"{spec.name} has no lists of frames"
    place = SegmentFiles(run.run_dir)
    splits, files = place.list_splits(), list[dict[str, str]]()
    read: dict[str, tuple[list[ListEntry], ...]] = {}
    rules = dict[str, str]()
    for split in splits:
        facts = run.json(place.list_facts(split))
        sums, rules[split] = facts["files"], str(facts.get("frame_count_rule", "rgb"))  # none: of an earlier version
        found = []
        for with_offset, name in enumerate(list_names(lists, split)):
            path = data.dataset(spec.root, name)
            entries, problem = _read(path, with_offset=bool(with_offset))
            found.append(entries)
            written = str(path.relative_to(data.root))
            changed = file_problem(data, written, str(sums.get(written, "")))
            files.append({"item_id": f"{split}/{path.name}", "problem": problem or changed})
        read[split] = tuple(found)
    rule = Rule("frame_list.file", IN_SET, {"column": "problem", "value_set": [""]}, show=("problem",))
    yield Suite("files", pd.DataFrame(files).astype("str"), [rule])
    for split in splits:
        videos, clips = read[split]
        folder = data.dataset(spec.root, spec.folder("rawframes", split))
        prefix = counted_prefix(spec, rules[split])
        here = {one.path: _count(folder, one.path, prefix) for one in (*videos, *clips)}
        yield _videos(split, videos, here, spec, _BY_ALL if rules[split] == "all_files" else "")
        yield _clips(split, clips, here, spec)
        columns = ("item_id", "frames", "first", "count", "written", "reason", "evidence")
        rows = run.load(place.list_rows(split), columns)
        left = Rule("frame_list.left_out", IN_SET, {"column": "written", "value_set": [True]}, split,
                    show=("reason", "evidence"))  # fmt: skip
        yield Suite(f"{split}_intervals", rows, [left])


def _read(path: Path, *, with_offset: bool) -> tuple[list[ListEntry], str]:
    """The lines of a list, and what is wrong with its form."""
    try:
        entries = list(read_list(path, "rawframes", with_offset=with_offset))
        ends = path.stat().st_size > 0 and path.read_bytes()[-1:] == b"\n"
    except (UserError, OSError) as error:
        return [], str(error)
    return (
        entries,
        f"{path} ends with an empty line, which readers of the reference's list do not expect" if ends else "",
    )


def _count(folder: Path, name: str, prefix: str) -> int:
    try:
        return count_files(inside(folder, name), prefix)
    except UserError:  # a line that was written by hand
        return 0


_BY_ALL = "the counts are of all files of a folder, as frame_count_rule=all_files asks"


def _videos(split: str, entries: list[ListEntry], here: dict[str, int], spec: DatasetSpec, note: str) -> Suite:
    rows: list[dict[str, Any]] = [
        {"item_id": f"{split}/{one.path}", "line": number, "listed_frames": one.frames or 0, "frames": here[one.path],
         "label": one.label}
        for number, one in enumerate(entries, 1)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["item_id", "line", "listed_frames", "frames", "label"])
    shown = ("line", "listed_frames", "frames")
    return Suite(
        f"{split}_videos",
        table,
        [
            Rule(
                "frame_list.frames_here",
                EQUAL,
                {"column_A": "listed_frames", "column_B": "frames"},
                split,
                show=shown,
                note=note,
            ),
            _labels(split, spec),
        ],
    )


def _clips(split: str, entries: list[ListEntry], here: dict[str, int], spec: DatasetSpec) -> Suite:
    rows: list[dict[str, Any]] = [
        {"item_id": f"{split}/{one.path}#{number}", "line": number, "first": one.offset or 0, "count": one.frames or 0,
         "frames": here[one.path], "behind": (one.offset or 0) + (one.frames or 0) - here[one.path], "label": one.label}
        for number, one in enumerate(entries, 1)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["item_id", "line", "first", "count", "frames", "behind", "label"])
    shown = ("line", "first", "count", "frames")
    return Suite(
        f"{split}_clips",
        table,
        [
            Rule("frame_list.window", BETWEEN, {"column": "first", "min_value": 0}, f"{split} first", show=shown),
            Rule("frame_list.window", BETWEEN, {"column": "count", "min_value": 1}, f"{split} count", show=shown),
            Rule("frame_list.window", BETWEEN, {"column": "behind", "max_value": 0}, f"{split} end", show=shown),
            _labels(split, spec),
        ],
    )


def _labels(split: str, spec: DatasetSpec) -> Rule:
    last = len(segments_options(spec).numbered()) - 1
    values = {"column": "label", "min_value": 0, "max_value": last}
    return Rule("frame_list.label", BETWEEN, values, split, show=("line", "label"))
