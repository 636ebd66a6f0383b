"""The step ``encode_video``: makes a video of every item's folder of frames, for data sets that publish frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field, field_validator

from clipquarry.datasets.model import Recipe
from clipquarry.manifest import Row
from clipquarry.media.join_frames import PATTERN, Codec, find_frames, join_frames
from clipquarry.media.likeness import alike, frames, spread
from clipquarry.media.probe import probe
from clipquarry.steps.base import StepContext, StepParams
from clipquarry.steps.fields import MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.layout_file import LayoutFileStep
from clipquarry.steps.source_clip import SourceClip, item_path
from clipquarry.store import Facts

KIND = "encoded"
SUFFIX = ".mp4"


class EncodeVideoParams(StepParams):
    """``frames`` and ``out`` are folders below ``root``; ``{split}`` in them is the split.

    ``pattern`` names the frame files (other files do not count), ``start`` is the first one's number. ``fps`` frames are
    shown a second. ``recipe`` has preset and CRF of h264.
    """

    root: str
    frames: str = "rawframes"
    out: str = "videos"
    pattern: str = "%05d.jpg"
    start: int = Field(default=1, ge=0, le=1_000_000)
    fps: float = Field(default=12.0, gt=0, le=240, allow_inf_nan=False)
    codec: Codec = "mpeg4"
    recipe: Recipe = Recipe()

    @field_validator("pattern")
    @classmethod
    def _names_frames(cls, value: str) -> str:
        if not PATTERN.fullmatch(value):
            raise ValueError(f"{value!r} is no pattern of frame files such as %05d.jpg or img_%05d.jpg")
        return value


class EncodeVideoStep(LayoutFileStep[EncodeVideoParams]):
    """``{out}/{class_dir}/{clip_id}.mp4`` of every folder ``{frames}/{class_dir}/{clip_id}``."""

    name = "encode_video"
    version = 1
    fields = (*MEDIA_FIELDS, PATH_FIELD, pa.field("video_codec", pa.string()))
    params_model = EncodeVideoParams
    kind = KIND
    absent = "the folder of frames is not there"

    def recipe(self, params: EncodeVideoParams) -> dict[str, Any]:
        own = {"pattern": params.pattern, "start": params.start, "fps": params.fps, "codec": params.codec}
        return own | ({"preset": params.recipe.preset, "crf": params.recipe.crf} if params.codec == "h264" else {})

    def source(self, row: Row, ctx: StepContext[EncodeVideoParams]) -> SourceClip | None:
        folder = item_path(ctx.data, ctx.params.root, ctx.params.frames, row)
        if not folder.is_dir():
            return None
        return SourceClip(folder, find_frames(folder, ctx.params.pattern, ctx.params.start).digest)

    def target(self, row: Row, ctx: StepContext[EncodeVideoParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.out, row, SUFFIX)

    def make(self, row: Row, source: SourceClip, out: Path, ctx: StepContext[EncodeVideoParams]) -> Facts:
        params = ctx.params
        made = join_frames(
            find_frames(source.path, params.pattern, params.start),
            out,
            pattern=params.pattern,
            start=params.start,
            fps=params.fps,
            codec=params.codec,
            recipe=params.recipe,
            cancelled=ctx.cancelled,
        )
        return {**made.columns(), "video_codec": made.video_codec}

    def fits(self, there: Path, made: Path, facts: Facts) -> bool:
        """A video of the same codec, size, rate and frames, as the reference's own program writes it."""
        found = probe(there)
        if found.errors or found.video_codec != facts["video_codec"] or abs(found.fps - facts["fps"]) > 0.01:
            return False
        if (found.frames, found.width, found.height) != (facts["frames"], facts["width"], facts["height"]):
            return False
        numbers = spread(found.frames)
        ours, theirs = frames(made, numbers), frames(there, numbers)
        return all(number in theirs and alike(grey, theirs[number]) for number, grey in ours.items())
