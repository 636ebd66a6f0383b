"""Names of splits: ``train``, ``val``, ``test``; numbered where a data set has several divisions, ``train_split_2``.

The numbered names are the middle of the reference's list names: ``ucf101_train_split_2_videos.txt``. Where a data set is
made of several releases, their names come first: ``k400_train``, ``k700_2020_train``. Where the published folders have other names,
these are the splits': ``training`` is train, ``validation`` is val.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

TRAIN = "train"
_PUBLISHED = {"training": TRAIN, "validation": "val"}
_NUMBERED = re.compile(r"(?P<part>.+)_split_(?P<number>[0-9]+)\Z", re.ASCII)


_RELEASED = re.compile(r"(?P<release>[a-z0-9]+(?:_[0-9]{4})?)_(?P<part>train|val|test)\Z", re.ASCII)


def part_of(split: str) -> str:
    """``train`` of ``train_split_2``, of ``k400_train`` and of ``training``; else the name itself."""
    found = _NUMBERED.match(split) or _RELEASED.match(split)
    return found["part"] if found else _PUBLISHED.get(split, split)


def file_name(template: str, split: str, name: str, group: str = "") -> str:
    """The name of a split's file: ``{split}`` as it is called, ``{subset}`` what it is, ``{name}`` of the data set, ``{group}`` of
    labels.
    """
    return template.format(split=split, subset=part_of(split), name=name, group=group)


def release_of(split: str) -> str:
    """``k400`` of ``k400_train``; empty where the name begins with no release."""
    found = _RELEASED.match(split)
    return found["release"] if found else ""


def number_of(split: str) -> str:
    """``2`` of ``train_split_2``; empty where it has no number. Splits of one number divide the same items."""
    found = _NUMBERED.match(split)
    return found["number"] if found else ""


def is_train(split: str) -> bool:
    """Whether models are trained on it."""
    return part_of(split) == TRAIN


_ORDER = (TRAIN, "val", "test")


def ranks(splits: Iterable[str]) -> dict[str, int]:
    """The place of each split among those of its number: train, val, test, then the others by name."""
    found: dict[str, int] = {}
    seen: Counter[str] = Counter()
    for split in sorted(splits, key=lambda one: (_place(part_of(one)), one)):
        found[split] = seen[number_of(split)]
        seen[number_of(split)] += 1
    return found


def _place(part: str) -> int:
    return _ORDER.index(part) if part in _ORDER else len(_ORDER)


def reference_order(splits: Iterable[str], number: str) -> list[str]:
    """The train and the val splits of a number, in the order in which the reference makes their lists."""
    found = [split for split in splits if number_of(split) == number]
    return [split for part in (TRAIN, "val") for split in found if part_of(split) == part]


def train_splits(splits: Iterable[str]) -> list[str]:
    """Those that models are trained on, in order."""
    return [split for split in splits if is_train(split)]
