"""Stages that AVA and AVA-Kinetics share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clipquarry.annotations.ava_kinetics import frame_folders
from clipquarry.annotations.box_csv import BoxTable
from clipquarry.errors import UserError
from clipquarry.files import read_json, write_json
from clipquarry.ids import is_youtube_id
from clipquarry.pipeline.boxes.detection import KeyFrame, collect, plan_detection
from clipquarry.pipeline.boxes.readable import write_readable
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.params import AvaParams, BoxParams, DetectParams
from clipquarry.pipeline.pins import pin
from clipquarry.pipeline.publish import publish_release
from clipquarry.pipeline.stage import (
    NothingToDo,
    Say,
    gate,
    needs_catalog,
    needs_made,
    needs_other_annotations,
    needs_plan,
)
from clipquarry.pipeline.stage import begin as begin_run
from clipquarry.pipeline.step_params import Job
from clipquarry.quality.params import GateParams
from clipquarry.release.verify import verify_copies
from clipquarry.report.missing import write_missing

JOBS = "jobs.json"


def begin(ctx: RunContext, say: Say) -> None:
    """See :func:`clipquarry.pipeline.stage.begin`. What finds people at the end is looked for now, before days of work."""
    begin_run(ctx, say)
    if detects(ctx) and ctx.chosen(DetectParams).detector == "mmdet" and not mmdet_is_there(ctx):
        raise UserError(
            f"{ctx.spec.name} is to detect people with mmdet, which is not installed here: run its DAG with "
            "CLIPQUARRY_RUNTIME_DETECT=docker (or kubernetes), which uses the image clipquarry-detect, or choose detector=hog (for trying "
            "out) or proposals=none."
        )


def mmdet_is_there(ctx: RunContext, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the step ``detect`` will find it: in its own container, or in this Python."""
    runtime = environ.get("CLIPQUARRY_RUNTIME_DETECT") or environ.get("CLIPQUARRY_RUNTIME") or "process"
    return (runtime != "process" and not ctx.in_process) or find_spec("mmdet") is not None


def detects(ctx: RunContext) -> bool:
    """Whether people are detected in this run."""
    return isinstance(ctx.params, DetectParams) and ctx.params.detects


def gate_params(ctx: RunContext) -> GateParams:
    chosen = ctx.chosen(BoxParams)
    ava = chosen if isinstance(chosen, AvaParams) else None
    return GateParams(
        annotation_counts=chosen.annotation_counts,
        rejected_error=ctx.spec.rejected.error,
        frames=chosen.frames,
        splits=tuple(ctx.splits),
        proposal_score=ctx.chosen(DetectParams).score if detects(ctx) else None,
        version=ava.version if ava else None,
        excerpts=ava.excerpts if ava else None,
    )


def run_gate(ctx: RunContext, say: Say, name: str) -> str:
    """One of the gates; skipped when what it checks was not asked for."""
    if name == "annotations":
        needs_catalog(ctx)
        needs_other_annotations(ctx)
    else:
        needs_plan(ctx)
    chosen = ctx.chosen(BoxParams)
    excerpts = isinstance(chosen, AvaParams) and chosen.excerpts
    if name == "frames" and not chosen.frames and not excerpts:
        raise NothingToDo("Neither frames nor excerpts were asked for.")
    if name == "proposals" and not any((ctx.folder / "proposals").glob("*.parquet")):
        raise NothingToDo("There are no proposals.")
    if name == "merged" and not (ctx.folder / "merged.json").exists():
        raise NothingToDo("Nothing was merged.")
    return gate(ctx, say, name, gate_params(ctx))


def pins(ctx: RunContext, obtained: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """See :func:`clipquarry.pipeline.pins.pin`; ``part`` is each file's path below the data set's folder."""
    return pin(ctx, (ctx.data.dataset(ctx.spec.root, one["part"]) for one in obtained))


def detect_shards(ctx: RunContext, say: Say, wanted: Iterable[KeyFrame], start: int | None) -> list[Job]:
    """The images to look at, in shards."""
    needs_plan(ctx)
    if not detects(ctx):
        raise NothingToDo("Nobody asked to detect people in frames.")
    jobs = plan_detection(ctx, wanted, start)
    write_json(ctx.folder / "detection" / JOBS, jobs)
    needed = len(read_json(ctx.folder / "detection" / "needed.json")["needed"])
    say("%s", f"{needed} images are needed; {len(jobs)} shards of new ones to look at")
    return jobs


def say_moved(say: Say, what: str, numbers: Mapping[str, Any]) -> None:
    """Say where a file went that lay in the place of one of ours."""
    if numbers.get("moved"):
        say("%s", f"{what}: {numbers['moved']}")


def detections(ctx: RunContext) -> Any:
    """What was found in the images of this run."""
    return collect(ctx, read_json(ctx.folder / "detection" / JOBS))


def detector_name(ctx: RunContext) -> str:
    chosen = ctx.chosen(DetectParams)
    return (
        chosen.detector if chosen.detector == "hog" else chosen.detector_config or ctx.spec.detection.config or "mmdet"
    )


READABLE = "readable"
"""Folder of the files that were written for the release."""


def readable(
    ctx: RunContext, say: Say, name: str, table: BoxTable, frames: Path, before: Iterable[bytes] = ()
) -> dict[str, Path]:
    """The csv ``name`` of AVA for the release, written from what was checked, and the table of what is left out of it.

    ``frames`` is the folder of the films' images; see :func:`write_readable`.
    """
    folder = ctx.folder / READABLE
    target, left = folder / name, folder / f"left_out_of_{name}"

    @cache
    def images(video: str) -> int:
        return frame_folders(frames, [video]).get(video, 0) if is_youtube_id(video) else 0

    lines = write_readable(table.boxes, table.rejected, target, left, images, before=before)
    if lines:
        say("%s", f"{name}: {lines} rows are left out of the release; {left.name} says why")
    return {target.name: target, left.name: left}


def release(ctx: RunContext, say: Say, files: Mapping[str, Path]) -> str:
    """Publish the lock, what is missing, and ``files`` (name in the release to file; absent ones are left out)."""

    def fill(folder: Path) -> None:
        write_missing(folder / "missing.csv", ctx.recorded, ctx.catalog)
        for name, file in files.items():
            if file.is_file():
                # The working copy may be edited; a release stays as it was, so that it is never the same file.
                shutil.copy2(file, folder / name)
        verify_copies(folder, _recorded_sums(ctx, files), f"{ctx.spec.name}, run {ctx.run},")

    needs_plan(ctx)
    needs_made(ctx, "recorded.parquet", "record")
    folder = publish_release(ctx, fill)
    say("%s", f"Release: {folder}")
    return str(folder)


def _recorded_sums(ctx: RunContext, files: Mapping[str, Path]) -> dict[str, str]:
    """The sha256 that the stages which wrote ``files`` recorded of them, by name in the release."""
    known: dict[Path, str] = {}
    for told in (read_json(path) for path in (ctx.folder / "proposals").glob("[!.]*.json")):
        if "sha256" in told and "path" in told:  # not the table of rejected keys
            known[ctx.data.root / told["path"]] = told["sha256"]
    merged = ctx.folder / "merged.json"
    if merged.exists():
        known |= {ctx.data.root / path: digest for path, digest in read_json(merged).get("sha256", {}).items()}
    return {name: known[file] for name, file in files.items() if file in known}
