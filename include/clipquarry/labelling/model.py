"""The plain form of labelled clips: frames, people's boxes, actions. It knows no file format.

Boxes are ``x, y, w, h`` in pixels of the frame, top-left corner first, as in VIA. Seconds are counted from 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clipquarry.errors import UserError
from clipquarry.ids import id_problem

Box = tuple[float, float, float, float]

NAME = re.compile(r"[A-Za-z0-9_.:-]{1,80}\Z")
"""Ids of regions, attributes and options. VIA's (``image1_1``, ``2_Ab3dEf9h``) are of this form."""
MAX_FRAMES, MAX_REGIONS, MAX_OPTIONS, MAX_TEXT = 2_000, 20_000, 500, 200
MAX_TRACK = 10_000_000
RESERVED_KEYS = frozenset("acdfghjnprstxz?/")
"""Keys of the page's own commands; an action cannot have them."""
FREE_KEYS = "1234567890qweyuiopklvbm"


@dataclass(frozen=True)
class Option:
    """One action: its id within its attribute, its text, and the key of the page that sets it (empty: none)."""

    id: str
    text: str
    key: str = ""


@dataclass(frozen=True)
class Attribute:
    """A group of actions. ``several``: a person may do more than one of them at once."""

    id: str
    name: str
    options: tuple[Option, ...]
    several: bool = True


@dataclass(frozen=True)
class Frame:
    """A key frame: its image's file name, the second that it shows, width and height in pixels."""

    name: str
    second: int
    width: int
    height: int


@dataclass(frozen=True)
class Region:
    """A person in a frame. ``track``: the person's number in the clip, None where nobody has said it yet.

    ``labels``: attribute id to the ids of its chosen options, in the attribute's order; absent where none is chosen.
    """

    id: str
    frame: str
    box: Box
    track: int | None = None
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Clip:
    """A clip's key frames in order of their seconds, and its people in the order in which they were found or drawn."""

    id: str
    frames: tuple[Frame, ...]
    regions: tuple[Region, ...] = ()

    def on(self, wanted: Callable[[str], bool]) -> Clip:
        """The clip with some of its frames, chosen by their names, and their boxes."""
        frames = tuple(one for one in self.frames if wanted(one.name))
        return replace(self, frames=frames, regions=tuple(one for one in self.regions if wanted(one.frame)))


def with_keys(attributes: Iterable[Attribute]) -> tuple[Attribute, ...]:
    """The attributes with a key for every option, as far as keys go; keys that were given stay.

    Raises UserError for a key that two options have, or that the page needs.
    """
    attributes = tuple(attributes)
    given: dict[str, str] = {}
    for option in (one for attribute in attributes for one in attribute.options if one.key):
        if len(option.key) != 1 or option.key in RESERVED_KEYS or not option.key.isprintable() or option.key.isupper():
            raise UserError(
                f"The action {option.text!r} cannot have the key {option.key!r}: use one small letter or digit of {FREE_KEYS!r}."
            )
        if option.key in given:
            raise UserError(
                f"The actions {given[option.key]!r} and {option.text!r} have the key {option.key!r}: give each its own."
            )
        given[option.key] = option.text
    free = iter([key for key in FREE_KEYS if key not in given])
    return tuple(
        Attribute(
            one.id, one.name, tuple(Option(o.id, o.text, o.key or next(free, "")) for o in one.options), one.several
        )
        for one in attributes
    )  # fmt: skip


def check_attributes(attributes: tuple[Attribute, ...]) -> None:
    """Raise UserError for actions that nobody could choose between."""
    if not attributes or not all(one.options for one in attributes):
        raise UserError("The project has no actions, or a group without any: list at least one action in each group.")
    if sum(len(one.options) for one in attributes) > MAX_OPTIONS:
        raise UserError(f"The project has more than {MAX_OPTIONS} actions: leave some out.")
    _check_names("group", [one.id for one in attributes])
    for attribute in attributes:
        _check_names(f"action of the group {attribute.name!r}", [one.id for one in attribute.options])
        for text in (attribute.name, *(one.text for one in attribute.options)):
            if not text.strip() or len(text) > MAX_TEXT or not text.isprintable():
                raise UserError(
                    f"The text {text[:60]!r} cannot name an action: use 1 to {MAX_TEXT} printable characters."
                )


