"""Family ``tubes``: a sample is a ground-truth tube, a box in each frame of a stretch of a video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.tubes.options import TubesOptions, tubes_options
from clipquarry.families.tubes.tasks import tasks
from clipquarry.frame_names import pattern_of
from clipquarry.pipeline.family import Family, Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.params import RunParams
    from clipquarry.pipeline.sample import Sample
    from clipquarry.quality.check import Check
    from clipquarry.report.section import Section

SPLITS = ("train", "test")
"""The ground truth has one list of videos for each."""


def params(spec: DatasetSpec) -> type[RunParams]:
    """The parameters of a run."""
    from clipquarry.families.tubes.params import TubesParams

    return TubesParams


def defaults(spec: DatasetSpec) -> Mapping[str, Any]:
    """Defaults from the YAML: none."""
    return {}


def checks() -> tuple[Check, ...]:
    """The checks of the family's gates."""
    from clipquarry.families.tubes.checks import CHECKS as OWN
    from clipquarry.quality.shared_checks import CHECKS

    return (*CHECKS, *OWN)


def needs(spec: DatasetSpec) -> Iterator[Problem]:
    """Keys of the YAML that a run needs."""
    if not spec.has_folders:
        yield ("item", "medium"), "a video of the family tubes is a folder of frames: write frames"
    if "rawframes" not in spec.layout:
        yield ("layout",), "a run of the family tubes needs the folder 'rawframes' in it"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Files and names that no run of the family can read."""
    for split, path in spec.splits.items():
        if split not in SPLITS:
            yield ("splits", split), f"the ground truth has lists of {' and '.join(SPLITS)} only"
        if PurePosixPath(path).suffix != ".pkl" or "/" in path:
            yield ("splits", split), f"{path!r}: the ground truth is a file .pkl in the data set's folder"
    if len(set(spec.splits.values())) > 1:
        yield ("splits",), "one file has all splits: name it for each"
    if spec.item.level != 2:
        yield ("item", "level"), "a video lies in the folder of its class: write 2"
    if spec.item.start_index != 1:
        yield ("item", "start_index"), "tubes number frames from 1: leave it out"
    options = tubes_options(spec)
    if pattern_of(options.flow_pattern) is None:
        yield (
            ("options", "flow_pattern"),
            f"{options.flow_pattern!r} names no image by its number, such as {{:05d}}.jpg",
        )
    if options.flow == spec.layout.get("rawframes"):
        yield ("options", "flow"), "flow has the names of frames, and cannot lie in their folder"
    if "{" in "".join((options.flow, spec.layout.get("rawframes", ""))):
        yield ("layout", "rawframes"), "one folder holds the frames of all splits: leave placeholders out"
    if spec.lists:
        yield ("lists",), "readers of tubes take the ground truth itself: leave list files out"


def tables() -> Mapping[str, Mapping[str, str]]:
    """The tables of the family's gates."""
    from clipquarry.families.tubes.gate_tables import TABLES

    return TABLES


def sample() -> Sample:
    """A small JHMDB."""
    from clipquarry.families.tubes.sample import SAMPLE

    return SAMPLE


def section() -> Section:
    """The section "Tubes" of the report."""
    from clipquarry.families.tubes.report.section import SECTION

    return SECTION


FAMILY = Family(
    name="tubes",
    title="a ground-truth tube of boxes",
    options=TubesOptions,
    noun=lambda spec: "video",
    params=params,
    defaults=defaults,
    tasks=tasks,
    media=frozenset({"frames"}),
    checks=checks,
    needs=needs,
    problems=problems,
    sample=sample,
    section=section,
    tables=tables,
)
