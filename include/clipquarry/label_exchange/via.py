"""A labelled clip and a project of VIA 3 (VGG Image Annotator): the same frames, boxes and actions in two forms.

People's numbers have no place in VIA. Source of the ids: :mod:`clipquarry.annotations.own_ava.via_project`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from clipquarry.annotations.own_ava import via_project as via
from clipquarry.annotations.own_ava.actions import Attribute, Attributes, Kind, in_order
from clipquarry.annotations.own_ava.person_ids import NOBODY
from clipquarry.labelling.model import Attribute as Group
from clipquarry.labelling.model import Clip, Frame, Option, Region


def groups_of(attributes: Attributes) -> tuple[Group, ...]:
    """The actions with their keys, as the page has them."""
    found = []
    for one in in_order(attributes):
        each = attributes[one]
        keys = each.keys or ("",) * len(each.options)
        options = (
            Option(str(place), text, key.lower())
            for place, (text, key) in enumerate(zip(each.options, keys, strict=True))
        )
        found.append(Group(one, each.name, tuple(options), each.kind == Kind.CHECKBOX))
    return tuple(found)


def attributes_of(groups: Iterable[Group]) -> dict[str, Attribute]:
    """The inverse; a group of which one is chosen is a VIA radio."""
    return {
        one.id: Attribute(
            one.name, tuple(option.text for option in one.options), Kind.CHECKBOX if one.several else Kind.RADIO
        )
        for one in groups
    }


def region_id(frame: str, box: Sequence[float]) -> str:
    """Follows from the frame and the box, so that what was said of one box is never taken for another's."""
    told = f"{frame} {' '.join(f'{one:.3f}' for one in box)}"
    return f"box-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def clip_of(name: str, frames: Mapping[str, int], size: via.Size, project: via.Project, ids: Mapping[str, int]) -> Clip:
    """A crop with the boxes and choices of ``project``. ``frames``: file name to second (from 0); ``ids``: people's numbers by
    the region's key. Boxes are cut to the frame, as the page wants them.
    """
    regions: dict[str, Region] = {}
    for key, one in project.regions.items():
        x, y, width, height = one.box
        left, top = max(x, 0.0), max(y, 0.0)
        right, bottom = min(x + width, float(size.width)), min(y + height, float(size.height))
        if right <= left or bottom <= top:
            continue  # nothing of it is in the frame
        frame = project.file_of(one).name
        box = (left, top, right - left, bottom - top)
        chosen = {group: tuple(text.split(",")) for group, text in one.choices.items() if text}
        regions.setdefault(region_id(frame, box), Region(region_id(frame, box), frame, box, ids.get(key), chosen))
    shown = tuple(Frame(frame, second, size.width, size.height) for frame, second in frames.items())
    return Clip(name, shown, tuple(regions.values()))


class Told(NamedTuple):
    """What a clip says: a project of VIA, and people's numbers by the region's key (-1: nobody said one)."""

    project: via.Project
    people: dict[str, int]


def via_of(clip: Clip, frames: Iterable[str], attributes: Attributes) -> Told:
    """The boxes and choices on ``frames`` as a project of VIA; other frames of the clip are left out."""
    project = via.Project(attributes)
    views = {}
    for place, name in enumerate(frames, 1):
        views[name] = str(place)
        project.files[str(place)] = via.ViaFile(name)
        project.views[str(place)] = (str(place),)
    people = {}
    for one in clip.regions:
        if one.frame in views:
            choices = {group: ",".join(sorted(one.labels.get(group, ()), key=int)) for group in in_order(attributes)}
            project.regions[one.id] = via.Region(views[one.frame], one.box, choices)
            people[one.id] = NOBODY if one.track is None else one.track
    return Told(project, people)