def check_clip(clip: Clip, attributes: tuple[Attribute, ...]) -> None:
    """Raise UserError for a clip that cannot be labelled: names, sizes, boxes, labels of no attribute."""
    if problem := id_problem(clip.id):
        raise UserError(f"The name of the clip {clip.id[:80]!r} {problem}: rename it.")
    if not clip.frames or len(clip.frames) > MAX_FRAMES or len(clip.regions) > MAX_REGIONS:
        raise UserError(
            f"The clip {clip.id} has no frame, or more than {MAX_FRAMES} frames or {MAX_REGIONS} boxes: cut it shorter."
        )
    frames = {one.name: one for one in clip.frames}
    for frame in clip.frames:
        if problem := id_problem(frame.name):
            raise UserError(f"The name of the frame {frame.name[:80]!r} of the clip {clip.id} {problem}: rename it.")
        if frame.width < 1 or frame.height < 1 or frame.second < 0:
            raise UserError(f"The frame {frame.name} of the clip {clip.id} has no size or a second below 0.")
    if len(frames) != len(clip.frames):
        raise UserError(f"Two frames of the clip {clip.id} have one name: give each its own.")
    _check_names(f"box of the clip {clip.id}", [one.id for one in clip.regions])
    for region in clip.regions:
        where = f"The box {region.id} of the clip {clip.id}"
        if region.frame not in frames:
            raise UserError(f"{where} is in the frame {region.frame[:80]!r}, which the clip has not.")
        problem = box_problem(region.box, frames[region.frame]) or track_problem(region.track)
        for attribute, options in region.labels.items():
            problem = problem or options_problem(attribute, options, attributes)
        if problem:
            raise UserError(f"{where} {problem}.")


def _check_names(what: str, names: list[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not NAME.match(name):
            raise UserError(
                f"The id {str(name)[:80]!r} of a {what} has other characters than letters, digits and '_.:-', or is too long."
            )
    if len(set(names)) != len(names):
        raise UserError(f"Two ids of a {what} are the same: give each its own.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def box_problem(box: Any, frame: Frame) -> str | None:
    """Why this cannot be a box in a frame, as the end of a sentence; None where it can. One pixel beyond the edge is allowed."""
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(_is_number, box)):
        return "has a box that is not four numbers"
    x, y, width, height = box
    if width <= 0 or height <= 0:
        return "has a box without width or height"
    if x < -1 or y < -1 or x + width > frame.width + 1 or y + height > frame.height + 1:
        return f"has a box that leaves its frame of {frame.width}x{frame.height} pixels"
    return None


def track_problem(track: Any) -> str | None:
    """Why this cannot be a person's number; None where it can."""
    if track is None:
        return None
    if not isinstance(track, int) or isinstance(track, bool) or not 0 <= track <= MAX_TRACK:
        return f"has a person's number that is no whole number from 0 to {MAX_TRACK}"
    return None


def options_problem(attribute: Any, options: Any, attributes: tuple[Attribute, ...]) -> str | None:
    """Why these cannot be the chosen options of an attribute; None where they can."""
    found = next((one for one in attributes if one.id == attribute), None)
    if found is None:
        return f"has labels of {str(attribute)[:60]!r}, which is no group of the project"
    known = {one.id for one in found.options}
    if not isinstance(options, list | tuple) or not all(isinstance(one, str) and one in known for one in options):
        return f"has a label that the group {found.name!r} has not"
    if len(set(options)) != len(options) or (len(options) > 1 and not found.several):
        return f"has more labels of the group {found.name!r} than it may"
    return None
