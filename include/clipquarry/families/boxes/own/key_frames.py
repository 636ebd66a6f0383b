"""The frames of the crops under the reference's names, and the key frames among them; all are links to one file.

::

    rawframes/{v}/img_00001.jpg              as readers of lists want them, made by the step ``frames``
    frames/{v}/{v}_000001.jpg                the same frames
    choose_frames_all/{v}_000001.jpg         every key frame of all crops
    choose_frames_middle/{v}/{v}_000061.jpg  those that a person labels; a person's files lie here too, and stay

Key second s (0-based, in the crop) is frame fps x s + 1 (1-based). The first and the last ``margin`` key frames are not labelled.
Source: specification 4.1 to 4.3 and 4.13. The reference compares seconds with the number of files in a folder, which counts
strange files too; here the frames decide.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.annotations.own_ava.key_frames import all_seconds, frame_of, middle_seconds
from clipquarry.annotations.own_ava.key_frames import frame_name as own_frame_name
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.files import TEMPORARY_PREFIX, disk_errors, found_at, link_or_copy, remove_abandoned
from clipquarry.layout import set_aside
from clipquarry.manifest import Row, read_table, schema_of, write_rows
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_folder import count_frames, frame_name, replace_folder, sweep, unfinished
from clipquarry.microseconds import SECOND
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import needs_plan
from clipquarry.pipeline.state import PRESENT, read_state
from clipquarry.settings import DataRoot

log = logging.getLogger(__name__)

_STALE_SECONDS = 3600.0
ALL = "choose_frames_all"
KEY_FIELDS = (
    pa.field("item_id", pa.string()),
    pa.field("video_id", pa.string()),  # the raw video
    pa.field("clip_id", pa.string()),
    pa.field("split", pa.string()),
    pa.field("second", pa.int32()),  # of the crop, from 0
    pa.field("frame", pa.int32()),  # from 1
    pa.field("labelled", pa.bool_()),
)
FOLDER_FIELDS = (
    pa.field("item_id", pa.string()),
    pa.field("clip_id", pa.string()),
    pa.field("split", pa.string()),
    pa.field("rawframes", pa.int32()),
    pa.field("frames", pa.int32()),
    pa.field("keys", pa.int32()),  # key frames that lie there
    pa.field("middle", pa.int32()),  # those to label that lie there
    pa.field("wanted_keys", pa.int32()),  # of the labelled seconds and the one behind them
)


class Key(NamedTuple):
    """A key frame: ``second`` of the crop from 0, ``frame`` from 1, and whether a person labels it."""

    second: int
    frame: int
    labelled: bool


def choose(seconds: int, frames: int, fps: int, *, first: int = 0, margin: int = 2) -> list[Key]:
    """The key frames of a crop of ``frames`` frames, whose labelled seconds are ``seconds``: from ``first`` to ``seconds``, as far
    as there are frames.
    """
    found = all_seconds(frames, seconds, first=first, fps=fps)
    labelled = set(middle_seconds(found, margin))
    return [Key(second, frame_of(second, fps), second in labelled) for second in found]


def link_key_frames(ctx: RunContext) -> dict[str, int]:
    """Link the frames of every crop under the reference's names, and its key frames."""
    needs_plan(ctx)
    chosen = ctx.chosen(CropsParams)
    if not chosen.frames:
        raise NothingToDo("Nobody asked for frames.")
    keys: list[Row] = []
    folders: list[Row] = []
    for crop in present_crops(ctx):
        raw = ctx.data.dataset(ctx.spec.root, ctx.spec.layout["rawframes"], crop["clip_id"])
        try:
            count = count_frames(raw)[0]
        except (MediaError, OSError):
            continue  # the step said why, and the gate counts it
        seconds = (crop["end"] - crop["start"]) // SECOND - 1
        found = choose(seconds, count, chosen.fps, first=chosen.first_key, margin=chosen.margin)
        item = {name: crop[name] for name in ("item_id", "video_id", "clip_id", "split")}
        keys += [{**item, **key._asdict()} for key in found]
        there = _link(ctx.data, ctx.spec, crop["clip_id"], raw, count, found)
        wanted = max(0, seconds + 1 - chosen.first_key)
        folders.append(
            {name: item[name] for name in ("item_id", "clip_id", "split")}
            | {"rawframes": count, "wanted_keys": wanted, **there}
        )
    _drop_others(ctx)
    place = OwnFiles(ctx.folder)
    write_rows(place.key_frames, schema_of(KEY_FIELDS, "key_frames"), keys)
    write_rows(place.frames, schema_of(FOLDER_FIELDS, "own_frames"), folders)
    labelled = sum(bool(key["labelled"]) for key in keys)
    log.info(f"{len(folders)} crops, {len(keys)} key frames, {labelled} of them to label")
    return {"crops": len(folders), "key_frames": len(keys), "to_label": labelled}


