"""Groups of actions that a person chooses from, as attributes of a labelling project, and their numbers from 1.

An action's id is the number of options of all earlier attributes + its option id + 1. Source: VIA 3 (VGG Image Annotator) for
types and anchors; ``json_extract.py`` of Whiffe/Custom-ava-dataset_Custom-Spatio-Temporally-Action-Video-Dataset for the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from clipquarry.annotations.action_list import MAX_ACTION, read_action_list
from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError, unread

REGION = "FILE1_Z0_XY1"
"""VIA's anchor of an attribute that belongs to a region of a frame."""


class Kind(IntEnum):
    """VIA's types of attributes."""

    TEXT = 1
    CHECKBOX = 2
    RADIO = 3
    SELECT = 4
    IMAGE = 5


class Attribute(NamedTuple):
    """A group of actions: ``options`` are the names by option id, which count from 0; ``keys`` one key of the keyboard an option."""

    name: str
    options: tuple[str, ...]
    kind: Kind = Kind.CHECKBOX
    keys: tuple[str, ...] = ()
    default: str = ""
    anchor: str = REGION
    description: str = ""


Attributes = Mapping[str, Attribute]
"""By attribute id, ``"1"`` onwards."""


def in_order(ids: Iterable[str]) -> list[str]:
    """Attribute ids, decimal ones by value and before others."""
    return sorted(ids, key=lambda one: (not _whole(one), int(one) if _whole(one) else 0, one))


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def offsets(attributes: Attributes) -> dict[str, int]:
    """Attribute id to the number of options of all attributes before it."""
    done, found = 0, {}
    for one in in_order(attributes):
        found[one] = done
        done += len(attributes[one].options)
    return found


def action_names(attributes: Attributes) -> dict[int, str]:
    """Action id (from 1) to the option's name, in order."""
    names = (name for one in in_order(attributes) for name in attributes[one].options)
    return dict(enumerate(names, 1))


def attributes_of(groups: object, where: str = "The action groups") -> dict[str, Attribute]:
    """Attributes of a YAML's value: group name to a list of actions, or to ``{options: …, kind: radio}``.

    An option is a name, or ``{name: …, key: s}`` with its key. Raises :class:`UserError` that names the group.
    """
    if not isinstance(groups, Mapping) or not groups:
        raise UserError(f"{where} are empty: give each group a name and a list of actions.")
    found = {str(place): _attribute(name, value, where) for place, (name, value) in enumerate(groups.items(), 1)}
    _check(found, where)
    return found


def _attribute(name: object, value: object, where: str) -> Attribute:
    told = f"{where}: the group {visible(str(name), 60)!r}"
    kind = Kind.CHECKBOX
    if isinstance(value, Mapping):
        if unknown := sorted(str(key) for key in value if key not in ("options", "kind")):
            raise UserError(f"{told} has the unknown key {visible(unknown[0], 40)!r}: use options and kind.")
        given = value.get("kind", "checkbox")
        wanted = given.upper() if isinstance(given, str) else type(given).__name__
        if wanted not in ("CHECKBOX", "RADIO", "SELECT"):
            raise UserError(f"{told} has the kind {visible(wanted.lower(), 40)!r}: use checkbox, radio or select.")
        kind, value = Kind[wanted], value.get("options")
    if not isinstance(name, str) or not name.strip() or not isinstance(value, list) or not value:
        raise UserError(f"{told} needs a name and a list of actions.")
    options, keys = zip(*(_option(one, told) for one in value), strict=True)
    return Attribute(name, tuple(options), kind, tuple(keys) if any(keys) else ())


def _option(one: object, told: str) -> tuple[str, str]:
    if isinstance(one, str):
        return one, ""
    if isinstance(one, Mapping) and set(one) <= {"name", "key"} and isinstance(one.get("name"), str):
        given = one.get("key", "")
        key = str(given) if isinstance(given, str | int) else "no text"
        if len(key) > 1 or not key.isprintable() or key.isspace():
            raise UserError(f"{told}: the key {visible(key, 20)!r} is not one character.")
        return str(one["name"]), key
    raise UserError(f"{told}: a {type(one).__name__} is no action; give a name, or a name and a key.")


def _check(found: Attributes, where: str) -> None:
    names = action_names(found)
    if len(names) >= MAX_ACTION:
        raise UserError(f"{where} hold {len(names)} actions: at most {MAX_ACTION - 1} are possible.")
    seen: set[str] = set()
    for name in names.values():
        if not name.strip() or not name.isprintable() or '"' in name:
            raise UserError(f"{where}: the action {visible(name, 60)!r} is empty, or holds a quote or a line break.")
        if name in seen:
            raise UserError(f"{where}: the action {visible(name, 60)!r} is given twice: rename one.")
        seen.add(name)
    keys = [key for one in found.values() for key in one.keys if key]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise UserError(f"{where}: the key {twice[0]!r} is given to two actions: change one.")


class _Strict(yaml.SafeLoader):
    """Refuses references, which can make a short text endless, and a key that is given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds references (*name)")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [str(key.value) for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        if twice := [name for name in names if names.count(name) > 1]:
            raise yaml.YAMLError(f"{twice[0]!r} is given twice")
        return super().construct_mapping(node, deep)


def read_attributes(path: Path) -> dict[str, Attribute]:
    """Attributes of a file: ``.pbtxt`` gives one group of all actions, any other is YAML as :func:`attributes_of` takes it.

    A pbtxt's ids must be 1, 2, … without gaps, because a project's numbers are places. Raises :class:`UserError`.
    """
    if path.suffix == ".pbtxt":
        return of_action_list(read_action_list(path), str(path))
    try:
        value: Any = yaml.load(read_small(path, "list of actions"), Loader=_Strict)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no YAML ({visible(unread(error), 120)}): correct it.") from error
    return attributes_of(value, str(path))


def of_action_list(
    names: Mapping[int, str], where: str = "The action list", group: str = "action"
) -> dict[str, Attribute]:
    """One group of all actions of an action list, names by id from 1. Raises :class:`UserError` for ids with gaps."""
    if sorted(names) != list(range(1, len(names) + 1)):
        raise UserError(f"{where}: the ids are not 1 to {len(names)} without gaps: number the actions anew.")
    found = {"1": Attribute(group, tuple(names[action] for action in sorted(names)))}
    _check(found, where)
    return found
