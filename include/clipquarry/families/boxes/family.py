"""Family ``boxes``: a sample is a person box with actions on a key frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from clipquarry.datasets.checks import web_problem
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.step_files import clip_problems, csv_problems, frame_problems
from clipquarry.families.boxes.options import BoxesOptions, Version, boxes_options
from clipquarry.families.boxes.tasks import tasks
from clipquarry.pipeline.family import Family, Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.params import RunParams
    from clipquarry.pipeline.sample import Sample
    from clipquarry.quality.check import Check
    from clipquarry.report.section import Section

EXCERPTS = ("mp4", "m4v", "mkv", "webm")
"""Containers that :mod:`clipquarry.media.excerpt` writes."""
VERSIONS = get_args(Version)


def noun(spec: DatasetSpec) -> str:
    """What an item is."""
    return "video" if boxes_options(spec).items == "videos" else "clip"


def params(spec: DatasetSpec) -> type[RunParams]:
    """The parameters of a run. Six-second clips have no detector, no merge and no choice of windows."""
    from clipquarry.families.boxes.own.params import CropsParams
    from clipquarry.families.boxes.params import BoxParams, VideosParams, WindowsParams

    models: dict[str, type[RunParams]] = {
        "videos": VideosParams, "windows": WindowsParams, "key_frames": BoxParams, "crops": CropsParams,
    }  # fmt: skip
    return models[boxes_options(spec).items]


def defaults(spec: DatasetSpec) -> Mapping[str, Any]:
    """Defaults from the YAML."""
    options = boxes_options(spec)
    if options.items == "key_frames":
        return {}
    detection = options.detection
    told: dict[str, Any] = {
        "detector": detection.backend, "score": detection.score, "proposals": detection.proposals,
    }  # fmt: skip
    return {**told, "version": spec.default_variant} if options.items == "videos" else told


def checks() -> tuple[Check, ...]:
    """The checks of the family's gates."""
    from clipquarry.families.boxes.checks import CHECKS as OWN
    from clipquarry.quality.shared_checks import CHECKS

    return (*CHECKS, *OWN)


def needs(spec: DatasetSpec) -> Iterator[Problem]:
    """Keys of the YAML that a run needs."""
    items = boxes_options(spec).items
    folders: dict[str, tuple[str, ...]] = {
        "videos": ("videos", "excerpts", "rawframes"), "crops": ("raw", "videos", "frames", "rawframes"),
    }  # fmt: skip
    for key in folders.get(items, ("videos", "rawframes")):
        if key not in spec.layout:
            yield ("layout",), f"a run of the family boxes with items: {items} needs the folder '{key}' in it"
    if items == "videos" and spec.default_variant not in (None, *VERSIONS):
        yield ("default_variant",), f"the versions of AVA are {' and '.join(VERSIONS)}"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Files and names that no run of the family can read or write."""
    items = boxes_options(spec).items
    yield from csv_problems(spec, "a run of the family boxes")
    for index, suffix in enumerate(spec.item.ext):
        if items == "videos" and suffix.lower() not in EXCERPTS:
            told = f"an excerpt has its video's suffix, and is written as {', '.join(EXCERPTS)}: not as {suffix}"
            yield ("item", "ext", index), told
    if items != "videos":
        yield from clip_problems(spec)
    checkpoint = boxes_options(spec).detection.checkpoint
    if checkpoint and "://" in checkpoint:
        yield from web_problem(("options", "detection", "checkpoint"), checkpoint)
    yield from frame_problems(spec)


def section() -> Section:
    """The section "Boxes" of the report."""
    from clipquarry.families.boxes.report.section import SECTION

    return SECTION


def tables() -> Mapping[str, Mapping[str, str]]:
    """The tables of the family's gates."""
    from clipquarry.families.boxes.gate_tables import TABLES

    return TABLES


def sample() -> Sample:
    """A small AVA."""
    from clipquarry.families.boxes.sample.demo import SAMPLE

    return SAMPLE


def more_samples() -> Mapping[str, Sample]:
    """A person's own AVA, labelled by a program."""
    from clipquarry.families.boxes.own.demo import SAMPLE

    return {"custom": SAMPLE}


FAMILY = Family(
    name="boxes",
    title="a person box with actions, on a key frame",
    options=BoxesOptions,
    noun=noun,
    params=params,
    defaults=defaults,
    tasks=tasks,
    checks=checks,
    needs=needs,
    problems=problems,
    sample=sample,
    more_samples=more_samples,
    tables=tables,
    section=section,
)
