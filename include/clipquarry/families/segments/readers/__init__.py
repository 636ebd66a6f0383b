"""Readers of annotation files: one module for each format. ``options.reader`` in the YAML names the module.

A module imports at its top only what describes a data set; function bodies import the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.segments.options import segments_options
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext


class Reader(Protocol):
    """Functions of a format's module; those of a format whose YAML has no ``options.copies`` lack :meth:`copies`."""

    def problems(self, spec: DatasetSpec) -> Iterator[Problem]:
        """Errors in the YAML that concern the reader's files."""

    def write_catalog(self, ctx: RunContext) -> dict[str, Any]:
        """Get the annotation files in place; write the catalog, a row for each annotated video, its labels, and the table of
        intervals. Returns the content of ``catalog.json``: ``rows``, ``splits``, ``label_names``, ``obtained``, ``files``.
        """

    def copies(self, ctx: RunContext, here: set[str]) -> dict[str, Any]:
        """The JSON values of the files of ``options.copies``, by their path below the data set's folder. ``here``: names of the
        videos that are there.
        """


def reader_of(spec: DatasetSpec) -> Reader:
    """The reader that a data set's YAML names."""
    return cast(Reader, import_module(f"clipquarry.families.segments.readers.{segments_options(spec).reader}"))
