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
    from clipquarry.report.section import Section


def params(spec: DatasetSpec) -> type[RunParams]:
    """The parameters of a run."""
    from clipquarry.families.clips.params import ClipsParams, FoldersParams, ReleasesParams

    if clips_options(spec).holds:
        from clipquarry.families.clips.mixed.params import MixedParams

        return MixedParams
    if clips_options(spec).releases:
        return ReleasesParams
    return FoldersParams if spec.has_folders else ClipsParams


def defaults(spec: DatasetSpec) -> Mapping[str, Any]:
    """Defaults from the YAML."""
    if spec.has_folders or clips_options(spec).holds:
        return {}
    return {"short_edge": spec.recipe.short_edge, "frame_rate": clips_options(spec).frames.rate}


def checks() -> tuple[Check, ...]:
    """The checks of the family's gates."""
    from clipquarry.families.clips.checks import CHECKS as OWN
    from clipquarry.families.clips.mixed.checks import CHECKS as MIXED
    from clipquarry.quality.shared_checks import CHECKS

    return (*CHECKS, *OWN, *MIXED)


def needs(spec: DatasetSpec) -> Iterator[Problem]:
    """Keys of the YAML that a run needs."""
    key = spec.items_in
    if key not in spec.layout:
        yield ("layout",), f"a run of the family clips needs the folder '{key}' in it"
    if key not in spec.lists:
        yield ("lists",), f"a run of the family clips needs the name of the list '{key}' in it"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Files and names that no run of the family can read or write."""
    yield from reader_of(spec).problems(spec)
    if spec.has_folders:
        if "frames" in clips_options(spec).model_fields_set:
            yield ("options", "frames"), "an item is a folder of frames, which stay as published: leave it out"
        if spec.item.rgb_pattern.endswith(".png"):
            yield ("item", "rgb_pattern"), "flow and videos are made of JPEGs: name frames .jpg"
        return
    yield from clip_problems(spec)
    yield from frame_problems(spec, from_zero=True)


def tables() -> Mapping[str, Mapping[str, str]]:
    """The tables of the family's gates."""
    from clipquarry.families.clips.gate_tables import TABLES

    return TABLES


def section() -> Section:
    """The section "Groups of labels" of the report, or "Sources"."""
    from clipquarry.families.clips.report.section import SECTION

    return SECTION


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
    section=section,
    tables=tables,
    media=frozenset({"video", "frames"}),
)
