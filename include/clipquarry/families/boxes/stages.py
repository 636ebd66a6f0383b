"""Stages that AVA and AVA-Kinetics share."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clipquarry.annotations.ava_kinetics import frame_folders
from clipquarry.annotations.ava_time import FPS
from clipquarry.annotations.box_csv import BoxTable
from clipquarry.datasets.namespace import namespace_of
from clipquarry.errors import UserError
from clipquarry.families.boxes.detection import KeyFrame, collect, plan_detection
from clipquarry.families.boxes.options import boxes_options
from clipquarry.families.boxes.params import BoxParams, DetectParams, VideosParams
from clipquarry.families.boxes.release_csv import write_release_csv
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.small_model import small_model
from clipquarry.files import read_json, write_json
from clipquarry.ids import is_youtube_id
from clipquarry.people.small.package import NANODET
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.pins import pin
from clipquarry.pipeline.stage import begin as begin_run
from clipquarry.pipeline.stage import (
    gate,
    needs_of_gate,
    needs_plan,
    publish,
)
from clipquarry.pipeline.step_params import Job
from clipquarry.quality.params import GateParams
from clipquarry.release.verify import verify_copies
from clipquarry.report.missing import write_missing
from clipquarry.run_folder import REPORT_MISSING

log = logging.getLogger(__name__)

RUNTIMES = {"detect": "CLIPQUARRY_RUNTIME_DETECT", "track": "CLIPQUARRY_RUNTIME_TRACK"}
"""Variables with the runtime of the steps that use a detector."""


def begin(ctx: RunContext) -> None:
    """See :func:`clipquarry.pipeline.stage.begin`. A missing detector is reported now, before days of work."""
    begin_run(ctx)
    chosen = ctx.chosen(DetectParams) if detects(ctx) else None
    if chosen is not None and chosen.detector == "small":
        small_model(ctx.data.models)
    if chosen is None or chosen.detector != "mmdet":
        return
    if without := [step for step in chosen.looking if not mmdet_is_there(ctx, step)]:
        runtimes = " and ".join(f"{RUNTIMES[step]}=docker" for step in without)
        raise UserError(
            f"{ctx.spec.name} is to detect people with mmdet, which is not installed here: run its DAG with "
            f"{runtimes} (or kubernetes), which uses the image clipquarry-detect, or choose detector=hog (for trying "
            "out) or proposals=none."
        )


def mmdet_is_there(ctx: RunContext, step: str = "detect", environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a step will find mmdet: in its own container, or in this Python."""
    runtime = environ.get(RUNTIMES[step]) or environ.get("CLIPQUARRY_RUNTIME") or "process"
    return (runtime != "process" and not ctx.in_process) or find_spec("mmdet") is not None


def detects(ctx: RunContext) -> bool:
    """Whether people are detected in this run."""
    return isinstance(ctx.params, DetectParams) and ctx.params.detects


def gate_params(ctx: RunContext) -> GateParams:
    chosen = ctx.chosen(BoxParams)
    ava = chosen if isinstance(chosen, VideosParams) else None
    return GateParams(
        annotation_counts=chosen.annotation_counts,
        rejected_error=ctx.spec.rejected.error,
        frames=chosen.frames,
        flow=chosen.flow,
        splits=tuple(ctx.splits),
        proposal_score=ctx.chosen(DetectParams).score if detects(ctx) else None,
        version=ava.version if ava else None,
        excerpts=ava.excerpts if ava else None,
    )


def run_gate(ctx: RunContext, name: str) -> str:
    """Run one of the gates; it is skipped if its subject was not requested."""
    needs_of_gate(ctx, name)
    chosen = ctx.chosen(BoxParams)
    excerpts = isinstance(chosen, VideosParams) and chosen.excerpts
    if name == "frames" and not chosen.frames and not excerpts:
        raise NothingToDo("Neither frames nor excerpts were asked for.")
    if name == "proposals" and not BoxFiles(ctx.folder).proposal_splits():
        raise NothingToDo("There are no proposals.")
    if name == "merged" and not BoxFiles(ctx.folder).merged.exists():
        raise NothingToDo("Nothing was merged.")
    return gate(ctx, name, gate_params(ctx))


