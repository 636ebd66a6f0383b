"""Reader of projects that VIA 3 (VGG Image Annotator) or a person saved: all that is sound, and a sentence for each fault.

One line of JSON or many; keys of regions are free (VIA gives drawn regions keys like ``2_Ab3dEf9h``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.own_ava.actions import REGION, Attribute, Kind
from clipquarry.annotations.own_ava.refused import Refused, number
from clipquarry.annotations.own_ava.via_project import CREATED, IMAGE, RECTANGLE, Project, Region, Size, ViaFile
from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError, unread

_EDGE = 1
"""Pixels by which a box may leave the frame."""
_CHOICES = (Kind.CHECKBOX, Kind.RADIO, Kind.SELECT)
Sizes = Mapping[str, Size] | Callable[[str], Size | None]
"""The size of a frame by its file's name."""


@dataclass
class Reading:
    """What a file holds: the sound part of it, the faults, and the regions that nobody labelled yet."""

    project: Project
    refused: list[Refused] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    """Keys of sound regions without any chosen action: kept in ``project``, and no rows come of them."""
    lacking: list[str] = field(default_factory=list)
    """Expected frames that the project does not have."""
    aside: int = 0
    """Regions on frames that are no longer asked for: not in ``project``."""

    @property
    def finished(self) -> bool:
        """Whether nothing is refused or lacking and every region has an action."""
        return not (self.refused or self.unlabelled or self.lacking)


def read_project(
    path: Path,
    *,
    frames: Sequence[str] | None = None,
    sizes: Sizes | None = None,
    boxes_only: bool = False,
    aside: Collection[str] = (),
) -> Reading:
    """The project in a file. ``frames``: the names that file 1, 2, … must have; ``sizes``: to hold boxes to their frame.

    ``aside``: frames that the project may have besides, because they were once asked for; without them the files count from 1 again.
    ``boxes_only``: for a project of boxes without actions, as of detections to correct; regions' choices are not read.

    Raises :class:`UserError` for a file that is no project at all; all else stands in the result.
    """
    return parse_project(
        read_small(path, "labelling project"), path.name, frames=frames, sizes=sizes, boxes_only=boxes_only, aside=aside
    )


def parse_project(
    content: bytes,
    name: str,
    *,
    frames: Sequence[str] | None = None,
    sizes: Sizes | None = None,
    boxes_only: bool = False,
    aside: Collection[str] = (),
) -> Reading:
    """As :func:`read_project`, of a file's content; ``name`` is the file's, for sentences."""
    try:
        value = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is no JSON ({visible(unread(error), 120)}): export the project again.") from error
    parts = ("attribute", "file", "metadata", "view")
    lacking = [one for one in parts if not isinstance(value, dict) or not isinstance(value.get(one), dict)]
    if lacking:
        raise UserError(f"{name} is no VIA 3 project, because {lacking[0]!r} is missing: export it as a VIA 3 project.")
    return _Reader(name, sizes, boxes_only).read(value, frames, aside)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {visible(key, 40)!r} is given twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _without(project: Project, views: Collection[str]) -> Project:
    """The project without some views, their files and regions."""
    kept = {view: files for view, files in project.views.items() if view not in views}
    out = {files[0] for view, files in project.views.items() if view in views}
    return Project(
        project.attributes,
        {key: one for key, one in project.files.items() if key not in out},
        kept,
        {key: one for key, one in project.regions.items() if one.view not in views},
        project.name,
        project.created,
    )


def _numbered(project: Project, frames: Sequence[str]) -> Project:
    """The project with files and views that count from 1, in the order of ``frames``; others follow."""
    place = {name: at for at, name in enumerate(frames)}
    views = sorted(project.views, key=lambda view: place.get(project.files[project.views[view][0]].name, len(place)))
    number = {view: str(at) for at, view in enumerate(views, 1)}
    files = {number[view]: project.files[project.views[view][0]] for view in views}
    regions = {key: one._replace(view=number[one.view]) for key, one in project.regions.items()}
    return Project(
        project.attributes, files, {one: (one,) for one in number.values()}, regions, project.name, project.created
    )


