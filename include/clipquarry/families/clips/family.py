"""Family ``clips``: a sample is a labelled clip of a video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.step_files import clip_problems, frame_problems
from clipquarry.families.clips.options import ClipsOptions, clips_options
from clipquarry.families.clips.readers import reader_of
from clipquarry.families.clips.tasks import tasks
from clipquarry.pipeline.family import Family, Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.params import RunParams
    from clipquarry.pipeline.sample import Sample
    from clipquarry.quality.check import Check


def params(spec: DatasetSpec) -> type[RunParams]:
    """The parameters of a run."""
    from clipquarry.families.clips.params import ClipsParams

    return ClipsParams


def defaults(spec: DatasetSpec) -> Mapping[str, Any]:
    """Defaults from the YAML."""
    return {"short_edge": spec.recipe.short_edge, "frame_rate": clips_options(spec).frames.rate}


def checks() -> tuple[Check, ...]:
    """The checks of the family's gates."""
    from clipquarry.families.clips.checks import CHECKS as OWN
    from clipquarry.quality.shared_checks import CHECKS

    return (*CHECKS, *OWN)


def needs(spec: DatasetSpec) -> Iterator[Problem]:
    """Keys of the YAML that a run needs."""
    if "videos" not in spec.layout:
        yield ("layout",), "a run of the family clips needs the folder 'videos' in it"
    if "videos" not in spec.lists:
        yield ("lists",), "a run of the family clips needs the name of the list 'videos' in it"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Files and names that no run of the family can read or write."""
    yield from reader_of(spec).problems(spec)
    yield from clip_problems(spec)
    yield from frame_problems(spec)


def sample() -> Sample:
    """A small Kinetics."""
    from clipquarry.families.clips.sample import SAMPLE

    return SAMPLE


FAMILY = Family(
    name="clips",
    title="a labelled clip",
    options=ClipsOptions,
    noun=lambda spec: "clip",
    params=params,
    defaults=defaults,
    tasks=tasks,
    checks=checks,
    needs=needs,
    problems=problems,
    sample=sample,
)
