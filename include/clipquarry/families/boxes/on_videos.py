"""The stages of AVA: whole videos from a mirror, their 15th to 30th minute at 30 frames a second, person boxes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from clipquarry.annotations.action_list import publish_action_list
from clipquarry.annotations.ava_csv import write_key_frames
from clipquarry.annotations.ava_time import AVA_START
from clipquarry.annotations.box_csv import BoxTable
from clipquarry.errors import UserError
from clipquarry.families.boxes import files as ava_files
from clipquarry.families.boxes import proposals
from clipquarry.families.boxes import stages as common
from clipquarry.families.boxes.detection import ava_key_frames
from clipquarry.families.boxes.params import VideosParams
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.tables import has, load, rejected_item, rejected_rows, write_tables
from clipquarry.files import write_json
from clipquarry.ids import is_youtube_id
from clipquarry.manifest import CATALOG_FIELDS, ManifestWriter, Row, schema_of
from clipquarry.microseconds import of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import needs_plan, tell_ledger
from clipquarry.pipeline.step_params import Job
from clipquarry.reasons import Reason, Status

log = logging.getLogger(__name__)

LAST_SECOND = 1801
"""End of the excerpt, exclusive."""
TEST = "test"
_MAX_LIST_BYTES = 16_000_000


def read_annotations(ctx: RunContext) -> dict[str, Any]:
    """Download the annotation files, write them as tables, build the catalog of videos, begin the run in the ledger."""
    common.begin(ctx)
    version = ctx.chosen(VideosParams).version
    # Splits whose files are there already are in the catalog too, so that it does not forget those of an earlier run.
    known = [s for s in ctx.spec.splits if s in ctx.splits or ava_files.are_there(ctx.spec, ctx.data, version, s)]
    files = ava_files.download(ctx.spec, ctx.data, version, known, run=ctx)
    splits = write_tables(ctx.folder, files.splits, "ava", files.actions, files.evaluated)
    counts = _write_catalog(ctx, files.lists)
    told = {"splits": splits, "version": version, "obtained": files.obtained, "files": common.pins(ctx, files.obtained)}
    write_json(ctx.place.catalog_file, told)
    tell_ledger(ctx)
    log.info(", ".join(f"{count} videos in {split}" for split, count in counts.items()))
    return {"rows": sum(counts.values())}


def _write_catalog(ctx: RunContext, lists: dict[str, Path]) -> Counter[str]:
    """One row for each file name in a split's lists, and for each annotated video that no list names."""
    annotated = {
        split: dict.fromkeys(load(ctx.folder, split, "boxes")["video_id"].unique().to_pylist()) for split in lists
    }
    counts: Counter[str] = Counter()
    with ManifestWriter(ctx.catalog, schema_of(CATALOG_FIELDS, "catalog")) as writer:
        for split in lists:
            listed: set[str] = set()
            for line, name in _file_names(lists[split]):
                video = PurePosixPath(name).stem
                if split != TEST and video not in annotated[split]:
                    continue  # of the other split: train and val share a list
                if video in listed or not is_youtube_id(video) or "/" in name:
                    reason = Reason.DUPLICATE if video in listed else Reason.BAD_ID
                    writer.write(rejected_item(f"{split}/#file-{line}", split, reason, name[:200], line))
                    continue
                listed.add(video)
                counts[split] += 1
                writer.write(_item(split, video, name, line))
            for video in annotated[split]:
                if video not in listed:
                    why = f"{video} is annotated, but {lists[split].name} does not name its file"
                    writer.write(rejected_item(f"{split}/{video}", split, Reason.NOT_FOUND, why))
            for row in rejected_rows(ctx.folder, split):
                writer.write(row)
    return counts


def _file_names(path: Path) -> Iterator[tuple[int, str]]:
    try:
        if path.stat().st_size > _MAX_LIST_BYTES:
            raise UserError(f"{path} is larger than {_MAX_LIST_BYTES} bytes: that is not a list of file names.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"The list of file names {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"The list of file names {path} is not UTF-8 (byte {error.start}): save it as UTF-8."
        ) from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.strip()


def _item(split: str, video: str, name: str, line: int) -> Row:
    return {
        "item_id": f"{split}/{video}", "video_id": video, "clip_id": name, "split": split, "label": None, "class_dir": None,
        "label_index": -1, "start": of(AVA_START), "end": of(LAST_SECOND), "row": line, "status": str(Status.DONE),
        "reason": str(Reason.OK), "evidence": "",
    }  # fmt: skip


def detect_shards(ctx: RunContext) -> list[Job]:
    """The frames to detect people in, in shards."""
    return common.detect_shards(ctx, ava_key_frames(ctx), AVA_START)


def make_proposals(ctx: RunContext) -> dict[str, Any]:
    """The published proposals, or those of the detected people."""
    needs_plan(ctx)
    chosen = ctx.chosen(VideosParams)
    if chosen.proposals == "none":
        raise NothingToDo("Nobody asked for proposals.")
    told = {}
    if chosen.proposals == "fetch":
        for split, path in ava_files.download_proposals(ctx.spec, ctx.data, ctx.splits, run=ctx).items():
            told[split] = proposals.adopt(ctx, split, path, "FAIR")
    else:
        found = common.detections(ctx)
        for split in ctx.splits:
            path = ctx.data.dataset(ctx.spec.root, "annotations", f"ava_dense_proposals_{split}.{chosen.detector}.pkl")
            told[split] = proposals.publish(ctx, split, found, chosen.score, path, common.detector_name(ctx))
    for split, numbers in told.items():
        log.info(f"{split}: {numbers['boxes']} proposals for {numbers['keys']} key frames ({numbers['source']})")
        common.log_moved(split, numbers)
    return told


def release(ctx: RunContext) -> str:
    """Publish the lock, the missing items, and the annotation files that readers need."""
    version = ctx.chosen(VideosParams).version
    files = {}
    for name in ava_files.action_lists(version):
        files[name] = BoxFiles(ctx.folder).readable(name)
        publish_action_list(ctx.data.dataset(ctx.spec.root, ava_files.FOLDER, name), files[name])
    for split in ctx.spec.splits:
        if has(ctx.folder, split, "excluded"):
            name = ava_files.excluded_name(split, version)
            files[name] = BoxFiles(ctx.folder).readable(name)
            write_key_frames(load(ctx.folder, split, "excluded"), files[name])
    frames = ctx.data.dataset(ctx.spec.root, ctx.spec.layout["rawframes"])
    for split in ctx.splits if ctx.chosen(VideosParams).frames else ():
        if split != TEST:
            table = BoxTable(*(load(ctx.folder, split, what) for what in ("boxes", "key_frames", "rejected")))
            files |= common.readable(ctx, f"ava_{split}_{version}.csv", table, frames)
    return common.release(ctx, files)
