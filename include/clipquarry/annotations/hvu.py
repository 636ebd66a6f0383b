"""Reader of the annotations of Holistic Video Understanding (specification 4.5 of the other data sets).

=======================  =================================================================================================
``hvu_{split}.csv``      ``Tags,youtube_id,time_start,time_end``; the tags are joined by ``|``, the times are seconds in
                         decimals
``hvu_categories.csv``   ``Tag,Category``; a tag has one category
=======================  =================================================================================================

A clip is named ``{youtube_id}_{start:06d}_{end:06d}`` in tenths of a second, cut off, counted from the decimal text itself: a float
would lose some. A tag's index is its position in the code-point order of its category, from 0. ``hvu_tags.json`` is ``{category:
[tag, …]}``, the categories in the order of their first appearance.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO

from clipquarry import microseconds
from clipquarry.annotations.csv_records import BOM, Lines, Record, records, visible
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.label_groups import LabelGroups
from clipquarry.annotations.label_table import Label
from clipquarry.errors import UserError
from clipquarry.ids import is_youtube_id, label_problem
from clipquarry.reasons import Reason

ROWS = "tags,youtube_id,time_start,time_end"
TAGS = "tag,category"
TENTH = microseconds.SECOND // 10
_TIME = re.compile(r"[0-9]{1,8}(?:\.[0-9]{0,12})?\Z")
_SHOWN = 200


class Tags:
    """The content of a table of tags: every category with its tags in code-point order.

    ``sizes``: the categories that there are, in the order in which all tags together are numbered. Raises :class:`UserError`
    for a table that numbers nothing, with the line.
    """

    def __init__(self, path: Path, sizes: Mapping[str, int]) -> None:
        found: dict[str, list[str]] = {}
        lines: dict[str, int] = {}
        for record in _records(path, TAGS):
            where = f"{path}, line {record.line}"
            if record.fields is None or record.problem:
                raise UserError(f"{where}: {record.problem} ({record.raw}): get the file again.")
            tag, category = record.fields
            if category not in sizes:
                known = ", ".join(sizes)
                raise UserError(
                    f"{where}: the category {visible(category, 60)!r} is none of {known}: get the file again."
                )
            problem = label_problem(tag) or ("the tag holds a blank or a bar" if set(tag) & {" ", "|"} else None)
            if problem:
                raise UserError(f"{where}: {problem} ({visible(tag, 60)!r}): get the file again.")
            if (first := lines.setdefault(tag, record.line)) != record.line:
                raise UserError(
                    f"{where}: the tag {visible(tag, 60)!r} is in line {first} already: get the file again."
                )
            found.setdefault(category, []).append(tag)
        if not found:
            raise UserError(f"{path} names no tag: get the file again.")
        self.by_category = {category: sorted(tags) for category, tags in found.items()}
        """In the order of their first appearance."""
        self.groups = LabelGroups({name: len(self.by_category[name]) for name in sizes if name in self.by_category})
        names = [tag for name in self.groups.names for tag in self.by_category[name]]
        self.names = tuple(names)
        """All tags, in the order of their numbers."""
        self._labels = {tag: Label(number, tag) for number, tag in enumerate(names)}

    def rows(self, path: Path) -> Iterator[Item | RejectedRow]:
        """Every row of a split's csv, in its order, with the tags in the row's order. A tag that stands in a row twice is twice
        among its labels, as in the reference's lists.
        """
        labels = self._labels
        for record in _records(path, ROWS):
            problem = _problem(record)
            if problem is None and record.fields is not None:
                told, video, begins, ends = record.fields
                start, end = _moment(begins), _moment(ends)
                try:
                    some = tuple([labels[tag] for tag in told.split("|")])
                except KeyError as error:
                    problem = _unknown(str(error.args[0]), told)
                else:
                    if start is not None and end is not None and start[0] < end[0]:
                        name = f"{video}_{start[0] // TENTH:06d}_{end[0] // TENTH:06d}"
                        yield Item(record.line, video, name, None, start[0], end[0], some, start[1], end[1])
                        continue
                    problem = Reason.BAD_TIME, "its times are no seconds from 0, or it ends where it starts or before"
            assert problem is not None
            yield RejectedRow(record.line, *problem, visible(record.raw, _SHOWN))

    def write(self, handle: IO[str]) -> None:
        """Write ``hvu_tags.json`` as the reference's script does."""
        json.dump(self.by_category, handle)


def _problem(record: Record) -> tuple[Reason, str] | None:
    if record.fields is None or record.problem:
        return Reason.BAD_ROW, record.problem
    if not is_youtube_id(record.fields[1]):
        return Reason.BAD_ID, "it is no id of a video at YouTube (11 letters, digits, '-' and '_')"
    return None


def _unknown(tag: str, told: str) -> tuple[Reason, str]:
    if not told:
        return Reason.BAD_LABEL, "it has no tag"
    if not tag:
        return Reason.BAD_LABEL, "one of its tags is empty"
    return Reason.UNKNOWN_LABEL, f"the tag {visible(tag, 60)!r} is in no category"


@lru_cache(maxsize=1 << 16)
def _moment(text: str) -> tuple[int, str | None] | None:
    """Microseconds, and the text where it is not the shortest form; None for what is no time."""
    if _TIME.match(text := text.strip()) is None:
        return None
    moment = microseconds.of(text)
    return moment, None if microseconds.text(moment) == text else text


def _records(path: Path, header: str) -> Iterator[Record]:
    """The records below the header. Raises :class:`UserError` for a file that cannot be read or begins otherwise: without its
    header, the first row would be lost.
    """
    try:
        handle = open(path, "rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise UserError(f"The annotation file {path} cannot be read: {error.strerror}.") from error
    with handle:
        lines = Lines(handle)
        first = lines.next()
        begins = b"" if first is None else first[1].removeprefix(BOM)
        told = begins.decode(errors="backslashreplace").lower().replace('"', "").replace(" ", "")
        if told != header:
            shown = visible(begins.decode(errors="backslashreplace"), 80)
            raise UserError(f"{path} begins with '{shown}', not with '{header}': get the file again.")
        yield from records(lines, header.count(",") + 1)
