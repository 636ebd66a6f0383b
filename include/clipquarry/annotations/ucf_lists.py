"""Reader of UCF101's class index and split lists (specification 3.4 of the other data sets); HMDB51's are made alike.

``classInd.txt``: ``1 ApplyEyeMakeup``, numbers from 1. ``trainlist01.txt``: ``ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1``;
``testlist01.txt``: the path alone. The class of a file is its FOLDER's, whatever number stands behind it: one class of UCF101
spells its files otherwise than its folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex, numbered_labels
from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError
from clipquarry.ids import id_problem, label_problem
from clipquarry.reasons import Reason

_INDEX = re.compile(r"([0-9]{1,6})[ \t]+(\S+)", re.ASCII)
_LINE = re.compile(r"([^/\\]+)/([^/\\]+)\.([A-Za-z0-9]{1,8})(?:[ \t]+([0-9]{1,6}))?")
_SHOWN = 200


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not empty; any line end. Raises :class:`UserError`."""
    try:
        text = read_small(path, "list of a data set's files").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8.") from error
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if stripped := line.strip():
            yield number, stripped


def read_class_index(path: Path) -> LabelIndex:
    """The classes of ``classInd.txt``, by number. Raises :class:`UserError` with the line unless they are 1 to K, each once."""
    names: dict[int, str] = {}
    for number, line in lines_of(path):
        found = _INDEX.fullmatch(line)
        if found is None:
            raise UserError(f"{path}, line {number}: {visible(line, 80)!r} is not a number and the name of a class.")
        at, name = int(found[1]), found[2]
        if problem := label_problem(name):
            raise UserError(f"{path}, line {number}: {problem}.")
        if at in names or name in names.values():
            raise UserError(f"{path}, line {number}: the class {at} {name!r} is given twice.")
        names[at] = name
    return numbered_labels(path, names, 1)


def class_index_text(classes: Sequence[str]) -> str:
    """``classInd.txt`` of these classes, without a line end at its end, as the reference writes HMDB51's."""
    return "\n".join(f"{number} {name}" for number, name in enumerate(classes, 1))


def read_split_list(path: Path, labels: LabelIndex) -> Iterator[Item | RejectedRow]:
    """The items of a list, in its order: whole files, named by their path without its suffix."""
    for number, line in lines_of(path):
        found = _LINE.fullmatch(line)
        if found is None:
            why = "it is not CLASS/FILE.SUFFIX, with or without the number of the class"
            yield RejectedRow(number, Reason.BAD_ROW, why, visible(line, _SHOWN))
            continue
        folder, stem = found[1], found[2]
        if problem := id_problem(stem):
            yield RejectedRow(number, Reason.BAD_ID, f"the name of the file {problem}", visible(line, _SHOWN))
            continue
        index = labels.get(folder)
        if index is None:
            why = f"the class {folder[:60]!r} is not one of the {len(labels)} of {labels.origin}"
            yield RejectedRow(number, Reason.UNKNOWN_LABEL, why, visible(line, _SHOWN))
            continue
        yield Item(number, stem, stem, folder, None, None, (Label(index, folder),))
