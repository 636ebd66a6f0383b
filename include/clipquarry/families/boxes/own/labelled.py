"""What somebody said of a crop, whichever way he labelled it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from clipquarry.annotations.own_ava.label_rows import LabelRow, rows_of
from clipquarry.annotations.own_ava.person_ids import NOBODY
from clipquarry.annotations.own_ava.via_project import Project
from clipquarry.families.boxes.own.to_label import ToLabel


class Labelled(NamedTuple):
    """A crop's labels; ``people``: numbers by the region's key, of those who have one."""

    project: Project
    people: Mapping[str, int]

    def rows(self, one: ToLabel, fps: int) -> Iterator[tuple[LabelRow, int]]:
        """Rows with the person's number, or -1."""
        for key, region in self.project.regions.items():
            for row in rows_of(replace(self.project, regions={key: region}), one.size, fps=fps):
                yield row, self.people.get(key, NOBODY)

    @property
    def without(self) -> int:
        """Boxes without any action, of which no row comes."""
        return sum(not any(one.choices.values()) for one in self.project.regions.values())
