"""The step ``resize``: makes a copy of every clip with a given short side, for fast reading in training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field, field_validator

from clipquarry.datasets.model import Recipe
from clipquarry.errors import UserError
from clipquarry.files import disk_errors, link_or_copy, sha256_of
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.likeness import alike, frames, spread
from clipquarry.media.probe import header, probe
from clipquarry.media.resize import CONTAINERS, copy_problem, resize_clip
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import Outcome, Step, StepContext, StepParams
from clipquarry.steps.fields import MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.source_clip import SUFFIXES, SourceClip, find_clip, item_file, item_group, item_path
from clipquarry.store import Facts, content_key

KIND = "resized"
MP4 = ".mp4"


class ResizeParams(StepParams):
    """``videos`` and ``out`` are folders below ``root``; ``{split}`` in them is the split.

    A copy has its clip's suffix, as in the reference; with ``to_mp4``, and where the clip's container cannot hold
    H.264, it is an mp4.
    """

    root: str
    videos: str = "videos_{split}"
    out: str = "videos_{split}_256p_dense_cache"
    short_edge: int = Field(default=256, ge=16, le=4320)
    dense: bool = True
    remove_dup: bool = False
    recipe: Recipe = Recipe()
    to_mp4: bool = False
    suffixes: tuple[str, ...] = SUFFIXES

    @field_validator("short_edge")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd, and H.264 needs an even size: use {value - 1} or {value + 1}")
        return value


class ResizeStep(Step[ResizeParams]):
    """One resized copy per clip; shared through the store, so that a second data set links it."""

    name = "resize"
    version = 1
    fields = (*MEDIA_FIELDS, PATH_FIELD, pa.field("keyframe_gap", pa.int32()))
    params_model = ResizeParams

    def group_of(self, row: Row) -> str:
        return item_group(row)

    def key_params(self, params: ResizeParams) -> dict[str, Any]:
        left_out = {"suffixes"} if params.to_mp4 else {"suffixes", "to_mp4"}  # a later parameter changes no key
        return params.model_dump(mode="json", exclude=left_out)  # suffixes say where the clip is, not what it is

    def preflight(self, ctx: StepContext[ResizeParams]) -> None:
        ffmpeg()

    def run_group(self, rows: Sequence[Row], ctx: StepContext[ResizeParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[ResizeParams]) -> Outcome:
        source = self._source(row, ctx)
        if source is None:
            return Outcome.missing(Reason.NO_SOURCE, "the clip is not there")
        suffix, changed = self._suffix(row, source, ctx.params)
        key, target = self._store_key(source, ctx.params, suffix), self._target(row, ctx, suffix)
        facts = ctx.store.get(KIND, row["clip_id"], key, suffix)
        status, told = Status.KEPT, ""
        foreign = self._is_foreign(row["clip_id"], target, ctx)
        try:
            if facts is None and foreign:
                try:
                    facts = self._adopt(row["clip_id"], key, source, target, ctx, suffix)
                    foreign = False
                except MediaError as error:
                    told = f"the file that lay there does not fit ({error.evidence})"
            if facts is None:
                facts, status = self._make(row["clip_id"], key, source, ctx, suffix), Status.DONE
        except MediaError as error:
            return Outcome.failed(error.reason, error.evidence)
        if status is Status.DONE:  # that took a while: a person, or another run, may have put a file there
            foreign = self._is_foreign(row["clip_id"], target, ctx, str(facts["sha256"]))
        if foreign:
            told = f"{told or 'another file lay there'} and was moved to {set_aside(ctx.data, target)}"
        if self._place(ctx.store.path(KIND, row["clip_id"], key, suffix), target):
            status = Status.DONE
        return Outcome(
            status, evidence="; ".join(filter(None, (told, changed))), columns=self._columns(facts, target, ctx)
        )

    @classmethod
    def _is_foreign(cls, clip_id: str, target: Path, ctx: StepContext[ResizeParams], sha256: str = "") -> bool:
        """Whether something lies there that is no stored copy, nor the same as one with this sum."""
        if not os.path.lexists(target) or cls._is_ours(clip_id, target, ctx):
            return False
        with suppress(OSError):  # no file
            return not sha256 or sha256_of(target) != sha256
        return os.path.lexists(target)

    @staticmethod
    def _is_ours(clip_id: str, target: Path, ctx: StepContext[ResizeParams]) -> bool:
        """Whether the file is a link to a stored copy of any recipe, or on another disk a copy of one."""
        with suppress(OSError):  # a broken link
            there = target.stat()
            for facts in ctx.store.all_noted(KIND, clip_id):
                with suppress(OSError, UserError):  # facts of a deleted file, or edited by hand
                    suffix = str(facts.get("suffix", MP4))
                    stored = ctx.store.path(KIND, clip_id, str(facts.get("key")), suffix).stat()
                    same = (there.st_dev, there.st_ino) == (stored.st_dev, stored.st_ino)
                    if same or (there.st_dev != stored.st_dev and there.st_size == stored.st_size):
                        return True
        return False

    @staticmethod
    def _adopt(
        clip_id: str, key: str, source: SourceClip, target: Path, ctx: StepContext[ResizeParams], suffix: str
    ) -> Facts:
        """Store a resized copy that another program made. Raises MediaError that says why it does not fit."""
        params = ctx.params
        if not target.is_file():
            raise MediaError(Reason.NOT_A_VIDEO, "not a file")
        if CONTAINERS[suffix.lower()] not in (form := header(target).format).split(","):
            raise MediaError(Reason.CORRUPT, f"its container is {form}, whatever its suffix {suffix} says")
        found, clip = probe(target), probe(source.path)
        if problem := copy_problem(found, clip, params.short_edge, params.dense, params.remove_dup):
            raise MediaError(Reason.CORRUPT, problem)
        if found.frames == clip.frames:
            numbers = spread(found.frames)
            ours, theirs = frames(source.path, numbers), frames(target, numbers)
            if not all(number in theirs and alike(grey, theirs[number]) for number, grey in ours.items()):
                raise MediaError(Reason.CORRUPT, "it shows something else than the clip")
        path, temporary = ctx.store.path(KIND, clip_id, key, suffix), ctx.store.unfinished(suffix)
        try:
            with disk_errors(path):
                link_or_copy(target.resolve(), temporary)
                told = {**found.columns(), "keyframe_gap": found.keyframe_gap, "source_sha256": source.sha256}
                told |= {"source": "existing", "suffix": suffix}
                return ctx.store.put(KIND, clip_id, key, temporary, told, suffix)
        finally:
            temporary.unlink(missing_ok=True)

    def _make(self, clip_id: str, key: str, source: SourceClip, ctx: StepContext[ResizeParams], suffix: str) -> Facts:
        params = ctx.params
        path, temporary = ctx.store.path(KIND, clip_id, key, suffix), ctx.store.unfinished(suffix)
        try:
            with disk_errors(path):
                made = resize_clip(
                    source.path,
                    temporary,
                    short_edge=params.short_edge,
                    dense=params.dense,
                    remove_dup=params.remove_dup,
                    recipe=params.recipe,
                    container=CONTAINERS[suffix.lower()],
                    cancelled=ctx.cancelled,
                )
                told = {**made.columns(), "keyframe_gap": made.keyframe_gap, "source_sha256": source.sha256}
                return ctx.store.put(KIND, clip_id, key, temporary, {**told, "suffix": suffix}, suffix)
        finally:
            temporary.unlink(missing_ok=True)

    @staticmethod
    def _place(stored: Path, target: Path) -> bool:
        """Link the stored copy into the layout; True when the layout changed."""
        try:
            there, ours = target.stat(), stored.stat()
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                return False
            if there.st_dev != ours.st_dev and there.st_size == ours.st_size:
                return False  # a copy, on another disk
        except FileNotFoundError:
            pass
        return bool(link_or_copy(stored, target))

    @staticmethod
    def _source(row: Row, ctx: StepContext[ResizeParams]) -> SourceClip | None:
        path = item_file(ctx.data, ctx.params.root, ctx.params.videos, row, ctx.params.suffixes)
        return find_clip(ctx.store, row, path)

    @staticmethod
    def _suffix(row: Row, source: SourceClip, params: ResizeParams) -> tuple[str, str]:
        """The suffix of the copy, and evidence where it is another one than the clip's."""
        own = source.path.name.removeprefix(row["clip_id"])
        if params.to_mp4 or own.lower() in CONTAINERS:
            return (MP4, "") if params.to_mp4 else (own, "")
        return MP4, f"no {own} for H.264: the copy is an mp4"

    @staticmethod
    def _target(row: Row, ctx: StepContext[ResizeParams], suffix: str) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.out, row, suffix)

    def _store_key(self, source: SourceClip, params: ResizeParams, suffix: str) -> str:
        other = {} if suffix == MP4 else {"suffix": suffix}  # copies were mp4 at first, and keep their keys
        return content_key(
            kind=KIND, version=self.version, source=source.sha256, short_edge=params.short_edge, dense=params.dense,
            remove_dup=params.remove_dup, preset=params.recipe.preset, crf=params.recipe.crf,
            **other,
        )  # fmt: skip

    @staticmethod
    def _columns(facts: Facts, target: Path, ctx: StepContext[ResizeParams]) -> dict[str, Any]:
        names = [field.name for field in MEDIA_FIELDS] + ["keyframe_gap"]
        return {name: facts.get(name) for name in names} | {"path": str(target.relative_to(ctx.data.root))}

    def still_holds(self, row: Row, result: Row, ctx: StepContext[ResizeParams]) -> bool:
        source = self._source(row, ctx)
        if source is None:
            return False
        suffix, _ = self._suffix(row, source, ctx.params)
        key, target = self._store_key(source, ctx.params, suffix), self._target(row, ctx, suffix)
        facts = ctx.store.get(KIND, row["clip_id"], key, suffix)
        return facts is not None and target.exists() and target.stat().st_size == facts["bytes"] == result["bytes"]
