"""Family ``segments``: a sample is a labelled interval of a long video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.step_files import frame_problems
from clipquarry.families.segments.options import FEATURES, SegmentsOptions, segments_options
from clipquarry.families.segments.readers import reader_of
from clipquarry.families.segments.tasks import tasks
from clipquarry.pipeline.family import Family, Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.params import RunParams
    from clipquarry.pipeline.sample import Sample
    from clipquarry.quality.check import Check
    from clipquarry.report.section import Section


def params(spec: DatasetSpec) -> type[RunParams]:
    """The parameters of a run."""
    from clipquarry.families.segments.params import SegmentsParams

    return SegmentsParams


def defaults(spec: DatasetSpec) -> Mapping[str, Any]:
    """Defaults from the YAML: none."""
    return {}


def checks() -> tuple[Check, ...]:
    """The checks of the family's gates."""
    from clipquarry.families.segments.checks import CHECKS as OWN
    from clipquarry.quality.shared_checks import CHECKS

    return (*CHECKS, *OWN)


def needs(spec: DatasetSpec) -> Iterator[Problem]:
    """Keys of the YAML that a run needs."""
    for key in ("videos", "rawframes") if spec.item.medium == "video" else ("videos",):
        if key not in spec.layout:
            yield ("layout",), f"a run of the family segments needs the folder '{key}' in it"
    if not spec.has_files:
        yield ("sources",), "a run of the family segments needs whole videos: a source of items with content: file"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Files and names that no run of the family can read or write."""
    yield from reader_of(spec).problems(spec)
    yield from frame_problems(spec, from_zero=True)
    if spec.item.level != 1:
        yield ("item", "level"), "a video has intervals of several classes, so that it lies in no class folder: write 1"
    options = segments_options(spec)
    if spec.labels.count not in (None, count := len(options.numbered())):
        named = "options.classes" if options.class_list is None else "options.class_list"
        yield ("labels", "count"), f"{named} names {count} classes, not {spec.labels.count}"
    if lacking := [key for key in FEATURES if key not in spec.layout] if FEATURES[-1] in spec.layout else []:
        yield (
            ("layout",),
            f"'{FEATURES[-1]}' is made of {' and '.join(FEATURES[:-1])}: name the folder '{lacking[0]}' too",
        )
    for index, split in enumerate(options.unlabelled):
        if split not in spec.splits:
            yield ("options", "unlabelled", index), f"the data set has no split '{split[:60]}'"
    if spec.lists:
        yield ("lists",), "the family segments writes no list files of videos: lists of proposals are named in options"
    for group, keys in _TEMPLATES.items():
        for key, hole in keys.items():
            text = getattr(getattr(options, group), key, None)
            if text is not None and (problem := _path_problem(text, hole, spec)):
                yield ("options", group, key), problem


_TEMPLATES: Mapping[str, Mapping[str, str]] = {
    "proposals": {"normalised": "split", "list": "split", "alias": "split"},
    "frame_lists": {"annotation": "", "videos": "split", "clips": "split"},
    "copies": {"here": "", "parts": "part"},
}
"""Paths in the options, each with its placeholder."""


def _path_problem(text: str, hole: str, spec: DatasetSpec) -> str | None:
    """Why a template cannot name a file of each split or part (or, without a placeholder, one file or folder)."""
    from clipquarry.datasets.problem import path_problem

    values = {"split": list(spec.splits), "part": ["full", *spec.splits]}.get(hole, [""])
    names = [text.replace(f"{{{hole}}}", value) for value in values] if hole else [text]
    if len(set(names)) < len(names):
        return f"{text!r} names one file for all {hole}s: write {{{hole}}} into it"
    if any("{" in name or "}" in name for name in names):
        return f"{text!r} holds another placeholder than {f'{{{hole}}}' if hole else 'none'}"
    return next((problem for name in names if (problem := path_problem(name))), None)


def tables() -> Mapping[str, Mapping[str, str]]:
    """The tables of the family's gates."""
    from clipquarry.families.segments.gate_tables import TABLES

    return TABLES


def sample() -> Sample:
    """A small THUMOS'14."""
    from clipquarry.families.segments.sample import SAMPLE

    return SAMPLE


def section() -> Section:
    """The section "Intervals" of the report."""
    from clipquarry.families.segments.report.section import SECTION

    return SECTION


FAMILY = Family(
    name="segments",
    title="a labelled interval of a long video",
    options=SegmentsOptions,
    noun=lambda spec: "video",
    params=params,
    defaults=defaults,
    tasks=tasks,
    media=frozenset({"video", "array"}),
    checks=checks,
    needs=needs,
    problems=problems,
    sample=sample,
    section=section,
    tables=tables,
)
