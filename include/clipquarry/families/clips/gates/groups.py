"""Suites of the gate ``annotations`` of a data set whose items have several labels, in groups or not: sizes, classes, and each
clip's labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.label_groups import LabelGroups
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import is_train, train_splits
from clipquarry.manifest import read_batches
from clipquarry.quality.catalog_suites import counting
from clipquarry.quality.engine import BETWEEN, EQUAL, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables
from clipquarry.run_documents import read_label_groups, read_label_maps
from clipquarry.run_folder import labels_beside

_NO_CLASSES = "a clip has several labels"
NOT_OF_GROUPS = (
    "annotations.label_complete", "annotations.label_odd", "annotations.label_in_train", "annotations.label_order",
    "annotations.label_map",
)  # fmt: skip
"""Checks of classes that name folders, or that the rows themselves number."""


def suites(spec: DatasetSpec, run: RunTables, usable: pd.DataFrame, params: GateParams) -> Iterator[Suite]:
    """The suites; ``usable``: the items that are not rejected, with ``item_id``, ``split`` and ``row``."""
    found = LabelGroups(read_label_groups(run.place))
    names = read_label_maps(run.place).get("", [])
    table = usable[["item_id", "split", "row"]].copy()
    clips, trained = _count(run, table, len(names))
    yield _sizes("group", found.sizes, spec.labels.groups, params)
    groups = [name for name, size in found.sizes.items() for _ in range(size)]
    items = [f"{group}/{name}" for group, name in zip(groups, names, strict=True)]
    yield _classes(items, clips, trained, has_train=bool(train_splits(usable["split"].unique())))
    yield _labels(table, len(names))


def of_several(spec: DatasetSpec, run: RunTables, usable: pd.DataFrame, params: GateParams) -> Iterator[Suite]:
    """The suites of items whose several labels are in no groups; ``usable`` as of :func:`suites`."""
    names = read_label_maps(run.place).get("", [])
    table = usable[["item_id", "split", "row"]].copy()
    clips, trained = _count(run, table, len(names))
    has_train = bool(train_splits(usable["split"].unique()))
    # The rows say how many there are: the names may be those of another version, whose lower numbers mean other classes.
    used = int(table["highest"].max()) + 1 if has_train and len(table) else len(names)
    yield _sizes("labels", {"all": used}, {"all": spec.labels.count or len(names)}, params)
    yield _classes([f"class/{number}" for number in range(len(names))], clips, trained, has_train=has_train)
    yield _labels(table, len(names))


def _count(run: RunTables, table: pd.DataFrame, classes: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Clips and training clips of each class. ``table`` gets each item's number of labels (``tags``), how many of them it has
    twice (``again``), and its ``lowest`` and ``highest`` number. The labels, some dozen an item, are streamed.
    """
    ids = pa.array(table["item_id"], pa.large_string(), from_pandas=True)
    train = table["split"].map(is_train).to_numpy(dtype=bool)
    tags, again = np.zeros(len(table), np.int32), np.zeros(len(table), np.int32)
    lowest, highest = np.full(len(table), classes, np.int64), np.full(len(table), -1, np.int64)
    clips, trained = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    rest: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for batch in read_batches(labels_beside(run.place.catalog), ("item_id", "index"), batch=1 << 17):
        at = pc.index_in(pc.cast(batch["item_id"], pa.large_string()).combine_chunks(), value_set=ids)
        known = at.is_valid().to_numpy(zero_copy_only=False)
        items = np.concatenate((rest[0], at.drop_null().to_numpy().astype(np.int64)))
        numbers = np.concatenate((rest[1], batch["index"].to_numpy()[known].astype(np.int64)))
        # The labels of the last item may go on in the next batch.
        begun = int(np.searchsorted(items, items[-1])) if len(items) else 0
        rest = items[begun:], numbers[begun:]
        _add(items[:begun], numbers[:begun], (tags, again, lowest, highest, clips, trained), train)
    _add(*rest, (tags, again, lowest, highest, clips, trained), train)
    table["tags"], table["again"], table["lowest"], table["highest"] = tags, again, lowest, highest
    return clips, trained


def _add(
    items: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], into: tuple[npt.NDArray[np.integer], ...], train: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    """Add the labels of whole items, as pairs of the item's place and the class's number."""
    tags, again, lowest, highest, clips, trained = into
    if not len(items):
        return
    np.add.at(tags, items, 1)
    np.minimum.at(lowest, items, numbers)
    np.maximum.at(highest, items, numbers)
    right = (numbers >= 0) & (numbers < len(clips))
    pairs = np.unique(items[right] * len(clips) + numbers[right])
    np.add.at(again, items[right], 1)
    np.subtract.at(again, pairs // len(clips), 1)
    np.add.at(clips, pairs % len(clips), 1)
    np.add.at(trained, pairs[train[pairs // len(clips)]] % len(clips), 1)


def _sizes(what: str, found: Mapping[str, int], published: Mapping[str, int], params: GateParams) -> Suite:
    """One row for each group (``what``): how many classes it has, and how many are published."""
    names = list(dict.fromkeys((*published, *found)))
    here, there = [found.get(name, 0) for name in names], [published.get(name, 0) for name in names]
    items = pd.Series([f"{what}/{name}" for name in names], dtype="str")
    table = pd.DataFrame({"item_id": items, "classes": here, "published": there})
    every = zip(names, here, there, strict=True)
    odd = [f"{name} has {ours:,} classes, {theirs:,} are published" for name, ours, theirs in every if ours != theirs]
    rule = Rule(
        "annotations.label_count", EQUAL, {"column_A": "classes", "column_B": "published"}, severity=counting(params, "error"),
        show=("classes", "published"), note=f"{'; '.join(odd)}." if odd else "",
    )  # fmt: skip
    return Suite("groups_of_labels", table, [rule])


def _classes(
    items: list[str], clips: npt.NDArray[np.int64], trained: npt.NDArray[np.int64], *, has_train: bool
) -> Suite:
    """One row for each class, under the name that ``items`` give it."""
    table = pd.DataFrame({"item_id": pd.Series(items, dtype="str"), "clips": clips, "train_clips": trained})
    suite = Suite("classes", table, skipped=[(check, _NO_CLASSES) for check in NOT_OF_GROUPS])
    check = "annotations.class_in_train"
    if has_train:
        suite.rules.append(Rule(check, BETWEEN, {"column": "train_clips", "min_value": 1}, show=("clips",)))
    else:
        suite.skipped.append((check, "train is not in the catalog"))
    return suite


def _labels(table: pd.DataFrame, classes: int) -> Suite:
    """One row for each item."""
    show = ("split", "row", "tags")
    return Suite(
        "labels",
        table,
        [
            Rule("annotations.labelled", BETWEEN, {"column": "tags", "min_value": 1}, show=show),
            Rule("annotations.label_again", BETWEEN, {"column": "again", "max_value": 0}, show=(*show, "again")),
            Rule("annotations.label_index", BETWEEN, {"column": "lowest", "min_value": 0}, "lowest", show=(*show, "lowest")),
            Rule("annotations.label_index", BETWEEN, {"column": "highest", "max_value": classes - 1}, "highest",
                 show=(*show, "highest")),
        ],
    )  # fmt: skip
