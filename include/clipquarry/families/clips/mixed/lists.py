"""The lists of a run: every published list of the chosen splits, checked entry by entry, and written again with what is on disk.

Where nothing is wrong, the written list has the bytes of the published one. The published files are never changed.
"""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from clipquarry.annotations.omnisource import Listed, read_listed
from clipquarry.families.clips.mixed.entries import LEFT_OUT, Kind, Problem, Shelf
from clipquarry.families.clips.mixed.run_files import PROBLEM_FIELDS, MixedFiles
from clipquarry.families.clips.options import NamedList, clips_options
from clipquarry.files import sha256_of, write_json, writing
from clipquarry.layout import placing
from clipquarry.manifest import ManifestWriter, schema_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.stage import needs_plan

log = logging.getLogger(__name__)


@dataclass
class Checked:
    """A published list. ``entries == lines + left_out``; ``kinds`` counts what is wrong, and one entry may count twice."""

    list: str
    """Its path below the data set's folder."""
    of: tuple[str, ...]
    published: int | None
    path: str
    """The written list."""
    sha256: str = ""
    entries: int = 0
    lines: int = 0
    left_out: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    """Of entries that are left out."""
    also: str = ""
    """The same as text, of a list of long videos."""


def published(ctx: RunContext) -> dict[str, NamedList]:
    """The lists of which all splits are chosen, the splits' own first, by their paths; whether or not they are there."""
    own = {ctx.spec.splits[split]: split for split in ctx.splits}
    known = clips_options(ctx.spec).lists_of
    lists = {path: known.get(path, NamedList(of=(split,))) for path, split in own.items()}
    return lists | {path: one for path, one in known.items() if set(one.of) <= set(ctx.splits) and path not in own}


def write_lists(ctx: RunContext) -> list[dict[str, Any]]:
    """Check and write all lists; leaves the tables of :mod:`~clipquarry.families.clips.mixed.run_files` too."""
    needs_plan(ctx)
    place = MixedFiles(ctx.folder)
    shelf = Shelf(ctx.spec, ctx.data, ctx.state if ctx.state.exists() else None)
    own = {path: split for split, path in ctx.spec.splits.items()}
    found: list[Checked] = []
    with ExitStack() as stack:
        noted = _Noted(place, stack)
        for path, one in published(ctx).items():
            source = ctx.data.dataset(ctx.spec.root, path)
            if not source.is_file():
                log.info(f"{path}: it was not placed, so that nothing is written of it")
                continue
            target = ctx.data.dataset(ctx.spec.root, _written(ctx, path, own.get(path)))
            checked = Checked(path, one.of, one.count, target.relative_to(ctx.data.root).as_posix())
            with placing(ctx.data, target) as new:
                _write(source, new.path, checked, shelf, noted)
            checked.sha256 = sha256_of(target)
            if target.suffix == ".json":
                also = target.with_suffix(".txt")
                with placing(ctx.data, also) as new, writing(new.path) as handle:
                    handle.writelines(f"{entry.as_text()}\n" for entry in read_listed(target))
                checked.also = also.relative_to(ctx.data.root).as_posix()
            found.append(checked)
            log.info(f"{target.name}: {checked.lines} of {checked.entries} entries")
    write_json(place.checked, [asdict(one) for one in found])
    lists = [_facts(ctx, one, own[one.list]) for one in found if one.list in own]
    write_json(ctx.place.lists, lists)
    return lists


def _written(ctx: RunContext, path: str, split: str | None) -> str:
    """Where a list is written: a split's own as the YAML names it, further ones beside it under their names."""
    named = ctx.spec.list_name("videos", split or ctx.splits[0])
    suffix = PurePosixPath(path).suffix
    return str(PurePosixPath(named).with_suffix(suffix) if split else PurePosixPath(named).with_name(Path(path).name))


def _facts(ctx: RunContext, one: Checked, split: str) -> dict[str, Any]:
    """The entry of ``lists.json``, as those of other lists."""
    return {
        "split": split, "format": "videos", "path": str(ctx.data.root / one.path), "sha256": one.sha256, "rows": one.entries,
        "lines": one.lines, "missing": one.left_out, "reasons": one.reasons, "groups": [],
    }  # fmt: skip


class _Noted:
    """The table of entries with something wrong, while it is written."""

    def __init__(self, place: MixedFiles, stack: ExitStack) -> None:
        schema = schema_of(PROBLEM_FIELDS, "list_problems")
        self._table = stack.enter_context(ManifestWriter(place.problems, schema))
        self._csv = csv.writer(stack.enter_context(writing(place.problems_csv)), lineterminator="\n")
        self._csv.writerow(schema.names)

    def add(self, checked: Checked, one: Listed, problem: Problem) -> None:
        checked.kinds[problem.kind] = checked.kinds.get(problem.kind, 0) + 1
        row = {
            "item_id": f"{checked.list}:{one.line}", "list": checked.list, "line": one.line, "kind": problem.kind,
            "text": one.text, "evidence": problem.evidence,
        }  # fmt: skip
        self._table.write(row)
        self._csv.writerow(row.values())


def _write(source: Path, out: Path, checked: Checked, shelf: Shelf, noted: _Noted) -> None:
    entries = _kept(source, checked, shelf, noted)
    with writing(out) as handle:
        if source.suffix != ".json":
            handle.writelines(f"{one.text}\n" for one in entries)
            return
        # As json.dump writes an array, a piece at a time.
        before = "["
        for one in entries:
            handle.write(before + json.dumps(one.as_json()))
            before = ", "
        handle.write("[]" if before == "[" else "]")


def _kept(source: Path, checked: Checked, shelf: Shelf, noted: _Noted) -> Iterator[Listed]:
    """The entries that stay in a list, with the number of parts that there are."""
    seen, reasons = set[int](), Counter[str]()
    for one in read_listed(source):
        checked.entries += 1
        problems = list(_all(one, checked.of, shelf, seen))
        for problem in problems:
            noted.add(checked, one, problem)
        if left := next((problem for problem in problems if problem.kind in LEFT_OUT), None):
            checked.left_out += 1
            reasons[str(left.reason)] += 1
            continue
        checked.lines += 1
        if any(problem.kind == "clips" for problem in problems):
            split = shelf.split_of(one.path, checked.of) or checked.of[0]
            one = one._replace(clips=shelf.parts(one, split))
        yield one
    checked.reasons = dict(reasons)


def _all(one: Listed, of: tuple[str, ...], shelf: Shelf, seen: set[int]) -> Iterator[Problem]:
    kind: Kind = "syntax"
    if one.problem:
        yield Problem(kind, one.problem)
        return
    if (key := hash(one.path)) in seen:
        yield Problem("again", "a line before names the same")
        return
    seen.add(key)
    yield from shelf.problems(one, of)
