"""The sample as the demo runs it, with a video of the user's where there is one, and the sentences on what it found."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from clipquarry.families.boxes.sample.data_set import YOURS, make_ava
from clipquarry.families.boxes.sample.videos import START, OwnVideo, own_video
from clipquarry.files import read_json
from clipquarry.pipeline.sample import Sample, Served
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot

DATASET = "ava_demo"
SHOWN = f"videos: people walk and watch from second {START} on, after one frame that is shown for a quarter of an hour"


def _make(folder: Path) -> Served:
    return replace(make_ava(folder), about=(SHOWN,))


def _with_video(path: Path) -> Sample:
    own = own_video(path)  # an unusable video is reported before any work
    return replace(SAMPLE, make=partial(_make_with, path, own))


def _make_with(path: Path, own: OwnVideo, folder: Path) -> Served:
    again = "" if own.seconds > YOURS.seconds - 1 else f" ({own.seconds:.1f} s, repeated)"
    yours = (
        f"your video: {path}{again} is {YOURS.name}, all of the split val. Nobody has labelled it: its key frames are "
        "excluded from every count, and the box in the report is the whole frame"
    )
    return replace(make_ava(folder, own), about=(SHOWN, yours))


def _results(data: DataRoot, run: str) -> Iterator[str]:
    """Per split, from the report: the key frames with proposals, and the labelled people that were detected."""
    boxes = read_json(RunFolder(data.run(DATASET, run)).report_json).get("boxes") or {}
    recall = {row["name"]: row for row in boxes.get("recall", ())}
    key_frames = {row["split"]: row["key_frames"] for row in boxes.get("splits", ())}
    for row in boxes.get("proposals", ()):
        split = row["split"]
        without = _without_frame(data, run, split)
        lost = f" ({without} have no frame: their video is missing or ends before them)" if without else ""
        said = f"people in {split}: {row['boxes']} proposals on {row['keys']} of {key_frames[split]} key frames{lost}"
        if split in recall:  # not where all is excluded
            truth = recall[split]
            said += f"; {truth['found'][0]} of {truth['persons']} labelled people overlap with one (IoU 0.5)"
        yield said


def _without_frame(data: DataRoot, run: str, split: str) -> int:
    """Key frames that the release leaves out."""
    table = data.release(DATASET) / run / f"left_out_of_ava_{split}_v2.2.csv"
    if not table.is_file():
        return 0
    with table.open(newline="") as handle:
        return sum(1 for _ in csv.DictReader(handle))


SAMPLE = Sample(
    dataset=DATASET,
    params={"shards": 1},
    make=_make,
    results=_results,
    files={"proposals": "annotations/ava_dense_proposals_*.hog.pkl"},
    with_video=_with_video,
)
