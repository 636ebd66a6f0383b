"""Readers of annotation files: one module for each format. ``options.reader`` in the YAML names the module.

A module imports at its top only what describes a data set; function bodies import the rest.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.families.clips.options import clips_options
from clipquarry.pipeline.family import Problem
from clipquarry.pipeline.nothing import NothingToDo

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext


class Reader(Protocol):
    """Functions and constants of a format's module."""

    NAMES: Literal["window", "tenths", "own"]
    """``window``: a clip is named ``{video_id}_{start:06d}_{end:06d}``, which gate and step check. ``tenths``: the same in
    tenths of a second, which the gate checks. ``own``: any name.
    """

    def problems(self, spec: DatasetSpec) -> Iterator[Problem]:
        """Errors in the YAML that concern the reader's files."""

    def write_catalog(self, ctx: RunContext) -> dict[str, Any]:
        """Download the annotation files and write the catalog with its labels. Returns the content of ``catalog.json``:
        ``rows``, ``splits``, ``label_names``, ``obtained``, ``files``.

        :func:`~clipquarry.annotations.catalog.write_catalog` does the second. It rejects items that no run could use.
        """


def write_beside(ctx: RunContext) -> list[Path]:
    """Files that a format's data sets have beside their lists, written from the annotations and what is on disk; most have none.

    A reader that has any brings a function of this name.
    """
    write = getattr(reader_of(ctx.spec), "write_beside", None)
    return [] if write is None else list(write(ctx))


def reader_of(spec: DatasetSpec) -> Reader:
    """The reader that a data set's YAML names."""
    return cast(Reader, import_module(f"clipquarry.families.clips.readers.{clips_options(spec).reader}"))


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """What the data set's reader returns. Raises :class:`UserError` where the reader itself fails."""
    reader = reader_of(ctx.spec)
    try:
        return reader.write_catalog(ctx)
    except (ClipquarryError, NothingToDo, OSError, MemoryError):
        raise
    except Exception as error:
        name = f"{clips_options(ctx.spec).reader}.py"
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(f"/{name}")
        ]
        where = "; ".join(getattr(error, "__notes__", ())) or "the annotation files"
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(
            f"The reader {name}{f', line {lines[-1]},' if lines else ''} failed on {where} ({said}): correct the reader, or the file."
        ) from error
