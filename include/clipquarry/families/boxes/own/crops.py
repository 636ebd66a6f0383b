"""The crops of a run: read from a list or made of the raw videos' folder, divided into splits, written as the catalog."""

from __future__ import annotations

import csv
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from clipquarry.annotations.catalog import write_catalog
from clipquarry.annotations.crop_list import Crop, crops_of, read_crops, video_name
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.labels import LabelIndex
from clipquarry.datasets.splits import TRAIN
from clipquarry.errors import UserError
from clipquarry.families.boxes import stages as common
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.files import write_json, writing
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.microseconds import SECOND, of, text
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.sources import folders_of
from clipquarry.pipeline.stage import tell_ledger

log = logging.getLogger(__name__)

VAL = "val"


def read_annotations(ctx: RunContext) -> dict[str, Any]:
    """Read which crops are wanted, write the catalog, begin the run in the ledger."""
    common.begin(ctx)
    rows = wanted_crops(ctx)
    crops = [row for row in rows if isinstance(row, Crop)]
    split_of = divide({crop.video_id for crop in crops}, ctx.chosen(CropsParams))
    table = OwnFiles(ctx.folder).crops
    write_crops(crops, split_of, table)

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        for row in rows:
            if isinstance(row, RejectedRow):
                if split == TRAIN:  # nobody knows whose it is
                    yield row
            elif split_of[row.video_id] == split:
                yield Item(row.line, row.video_id, row.name, None, row.start, row.end)

    made = write_catalog(dict.fromkeys(ctx.spec.splits, table), ctx.catalog, read, LabelIndex(()))
    counts = Counter(split_of[crop.video_id] for crop in crops)
    if ctx.chosen(CropsParams).val_is_train:
        log.info("All crops are train, and val becomes a copy of it, as asked: results on val say nothing.")
    elif VAL in ctx.splits and not counts[VAL]:
        log.info("No crop is of val: give it videos (val_videos), or add a second raw video.")
    write_json(ctx.place.catalog_file, {**made.as_json(), "obtained": [], "files": []})
    tell_ledger(ctx)
    log.info(f"{len(crops)} crops of {len(split_of)} raw videos, {len(rows) - len(crops)} lines that are none")
    return {"rows": made.rows}


def wanted_crops(ctx: RunContext) -> list[Crop | RejectedRow]:
    """The crops that the run names, and the lines that cannot be used. Raises UserError where there is none."""
    chosen = ctx.chosen(CropsParams)
    length = chosen.seconds * SECOND
    own = ctx.data.dataset(ctx.spec.root, next(iter(ctx.spec.splits.values())))
    path = Path(chosen.crops) if chosen.crops else own if chosen.start is None and own.is_file() else None
    if path is not None:
        rows = read_crops(path, length)
        if not any(isinstance(row, Crop) for row in rows):
            first = next((f", the first because {row.sentence}" for row in rows if isinstance(row, RejectedRow)), "")
            raise UserError(f"{path} names no crop that can be used{first}: write lines video,start,length.")
        return rows
    folders = [ctx.data.root / folder for folder in folders_of(ctx)]
    rows = crops_of(raw_videos(folders), of(chosen.start or 0), length)
    if not rows:
        places = " or ".join(map(str, folders)) or "any folder"
        told = f"No raw video lies in {places}: put them there, or name the crops in {own}."
        nothing = UserError(told)
        nothing.places = (own.parent, *folders)
        raise nothing
    refused = [row for row in rows if isinstance(row, RejectedRow)]
    if len(refused) == len(rows):
        why = f"the first is {refused[0].raw!r}, and {refused[0].sentence}"
        raise UserError(f"None of the raw videos ({len(rows)}) can be used: {why}.")
    return rows


def raw_videos(folders: Iterable[Path]) -> list[str]:
    """Names of the files of videos in folders, sorted; of two of one name the first folder's counts."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
        except OSError:
            continue  # a folder that is not there has none
        for name in names:
            if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES:
                found.setdefault(video_name(name), name)
    return sorted(found.values())


def divide(videos: set[str], chosen: CropsParams) -> dict[str, str]:
    """The split of each video. Drawn by a hash of seed and name, so that the order of the list does not matter; of two videos
    or more, each split has one. Raises UserError for a named video that has no crop.
    """
    if chosen.val_is_train:
        return dict.fromkeys(videos, TRAIN)
    if chosen.val_videos:
        if unknown := sorted(set(chosen.val_videos) - videos):
            raise UserError(f"No crop is of the video '{unknown[0]}', which val_videos names: correct one of the two.")
        return {video: VAL if video in chosen.val_videos else TRAIN for video in videos}
    order = sorted(videos, key=lambda video: hashlib.sha256(f"{chosen.seed}/{video}".encode()).hexdigest())
    count = min(max(1, round(chosen.val_share * len(order))), len(order) - 1) if chosen.val_share else 0
    return {video: VAL if place < count else TRAIN for place, video in enumerate(order)}


def write_crops(crops: Iterable[Crop], split_of: dict[str, str], path: Path) -> None:
    """The list as it was read, a crop a line in its order; seconds in the shortest form."""
    with writing(path) as handle:
        rows = csv.writer(handle, lineterminator="\n")
        rows.writerow(("video", "start", "length", "name", "split"))
        for crop in crops:
            rows.writerow((crop.video_id, text(crop.start), text(crop.length), crop.name, split_of[crop.video_id]))
