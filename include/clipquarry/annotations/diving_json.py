"""Reader of Diving48's json files: arrays of ``{vid_name, label, start_frame, end_frame}``, labels from 0; and of its vocabulary,
an array of 48 arrays of 4 texts, whose joined texts are the names of the classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex
from clipquarry.annotations.small_file import read_small_json
from clipquarry.errors import UserError
from clipquarry.ids import id_problem, label_problem
from clipquarry.reasons import Reason


def _array(path: Path) -> list[Any]:
    value = read_small_json(path, "annotation file of this data set")
    if not isinstance(value, list):
        raise UserError(f"{path} holds a {type(value).__name__}, not an array: get the file again.")
    return value


def read_vocabulary(path: Path) -> LabelIndex:
    """The classes, ``Back+15som+05Twis+FREE`` and so on, in the file's order. Raises :class:`UserError` with the entry."""
    names: list[str] = []
    for number, entry in enumerate(_array(path)):
        if not isinstance(entry, list) or not entry or not all(isinstance(text, str) and text for text in entry):
            raise UserError(f"{path}, entry {number}: {visible(repr(entry), 80)} is not an array of texts.")
        name = "+".join(entry)
        if problem := label_problem(name):
            raise UserError(f"{path}, entry {number}: {problem}.")
        if name in names:
            raise UserError(f"{path}, entry {number}: the class {name!r} is given twice.")
        names.append(name)
    return LabelIndex(tuple(names), path.name)


def read_items(path: Path, labels: LabelIndex) -> Iterator[Item | RejectedRow]:
    """The items in the file's order. Their line is the entry's number, from 1."""
    seen: set[str] = set()
    for number, entry in enumerate(_array(path), 1):
        shown = visible(json.dumps(entry), 200)
        if not isinstance(entry, dict) or not {"vid_name", "label"} <= entry.keys():
            yield RejectedRow(number, Reason.BAD_ROW, "it is no object with vid_name and label", shown)
            continue
        name, index = entry["vid_name"], entry["label"]
        if problem := id_problem(name):
            yield RejectedRow(number, Reason.BAD_ID, f"vid_name {problem}", shown)
        elif type(index) is not int or not 0 <= index < len(labels):
            yield RejectedRow(number, Reason.UNKNOWN_LABEL, f"the label is not one of 0 to {len(labels) - 1}", shown)
        elif name in seen:  # whatever its label: there are no class folders, so that it is one file
            yield RejectedRow(number, Reason.DUPLICATE, "vid_name was given before", shown)
        else:
            seen.add(name)
            label = labels.names[index]
            yield Item(number, name, name, label, None, None, (Label(index, label),))
