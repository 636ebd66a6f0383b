"""What a family adds to a report: terms, expected tasks, and a section of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipquarry.datasets.model import DatasetSpec


@dataclass(frozen=True)
class Section:
    """A section of the page. ``collect`` reads a run and returns a dataclass of plain values, or None without data.

    ``collect`` gets the data set, the data root, the run's folder and the run's parameters. ``plots`` returns SVG by
    name. ``values`` returns what the template needs besides the dataclass, which it gets as ``data``.
    """

    key: str
    """Its key in ``report.json``."""
    template: Path
    collect: Callable[[DatasetSpec, Path, Path, Mapping[str, Any]], Any]
    plots: Callable[[Any], Mapping[str, str | None]]
    values: Callable[[Any, Path], Mapping[str, Any]]


@dataclass(frozen=True)
class Told:
    """A family's settings for the report.

    ``noun`` is what an item is. ``steps`` are shown as not run if they left nothing; ``leaves`` are stages with the
    pattern of their files. ``gates`` is the order of the gates. ``partial`` are parameters with which a run says
    little about the whole data set. ``lists``: a run writes list files.
    """

    noun: str = "clip"
    steps: tuple[str, ...] = ()
    leaves: tuple[tuple[str, str], ...] = ()
    gates: tuple[str, ...] = ()
    partial: tuple[str, ...] = ("limit",)
    lists: bool = True
    section: Section | None = None
