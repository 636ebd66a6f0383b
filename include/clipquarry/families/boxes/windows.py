"""The catalog of AVA-Kinetics: the wanted windows of YouTube videos, from the annotations alone.

Windows are chosen from the clips of Kinetics-700 in its annotations (or a list file), whether or not the clips are
on disk. Without Kinetics-700 on disk, the same windows are fetched from YouTube, under the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from clipquarry.annotations.ava_kinetics import Window, key_seconds, select_windows
from clipquarry.annotations.ava_kinetics_cut import Cut, cuts
from clipquarry.annotations.ava_kinetics_flat import LENGTH, flat_clips
from clipquarry.annotations.file_list import read_list
from clipquarry.annotations.kinetics_csv import GoodRow, read_kinetics_csv
from clipquarry.errors import UserError
from clipquarry.families.boxes.tables import key_frames, load, rejected_item, rejected_rows
from clipquarry.ids import ClipName, parse_clip_id
from clipquarry.manifest import CATALOG_FIELDS, ManifestWriter, Row, schema_of
from clipquarry.microseconds import of
from clipquarry.reasons import Reason, Status

TRAIN = "train"


def kinetics_clips(csv: Path, split: str) -> Iterator[tuple[ClipName, str]]:
    """The clips of a Kinetics csv, with their class as written there."""
    for row in read_kinetics_csv(csv, split):
        if isinstance(row, GoodRow):
            yield ClipName(row.video_id, row.start, row.end), row.label or ""


def listed_clips(path: Path) -> Iterator[tuple[ClipName, str]]:
    """The clips in a list file, with their class folder. Raises :class:`UserError` for lines that name no clip."""
    if not path.is_file():
        raise UserError(f"The list {path} is not there: give the path of a list file of Kinetics-700's videos.")
    for number, line in enumerate(read_list(path, "videos"), 1):
        folder, _, name = line.path.rpartition("/")
        try:
            yield parse_clip_id(name), folder.rpartition("/")[2]
        except ValueError:
            raise UserError(f"{path}, line {number}: '{name[:60]}' is no clip of Kinetics.") from None


def wanted_frames(run: Path, split: str) -> pa.Table:
    """Key frames that need clips: in train those with boxes, as in the reference, else all."""
    return key_frames(_rows_of_frames(run, split))


def _rows_of_frames(run: Path, split: str) -> pa.Table:
    """``video_id, second, time`` of the rows whose key frames need clips."""
    columns = ["video_id", "second", "time"]
    boxes = load(run, split, "boxes").select(columns)
    if split == TRAIN:
        return boxes
    return pa.concat_tables([boxes, load(run, split, "key_frames").select(columns)])


def _row(split: str, video: str, clip_id: str, label: str | None, start: int, end: int) -> Row:
    """``start`` and ``end``: microseconds."""
    return {
        "item_id": f"{split}/{clip_id}", "video_id": video, "clip_id": clip_id, "split": split, "label": label,
        "class_dir": None, "label_index": -1, "start": start, "end": end, "row": None,
        "status": str(Status.DONE), "reason": str(Reason.OK), "evidence": "",
    }  # fmt: skip


def key_item(split: str, video: str, second: int) -> str:
    """The id of the catalog's rejected row for a second with key frames that gets no clip."""
    return f"{split}/#key-{video}-{second:04d}"


def _lost(split: str, video: str, second: int, evidence: str) -> Row:
    """The rejected row of a key frame that gets no clip."""
    return rejected_item(key_item(split, video, second), split, Reason.BAD_TIME, evidence)


def window_rows(run: Path, split: str, clips: Iterable[tuple[ClipName, str]]) -> Iterator[Row]:
    """One row for each window; and one rejected row for each key frame that no clip contains."""
    frames = wanted_frames(run, split)
    windows = select_windows(key_seconds(frames), clips)
    covered: dict[str, list[Window]] = {}
    for window in windows:
        covered.setdefault(window.video_id, []).append(window)
        yield _row(split, window.video_id, window.name, window.path or None, of(window.start), of(window.end))
    for video, second in zip(frames["video_id"].to_pylist(), frames["second"].to_pylist(), strict=True):
        if not any(window.start <= second < window.end for window in covered.get(video, ())):
            yield _lost(
                split, video, second, f"second {second} of {video} lies strictly inside no clip of Kinetics-700"
            )


def flat_rows(run: Path, split: str) -> Iterator[Row]:
    """One row for each six-second clip."""
    for clip in flat_clips([wanted_frames(run, split)]):
        yield _row(split, clip.video_id, clip.name, None, of(clip.start), of(clip.start + LENGTH))


def cut_rows(run: Path, split: str, clips: Iterable[tuple[ClipName, str]]) -> Iterator[Row]:
    """One row for each second with key frames, cut out of Kinetics-700's clips; and one rejected row for each that fits none."""
    frames = _rows_of_frames(run, split)
    frames = frames.group_by(frames.column_names, use_threads=False).aggregate([])
    for found in cuts(zip(frames["video_id"].to_pylist(), frames["time"].to_pylist(), strict=True), clips):
        if isinstance(found, Cut):
            yield _row(split, found.video_id, found.name, found.label or None, found.start, found.end)
        else:
            video, time, why = found
            yield _lost(split, video, int(float(time)), f"the key frame at {time} s of {video} {why}")


def write_catalog(run: Path, splits: Iterable[str], rows: dict[str, Iterable[Row]], out: Path) -> int:
    """Write the catalog; returns the number of its rows. A window that two splits want has two rows."""
    count = 0
    with ManifestWriter(out, schema_of(CATALOG_FIELDS, "catalog")) as writer:
        for split in splits:
            for part in (rows[split], rejected_rows(run, split)):
                for row in part:
                    writer.write(row)
                    count += 1
    return count