def pins(ctx: RunContext, obtained: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """See :func:`clipquarry.pipeline.pins.pin`; ``part`` is each file's path below the data set's folder."""
    return pin(ctx, (ctx.data.dataset(ctx.spec.root, one["part"]) for one in obtained))


def detect_shards(ctx: RunContext, wanted: Iterable[KeyFrame], start: int | None, *, fps: int = FPS) -> list[Job]:
    """The frames to detect people in, in shards; see :func:`plan_detection`."""
    needs_plan(ctx)
    if not detects(ctx):
        raise NothingToDo("Nobody asked to detect people in frames.")
    jobs = plan_detection(ctx, wanted, start, fps=fps)
    place = BoxFiles(ctx.folder)
    write_json(place.detection_jobs, jobs)
    needed = len(read_json(place.detection_needed)["needed"])
    log.info(f"{needed} frames are needed; {len(jobs)} shards of new ones to look at")
    return jobs


def log_moved(what: str, numbers: Mapping[str, Any]) -> None:
    """Log where a file was moved that was in the place of one of ours."""
    if numbers.get("moved"):
        log.info(f"{what}: {numbers['moved']}")


def detections(ctx: RunContext) -> Any:
    """Detections in the frames of this run."""
    return collect(ctx, read_json(BoxFiles(ctx.folder).detection_jobs))


def detector_name(ctx: RunContext) -> str:
    """The detector of this run's proposals, as their facts name it."""
    chosen = ctx.chosen(DetectParams)
    if chosen.detector == "hog":
        return chosen.detector
    if chosen.detector == "small":
        return f"small {NANODET.label}"
    return chosen.detector_config or boxes_options(ctx.spec).detection.config or "mmdet"


def readable(
    ctx: RunContext, name: str, table: BoxTable, frames: Path, before: Iterable[bytes] = ()
) -> dict[str, Path]:
    """The csv ``name`` of AVA for the release, written from checked rows, and the table of rows that are left out.

    ``frames`` is the folder of the videos' frames; see :func:`write_release_csv`.
    """
    place = BoxFiles(ctx.folder)
    target, left = place.readable(name), place.readable(f"left_out_of_{name}")

    @cache
    def frames_of(video: str) -> int:
        return frame_folders(frames, [video]).get(video, 0) if is_youtube_id(video) else 0

    lines = write_release_csv(table.boxes, table.rejected, target, left, frames_of, before=before)
    if lines:
        log.info(f"{name}: {lines} rows are left out of the release; {left.name} says why")
    return {target.name: target, left.name: left}


def release(ctx: RunContext, files: Mapping[str, Path]) -> str:
    """Publish the lock, the missing items, and ``files`` (name in the release to file; absent ones are left out)."""

    def fill(folder: Path) -> None:
        write_missing(folder / REPORT_MISSING, ctx.recorded, ctx.catalog, namespace_of(ctx.spec))
        for name, file in files.items():
            if file.is_file():
                # The working copy may be edited, but a release stays as it was: so it is never the same file.
                shutil.copy2(file, folder / name)
        verify_copies(folder, _recorded_sums(ctx, files), f"{ctx.spec.name}, run {ctx.run},")

    return publish(ctx, fill)


def _recorded_sums(ctx: RunContext, files: Mapping[str, Path]) -> dict[str, str]:
    """The sha256 that stages recorded of the ``files`` that they wrote, by name in the release."""
    known: dict[Path, str] = {}
    place = BoxFiles(ctx.folder)
    for told in map(read_json, place.all_proposal_facts()):
        if "sha256" in told and "path" in told:  # not the table of rejected keys
            known[ctx.data.root / told["path"]] = told["sha256"]
    if place.merged.exists():
        known |= {ctx.data.root / path: digest for path, digest in read_json(place.merged).get("sha256", {}).items()}
    return {name: known[file] for name, file in files.items() if file in known}
