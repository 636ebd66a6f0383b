"""The step ``audio``: extracts the sound of every clip as a wav file, at its own rate and with its own channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.manifest import Row
from clipquarry.media.audio import extract_audio, measure
from clipquarry.media.probe import probe
from clipquarry.steps.base import StepContext, StepParams
from clipquarry.steps.fields import FILE_FIELDS, PATH_FIELD
from clipquarry.steps.layout_file import LayoutFileStep
from clipquarry.steps.source_clip import SUFFIXES, SourceClip, find_clip, item_file, item_path
from clipquarry.store import Facts

KIND = "audio"


class AudioParams(StepParams):
    """``videos`` and ``out`` are folders below ``root``; ``{split}`` in them is the split."""

    root: str
    videos: str = "videos_{split}"
    out: str = "audios_{split}"
    suffixes: tuple[str, ...] = SUFFIXES


class AudioStep(LayoutFileStep[AudioParams]):
    """``{out}/{class_dir}/{clip_id}.wav`` of every clip; one without sound is ``missing`` / ``no_audio``."""

    name = "audio"
    version = 1
    fields = (
        PATH_FIELD,
        *FILE_FIELDS,
        pa.field("samples", pa.int64()),  # of each channel, counted by decoding
        pa.field("rate", pa.int32()),  # samples per second
        pa.field("channels", pa.int32()),
        pa.field("seconds", pa.float64()),  # samples / rate
        pa.field("peak_db", pa.float64()),  # the loudest sample, dB of full scale; -100 where all are zero
        pa.field("silent", pa.bool_()),  # the peak is below -60 dB
        pa.field("clip_seconds", pa.float64()),  # of the video stream
    )
    params_model = AudioParams
    kind = KIND
    absent = "the clip is not there"

    def key_params(self, params: AudioParams) -> dict[str, Any]:
        return params.model_dump(mode="json", exclude={"suffixes"})  # they say where the clip is, not what it is

    def source(self, row: Row, ctx: StepContext[AudioParams]) -> SourceClip | None:
        path = item_file(ctx.data, ctx.params.root, ctx.params.videos, row, ctx.params.suffixes)
        return find_clip(ctx.store, row, path)

    def target(self, row: Row, ctx: StepContext[AudioParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.out, row, ".wav")

    def make(self, row: Row, source: SourceClip, out: Path, ctx: StepContext[AudioParams]) -> Facts:
        clip = probe(source.path, decode=False)
        made = extract_audio(source.path, out, seconds=clip.duration, cancelled=ctx.cancelled)
        return {
            "samples": made.samples, "rate": made.rate, "channels": made.channels, "seconds": made.seconds,
            "peak_db": made.peak_db, "silent": made.silent, "clip_seconds": clip.duration, "digest": made.digest,
        }  # fmt: skip

    def fits(self, there: Path, made: Path, facts: Facts) -> bool:
        """The samples count; a person's ffmpeg writes its own name into the header."""
        found = measure(there)
        return (found.digest, found.rate, found.channels) == (facts["digest"], facts["rate"], facts["channels"])
