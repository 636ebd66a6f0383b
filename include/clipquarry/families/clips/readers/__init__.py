"""Readers of annotation files: one module for each format. ``options.reader`` in the YAML names the module.

A module imports at its top only what describes a data set; function bodies import the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.options import clips_options
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext


class Reader(Protocol):
    """Functions and constants of a format's module."""

    NAMES: Literal["window", "own"]
    """``window``: a clip is named ``{video_id}_{start:06d}_{end:06d}``, which gate and step check. ``own``: any
    name.
    """

    def problems(self, spec: DatasetSpec) -> Iterator[Problem]:
        """Errors in the YAML that concern the reader's files."""

    def write_catalog(self, ctx: RunContext) -> dict[str, Any]:
        """Download the annotation files and write the catalog with its labels. Returns the content of ``catalog.json``:
        ``rows``, ``splits``, ``label_names``, ``obtained``, ``files``.
        """


def reader_of(spec: DatasetSpec) -> Reader:
    """The reader that a data set's YAML names."""
    return cast(Reader, import_module(f"clipquarry.families.clips.readers.{clips_options(spec).reader}"))
