"""HMDB51's published split files, and the lists in UCF101's form that the reference makes of them (specification 3.4).

``{class}_test_split{N}.txt`` has a line for each file of a class: its name and a code, 1 train, 2 test, 0 unused. Lists are
made class by class in code-point order, a class in the order of its file, without a line end at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.ucf_lists import lines_of
from clipquarry.errors import UserError

_NAME = re.compile(r"(?P<name>.+)_test_split(?P<number>[0-9]+)\.txt", re.ASCII)
TRAIN, TEST, UNUSED = "1", "2", "0"
LISTS: Final = {"trainlist": TRAIN, "testlist": TEST}
"""Beginning of a list's name to the code of its lines."""


def split_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Number of the division to class to file, classes in code-point order."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*_test_split*.txt"), key=lambda one: one.name):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match["number"], {})[match["name"]] = path
    return {number: dict(sorted(found[number].items())) for number in sorted(found)}


def classes_of(files: Mapping[str, Mapping[str, Path]]) -> list[str]:
    """The classes. Raises :class:`UserError` unless every division has the same."""
    classes = sorted({name for division in files.values() for name in division})
    for number, division in files.items():
        if missing := [name for name in classes if name not in division]:
            where = next(iter(division.values())).parent if division else Path()
            raise UserError(f"{where}: {missing[0]}_test_split{number}.txt is missing: unpack the split files again.")
    return classes


def coded(path: Path) -> Iterator[tuple[str, str]]:
    """Name and code of each line. Raises :class:`UserError` with the line."""
    for number, line in lines_of(path):
        name, _, code = line.rpartition(" ")
        if not name.strip() or code not in (UNUSED, TRAIN, TEST):
            raise UserError(f"{path}, line {number}: {visible(line, 80)!r} is not the name of a file and 0, 1 or 2.")
        yield name.strip(), code


def list_text(files: Mapping[str, Path], classes: Sequence[str], code: str) -> str:
    """A list: ``{class}/{file} {number of the class from 1}`` of the lines with this code."""
    index = {name: number for number, name in enumerate(classes, 1)}
    return "\n".join(_list_lines(files, index, code))


def _list_lines(files: Mapping[str, Path], index: Mapping[str, int], code: str) -> Iterable[str]:
    for name, path in files.items():
        for file, found in coded(path):
            if found == code:
                yield f"{name}/{file} {index[name]}"
