"""Checks of a YAML whose labels are in groups: its lists are JSON, each group has its own, and clips lie in no class folder."""

from __future__ import annotations

from collections.abc import Iterator

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.problem import Where


def list_files(spec: DatasetSpec) -> Iterator[tuple[Where, tuple[str, ...], str]]:
    """Where a name of a list stands, the placeholders that it may have besides those of all lists, and the name."""
    for key, name in spec.lists.items():
        yield ("lists", key), (), name
    for key, name in spec.group_lists.items():
        yield ("group_lists", key), ("group",), name
    for key, name in spec.aliases.items():
        yield ("aliases", key), ("group",) if key in spec.group_lists else (), name


def group_problems(spec: DatasetSpec) -> Iterator[tuple[Where, str]]:
    """Place and sentence of each error."""
    for key, name in spec.group_lists.items():
        where: Where = ("group_lists", key)
        if not spec.labels.groups:
            yield where, "the labels have no groups (labels.groups): leave it out"
        elif key not in ("videos", "rawframes") or key not in spec.lists:
            yield where, f"there is no list '{key[:40]}' of videos or rawframes beside which it could lie"
        elif "{group}" not in name:
            yield where, f"{name!r} lacks {{group}}: the lists of all groups would overwrite each other"
    if not spec.labels.groups:
        return
    if (total := sum(spec.labels.groups.values())) != (spec.labels.count or total):
        yield ("labels", "count"), f"it is {spec.labels.count}, and the groups together have {total}"
    for part, names in (("lists", spec.lists), ("group_lists", spec.group_lists), ("aliases", spec.aliases)):
        for key, name in names.items():
            if not name.endswith(".json"):
                yield (part, key), f"{name!r}: labels in groups stand in JSON only, so that it ends in .json"
    if "audio_features" in spec.lists:
        yield ("lists", "audio_features"), "there is no such list of labels in groups: leave it out"
    if spec.item.level != 1:
        yield ("item", "level"), "a clip with labels in groups has no class folder: level 1"
