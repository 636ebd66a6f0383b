"""The step ``frames``: extracts the frames of every clip as a folder of JPEGs, and its optical flow in one decode."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
from pydantic import Field, model_validator

from clipquarry.files import disk_errors, link_or_copy
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.denseflow import needs_tool
from clipquarry.media.errors import MediaError
from clipquarry.media.flow import FlowMaker, FlowRecipe, FlowTool, FlowType, flow_problem
from clipquarry.media.frame_folder import (
    IMG,
    Pattern,
    count_frames,
    has_flow,
    list_frames,
    replace_folder,
    sweep,
    unfinished,
)
from clipquarry.media.frames import FrameFacts, FrameRecipe, extract_frames
from clipquarry.media.likeness import same_frames
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, StepParams
from clipquarry.steps.fields import CONTENT_FIELDS, PATH_FIELD
from clipquarry.steps.flow_notes import FLOW_FIELDS, FlowNotes
from clipquarry.steps.source_clip import SUFFIXES, SourceClip, find_clip, item_file, item_group, item_path
from clipquarry.store import Facts, content_key

KIND = "frames"

_FITS = "the frames that lay there fit and were kept"
_FIRST = ("short_edge", "width", "height", "fps", "quality")
_LATER = ("pattern", "start")
"""Fields that were added to the recipe later. At their defaults they are not in the key, so that keys do not change."""


def _plain(recipe: FrameRecipe) -> dict[str, Any]:
    """The recipe's key without the rule of the sizes."""
    defaults, made = asdict(FrameRecipe()), asdict(recipe)
    return {name: made[name] for name in (*_FIRST, *_LATER) if name in _FIRST or made[name] != defaults[name]}


def _in_key(recipe: FrameRecipe) -> dict[str, Any]:
    # Formerly, smaller clips were enlarged and long sides truncated unless "enlarge" and "even" said otherwise.
    if recipe.even:
        return _plain(recipe) | {"enlarge": False, "even": True}
    return _plain(recipe) | ({"rounded": True} if recipe.scales and not recipe.parity else {})


def _former_keys(recipe: FrameRecipe) -> list[dict[str, Any]]:
    """Keys of folders that earlier versions made by other rules. Many have the size of today's rule all the same."""
    if not recipe.scales or recipe.parity:
        return []
    plain = _plain(recipe)
    return [plain | {"even": True}] if recipe.even else [plain, plain | {"enlarge": False}]


