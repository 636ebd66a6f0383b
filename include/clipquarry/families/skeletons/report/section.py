"""The section "Packages" of the report: samples, splits and benchmarks of each package, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.skeletons.options import PackageOptions, skeletons_options
from clipquarry.families.skeletons.pictures import as_text
from clipquarry.families.skeletons.run_files import SkeletonFiles
from clipquarry.files import known_object
from clipquarry.manifest import read_rows
from clipquarry.report.section import Section

MAX_FAULTS = 50
"""Faults of a package that are shown; faults.csv of the release has all of them."""


@dataclass(frozen=True)
class SplitRow:
    """A split of a package. ``published``: its published size in words."""

    name: str
    names: int
    published: str
    fits: bool
    classes: int


@dataclass(frozen=True)
class BenchmarkRow:
    """Two splits; ``shared``: samples of both."""

    name: str
    trained: int
    evaluated: int
    shared: int


@dataclass(frozen=True)
class FaultRow:
    """A sample, or a name in a split, with which something is wrong."""

    place: str
    name: str
    reason: str


@dataclass(frozen=True)
class Picture:
    """A sample over time. ``what`` is shown of it; ``image``: base64 of a PNG."""

    name: str
    label: int
    what: str
    image: str


@dataclass(frozen=True)
class PackageRow:
    """A package that was read. ``inside``: share of its 2D key points that lie in their picture; None: it has none."""

    name: str
    content: str
    samples: int
    frames: int
    classes: int
    inside: float | None
    numbers: str
    problem: str
    count: int
    splits: tuple[SplitRow, ...]
    benchmarks: tuple[BenchmarkRow, ...]
    faults: tuple[FaultRow, ...]
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Packages:
    """What the section shows."""

    packages: tuple[PackageRow, ...]
    problems: tuple[str, ...] = ()


def collect(spec: DatasetSpec, data: Path, folder: Path, params: Mapping[str, Any]) -> Packages | None:
    """The section of the run in ``folder``; None for a run that read no package."""
    place, problems = SkeletonFiles(folder), list[str]()
    names = place.read_packages()
    if not names:
        return None
    options = skeletons_options(spec).packages
    rows = tuple(_package(place, name, options[name], problems) for name in spec.splits if name in names)
    return Packages(rows, tuple(problems))


def _package(place: SkeletonFiles, name: str, options: PackageOptions, problems: list[str]) -> PackageRow:
    told = known_object(place.facts(name))
    points, outside = _whole(told.get("points")), _whole(told.get("outside"))
    numbers = told.get("numbers")
    return PackageRow(
        name, str(told.get("content", "")), _whole(told.get("samples")), _whole(told.get("frames")), _whole(told.get("classes")),
        1 - outside / points if points and options.coordinates == 2 else None, ", ".join(filter(None, numbers)) if isinstance(numbers, dict) else "",
        str(told.get("problem", "")), _whole(told.get("faults")),
        tuple(
            SplitRow(str(one.get("split")), _whole(one.get("names")), str(one.get("published", "")), one.get("fits") is True,
                     _whole(one.get("classes")))
            for one in _objects(told.get("splits"))
        ),
        tuple(
            BenchmarkRow(str(one.get("benchmark")), *(_whole(one.get(key)) for key in ("trained", "evaluated", "shared")))
            for one in _objects(told.get("benchmarks"))
        ),
        tuple(_faults(place, name, problems)),
        tuple(_pictures(place, name, told)),
    )  # fmt: skip


def _faults(place: SkeletonFiles, name: str, problems: list[str]) -> Iterator[FaultRow]:
    if not place.faults(name).exists():
        return
    try:
        for row in islice(read_rows(place.faults(name), ["place", "name", "reason"]), MAX_FAULTS):
            yield FaultRow(row["place"], row["name"], row["reason"])
    except (ClipquarryError, KeyError) as error:  # KeyError: a column is missing
        problems.append(f"The table of faults cannot be read: {error}")


def _pictures(place: SkeletonFiles, name: str, told: Mapping[str, Any]) -> Iterator[Picture]:
    for one in _objects(told.get("pictures")):
        if image := as_text(place, name, str(one.get("file", ""))):
            yield Picture(str(one.get("name", "")), _whole(one.get("label")), str(one.get("what", "key points")), image)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def plots(found: Packages) -> Mapping[str, str | None]:
    """None."""
    return {}


def _values(found: Packages, root: Path) -> Mapping[str, Any]:
    return {}


SECTION = Section("packages", Path(__file__).with_name("packages.html.j2"), collect, plots, _values)
