"""Names of NTU RGB+D's samples: what they say, which release a sample belongs to, and its splits (specification 5.2).

``S001C002P003R002A013`` is setup 1, camera 2, subject 3, repetition 2, action 13; all numbers begin at 1. NTU RGB+D 120 holds all samples of
NTU RGB+D and adds setups 18 to 32, subjects 41 to 106 and actions 61 to 120. Lists of subjects, cameras and setups for training are those
of the two papers, as in mmaction2's ``tools/data/skeleton/gen_ntu_rgbd_raw.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from clipquarry.reasons import Reason

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})\Z", re.ASCII)
_SUBJECTS_60 = frozenset((1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38))
_SUBJECTS_120 = _SUBJECTS_60 | {
    45,
    46,
    47,
    49,
    50,
    *range(52, 60),
    70,
    74,
    78,
    *range(80, 87),
    89,
    *range(91, 96),
    97,
    98,
    100,
    103,
}
_CAMERAS_60 = frozenset((2, 3))
_TWO_PERSONS = frozenset((*range(50, 61), *range(106, 121)))


class SampleName(NamedTuple):
    """The numbers of a name, from 1 each."""

    setup: int
    camera: int
    subject: int
    repetition: int
    action: int

    @property
    def label(self) -> int:
        """Index of the action, from 0."""
        return self.action - 1

    @property
    def persons(self) -> int:
        """People that the action needs: 2 for the mutual ones (50 to 60, 106 to 120), else 1."""
        return 2 if self.action in _TWO_PERSONS else 1


@dataclass(frozen=True)
class Task:
    """A release that packages are made of. ``benchmarks``: whether a sample is for training; all others are for validation.
    ``missing``: the key in :data:`~clipquarry.annotations.name_lists.LISTS` of the samples without usable key points.
    ``most``: the highest numbers in names.
    """

    name: str
    title: str
    benchmarks: Mapping[str, Callable[[SampleName], bool]]
    missing: str
    most: SampleName

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits, as in the published packages."""
        return tuple(f"{benchmark}_{part}" for benchmark in self.benchmarks for part in ("train", "val"))


TASKS: Mapping[str, Task] = {
    "ntu60": Task(
        "ntu60",
        "NTU RGB+D",
        {"xsub": lambda name: name.subject in _SUBJECTS_60, "xview": lambda name: name.camera in _CAMERAS_60},
        "ntu60_missing",
        SampleName(17, 3, 40, 2, 60),
    ),
    "ntu120": Task(
        "ntu120",
        "NTU RGB+D 120",
        {"xsub": lambda name: name.subject in _SUBJECTS_120, "xset": lambda name: name.setup % 2 == 0},
        "ntu120_missing",
        SampleName(32, 3, 106, 2, 120),
    ),
}


def parse_name(name: str) -> SampleName:
    """The numbers of a name without suffix. Raises ValueError for any other text; numbers are not checked."""
    if not (found := _NAME.match(name)):
        raise ValueError("the name is not S, C, P, R and A with three digits each")
    return SampleName(*map(int, found.groups()))


def name_problem(name: SampleName, task: Task) -> tuple[Reason, str] | None:
    """Why a sample of this name is none of ``task``, or None: ``left_out`` for the other release's, ``bad_id`` for numbers that no release has."""
    if _within(name, task.most):
        return None
    for other in TASKS.values():
        if _within(name, other.most):
            return Reason.LEFT_OUT, f"the sample belongs to {other.title}, not to {task.title}"
    fields = zip(SampleName._fields, name, TASKS["ntu120"].most, strict=True)
    field, number, most = next((field, number, most) for field, number, most in fields if not 1 <= number <= most)
    return Reason.BAD_ID, f"the name says {field} {number}, where 1 to {most} are known"


def splits_of(name: SampleName, task: Task) -> tuple[str, ...]:
    """The sample's split in each benchmark: ``("xsub_train", "xview_val")``."""
    return tuple(f"{benchmark}_{'train' if trains(name) else 'val'}" for benchmark, trains in task.benchmarks.items())


def _within(name: SampleName, most: SampleName) -> bool:
    return all(1 <= number <= limit for number, limit in zip(name, most, strict=True))
