"""Numbers of the people in proposals: by which a person repeats an action over somebody's whole track.

This is the only place that gives them. They are those of the tracks; of whoever is on none they follow from the overlap of boxes of
neighbouring key seconds, by the rules of :func:`clipquarry.annotations.own_ava.person_ids.complete`.
"""

from __future__ import annotations

from collections.abc import Iterable

from clipquarry.annotations.own_ava.label_rows import LabelRow
from clipquarry.annotations.own_ava.person_ids import Track, identify
from clipquarry.annotations.own_ava.via_project import Project, Size


def ids_of_proposals(
    crop: str, seconds: dict[str, int], size: Size, project: Project, seen: Iterable[Track] = ()
) -> dict[str, int]:
    """The number of each box's person, from 0, by the region's key. ``seconds``: of the crop's key frames (from 0) by file name;
    ``seen``: who was tracked in them; ``project``: the crop's proposals, boxes in pixels of a frame of ``size``. No two boxes of a frame share a number.
    """
    rows = []
    for region in project.regions.values():
        x, y, width, height = region.box
        box = (x / size.width, y / size.height, (x + width) / size.width, (y + height) / size.height)
        rows.append(LabelRow(crop, seconds[project.file_of(region).name], box, 0))
    found = identify(rows, seen)
    taken: set[tuple[int, int]] = set()
    ids: dict[str, int] = {}
    for key, one in zip(project.regions, found.rows, strict=True):
        if (at := (one.row.second, one.person)) not in taken:  # two boxes that are one: the second has no number
            taken.add(at)
            ids[key] = one.person
    return ids