class FramesParams(StepParams):
    """``videos`` and ``out`` are folders below ``root``; ``{split}`` in them is the split.

    ``width`` and ``height`` (both) come before ``short_edge``; ``short_edge`` 0 without them keeps the clip's size.
    ``fps`` 0 keeps every frame. ``quality`` is ffmpeg's JPEG scale, 1 (best) to 31. ``pattern`` names the frame files,
    ``start_index`` numbers the first one. Smaller clips keep their size; the long side is rounded, with ``even`` to an
    even number. ``parity`` enlarges and truncates as mmaction2's OpenCV script does. ``flow`` also makes the optical
    flow, of ``flow_type`` and with ``flow_tool``, from the same decode.
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
    start_index: Literal[0, 1] = 1
    parity: bool = False
    even: bool = False
    flow: bool = False
    flow_type: FlowType = "tvl1"
    flow_tool: FlowTool = "opencv"
    suffixes: tuple[str, ...] = SUFFIXES

    @model_validator(mode="before")
    @classmethod
    def _former(cls, value: Any) -> Any:
        # Plans of earlier versions name the rule of the sizes, which is now one for all.
        return {name: one for name, one in value.items() if name != "enlarge"} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _both(self) -> FramesParams:
        if bool(self.width) != bool(self.height):
            raise ValueError("a fixed frame size needs both width and height")
        if self.parity and self.even:
            raise ValueError("parity truncates the long side, even rounds it: choose one")
        if self.flow and (problem := flow_problem(self.flow_type, self.flow_tool)):
            raise ValueError(problem)
        return self

    @property
    def recipe(self) -> FrameRecipe:
        return FrameRecipe(
            self.short_edge, self.width, self.height, self.fps, self.quality, self.pattern, self.parity, self.even,
            self.start_index,
        )  # fmt: skip

    @property
    def flow_recipe(self) -> FlowRecipe | None:
        """None: no flow was asked for."""
        return FlowRecipe(self.flow_type, self.flow_tool) if self.flow else None


class FramesStep(Step[FramesParams]):
    """One frame folder per clip, in the data set's layout; the facts about it are noted in the store, those of its
    optical flow on their own. A folder with new frames has new flow, whatever was asked for: flow is never lost.
    """

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
        *FLOW_FIELDS,
    )
    params_model = FramesParams

    def __init__(self) -> None:
        self._maker = PerRun(lambda ctx: FlowMaker(ctx.jobs))

    def group_of(self, row: Row) -> str:
        return item_group(row)

    def key_params(self, params: FramesParams) -> dict[str, Any]:
        return params.model_dump(mode="json", exclude={"suffixes"})  # they say where the clip is, not what it is

    def preflight(self, ctx: StepContext[FramesParams]) -> None:
        ffmpeg()
        if ctx.params.flow:
            needs_tool(ctx.params.flow_tool)

    def run_group(self, rows: Sequence[Row], ctx: StepContext[FramesParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[FramesParams]) -> Outcome:
        source = self._source(row, ctx)
        if source is None:
            return Outcome.missing(Reason.NO_SOURCE, "the clip is not there")
        folder = self._folder(row, ctx)
        facts = self._intact(row["clip_id"], source, folder, ctx)
        if facts is not None:
            return Outcome(Status.KEPT, columns=self._columns(facts, ctx))
        try:
            with disk_errors(folder):
                made, flow, told = self._make(row["clip_id"], source, folder, ctx)
        except MediaError as error:
            return Outcome.failed(error.reason, error.evidence)
        facts = {**made.columns(), "path": str(folder.relative_to(ctx.data.root)), "source_sha256": source.sha256}
        ctx.store.note(KIND, row["clip_id"], self._store_key(source, folder, ctx, _in_key(ctx.params.recipe)), facts)
        status = Status.KEPT if told == _FITS and not flow else Status.DONE
        return Outcome(status, evidence=told, columns=self._columns(facts | flow, ctx))

    def _make(
        self, clip_id: str, source: SourceClip, folder: Path, ctx: StepContext[FramesParams]
    ) -> tuple[FrameFacts, Facts, str]:
        """The facts of the frames and of their flow, and evidence about an existing folder that no run made: its frames
        are kept when they fit, else it is moved away.
        """
        recipe, notes = ctx.params.recipe, self._notes(clip_id, folder, ctx)
        flow = ctx.params.flow_recipe or notes.recipe()
        sweep(folder)
        beside, told, noted = unfinished(folder), "", Facts()
        try:
            made = extract_frames(
                source.path, beside, recipe=recipe, flow=flow, maker=self._maker(ctx) if flow else None,
                cancelled=ctx.cancelled,
            )  # fmt: skip
            # Only now: a person, or another run, may have put one there meanwhile.
            if os.path.lexists(folder) and not (self._is_ours(clip_id, folder, ctx) and notes.is_ours()):
                try:
                    made, told = self._fitting(folder, beside, made, notes, recipe), _FITS
                except (MediaError, OSError) as error:
                    why = error.evidence if isinstance(error, MediaError) else error.strerror
                    moved = set_aside(ctx.data, folder)
                    told = f"the folder that lay there does not fit ({why}) and was moved to {moved}"
            if made.flow is not None and flow is not None:
                noted = notes.note(made.flow, flow, (made.frames, made.bytes), self.version)
            if told != _FITS or noted:
                replace_folder(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return made, noted, told

    @staticmethod
    def _fitting(folder: Path, beside: Path, made: FrameFacts, notes: FlowNotes, recipe: FrameRecipe) -> FrameFacts:
        """The facts of a person's frames that are those of ``beside``, where they take the place of ours if there is
        flow for them. Raises MediaError that says why they are not.
        """
        count, size = same_frames(folder, beside, made, recipe.pattern, start=recipe.start)
        if made.flow is not None:
            if count != made.frames:
                raise MediaError(Reason.TOOL_FAILED, f"{count} frames where the flow is that of {made.frames}")
            if has_flow(folder) and not notes.is_ours():
                raise MediaError(Reason.TOOL_FAILED, "the optical flow in it is of no run")
            for path in list_frames(beside, recipe.pattern):
                link_or_copy(folder / path.name, path)
        return replace(made, frames=count, bytes=size)

    @staticmethod
    def _is_ours(clip_id: str, folder: Path, ctx: StepContext[FramesParams]) -> bool:
        """Whether the folder matches the facts that a run noted of it, with any recipe and source."""
        where = str(folder.relative_to(ctx.data.root))
        there: list[tuple[int, int]] = []
        for pattern in get_args(Pattern):
            for start in (0, 1):
                with suppress(MediaError, OSError):
                    there.append(count_frames(folder, pattern, start))
        return any(
            facts.get("path") == where and (facts.get("frames"), facts.get("bytes")) in there
            for facts in ctx.store.all_noted(KIND, clip_id)
        )

    def _intact(self, clip_id: str, source: SourceClip, folder: Path, ctx: StepContext[FramesParams]) -> Facts | None:
        """The noted facts when the folder still has all its frames, contiguous and of the same total size, and the
        flow that is asked for; else None.
        """
        try:
            there = count_frames(folder, ctx.params.pattern, ctx.params.start_index)
        except (MediaError, OSError):
            return None
        facts = next(self._noted(clip_id, source, folder, there, ctx), None)
        flow = ctx.params.flow_recipe
        if facts is None or flow is None:
            return facts
        noted = self._notes(clip_id, folder, ctx).intact(flow, there, self.version)
        return None if noted is None else facts | noted | {"path": facts["path"]}

    def _noted(
        self, clip_id: str, source: SourceClip, folder: Path, there: tuple[int, int], ctx: StepContext[FramesParams]
    ) -> Iterator[Facts]:
        """The facts of the folder with so many frames and bytes, also those of an earlier rule that gave the same size."""
        recipe = ctx.params.recipe
        key = self._store_key(source, folder, ctx, _in_key(recipe))
        facts = ctx.store.noted(KIND, clip_id, key)
        if facts is not None and there == (facts.get("frames"), facts.get("bytes")):
            yield facts
        for former in _former_keys(recipe):
            facts = ctx.store.noted(KIND, clip_id, self._store_key(source, folder, ctx, former))
            if facts is None or there != (facts.get("frames"), facts.get("bytes")):
                continue
            with suppress(MediaError):
                video = probe(source.path, decode=False)
                if recipe.size(video.width, video.height) == (facts.get("width"), facts.get("height")):
                    ctx.store.note(KIND, clip_id, key, facts)
                    yield facts

    @staticmethod
    def _source(row: Row, ctx: StepContext[FramesParams]) -> SourceClip | None:
        path = item_file(ctx.data, ctx.params.root, ctx.params.videos, row, ctx.params.suffixes)
        return find_clip(ctx.store, row, path)

    @staticmethod
    def _folder(row: Row, ctx: StepContext[FramesParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.out, row)

    @staticmethod
    def _notes(clip_id: str, folder: Path, ctx: StepContext[FramesParams]) -> FlowNotes:
        return FlowNotes(ctx.data, clip_id, folder, ctx.params.start_index)

    def _store_key(
        self, source: SourceClip, folder: Path, ctx: StepContext[FramesParams], recipe: dict[str, Any]
    ) -> str:
        # One note per folder: other frames in the same folder must not match facts of an earlier recipe.
        where = str(folder.relative_to(ctx.data.root))
        return content_key(kind=KIND, version=self.version, source=source.sha256, folder=where, recipe=recipe)

    def _columns(self, facts: Facts, ctx: StepContext[FramesParams]) -> dict[str, Any]:
        told = facts | {"start_index": ctx.params.start_index}
        return {field.name: told.get(field.name) for field in self.fields}

    def still_holds(self, row: Row, result: Row, ctx: StepContext[FramesParams]) -> bool:
        source = self._source(row, ctx)
        return source is not None and self._intact(row["clip_id"], source, self._folder(row, ctx), ctx) is not None
