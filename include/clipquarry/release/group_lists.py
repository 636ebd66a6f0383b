"""Lists of the groups of labels, beside the list of all of them.

A group's list has the clips that have a label of it, in the same order, with the indices in the group: ``{"filename": path, "label":
[index, …]}``. The reference's script for these (``generate_sub_file_list.py``) forgets to leave the other clips out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from clipquarry.annotations.file_list import ListEntry
from clipquarry.annotations.label_groups import LabelGroups, as_text
from clipquarry.datasets.model import DatasetSpec
from clipquarry.files import writing
from clipquarry.layout import Placing, drop_link, placing
from clipquarry.settings import DataRoot


@dataclass
class GroupSummary:
    """The list of one group: ``lines`` clips. ``moved``: what became of a file of somebody else in its place."""

    group: str
    path: Path
    lines: int = 0
    moved: str = ""


class GroupLists:
    """The lists of all groups of one list, written while its entries pass by; they appear when the block ends without an error."""

    def __init__(self, spec: DatasetSpec, data: DataRoot, format_: str, split: str, groups: LabelGroups) -> None:
        self._data, self._groups, self._stack = data, groups, ExitStack()
        self._writers: dict[str, tuple[Callable[[str], object], GroupSummary]] = {}
        self._places: list[Placing] = []
        named = spec.group_lists if groups.names else {}
        self.summaries = [
            GroupSummary(name, data.dataset(spec.root, spec.group_list_name(format_, split, name)))
            for name in groups.names if format_ in named
        ]  # fmt: skip
        self._others = {
            one.group: [data.dataset(spec.root, spec.group_list_name(other, split, one.group)) for other in named]
            for one in self.summaries
        }
        """A second name of another format's list may lie in the place of this one."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for one in self.summaries:
                drop_link(one.path, self._others[one.group])
                place = stack.enter_context(placing(self._data, one.path))
                handle = stack.enter_context(writing(place.path))
                handle.write("[")
                self._places.append(place)
                self._writers[one.group] = handle.write, one
            self._stack = stack.pop_all()
        return self

    def noting(self, entries: Iterable[ListEntry]) -> Iterator[ListEntry]:
        """The entries of the list of all labels, with these divided."""
        divided, writers = self._groups.divided, self._writers
        for entry in entries:
            entry.groups = found = divided(entry.labels)
            head = f'{entry.json_head()}"label": '
            entry.text = f"{head}{as_text(found)}}}"
            if writers:
                for name, indices in found.items():
                    write, summary = writers[name]
                    write(f"{', ' if summary.lines else ''}{head}[{indices}]}}")
                    summary.lines += 1
            yield entry

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for write, _ in self._writers.values():
                write("]")
        self._stack.__exit__(kind, error, trace)
        for place, one in zip(self._places, self.summaries, strict=True):
            one.moved = place.told
