"""The step ``flow``: makes the optical flow of clips that are folders of frames, beside the frames.

Of clips that are videos, the step ``frames`` makes it from the decode of the frames.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import field_validator, model_validator

from clipquarry.files import disk_errors, link_or_copy
from clipquarry.frame_names import pattern_problem
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.denseflow import denseflow, needs_tool
from clipquarry.media.errors import MediaError
from clipquarry.media.flow import (
    FlowFacts,
    FlowMaker,
    FlowRecipe,
    FlowTool,
    FlowType,
    check_flow,
    flow_problem,
    grey_frames,
)
from clipquarry.media.frame_folder import (
    IMG,
    Named,
    frame_name,
    is_flow,
    list_frames,
    replace_folder,
    sweep,
    unfinished,
)
from clipquarry.media.probe import frame_size
from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, StepParams
from clipquarry.steps.fields import PATH_FIELD
from clipquarry.steps.flow_notes import FLOW_FIELDS, FlowNotes
from clipquarry.steps.source_clip import item_group, item_path
from clipquarry.store import Facts


class FlowParams(StepParams):
    """``frames``: the folder of frame folders below ``root``; ``{split}`` in it is the split. ``pattern`` names the
    frames, of which ``start_index`` is the first one's number: no other file of a folder is read. The flow lies beside
    them, numbered from the same index. ``suffix``: whether the clip's name has one that its folder lacks.
    """

    root: str
    frames: str = "rawframes_{split}"
    pattern: Named = IMG
    start_index: Literal[0, 1] = 1
    flow_type: FlowType = "tvl1"
    flow_tool: FlowTool = "opencv"
    suffix: bool = False

    @field_validator("pattern")
    @classmethod
    def _numbered(cls, value: str) -> str:
        if problem := pattern_problem(value):
            raise ValueError(problem)
        return value

    @field_validator("frames")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value:
            raise ValueError("name the folder of the frames")
        return value

    @model_validator(mode="after")
    def _possible(self) -> FlowParams:
        if problem := flow_problem(self.flow_type, self.flow_tool):
            raise ValueError(problem)
        return self

    @property
    def recipe(self) -> FlowRecipe:
        return FlowRecipe(self.flow_type, self.flow_tool)


class FlowStep(Step[FlowParams]):
    """The flow of one frame folder per clip. The folder is replaced whole, by one with links to the same frames."""

    name = "flow"
    version = 1
    fields = (
        PATH_FIELD,
        pa.field("frames", pa.int32()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        *FLOW_FIELDS,
    )
    params_model = FlowParams

    def __init__(self) -> None:
        self._maker = PerRun(lambda ctx: FlowMaker(ctx.jobs))

    def preflight(self, ctx: StepContext[FlowParams]) -> None:
        needs_tool(ctx.params.flow_tool)

    def group_of(self, row: Row) -> str:
        return item_group(row)

    def run_group(self, rows: Sequence[Row], ctx: StepContext[FlowParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[FlowParams]) -> Outcome:
        folder, recipe = self._folder(row, ctx), ctx.params.recipe
        notes = FlowNotes(ctx.data, row["clip_id"], folder, ctx.params.start_index)
        try:
            frames = self._frames(folder, ctx)
            if not frames:
                return Outcome.missing(Reason.NO_SOURCE, "the folder of frames is not there, or has no frames")
            known = len(frames), sum(path.stat().st_size for path in frames)
            facts = notes.intact(recipe, known, self.version)
            if facts is not None:
                size = frame_size(frames[0])
                return Outcome(Status.KEPT, columns=self._columns(facts, folder, len(frames), size, ctx))
            with disk_errors(folder):
                facts, size, told = self._make(folder, frames, known, notes, ctx)
        except MediaError as error:
            return Outcome.failed(error.reason, error.evidence)
        return Outcome(Status.DONE, evidence=told, columns=self._columns(facts, folder, len(frames), size, ctx))

    @staticmethod
    def _frames(folder: Path, ctx: StepContext[FlowParams]) -> list[Path]:
        """The frames in order. Raises MediaError if their numbers have a gap."""
        if not folder.is_dir():
            return []
        start, pattern = ctx.params.start_index, ctx.params.pattern
        found = list_frames(folder, pattern)
        for number, path in enumerate(found, start):
            if path.name != frame_name(number, pattern):
                raise MediaError(Reason.CORRUPT, f"{frame_name(number, pattern)} is not there, {path.name} is")
        return found

    def _make(
        self,
        folder: Path,
        frames: list[Path],
        known: tuple[int, int],
        notes: FlowNotes,
        ctx: StepContext[FlowParams],
    ) -> tuple[Facts, tuple[int, int], str]:
        """The noted facts, the frames' size, and evidence of flow that lay there and that no run made."""
        recipe, told = ctx.params.recipe, ""
        sweep(folder)
        work = unfinished(folder)
        work.mkdir()
        try:
            size = frame_size(frames[0])
            made = self._flow(frames, work, size, recipe, ctx)
            with os.scandir(folder) as entries:  # all that is no flow stays what it is
                for entry in entries:
                    if not is_flow(entry.name):
                        _keep(Path(entry.path), work / entry.name)
            ours = notes.is_ours()
            facts = notes.note(made, recipe, known, self.version)
            if not ours:
                told = f"the optical flow that lay there is of no run: a copy of the folder is {set_aside(ctx.data, folder)}"
            replace_folder(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return facts, size, told

    def _flow(
        self, frames: list[Path], work: Path, size: tuple[int, int], recipe: FlowRecipe, ctx: StepContext[FlowParams]
    ) -> FlowFacts:
        start, still = ctx.params.start_index, None
        if recipe.tool == "denseflow":
            denseflow(frames[0], frames, work, recipe, (0, 0), start, ctx.cancelled)
        else:
            greys = grey_frames(frames)
            _, still = self._maker(ctx).write(greys, work, recipe, start, ctx.cancelled)
        return check_flow(work, len(frames), size, start, still)

    @staticmethod
    def _folder(row: Row, ctx: StepContext[FlowParams]) -> Path:
        folder = item_path(ctx.data, ctx.params.root, ctx.params.frames, row)
        return folder.with_suffix("") if ctx.params.suffix else folder

    def _columns(
        self, facts: Facts, folder: Path, frames: int, size: tuple[int, int], ctx: StepContext[FlowParams]
    ) -> dict[str, Any]:
        told = facts | {
            "path": str(folder.relative_to(ctx.data.root)), "frames": frames, "width": size[0], "height": size[1],
        }  # fmt: skip
        return {field.name: told.get(field.name) for field in self.fields}

    def still_holds(self, row: Row, result: Row, ctx: StepContext[FlowParams]) -> bool:
        folder = self._folder(row, ctx)
        notes = FlowNotes(ctx.data, row["clip_id"], folder, ctx.params.start_index)
        try:
            frames = self._frames(folder, ctx)
        except MediaError:
            return False
        known = len(frames), sum(path.stat().st_size for path in frames)
        return notes.intact(ctx.params.recipe, known, self.version) is not None


def _keep(source: Path, target: Path) -> None:
    """The same file, link or folder under another name."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
    elif source.is_symlink():
        target.symlink_to(source.readlink())
    else:
        link_or_copy(source, target)