def present_crops(ctx: RunContext) -> Iterator[Row]:
    """The crops of the chosen splits that the list names and that are there, in the list's order."""
    state = read_state(ctx.state)
    here = set(state.filter(pc.is_in(state["status"], value_set=PRESENT))["item_id"].to_pylist())
    table = read_table(ctx.catalog, ["item_id", "video_id", "clip_id", "split", "start", "end"])
    for row in table.to_pylist():
        if row["item_id"] in here and row["split"] in ctx.splits:
            yield row


def _link(data: DataRoot, spec: DatasetSpec, crop: str, raw: Path, count: int, keys: Iterable[Key]) -> dict[str, int]:
    """Make the links of one crop; how many files of each kind lie there then."""
    frames = data.dataset(spec.root, spec.layout["frames"], crop)
    with disk_errors(frames):
        frames.parent.mkdir(parents=True, exist_ok=True)
        sweep(frames)
        if not _is_linked(raw, frames, crop, count):
            new = unfinished(frames)
            new.mkdir()
            try:
                for number in range(1, count + 1):
                    link_or_copy(raw / frame_name(number), new / own_frame_name(crop, number))
                if _holds_other(frames, crop):
                    log.info(f"What lay in {frames} is not ours alone and was moved to {set_aside(data, frames)}.")
                replace_folder(new, frames)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        every = {own_frame_name(crop, key.frame) for key in keys}
        middle = {own_frame_name(crop, key.frame) for key in keys if key.labelled}
        _link_some(frames, data.dataset(spec.root, ALL), crop, every)
        _link_some(frames, data.dataset(spec.root, MIDDLE, crop), crop, middle)
    return {
        "frames": len(_named(frames, crop)),
        "keys": len(_named(data.dataset(spec.root, ALL), crop) & every),
        "middle": len(_named(data.dataset(spec.root, MIDDLE, crop), crop)),
    }


def _pattern(crop: str) -> re.Pattern[str]:
    return re.compile(re.escape(crop) + r"_\d{6,}\.jpg", re.ASCII)


def _named(folder: Path, crop: str) -> set[str]:
    """Names of the frames of a crop in a folder."""
    pattern = _pattern(crop)
    return {name for name in _names(folder) if pattern.fullmatch(name)}


def _names(folder: Path) -> set[str]:
    """Names in a folder; none where it is not there."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _holds_other(folder: Path, crop: str) -> bool:
    """Whether something lies there that is no folder of this crop's frames alone. Another run may replace that at this moment."""
    if (found := found_at(folder)) != "folder":
        return bool(found)
    pattern = _pattern(crop)
    return folder.is_symlink() or not all(map(pattern.fullmatch, _names(folder)))


def _is_linked(raw: Path, frames: Path, crop: str, count: int) -> bool:
    """Whether a folder holds exactly the frames. Where files are copied, as across file systems, their sizes decide."""
    if not frames.is_dir() or len(_names(frames)) != count:
        return False
    return all(_same(raw / frame_name(number), frames / own_frame_name(crop, number)) for number in range(1, count + 1))


def _same(one: Path, other: Path) -> bool:
    try:
        mine, theirs = one.stat(), other.stat()
    except OSError:
        return False
    if mine.st_dev == theirs.st_dev:
        return mine.st_ino == theirs.st_ino
    return mine.st_size == theirs.st_size


def _link_some(frames: Path, folder: Path, crop: str, names: Collection[str]) -> None:
    """The named frames in a folder that is not ours alone: only frames of the crop come and go in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{TEMPORARY_PREFIX}*.jpg"):
        remove_abandoned(left, _STALE_SECONDS)
    for name in sorted(names):
        if not _same(frames / name, folder / name):
            link_or_copy(frames / name, folder / name)
    for name in _named(folder, crop) - set(names):
        with suppress(FileNotFoundError):
            (folder / name).unlink()


def _drop_others(ctx: RunContext) -> None:
    """Take key frames of crops that the list no longer names out of the folder of all, because detectors look at all of it. What is
    no link may be a person's only copy, and stays.
    """
    crops = set(read_table(ctx.catalog, ["clip_id"])["clip_id"].to_pylist())
    folder = ctx.data.dataset(ctx.spec.root, ALL)
    for name in _names(folder):
        crop, _, number = name.rpartition("_")
        if crop and crop not in crops and re.fullmatch(r"\d{6,}\.jpg", number, re.ASCII):
            with suppress(OSError):
                if (folder / name).stat().st_nlink > 1:
                    (folder / name).unlink()
