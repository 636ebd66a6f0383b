"""Readers of Moments in Time's files (specification 3.4 of the other data sets).

``moments_categories.txt``: ``clapping,0``, a class and its number from 0. ``trainingSet.csv``, ``validationSet.csv``, without a
header: ``clapping/yt-zxQfALnTdfc_56.mp4,clapping,4,0``, of which the path alone counts: its folder is the class.

Those of Multi-Moments in Time have the numbers of all classes behind the path: ``adult+female+singing/0-3-6_5.mp4,7,84``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from clipquarry.annotations.csv_records import text_lines, visible
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex, numbered_labels
from clipquarry.annotations.ucf_lists import lines_of
from clipquarry.errors import UserError
from clipquarry.ids import id_problem, label_problem
from clipquarry.reasons import Reason

_CATEGORY = re.compile(r"(.+?) *, *([0-9]{1,6})", re.ASCII)
_PATH = re.compile(r"([^/\\]+)/([^/\\]+)\.([A-Za-z0-9]{1,8})")
_NUMBER = re.compile(r" *([0-9]{1,6}) *", re.ASCII)
_SHOWN = 200


def read_categories(path: Path) -> LabelIndex:
    """The classes by their numbers. Raises :class:`UserError` with the line unless they are 0 to K - 1, each once."""
    names: dict[int, str] = {}
    for number, line in lines_of(path):
        found = _CATEGORY.fullmatch(line)
        if found is None:
            raise UserError(f"{path}, line {number}: {visible(line, 80)!r} is not the name of a class and its number.")
        name, at = (
            found[1].replace("/", " or "),
            int(found[2]),
        )  # as in published_labels: a folder's name holds no slash
        if problem := label_problem(name):
            raise UserError(f"{path}, line {number}: {problem}.")
        if at in names or name in names.values():
            raise UserError(f"{path}, line {number}: the class {at} {name!r} is given twice.")
        names[at] = name
    if not names:
        raise UserError(f"{path} names no class: get the file again.")
    return numbered_labels(path, names, 0)


class _Unusable(Exception):
    """Why a row cannot be used: the reason and a sentence."""


def read_items(path: Path, labels: LabelIndex) -> Iterator[Item | RejectedRow]:
    """The items of a csv, in its order: whole files, named by their path without its suffix; their folder is their class."""

    def of(folder: str, values: list[str]) -> tuple[Label, ...]:
        if (index := labels.get(folder)) is None:
            why = f"the class {folder[:60]!r} is not one of the {len(labels)} of {labels.origin}"
            raise _Unusable(Reason.UNKNOWN_LABEL, why)
        return (Label(index, folder),)

    return _items(path, of)


def read_numbered_items(path: Path, labels: LabelIndex) -> Iterator[Item | RejectedRow]:
    """The same of a csv whose rows have the numbers of their classes, in any order, from 0."""
    known = [Label(index, name) for index, name in enumerate(labels.names)]

    def of(folder: str, values: list[str]) -> tuple[Label, ...]:
        found = list(map(_NUMBER.fullmatch, values))
        if not values or None in found:
            raise _Unusable(Reason.BAD_ROW, "behind the path stand no numbers of classes")
        numbers = [int(one[1]) for one in found if one is not None]
        if max(numbers) >= len(known):
            raise _Unusable(Reason.UNKNOWN_LABEL, f"the class {max(numbers)} is not one of 0 to {len(known) - 1}")
        return tuple(known[number] for number in numbers)

    return _items(path, of)


def _items(path: Path, of: Callable[[str, list[str]], tuple[Label, ...]]) -> Iterator[Item | RejectedRow]:
    """``of``: the labels of a row, from its folder and the values behind its path. Raises :class:`_Unusable`."""
    for number, line, problem in text_lines(path):
        first, *values = line.split(",")
        try:
            if problem:
                raise _Unusable(Reason.BAD_ROW, problem)
            if (found := _PATH.fullmatch(first.strip())) is None:
                raise _Unusable(Reason.BAD_ROW, "its first value is not CLASS/FILE.SUFFIX")
            folder, stem = found[1], found[2]
            if wrong := id_problem(stem):
                raise _Unusable(Reason.BAD_ID, f"the name of the file {wrong}")
            labels = of(folder, values)
        except _Unusable as error:
            reason, sentence = error.args
            yield RejectedRow(number, reason, sentence, visible(line, _SHOWN))
        else:
            yield Item(number, stem, stem, folder, None, None, labels)
