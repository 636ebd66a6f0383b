"""Choice of the frames in which people are detected, and the detections over all runs.

Detection costs a second per frame, so detections are kept in
``{data}/.clipquarry/state/{dataset}.detections.parquet``. A run requests only frames that are new, have changed, or
were processed by another detector.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.ava_time import AVA_START, FPS, Reader, frame_of
from clipquarry.annotations.proposals import proposal_key
from clipquarry.families.boxes.options import READERS, boxes_options
from clipquarry.families.boxes.params import DetectParams
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.tables import key_frames, load
from clipquarry.files import inside, read_json, sha256_of, write_json
from clipquarry.ids import parse_clip_id
from clipquarry.manifest import RESULT_FIELDS, Row, read_rows, read_table, schema_of
from clipquarry.microseconds import of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan import VIDEOS_PER_SHARD, shard_count, write_shards
from clipquarry.pipeline.state import PRESENT, locked, write_table
from clipquarry.pipeline.step_params import Job, make_jobs
from clipquarry.reasons import Reason, Status
from clipquarry.store import content_key

FLOOR = 0.3
"""Detections with a lower score are not kept. Above it, another threshold needs no new detection."""
KEYS_PER_SHARD = 5000

FOUND_SCHEMA = schema_of(
    (
        *RESULT_FIELDS,
        pa.field("image", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("boxes", pa.list_(pa.list_(pa.float64()))),
        pa.field("signature", pa.string()),
    ),
    "detections",
)


class KeyFrame(NamedTuple):
    """A frame to detect people in: ``second`` of ``video_id``, in the frame folder ``folder`` that begins at
    ``start``.
    """

    split: str
    video_id: str
    second: int
    folder: str
    start: int

    @property
    def key(self) -> str:
        return proposal_key(self.video_id, self.second)

    @property
    def item_id(self) -> str:
        return f"{self.split}/{self.key}"


def ava_key_frames(ctx: RunContext) -> Iterator[KeyFrame]:
    """Every annotated second of the videos."""
    for split in ctx.splits:
        frames = key_frames(load(ctx.folder, split, "boxes"))
        for video, second in zip(frames["video_id"].to_pylist(), frames["second"].to_pylist(), strict=True):
            yield KeyFrame(split, video, second, video, AVA_START)


def window_key_frames(ctx: RunContext, prepared: dict[str, pa.Table], counts: dict[str, int]) -> Iterator[KeyFrame]:
    """Every annotated second of the clips, the one before and the one after it, as far as the clip reaches.

    If clips of one video share a second, the last row's clip counts, as in the reference.
    """
    for split, rows in prepared.items():
        found: dict[tuple[str, int], KeyFrame] = {}
        frames = key_frames(rows)
        for clip, second in zip(frames["video_id"].to_pylist(), frames["second"].to_pylist(), strict=True):
            name = parse_clip_id(clip)
            for near in (second - 1, second, second + 1):
                if name.start <= near and FPS * (near - name.start) + 1 <= counts[clip]:
                    found[name.video_id, near] = KeyFrame(split, name.video_id, near, clip, name.start)
        yield from found.values()


def _reader(ctx: RunContext) -> Reader:
    if ctx.chosen(DetectParams).frame_offset == "true":
        return "true"
    return READERS[boxes_options(ctx.spec).items]


def _found_file(ctx: RunContext) -> Path:
    return ctx.data.state(ctx.spec.name, "detections")


def detector_params(ctx: RunContext) -> dict[str, Any]:
    """Parameters of the detector for the step; weights and models are fetched here, once."""
    chosen = ctx.chosen(DetectParams)
    params: dict[str, Any] = {"backend": chosen.detector, "least": min(FLOOR, chosen.score)}
    if chosen.detector == "hog":
        return params
    if chosen.detector == "small":
        from clipquarry.families.boxes.small_model import small_model

        model = small_model(ctx.data.models)
        return {**params, "checkpoint": str(model.relative_to(ctx.data.root)), "sha256": sha256_of(model)}
    from clipquarry.acquire.model_file import download_model

    spec = boxes_options(ctx.spec).detection
    checkpoint = chosen.detector_checkpoint or spec.checkpoint or ""
    if checkpoint.startswith(("http://", "https://")):
        sha256 = chosen.detector_sha256 or (spec.sha256 if not chosen.detector_checkpoint else None)
        file = download_model(checkpoint, sha256 or None, ctx.data.models)
        checkpoint = str(file.relative_to(ctx.data.root))
    return {
        **params, "config": chosen.detector_config or spec.config, "checkpoint": checkpoint or None,
        "device": chosen.device, "batch": chosen.detector_batch, "half": chosen.half,
    }  # fmt: skip


def _signature(identity: str, folder_changed: int, image: int) -> str:
    """Signature of a frame folder. Folders are replaced as a whole, so their modification time identifies their
    content.
    """
    return content_key(detector=identity, folder=folder_changed, image=image)


def plan_detection(ctx: RunContext, wanted: Iterable[KeyFrame], start: int | None, *, fps: int = FPS) -> list[Job]:
    """Jobs for the frames without detections. ``start``: the second of all folders' first frame; None: in their
    names. ``fps``: frames of a second.
    """
    params = detector_params(ctx)
    reader = _reader(ctx)
    offset = frame_of(0, start=0, reader=reader) - frame_of(0, start=0)
    rate = {} if fps == FPS else {"fps": fps}
    identity = content_key(offset=offset, **rate, **{k: v for k, v in params.items() if k not in ("device", "batch")})
    root = ctx.spec.layout["rawframes"]
    known = _known(ctx)
    changed: dict[str, int] = {}
    rows, signatures = [], {}
    needed: dict[str, str] = {}
    for frame in wanted:
        if frame.folder not in changed:
            folder = inside(ctx.data.root, ctx.spec.root, root, frame.folder)
            changed[frame.folder] = folder.stat().st_mtime_ns if folder.is_dir() else 0
        if not changed[frame.folder]:
            continue  # the video is missing; its row of the catalog says why
        signature = _signature(
            identity, changed[frame.folder], frame_of(frame.second, start=frame.start, reader=reader)
        )
        needed[frame.item_id] = signature
        if known.get(frame.item_id) == signature:
            continue
        signatures[frame.item_id] = signature
        rows.append(_row(frame))
    place = BoxFiles(ctx.folder)
    if (jobs := _planned_before(place, needed, signatures, identity)) is not None:
        return jobs
    shutil.rmtree(place.detection_items, ignore_errors=True)  # of an earlier choice of new frames
    place.detection_jobs.unlink(missing_ok=True)  # so that no try finds them beside what is needed now
    shards = write_shards(place.detection_items, "detect", _table(rows), _count(ctx, len(rows))) if rows else []
    write_json(place.detection_needed, {"needed": list(needed), "signatures": signatures, "identity": identity})
    step = {"root": ctx.spec.root, "frames": root, "start": start, "offset": offset, **rate, **params}
    return make_jobs(ctx, "detect", shards, step)


def _planned_before(place: BoxFiles, needed: dict[str, str], new: Collection[str], identity: str) -> list[Job] | None:
    """The jobs that an earlier try of this run planned for the same frames, so that a run that goes on has the tables of one that was
    never stopped, though the state knows their results by now.
    """
    if not (place.detection_needed.exists() and place.detection_jobs.exists()):
        return None
    before = read_json(place.detection_needed)
    asked = before["signatures"]
    same = before["identity"] == identity and before["needed"] == list(needed)
    if not same or not asked.keys() >= set(new) or any(needed[item] != signature for item, signature in asked.items()):
        return None
    jobs: list[Job] = read_json(place.detection_jobs)
    return jobs


def _count(ctx: RunContext, keys: int) -> int:
    return shard_count(-(-keys // KEYS_PER_SHARD) * VIDEOS_PER_SHARD, ctx.params.shards)


def _row(frame: KeyFrame) -> Row:
    return {
        "item_id": frame.item_id, "video_id": frame.video_id, "clip_id": frame.folder, "split": frame.split, "label": None,
        "class_dir": None, "label_index": -1, "start": of(frame.second), "end": of(frame.second + 1), "row": None,
    }  # fmt: skip


def _table(rows: list[Row]) -> pa.Table:
    from clipquarry.pipeline.plan import SHARD_SCHEMA

    return pa.Table.from_pylist(rows, schema=SHARD_SCHEMA)


def _known(ctx: RunContext) -> dict[str, str]:
    path = _found_file(ctx)
    if not path.exists():
        return {}
    table = read_table(path, ["item_id", "signature"])
    return dict(zip(table["item_id"].to_pylist(), table["signature"].to_pylist(), strict=True))


def collect(ctx: RunContext, jobs: list[Job]) -> pa.Table:
    """Detections in all frames that this run needs, after its own results are merged into the state. Rows as
    :data:`FOUND_SCHEMA`.
    """
    plan = read_json(BoxFiles(ctx.folder).detection_needed)
    new = pa.Table.from_pylist(list(_results(ctx, jobs, plan["signatures"])), schema=FOUND_SCHEMA)
    path = _found_file(ctx)
    with locked(path):
        old = read_table(path) if path.exists() else FOUND_SCHEMA.empty_table()
        keep = pc.invert(pc.is_in(old["item_id"], value_set=new["item_id"].combine_chunks()))
        good = new.filter(pc.is_in(new["status"], value_set=PRESENT))
        merged = pa.concat_tables([old.cast(FOUND_SCHEMA).filter(keep), good])
        write_table(path, merged, FOUND_SCHEMA)
    needed = pa.array(plan["needed"], pa.string())
    everything = pa.concat_tables([merged, new.filter(pc.invert(pc.is_in(new["status"], value_set=PRESENT)))])
    return everything.filter(pc.is_in(everything["item_id"], value_set=needed))


def _results(ctx: RunContext, jobs: list[Job], signatures: dict[str, str]) -> Iterator[Row]:
    names = set(FOUND_SCHEMA.names)
    for job in jobs:
        out = ctx.data.root / job["out"]
        if not out.exists():
            for row in read_rows(ctx.data.root / job["items"]):
                why = f"the task of {job['name']} ended without a result; its log says why"
                yield {
                    **row,
                    "status": str(Status.FAILED),
                    "reason": str(Reason.TASK_FAILED),
                    "evidence": why,
                    "key": "",
                }
            continue
        for row in read_rows(out):
            told = {name: value for name, value in row.items() if name in names}
            yield {**told, "signature": signatures.get(row["item_id"], "")}
