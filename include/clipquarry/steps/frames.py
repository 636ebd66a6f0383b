"""The step ``frames``: extracts the frames of every clip as a folder of JPEGs. It makes no optical flow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
from pydantic import Field, model_validator

from clipquarry.files import disk_errors
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_folder import IMG, Pattern, count_frames, replace_folder, sweep, unfinished
from clipquarry.media.frames import FrameFacts, FrameRecipe, extract_frames
from clipquarry.media.likeness import same_frames
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import Outcome, Step, StepContext, StepParams
from clipquarry.steps.fields import CONTENT_FIELDS, PATH_FIELD
from clipquarry.steps.source_clip import SourceClip, find_clip, item_path
from clipquarry.store import Facts, content_key

KIND = "frames"

_FITS = "the frames that lay there fit and were kept"
_LATER = ("pattern", "enlarge", "even")
"""Fields that were added to the recipe later. At their defaults they are not in the key, so that keys do not change."""


def _in_key(recipe: FrameRecipe) -> dict[str, Any]:
    defaults = asdict(FrameRecipe())
    return {name: value for name, value in asdict(recipe).items() if name not in _LATER or value != defaults[name]}


class FramesParams(StepParams):
    """``videos`` and ``out`` are folders below ``root``; ``{split}`` in them is the split.

    ``width`` and ``height`` (both) come before ``short_edge``; ``short_edge`` 0 without them keeps the clip's size.
    ``fps`` 0 keeps every frame. ``quality`` is ffmpeg's JPEG scale, 1 (best) to 31. ``pattern`` names the frame files.
    ``enlarge`` false leaves smaller clips as they are; ``even`` rounds the long side to an even number instead of down.
    """

    root: str
    videos: str = "videos_{split}"
    out: str = "rawframes_{split}"
    short_edge: int = Field(default=256, ge=0, le=4320)
    width: int = Field(default=0, ge=0, le=8192)
    height: int = Field(default=0, ge=0, le=8192)
    fps: float = Field(default=0.0, ge=0, le=240, allow_inf_nan=False)
    quality: int = Field(default=2, ge=1, le=31)
    pattern: Pattern = IMG
    enlarge: bool = True
    even: bool = False

    @model_validator(mode="after")
    def _both(self) -> FramesParams:
        if bool(self.width) != bool(self.height):
            raise ValueError("a fixed frame size needs both width and height")
        return self

    @property
    def recipe(self) -> FrameRecipe:
        return FrameRecipe(
            self.short_edge, self.width, self.height, self.fps, self.quality, self.pattern, self.enlarge, self.even
        )


class FramesStep(Step[FramesParams]):
    """One frame folder per clip, in the data set's layout; the facts about it are noted in the store."""

    name = "frames"
    version = 1
    fields = (
        PATH_FIELD,
        pa.field("frames", pa.int32()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("fps", pa.float64()),  # frames per second of the clip
        pa.field("source_duration", pa.float64()),  # seconds
        *CONTENT_FIELDS,
    )
    params_model = FramesParams

    def preflight(self, ctx: StepContext[FramesParams]) -> None:
        ffmpeg()

    def run_group(self, rows: Sequence[Row], ctx: StepContext[FramesParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[FramesParams]) -> Outcome:
        source = self._source(row, ctx)
        if source is None:
            return Outcome.missing(Reason.NO_SOURCE, "the clip is not there")
        folder = self._folder(row, ctx)
        key = self._store_key(source, folder, ctx)
        facts = self._intact(row["clip_id"], key, folder, ctx)
        if facts is not None:
            return Outcome(Status.KEPT, columns=self._columns(facts))
        try:
            with disk_errors(folder):
                made, told = self._make(row["clip_id"], source, folder, ctx)
        except MediaError as error:
            return Outcome.failed(error.reason, error.evidence)
        facts = {**made.columns(), "path": str(folder.relative_to(ctx.data.root)), "source_sha256": source.sha256}
        ctx.store.note(KIND, row["clip_id"], key, facts)
        return Outcome(Status.KEPT if told == _FITS else Status.DONE, evidence=told, columns=self._columns(facts))

    def _make(
        self, clip_id: str, source: SourceClip, folder: Path, ctx: StepContext[FramesParams]
    ) -> tuple[FrameFacts, str]:
        """The folder's facts, and evidence about an existing folder that no run made: kept when it fits, else moved away."""
        recipe = ctx.params.recipe
        if not os.path.lexists(folder) or self._is_ours(clip_id, folder, ctx):
            return extract_frames(source.path, folder, recipe=recipe, cancelled=ctx.cancelled), ""
        sweep(folder)
        beside = unfinished(folder)
        try:
            made = extract_frames(source.path, beside, recipe=recipe, cancelled=ctx.cancelled)
            try:
                count, size = same_frames(folder, beside, made, recipe.pattern)
            except (MediaError, OSError) as error:
                why = error.evidence if isinstance(error, MediaError) else error.strerror
                told = f"the folder that lay there does not fit ({why}) and was moved to {set_aside(ctx.data, folder)}"
                replace_folder(beside, folder)
                return made, told
            return replace(made, frames=count, bytes=size), _FITS
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    @staticmethod
    def _is_ours(clip_id: str, folder: Path, ctx: StepContext[FramesParams]) -> bool:
        """Whether the folder matches the facts that a run noted of it, with any recipe and source."""
        where = str(folder.relative_to(ctx.data.root))
        there: list[tuple[int, int]] = []
        for pattern in get_args(Pattern):
            with suppress(MediaError, OSError):
                there.append(count_frames(folder, pattern))
        return any(
            facts.get("path") == where and (facts.get("frames"), facts.get("bytes")) in there
            for facts in ctx.store.all_noted(KIND, clip_id)
        )

    @staticmethod
    def _intact(clip_id: str, key: str, folder: Path, ctx: StepContext[FramesParams]) -> Facts | None:
        """The noted facts when the folder still has all its frames, contiguous and of the same total size, else None."""
        facts = ctx.store.noted(KIND, clip_id, key)
        if facts is None:
            return None
        try:
            there = count_frames(folder, ctx.params.pattern)
        except (MediaError, OSError):
            return None
        return facts if there == (facts.get("frames"), facts.get("bytes")) else None

    @staticmethod
    def _source(row: Row, ctx: StepContext[FramesParams]) -> SourceClip | None:
        path = item_path(ctx.data, ctx.params.root, ctx.params.videos, row, ".mp4")
        return find_clip(ctx.store, row, path)

    @staticmethod
    def _folder(row: Row, ctx: StepContext[FramesParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.out, row)

    def _store_key(self, source: SourceClip, folder: Path, ctx: StepContext[FramesParams]) -> str:
        # One note per folder: other frames in the same folder must not match facts of an earlier recipe.
        where = str(folder.relative_to(ctx.data.root))
        return content_key(
            kind=KIND, version=self.version, source=source.sha256, folder=where, recipe=_in_key(ctx.params.recipe)
        )

    def _columns(self, facts: Facts) -> dict[str, Any]:
        return {field.name: facts.get(field.name) for field in self.fields}

    def still_holds(self, row: Row, result: Row, ctx: StepContext[FramesParams]) -> bool:
        source = self._source(row, ctx)
        if source is None:
            return False
        folder = self._folder(row, ctx)
        return self._intact(row["clip_id"], self._store_key(source, folder, ctx), folder, ctx) is not None
