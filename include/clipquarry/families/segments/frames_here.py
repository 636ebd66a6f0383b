"""Frames of videos that are here, as lists count them, and why a video has none."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from clipquarry.datasets.model import DatasetSpec
from clipquarry.manifest import Row, read_rows
from clipquarry.pipeline.context import RunContext

NO_FRAMES, NOT_ASKED, NOT_ANNOTATED = "no_frames", "not_asked", "not_annotated"
"""Reasons of a video without frames, besides those for which the video itself is missing."""


def frames_folder(ctx: RunContext, split: str) -> Path:
    """The folder of a split's folders of frames."""
    return ctx.data.dataset(ctx.spec.root, ctx.spec.folder("rawframes", split))


def has_frames(ctx: RunContext, split: str) -> bool:
    """Whether any video has a folder of frames there."""
    folder = frames_folder(ctx, split)
    return folder.is_dir() and any(one.is_dir() and not one.name.startswith(".") for one in folder.iterdir())


def count_files(folder: Path | str, prefix: str) -> int:
    """Files whose names begin so, such as frames without their flow; 0 without a folder."""
    try:
        return sum(name.startswith(prefix) for name in os.listdir(folder))  # noqa: PTH208 - of thousands of names
    except (FileNotFoundError, NotADirectoryError):
        return 0


def counted_prefix(spec: DatasetSpec, rule: str) -> str:
    """How names of files begin that lists of frames count: those of frames, or all (``all_files``)."""
    return "" if rule == "all_files" else spec.item.rgb_prefix


class Results:
    """The results of a run's items, read when the first one is asked for: where every video has frames, none is."""

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx

    @cached_property
    def _known(self) -> dict[str, Row | None]:
        """Every item of the catalog with its result; None: it has none in this run."""
        columns = ("item_id", "status", "reason", "evidence")
        known: dict[str, Row | None] = {row["item_id"]: None for row in read_rows(self._ctx.catalog, ("item_id",))}
        return known | {row["item_id"]: row for row in read_rows(self._ctx.recorded, columns)}

    def why_no_frames(self, item: str) -> tuple[str, str]:
        """Reason and evidence for a video without frames."""
        if item not in self._known:
            return NOT_ANNOTATED, "the video has no temporal annotation, and no frames"
        row = self._known[item]
        if row is None:
            return NOT_ASKED, "the video is not among the items of this run, and has no frames"
        if row["status"] in ("done", "kept"):
            return NO_FRAMES, "the video is there, its frames are not"
        return str(row["reason"]), str(row["evidence"] or "")