class _Reader:
    def __init__(self, name: str, sizes: Sizes | None, boxes_only: bool) -> None:
        self.name, self.boxes_only = name, boxes_only
        self.size_of = sizes.get if isinstance(sizes, Mapping) else sizes
        self.refused: list[Refused] = []

    def refuse(self, what: str, why: str) -> None:
        self.refused.append(Refused(f"{self.name}, {what}" if what else self.name, why))

    def read(self, value: dict[str, Any], frames: Sequence[str] | None, aside: Collection[str]) -> Reading:
        attributes = {key: one for key, given in value["attribute"].items() if (one := self.attribute(key, given))}
        project = Project(attributes, self.files(value["file"]))
        self.views(value["view"], project)
        self.head(value.get("project"), project)
        out = {view for view, files in project.views.items() if project.files[files[0]].name in aside}
        shown = _without(project, out) if out else project
        lacking = [] if frames is None else self.expected(frames, shown, moved=bool(out))
        unlabelled, left = [], 0
        for key, given in value["metadata"].items():
            if isinstance(given, dict) and str(given.get("vid")) in out:
                left += 1
                continue
            region = self.region(key, given, project)
            if region is not None:
                project.regions[key] = region
                if not self.boxes_only and not any(
                    chosen for one, chosen in region.choices.items() if attributes[one].kind in _CHOICES
                ):
                    unlabelled.append(key)
        if out:
            project = _numbered(_without(project, out), frames or ())
        return Reading(project, self.refused, unlabelled, lacking, left)

    def head(self, given: object, project: Project) -> None:
        given = given if isinstance(given, dict) else {}
        name, created, ids = given.get("pname"), given.get("created"), given.get("vid_list")
        project.name = name if isinstance(name, str) else project.name
        project.created = created if isinstance(created, int) and not isinstance(created, bool) else CREATED
        if not isinstance(ids, list) or any(not isinstance(one, str) for one in ids):
            self.refuse("project", "The list of views (vid_list) is missing: export the project again.")
            return
        project.listed = tuple(ids)
        if set(ids) != set(project.views) or len(ids) != len(project.views):
            self.refuse(
                "project",
                f"It lists {len(ids)} views and holds {len(project.views)}: start again from the project you were given.",
            )
        if len(project.files) != len(project.views):
            self.refuse(
                "project",
                f"It has {len(project.files)} files for {len(project.views)} views: start again from the project you were given.",
            )

    def attribute(self, key: str, given: object) -> Attribute | None:
        what = f"attribute {visible(key, 20)!r}"
        options = given.get("options") if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(given.get("aname"), str) or not isinstance(options, dict):
            self.refuse(what, "It has no name or no options: take the attributes of the project you were given.")
            return None
        kind = given.get("type")
        if isinstance(kind, bool) or not isinstance(kind, int) or kind not in list(Kind):
            self.refuse(what, f"Its type {visible(str(kind), 20)!r} is none of VIA's: use checkbox, radio or select.")
            return None
        names = [options.get(str(place)) for place in range(len(options))]
        if any(not isinstance(one, str) or not one.strip() or not one.isprintable() for one in names) or (
            not names and Kind(kind) in _CHOICES
        ):
            self.refuse(
                what, "Its options are not texts numbered from 0: take the attributes of the project you were given."
            )
            return None
        default, anchor, description = (given.get(one, "") for one in ("default_option_id", "anchor_id", "desc"))
        texts = [one if isinstance(one, str) else "" for one in (default, anchor, description)]
        return Attribute(given["aname"], tuple(map(str, names)), Kind(kind), (), texts[0], texts[1] or REGION, texts[2])

    def files(self, given: dict[str, Any]) -> dict[str, ViaFile]:
        found: dict[str, ViaFile] = {}
        names: set[str] = set()
        for key, one in given.items():
            what = f"file {visible(key, 20)!r}"
            name = one.get("fname") if isinstance(one, dict) else None
            if not isinstance(name, str) or not name or "/" in name or "\\" in name or not name.isprintable():
                self.refuse(what, "It has no plain file name: start again from the project you were given.")
            elif str(one.get("fid")) != key:
                self.refuse(
                    what,
                    f"Its fid {visible(str(one.get('fid')), 20)!r} is not its key: start again from the project you were given.",
                )
            elif one.get("type") != IMAGE:
                self.refuse(what, "It is no image: label the frames, not the video.")
            elif name in names:
                self.refuse(what, f"{visible(name, 80)} is listed twice: start again from the project you were given.")
            else:
                loc, source = one.get("loc"), one.get("src")
                names.add(name)
                found[key] = ViaFile(
                    name, IMAGE, loc if loc in (1, 2, 3, 4) else 1, source if isinstance(source, str) else ""
                )
        return found

    def views(self, given: dict[str, Any], project: Project) -> None:
        for key, one in given.items():
            ids = one.get("fid_list") if isinstance(one, dict) else None
            if not isinstance(ids, list) or len(ids) != 1 or str(ids[0]) not in project.files:
                self.refuse(
                    f"view {visible(key, 20)!r}",
                    "It does not show one file of the project: start again from the project you were given.",
                )
            else:
                project.views[key] = (str(ids[0]),)

    def expected(self, frames: Sequence[str], project: Project, *, moved: bool) -> list[str]:
        """The frames that are not there. ``moved``: numbers say nothing, because the project has frames of before."""
        have = {one.name for one in project.files.values()}
        lacking = [name for name in frames if name not in have]
        for key, one in list(project.files.items()):
            if one.name not in frames:
                self.refuse(f"file {key!r}", f"{visible(one.name, 80)} is no frame to label of this crop: remove it.")
            elif not (moved or lacking) and key != str(frames.index(one.name) + 1):
                self.refuse(
                    f"file {key!r}",
                    f"{one.name} should be file {frames.index(one.name) + 1}: its labels are taken by its name, so nothing is lost.",
                )
        return lacking

    def region(self, key: str, given: object, project: Project) -> Region | None:
        what = f"region {visible(key, 40)!r}"
        view = given.get("vid") if isinstance(given, dict) else None
        view = str(view) if isinstance(view, int) and not isinstance(view, bool) else view
        if not isinstance(given, dict) or not isinstance(view, str) or view not in project.views:
            self.refuse(what, "Its view is not in the project: draw the box again on its frame.")
            return None
        frame = project.files[project.views[view][0]].name
        what = f"{what} on {frame}"
        box = self.box(given.get("xy"), frame)
        if isinstance(box, str):
            self.refuse(what, box)
            return None
        if given.get("z") not in (None, []):
            self.refuse(what, "It has times, which frames do not have: draw the box again without them.")
            return None
        problem, choices = self.choices(None if self.boxes_only else given.get("av"), project)
        for one in problem:
            self.refuse(what, one)
        return None if problem else Region(view, box, choices)

    def box(self, xy: object, frame: str) -> tuple[float, float, float, float] | str:
        if not isinstance(xy, list) or len(xy) != 5 or isinstance(xy[0], bool) or xy[0] != RECTANGLE:
            return "It is no rectangle: draw a rectangle around the person."
        numbers = [number(one) for one in xy[1:]]
        if any(one is None for one in numbers):
            return "Its place is not four numbers: draw the box again."
        x, y, width, height = (float(one) for one in numbers if one is not None)
        if width <= 0 or height <= 0:
            return "Its width or height is not above 0: draw the box again."
        if self.size_of is not None:
            if (size := self.size_of(frame)) is None:
                return "The size of its frame is unknown: put the frame beside the project."
            if min(x, y) < -_EDGE or x + width > size.width + _EDGE or y + height > size.height + _EDGE:
                return f"It leaves the frame of {size.width}x{size.height} pixels: move it inside."
        return x, y, width, height

    def choices(self, given: object, project: Project) -> tuple[list[str], dict[str, str]]:
        if given is not None and not isinstance(given, dict):
            return ["Its choices are no object: label the box again."], {}
        problems, found = [], {}
        for key, chosen in (given or {}).items():
            chosen = (
                ",".join(sorted(one for one, on in chosen.items() if on is True))
                if isinstance(chosen, dict)
                else chosen
            )
            attribute = project.attributes.get(key)
            if attribute is None:
                problems.append(
                    f"It has a choice for the unknown attribute {visible(key, 20)!r}: take the attributes of the project you were given."
                )
            elif not isinstance(chosen, str):
                problems.append(f"Its choice for {visible(attribute.name, 40)!r} is no text: label the box again.")
            elif wrong := next(self.wrong(attribute, chosen), None):
                problems.append(wrong)
            else:
                found[key] = chosen
        return problems, found

    @staticmethod
    def wrong(attribute: Attribute, chosen: str) -> Iterator[str]:
        """Why a choice does not fit its attribute, if it does not."""
        name = visible(attribute.name, 40)
        ids = chosen.split(",") if chosen else []
        if attribute.kind not in _CHOICES:
            return
        known = {str(place) for place in range(len(attribute.options))}
        for one in ids:
            if one not in known:
                yield f"Its choice {visible(one, 20)!r} is no option of {name!r}: label the box again."
        if len(set(ids)) < len(ids):
            yield f"It has a choice of {name!r} twice: label the box again."
        if len(ids) > 1 and attribute.kind != Kind.CHECKBOX:
            yield f"It has {len(ids)} choices of {name!r}, where one is allowed: label the box again."
