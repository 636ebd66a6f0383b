"""The gate after AVA-Kinetics was merged with AVA (AK-I7): the csv, the proposals, the links, the copies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ManifestError, UserError
from clipquarry.families.boxes.gates.files import COLUMNS, CsvLines, kept, line_names, read_lines
from clipquarry.families.boxes.options import boxes_options
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.windows import TRAIN
from clipquarry.files import found_at, inside, sha256_of
from clipquarry.quality.disk import file_problem
from clipquarry.quality.engine import EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables
from clipquarry.settings import DataRoot

ID_LENGTH: Final = 11
"""AVA's videos go by their YouTube id, Kinetics clips by a longer name."""
_TRAIN_PROPOSALS: Final = "ava_dense_proposals_train.FAIR.recall_93.9.pkl"
_TRUE: Final = [True]


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``merged``."""
    told = run.json(BoxFiles(run.run_dir).merged)
    try:
        merged, _ = (inside(data.root, str(told[name])) for name in ("csv", "ava_csv"))
    except (KeyError, UserError) as error:
        raise ManifestError(f"{BoxFiles(run.run_dir).merged} names no csv ({error}); run the merge again.") from error
    yield from _csv(spec, run, data, merged, told)
    yield _files(data, told)
    yield _keys(run, told)
    yield _ava_wins(told)
    yield from _links(spec, data, told)
    yield _copies(spec, data, [str(told.get(name, "")) for name in ("csv", "proposals")], told.get("rewritten"))


def _other(spec: DatasetSpec) -> str:
    """Root of the data set that was merged with."""
    return str(boxes_options(spec).merge_with)


def _relation(name: str, left: int, right: int, what: str) -> dict[str, Any]:
    return {"item_id": name, "what": what, "found": left, "wanted": right}


def _relations(check: str, rows: list[dict[str, Any]]) -> Suite:
    """One row for each number that must have an expected value."""
    table = pd.DataFrame(rows).astype({"item_id": "str", "what": "str"})
    rule = Rule(check, EQUAL, {"column_A": "found", "column_B": "wanted"}, show=("what", "found", "wanted"))
    return Suite(check.partition(".")[2], table, [rule])


def _csv(spec: DatasetSpec, run: RunTables, data: DataRoot, path: Path, told: dict[str, Any]) -> Iterator[Suite]:
    """The merged csv, compared with its source files, and with the table behind one of them."""
    if not path.is_file():
        raise ManifestError(f"The merged csv {path} is not there; run the merge again.")
    lines = read_lines(path, blank=False)
    first = int(told["kinetics_rows"])
    relations = [
        _relation(
            "merged/rows", len(lines), first + int(told["ava_rows"]), "lines, of both data sets as they were counted"
        )
    ]
    place = BoxFiles(run.run_dir)
    if TRAIN in place.prepared_splits():
        prepared = run.count(place.prepared(TRAIN))
        relations.append(_relation("merged/kinetics_rows", first, prepared, "rows of clips, as prepared"))
    sources = {
        "kinetics": data.dataset(spec.root, "kinetics_train.csv"),
        # AVA's rows as they were checked: unusable rows are not merged.
        "ava": inside(data.root, str(told["ava_csv"])),
    }
    parts = {name: read_lines(source, blank=False) for name, source in sources.items() if source.is_file()}
    if "ava" in parts:
        relations.append(
            _relation("merged/ava_rows", int(told["ava_rows"]), len(parts["ava"]), "rows of AVA, as in its own csv")
        )
    yield _relations("merged.rows", relations)

    is_ava = lines.match(f"^[^,]{{{ID_LENGTH}}},")
    begins = int(is_ava.argmax()) if is_ava.any() else len(lines)
    table = lines.table()
    table["columns"] = lines.columns
    # After AVA's first row there are no clips; before it there are only clips.
    table["ordered"] = is_ava == (np.arange(len(lines)) >= begins)
    show = ("columns", "text")
    yield Suite(
        "merged",
        table,
        [
            Rule("merged.columns", IN_SET, {"column": "columns", "value_set": [COLUMNS]}, show=show),
            Rule("merged.order", IN_SET, {"column": "ordered", "value_set": _TRUE}, show=("text",)),
        ],
        named=line_names("#line-"),
    )
    places = {"kinetics": slice(0, first), "ava": slice(first, None)}
    del table
    for name, source in sources.items():
        if name not in parts:
            yield Suite(f"identical_{name}", pd.DataFrame(), skipped=[("merged.identical", f"{source} is not here")])
        else:
            yield _identical(name, parts[name], kept(parts[name], lines, places[name]))


def _identical(name: str, part: CsvLines, found: npt.NDArray[np.bool_]) -> Suite:
    """One row for each line of one of the two files: whether it is in the merged csv, as often as here."""
    table = part.table()
    table["kept"] = found
    rule = Rule("merged.identical", IN_SET, {"column": "kept", "value_set": _TRUE}, name, show=("text",))
    return Suite(f"identical_{name}", table, [rule], named=line_names(f"{name}/#line-"))


def _files(data: DataRoot, told: dict[str, Any]) -> Suite:
    """One row for each merged file, read to the end: whether it is the written one."""
    sums = told.get("sha256")
    if not isinstance(sums, dict) or not sums:
        return Suite("files", pd.DataFrame(), skipped=[("merged.files", "the merge did not record their checksums")])
    problems = [file_problem(data, str(path), str(digest)) for path, digest in sums.items()]
    table = pd.DataFrame({"item_id": [str(path) for path in sums], "problem": problems}, dtype="str")
    rule = Rule("merged.files", IN_SET, {"column": "problem", "value_set": [""]}, show=("problem",))
    return Suite("files", table, [rule])


def _keys(run: RunTables, told: dict[str, Any]) -> Suite:
    """|both| = |clips'| + |AVA's| - |in both|. If nobody counted the last, its largest possible value is used."""
    if "keys" not in told:
        return Suite("keys", pd.DataFrame(), skipped=[("merged.keys", "no proposals were merged")])
    keys, own, theirs = (int(told[name]) for name in ("keys", "kinetics_keys", "ava_keys"))
    shared = int(told["shared_keys"]) if "shared_keys" in told else min(max(0, own + theirs - keys), own, theirs)
    rows = [_relation("merged/keys", keys, own + theirs - shared, "keys, of both without those that are in both")]
    place = BoxFiles(run.run_dir)
    if TRAIN in place.proposal_splits():
        made = run.plain(place.proposals(TRAIN), ["key"])["key"].nunique()
        rows.append(_relation("merged/kinetics_keys", own, made, "keys of clips, as they were made"))
    return _relations("merged.keys", rows)


def _ava_wins(told: dict[str, Any]) -> Suite:
    if "ava_identical" not in told:
        why = "the merge did not count them" if "keys" in told else "no proposals were merged"
        return Suite("ava_wins", pd.DataFrame(), skipped=[("merged.ava_wins", why)])
    what = "keys of AVA with their own boxes in the merged file"
    return _relations(
        "merged.ava_wins", [_relation("merged/ava_identical", int(told["ava_identical"]), int(told["ava_keys"]), what)]
    )


def _folders(root: Path) -> list[str]:
    """Names of AVA's frame folders."""
    try:
        with os.scandir(root) as entries:
            return sorted(e.name for e in entries if len(e.name) == ID_LENGTH and e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _links(spec: DatasetSpec, data: DataRoot, told: dict[str, Any]) -> Iterator[Suite]:
    """One row for each of AVA's frame folders and for each link; and the number of links."""
    theirs, own = data.dataset(_other(spec), "rawframes"), data.dataset(spec.root, spec.folder("rawframes"))
    folders = _folders(theirs)
    try:
        with os.scandir(own) as entries:
            links = sorted(entry.name for entry in entries if entry.is_symlink() and not entry.name.startswith("."))
    except OSError:
        links = []
    names = sorted({*folders, *links})
    wrong = [_wrong_link(own / name, theirs / name) for name in names]
    table = pd.DataFrame({"item_id": [f"rawframes/{name}" for name in names], "problem": wrong}, dtype="str")
    yield Suite(
        "links", table, [Rule("merged.links", IN_SET, {"column": "problem", "value_set": [""]}, show=("problem",))]
    )
    yield Suite(
        "link_count",
        pd.DataFrame([_relation("merged/links", int(told["links"]), len(links), "links, as they were counted")]),
        [Rule("merged.links", EQUAL, {"column_A": "found", "column_B": "wanted"}, "count", show=("found", "wanted"))],
    )
    selves = [(theirs / name / name).is_symlink() for name in folders]
    table = pd.DataFrame({"item_id": [f"{_other(spec)}/rawframes/{name}/{name}" for name in folders], "self": selves})
    table = table.astype({"item_id": "str", "self": "bool"})
    yield Suite("self_links", table, [Rule("merged.self_link", IN_SET, {"column": "self", "value_set": [False]})])


def _wrong_link(link: Path, folder: Path) -> str:
    if not link.is_symlink():
        return "there is a folder of its own" if found_at(link) else "there is no link"
    if not folder.is_dir():
        return f"it leads to {link.readlink()}, and AVA has no such folder"
    try:
        return "" if link.samefile(folder) else f"it leads to {link.readlink()}"
    except OSError:
        return f"it leads to {link.readlink()}, which is not there"


def _copies(spec: DatasetSpec, data: DataRoot, merged: list[str], rewritten: object) -> Suite:
    """One row for each annotation file of AVA that is not merged. Without proposals, nothing replaces AVA's of
    train.

    ``rewritten``: name to sha256 of the copies without the rejected rows.
    """
    sums = rewritten if isinstance(rewritten, dict) else {}
    theirs, own = data.dataset(_other(spec), "annotations"), data.dataset(spec.root, "annotations")
    except_ = {path.rpartition("/")[2] for path in (*merged, _TRAIN_PROPOSALS)}
    if not theirs.is_dir():
        return Suite("copies", pd.DataFrame(), skipped=[("merged.copies", f"{theirs} is not here")])
    files = [
        f for f in sorted(theirs.iterdir()) if f.is_file() and not f.name.startswith(".") and f.name not in except_
    ]
    table = pd.DataFrame(
        {
            "item_id": [f"annotations/{file.name}" for file in files],
            "problem": [_changed(own / file.name, file, sums.get(file.name)) for file in files],
        },
        dtype="str",
    )
    return Suite(
        "copies", table, [Rule("merged.copies", IN_SET, {"column": "problem", "value_set": [""]}, show=("problem",))]
    )


def _changed(copy: Path, file: Path, written: str | None) -> str:
    if not copy.is_file():
        return "there is no copy"
    if written is not None:
        return "" if sha256_of(copy) == written else "the copy is not the one that was written from the checked rows"
    if copy.stat().st_size != file.stat().st_size or sha256_of(copy) != sha256_of(file):
        return "the copy differs"
    return ""
