"""The step ``pool_features``: pools the scores of each video's clips, which a model has put beside the videos, to a csv of fixed length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from clipquarry.annotations.video_features import SUFFIXES, pooled_csv, read_pooled, read_scores
from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason
from clipquarry.steps.base import Outcome, StepContext, StepParams
from clipquarry.steps.fields import FILE_FIELDS, PATH_FIELD
from clipquarry.steps.layout_file import LayoutFileStep
from clipquarry.steps.source_clip import SourceClip, item_path
from clipquarry.store import Facts

_CLOSE = 1.0001e-4
"""Difference of two numbers of four decimals that another program's rounding makes."""


class PoolFeaturesParams(StepParams):
    """``rgb``, ``flow`` and ``out`` are folders below ``root``."""

    root: str
    rgb: str
    flow: str
    out: str


class PoolFeaturesStep(LayoutFileStep[PoolFeaturesParams]):
    """``{out}/{clip_id}.csv`` of the arrays ``{rgb}/{clip_id}.pkl`` and ``{flow}/{clip_id}.pkl`` (or ``.npy``), [T, 200] each."""

    name = "pool_features"
    version = 1
    fields = (
        PATH_FIELD,
        *FILE_FIELDS,
        pa.field("rgb_clips", pa.int32()),  # rows of the array of frames
        pa.field("flow_clips", pa.int32()),
    )
    params_model = PoolFeaturesParams
    kind = "pool_features"
    absent = "there are no scores of its clips"

    def preflight(self, ctx: StepContext[PoolFeaturesParams]) -> None:
        """No program is needed."""

    def _one(self, row: Row, ctx: StepContext[PoolFeaturesParams]) -> Outcome:
        found = {folder: self._arrays(folder, row, ctx) for folder in (ctx.params.rgb, ctx.params.flow)}
        for folder, paths in found.items():
            if len(paths) > 1:
                names = " and ".join(path.name for path in paths)
                told = f"{names} lie in {folder} for one video: remove the one that is wrong"
                return Outcome.failed(Reason.DUPLICATE, told)
        if (lacking := [folder for folder, paths in found.items() if not paths]) and len(lacking) < len(found):
            there = next(folder for folder in found if folder not in lacking)
            told = f"its scores lie in {there} alone: extract those of {lacking[0]} too"
            return Outcome.missing(Reason.NO_SOURCE, told)
        return super()._one(row, ctx)

    @staticmethod
    def _arrays(folder: str, row: Row, ctx: StepContext[PoolFeaturesParams]) -> list[Path]:
        """Files of a video's scores in one of the folders."""
        paths = (item_path(ctx.data, ctx.params.root, folder, row, suffix) for suffix in SUFFIXES)
        return [path for path in paths if path.is_file()]

    def _both(self, row: Row, ctx: StepContext[PoolFeaturesParams]) -> list[Path]:
        return [path for folder in (ctx.params.rgb, ctx.params.flow) for path in self._arrays(folder, row, ctx)]

    def source(self, row: Row, ctx: StepContext[PoolFeaturesParams]) -> SourceClip | None:
        paths = self._both(row, ctx)
        return SourceClip(paths[0], "+".join(map(sha256_of, paths))) if len(paths) == 2 else None

    def target(self, row: Row, ctx: StepContext[PoolFeaturesParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.out, row, ".csv")

    def make(self, row: Row, source: SourceClip, out: Path, ctx: StepContext[PoolFeaturesParams]) -> Facts:
        try:
            rgb, flow = map(read_scores, self._both(row, ctx))
            out.write_text(pooled_csv(rgb, flow), encoding="ascii", newline="")
            read_pooled(out)
        except UserError as error:
            raise MediaError(Reason.CORRUPT, str(error)) from error
        return {"rgb_clips": len(rgb), "flow_clips": len(flow)}

    def fits(self, there: Path, made: Path, facts: Facts) -> bool:
        """A csv with the same numbers, as the reference's own program writes it."""
        try:
            return bool(np.abs(read_pooled(there) - read_pooled(made)).max() <= _CLOSE)
        except UserError:
            return False
