"""Family ``skeletons``: a sample is a sequence of people's key points, in a package of many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import HERE, DatasetSpec
from clipquarry.families.skeletons.options import SkeletonsOptions, skeletons_options
from clipquarry.families.skeletons.tasks import tasks
from clipquarry.pipeline.family import Family, Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.params import RunParams
    from clipquarry.pipeline.sample import Sample
    from clipquarry.quality.check import Check
    from clipquarry.report.section import Section


def params(spec: DatasetSpec) -> type[RunParams]:
    """The parameters of a run."""
    from clipquarry.families.skeletons.params import SkeletonsParams

    return SkeletonsParams


def defaults(spec: DatasetSpec) -> Mapping[str, Any]:
    """Defaults from the YAML: none."""
    return {}


def checks() -> tuple[Check, ...]:
    """The checks of the family's gates."""
    from clipquarry.families.skeletons.checks import CHECKS as OWN
    from clipquarry.quality.shared_checks import CHECKS

    return (*CHECKS, *OWN)


def needs(spec: DatasetSpec) -> Iterator[Problem]:
    """Keys of the YAML that a run needs."""
    if spec.layout.get("videos") != HERE:
        yield ("layout",), f"packages lie in the data set's folder itself: write 'videos: \"{HERE}\"'"
    if not spec.has_files:
        yield ("sources",), "a run of the family skeletons needs whole packages: a source of items with content: file"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Packages that no run of the family can fetch or read."""
    packages = skeletons_options(spec).packages
    for name, path in spec.splits.items():
        if name not in packages:
            yield ("splits", name), f"options.packages has no package '{name}'"
        if path != f"{name}.pkl":
            yield ("splits", name), f"a package is a file of its name: write {name}.pkl"
    for name, package in packages.items():
        if name not in spec.splits:
            yield ("options", "packages", name), "name its file in splits too"
        if package.boxes_of is not None and package.boxes_of not in packages:
            yield ("options", "packages", name, "boxes_of"), f"there is no package '{package.boxes_of}'"
    if spec.item.level != 1:
        yield ("item", "level"), "packages lie in no class folder: write 1"
    for key in ("lists", "parents"):
        if getattr(spec, key):
            yield (key,), "the family skeletons has none: leave it out"
    if any(source.archive for source in spec.item_sources):
        yield ("sources",), "packages are files of their own: the family skeletons unpacks no archive"


def tables() -> Mapping[str, Mapping[str, str]]:
    """The tables of the family's gates."""
    from clipquarry.families.skeletons.gate_tables import TABLES

    return TABLES


def sample() -> Sample:
    """Small packages of three kinds."""
    from clipquarry.families.skeletons.sample import SAMPLE

    return SAMPLE


def section() -> Section:
    """The section "Packages" of the report."""
    from clipquarry.families.skeletons.report.section import SECTION

    return SECTION


FAMILY = Family(
    name="skeletons",
    title="key points of people over time",
    options=SkeletonsOptions,
    noun=lambda spec: "package",
    params=params,
    defaults=defaults,
    tasks=tasks,
    media=frozenset({"package"}),
    checks=checks,
    needs=needs,
    problems=problems,
    sample=sample,
    section=section,
    tables=tables,
)
