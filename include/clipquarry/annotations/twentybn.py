"""Readers of the annotations of Jester and Something-Something (specification 3.4 of the other data sets).

Jester and Something-Something V1: ``…-labels.csv`` has a class a line, numbered by its line from 0; ``…-train.csv`` and
``…-validation.csv`` have ``34870;Drumming Fingers``, ``…-test.csv`` has ``34870``.

Something-Something V2: ``…-labels.json`` is ``{"Approaching something with your camera": "0"}``; the other files are arrays of
``{"id": "78687", "template": "Holding [something] next to [something]"}``, whose class is the template without brackets, and
that of test of ``{"id": "1420"}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clipquarry.annotations.csv_records import text_lines, visible
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.json_array import array_elements
from clipquarry.annotations.kinetics_csv import UNLABELLED_DIR
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex, numbered_labels
from clipquarry.annotations.small_file import read_small_json
from clipquarry.errors import UserError
from clipquarry.ids import id_problem, label_problem, normalise_label
from clipquarry.reasons import Reason

_SHOWN = 200


def read_label_lines(path: Path) -> LabelIndex:
    """The classes in the order of the lines. Raises :class:`UserError` with the line."""
    names: list[str] = []
    for number, line, problem in text_lines(path):
        if problem:
            raise UserError(f"{path}, line {number}: {problem}.")
        names.append(line)
    return _index(path, names)


def read_label_json(path: Path) -> LabelIndex:
    """The classes by their numbers. Raises :class:`UserError` unless they are 0 to K - 1, each once."""
    value = read_small_json(path, "list of classes")
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, not an object of classes: get the file again.")
    names: dict[int, str] = {}
    for name, told in value.items():
        text = str(told)
        if isinstance(told, bool) or not (text.isascii() and text.isdecimal() and len(text) < 7):
            raise UserError(f"{path}: the class {visible(name, 60)!r} has the number {visible(text, 40)!r}.")
        if (at := int(text)) in names:
            raise UserError(f"{path}: {visible(names[at], 60)!r} and {visible(name, 60)!r} both have the number {at}.")
        names[at] = name
    return _index(path, numbered_labels(path, names, 0).names if names else [])


def _index(path: Path, names: Sequence[str]) -> LabelIndex:
    folders: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        if problem := label_problem(name):
            raise UserError(f"{path}, class {number}: {problem}.")
        if (other := folders.setdefault(normalise_label(name), name)) != name or len(folders) < number:
            raise UserError(
                f"{path}, class {number}: {visible(name, 60)!r} is given before, as {visible(other, 60)!r}."
            )
    if not folders:
        raise UserError(f"{path} names no class: get the file again.")
    return LabelIndex(tuple(folders), path.name)


def read_rows(path: Path, labels: LabelIndex, *, labelled: bool = True) -> Iterator[Item | RejectedRow]:
    """The items of a csv, in its order; a line without ``;`` has no label, which ``labelled`` lists do not allow."""
    for number, line, problem in text_lines(path):
        name, separator, label = line.partition(";")
        if problem:
            yield RejectedRow(number, Reason.BAD_ROW, problem, visible(line, _SHOWN))
        else:
            yield _item(number, name.strip(), label.strip() if separator else None, labels, line, labelled)


def read_entries(path: Path, labels: LabelIndex, *, labelled: bool = True) -> Iterator[Item | RejectedRow]:
    """The items of an array, in its order; their line is the entry's number, from 1. One without a template has no label, which
    ``labelled`` lists do not allow.
    """
    for number, entry in enumerate(array_elements(path), 1):
        shown = json.dumps(entry)
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str | int):
            yield RejectedRow(number, Reason.BAD_ROW, "it is no object with an id", visible(shown, _SHOWN))
            continue
        template: Any = entry.get("template")
        if template is not None and not isinstance(template, str):
            yield RejectedRow(number, Reason.BAD_ROW, "its template is no text", visible(shown, _SHOWN))
            continue
        label = None if template is None else template.replace("[", "").replace("]", "")
        yield _item(number, str(entry["id"]), label, labels, shown, labelled)


def _item(
    number: int, name: str, label: str | None, labels: LabelIndex, raw: str, labelled: bool
) -> Item | RejectedRow:
    if problem := id_problem(name):
        return RejectedRow(number, Reason.BAD_ID, f"the id {problem}", visible(raw, _SHOWN))
    if label is None and labelled:  # readers of lists would take it as -1
        return RejectedRow(number, Reason.BAD_LABEL, "it has no label", visible(raw, _SHOWN))
    if label is None:
        return Item(number, name, name, UNLABELLED_DIR, None, None)
    folder = normalise_label(label)
    if (index := labels.get(folder)) is None:
        why = f"the class {visible(label, 60)!r} is not one of the {len(labels)} of {labels.origin}"
        return RejectedRow(number, Reason.UNKNOWN_LABEL, why, visible(raw, _SHOWN))
    return Item(number, name, name, folder, None, None, (Label(index, label),))
