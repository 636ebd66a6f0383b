"""Suites over the sound of labelled clips and its features, in the gate ``frames``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.checks import CHECKS
from clipquarry.quality import disk
from clipquarry.quality.clip_suites import one_result, wanted_path
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.frame_suites import ITEM, is_off, made, on_disk
from clipquarry.quality.params import GateParams, share_of_several
from clipquarry.quality.tables import RunTables, among, pick, present
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

BANDS, RATE, HOP = 80, 16_000, 256
"""Of the features: their columns, samples per second, and samples from one frame to the next."""

LENGTH_TOLERANCE = 0.5
"""Seconds by which a sound may be longer or shorter than its clip: the blocks of a codec, and a late begin."""


def audio_suites(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    """Suites of the sound of ``clips`` (see :func:`clipquarry.quality.frame_suites.asked_clips`). The checks of a
    stage that was off are skipped; a layout without a folder for sound has none of them.
    """
    if "audio" not in spec.layout:
        return
    for step, wanted, make in (("audio", params.audio, _sound), ("audio_features", params.audio_features, _features)):
        if is_off(run, step, wanted):
            off = [(check.id, f"the {step} stage was off") for check in CHECKS if check.id.startswith(f"{step}.")]
            yield Suite(step, pd.DataFrame(), skipped=off)
        else:
            yield from make(spec, run, clips, data, params)


def _placed(
    spec: DatasetSpec, run: RunTables, step: str, suffix: str, table: pd.DataFrame, data: DataRoot
) -> list[Rule]:
    """Rules for a file per row: where it lies, and that it is the recorded one."""
    table["wanted_path"] = wanted_path(spec, step, table, suffixed=False) + suffix
    looked = disk.look(table, data.root, run.seed)
    table["disk"] = looked.problems
    path = {"column_A": "path", "column_B": "wanted_path"}
    return [Rule(f"{step}.path", EQUAL, path, show=("path", "wanted_path")), on_disk(step, looked.said)]


def _sound(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    rows = run.shards("audio", (*ITEM, "bytes", "sha256", "seconds", "clip_seconds", "peak_db", "silent"))
    yield one_result("audio.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    rows = pick(rows, among(rows["item_id"], clips["item_id"]))
    without = rows["reason"] == str(Reason.NO_AUDIO)
    yield made("audio", pick(rows, ~without), params)
    told = rows[["item_id", "evidence"]].assign(has_sound=~without)
    has = Rule("audio.has_sound", IN_SET, {"column": "has_sound", "value_set": [True]}, show=("evidence",))
    yield Suite("audio_has_sound", told, [has])
    table = pick(rows, present(rows))
    table["seconds_off"] = (table["seconds"] - table["clip_seconds"]).abs().round(6)
    length = {"column": "seconds_off", "max_value": LENGTH_TOLERANCE}
    yield Suite(
        "audio",
        table,
        [
            *_placed(spec, run, "audio", ".wav", table, data),
            Rule("audio.length", BETWEEN, length, show=("seconds", "clip_seconds"), worst_by="seconds_off"),
            Rule("audio.silent", IN_SET, {"column": "silent", "value_set": [False]}, show=("peak_db",),
                 max_share=share_of_several(params.silent_warn, len(table))),
        ],
    )  # fmt: skip


def _features(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    columns = (*ITEM, "bytes", "sha256", "frames", "bands", "lowest", "highest")
    rows, sound = run.shards("audio_features", columns), run.shards("audio", ("item_id", "status", "samples", "rate"))
    yield one_result("audio_features.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    sound = pick(sound, present(sound)).drop_duplicates("item_id").set_index("item_id")
    rows = pick(rows, among(rows["item_id"], clips["item_id"]) & among(rows["item_id"], pd.Series(sound.index)))
    yield made("audio_features", rows, params)
    table = pick(rows, present(rows))
    heard = sound.reindex(table["item_id"])
    samples = np.ceil(heard["samples"].to_numpy() * RATE / heard["rate"].to_numpy())
    table["wanted_frames"] = np.ceil(samples / HOP).astype("int64") + 1
    table["frames_off"] = (table["frames"] - table["wanted_frames"]).abs()
    shape = ("frames", "bands", "wanted_frames")
    yield Suite(
        "audio_features",
        table,
        [
            *_placed(spec, run, "audio_features", ".npy", table, data),
            Rule("audio_features.shape", IN_SET, {"column": "bands", "value_set": [BANDS]}, "bands", show=shape),
            # A rate that was brought to 48 kHz first may give a frame more or less.
            Rule("audio_features.shape", BETWEEN, {"column": "frames_off", "max_value": 1}, "frames", show=shape,
                 worst_by="frames_off"),
            Rule("audio_features.range", BETWEEN, {"column": "lowest", "min_value": 0, "max_value": 1}, "lowest",
                 show=("lowest", "highest")),
            Rule("audio_features.range", BETWEEN, {"column": "highest", "min_value": 0, "max_value": 1}, "highest",
                 show=("lowest", "highest")),
        ],
    )  # fmt: skip
