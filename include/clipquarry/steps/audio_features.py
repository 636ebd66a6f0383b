"""The step ``audio_features``: computes log-mel features of the wav file of every clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from clipquarry.files import sha256_of, write_new, writing
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.log_mel import features_of, features_problem
from clipquarry.reasons import Reason
from clipquarry.steps.audio import KIND as AUDIO
from clipquarry.steps.base import StepContext, StepParams
from clipquarry.steps.fields import FILE_FIELDS, PATH_FIELD
from clipquarry.steps.layout_file import LayoutFileStep, noted_file
from clipquarry.steps.source_clip import SourceClip, item_path
from clipquarry.store import Facts, content_key

KIND = "audio_features"
SUFFIX = ".npy"
_CLOSE = 1e-3
"""Difference of two numbers of 0 to 1 that resampling may make; the reference's own tolerance."""


class AudioFeaturesParams(StepParams):
    """``audio`` and ``out`` are folders below ``root``; ``{split}`` in them is the split.

    ``flat``: without class folders, as the reference has them. Clips of two classes with one name then collide.
    """

    root: str
    audio: str = "audios_{split}"
    out: str = "audio_features_{split}"
    flat: bool = False


class AudioFeaturesStep(LayoutFileStep[AudioFeaturesParams]):
    """``{out}/{class_dir}/{clip_id}.npy`` of every wav: float32, (frames, 80), 0 to 1, 62.5 frames a second."""

    name = "audio_features"
    version = 1
    fields = (
        PATH_FIELD,
        *FILE_FIELDS,
        pa.field("frames", pa.int32()),  # rows of the array
        pa.field("bands", pa.int32()),  # columns of the array
        pa.field("lowest", pa.float64()),  # of all numbers, read back from the file
        pa.field("highest", pa.float64()),
    )
    params_model = AudioFeaturesParams
    kind = KIND
    absent = "the clip has no wav file"

    def preflight(self, ctx: StepContext[AudioFeaturesParams]) -> None:
        """No program is needed."""

    def source(self, row: Row, ctx: StepContext[AudioFeaturesParams]) -> SourceClip | None:
        return self._wav(row, ctx, row["class_dir"])

    @staticmethod
    def _wav(row: Row, ctx: StepContext[AudioFeaturesParams], class_dir: str | None) -> SourceClip | None:
        path = item_path(ctx.data, ctx.params.root, ctx.params.audio, {**row, "class_dir": class_dir}, ".wav")
        if not path.is_file():
            return None
        noted = noted_file(ctx.store, AUDIO, row["clip_id"], path)
        return SourceClip(path, str(noted["sha256"]) if noted else sha256_of(path))

    def target(self, row: Row, ctx: StepContext[AudioFeaturesParams]) -> Path:
        there = {**row, "class_dir": None} if ctx.params.flat else row
        return item_path(ctx.data, ctx.params.root, ctx.params.out, there, SUFFIX)

    def occupied(self, row: Row, source: SourceClip, ctx: StepContext[AudioFeaturesParams]) -> str:
        """In a flat folder, the clip of another class with this name, as long as its wav is there and another one."""
        if not ctx.params.flat:
            return ""
        own, where = row["class_dir"] or "", str(self.target(row, ctx).relative_to(ctx.data.root))
        # Shards run at the same time, so that the first one's claim to the name must be a new file.
        claim = ctx.store.path(KIND, row["clip_id"], content_key(claim=where), ".class")
        claim.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_new(claim, own)
            return ""
        except FileExistsError:
            other = claim.read_text(encoding="utf-8")
        if other == own:
            return ""
        theirs = self._wav(row, ctx, other)
        if theirs is None:  # that clip is gone
            with writing(claim) as handle:
                handle.write(own)
        elif theirs.sha256 != source.sha256:
            return (
                f"the class {other!r} has a clip of this name too, and a flat folder holds only one: leave 'flat' out"
            )
        return ""

    def make(self, row: Row, source: SourceClip, out: Path, ctx: StepContext[AudioFeaturesParams]) -> Facts:
        made = features_of(source.path)
        with open(out, "wb") as handle:
            np.save(handle, made, allow_pickle=False)
        found = np.load(out, allow_pickle=False)
        if problem := features_problem(found) or ("" if np.array_equal(found, made) else "it is not what was written"):
            raise MediaError(Reason.TOOL_FAILED, f"the array just made is wrong: {problem}")
        return {
            "frames": len(found), "bands": found.shape[1], "lowest": float(found.min()), "highest": float(found.max()),
        }  # fmt: skip

    def fits(self, there: Path, made: Path, facts: Facts) -> bool:
        """An array of the same shape and nearly the same numbers, as the reference's own program writes it."""
        theirs, ours = (np.load(path, mmap_mode="r", allow_pickle=False) for path in (there, made))
        return (
            features_problem(theirs) is None
            and theirs.shape == ours.shape
            and bool(np.abs(theirs - ours).max() <= _CLOSE)
        )
