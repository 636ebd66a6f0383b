"""Checks of annotation and label files: unchanged since they were read and first seen, and consistent with one
another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.ids import normalise_label
from clipquarry.quality.disk import file_problem
from clipquarry.quality.engine import EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables
from clipquarry.settings import DataRoot

_NOTHING: Final = {"column": "problem", "value_set": [""]}


def read_files(run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """One row for each annotation file that the run read: whether it is still that file, and the first seen one."""
    check = "annotations.changed"
    files = run.optional_json(run.place.catalog_file).get("files", [])
    if not files:
        yield Suite("files", pd.DataFrame(), skipped=[(check, "the run did not record the checksums of its files")])
        return
    names = pd.Series([str(one["path"]) for one in files], dtype="str")
    since = [file_problem(data, str(one["path"]), str(one["sha256"])) for one in files]
    table = pd.DataFrame({"item_id": names, "problem": pd.Series(since, dtype="str")})
    yield Suite(
        "files", table, [Rule(check, IN_SET, _NOTHING, "since it was read", severity="error", show=("problem",))]
    )
    first = [first_problem(one) for one in files]
    table = pd.DataFrame({"item_id": names, "problem": pd.Series(first, dtype="str")})
    own = params.annotation_counts == "warn"  # people with their own csvs edit them
    rule = Rule(check, IN_SET, _NOTHING, "since the first run", severity="info" if own else None, show=("problem",))
    yield Suite("pins", table, [rule])


def first_problem(one: Mapping[str, Any]) -> str:
    """How a file that a run read differs from the one that was first seen."""
    first, found = str(one.get("first", "")), str(one.get("sha256", ""))
    return (
        f"its sha256 is {found}, first seen was {first} in run {one.get('run', '?')}"
        if first and first != found
        else ""
    )


def label_map(spec: DatasetSpec, run: RunTables, data: DataRoot, usable: pd.DataFrame, params: GateParams) -> Suite:
    """One row for each class name of the run's label index: its number in the data set's own order, and in the
    catalog.
    """
    check = "annotations.label_map"
    names = [str(name) for name in run.optional_json(run.place.catalog_file).get("label_names", [])]
    if not names:
        return Suite("label_map", pd.DataFrame(), skipped=[(check, "the run did not record its classes")])
    own = _own_order(spec, data)
    if own is None and spec.labels.order != "codepoint":
        return Suite("label_map", pd.DataFrame(), skipped=[(check, "the data set's order is in no file that is here")])
    wanted = {name: index for index, name in enumerate(own if own is not None else sorted(names))}
    labelled = usable.loc[usable["label_index"] >= 0, ["class_dir", "label_index"]].drop_duplicates("class_dir")
    used = dict(zip(labelled["class_dir"].tolist(), labelled["label_index"].tolist(), strict=True))
    table = pd.DataFrame(
        {
            "item_id": pd.Series([f"class/{name}" for name in names], dtype="str"),
            "index": range(len(names)),
            "own_index": [wanted.get(name, -1) for name in names],
            "catalog_index": [used.get(name, index) for index, name in enumerate(names)],
        }
    )
    return Suite(
        "label_map",
        table,
        [
            Rule(check, EQUAL, {"column_A": "index", "column_B": "own_index"}, "order", show=("index", "own_index"),
                 severity="warn" if params.label_map else None),
            Rule(check, EQUAL, {"column_A": "index", "column_B": "catalog_index"}, "catalog",
                 show=("index", "catalog_index")),
        ],
    )  # fmt: skip


def _own_order(spec: DatasetSpec, data: DataRoot) -> list[str] | None:
    """The classes of the data set's own file (``labels.path``, one name per line), as folders; None if there is
    none.
    """
    path = spec.labels.path
    if path is None or not path.endswith(".txt"):
        return None
    try:
        text = data.dataset(spec.root, path).read_text(encoding="utf-8-sig", errors="replace")
    except (OSError, UserError):
        return None
    return [normalise_label(line.strip()) for line in text.splitlines() if line.strip()] or None
