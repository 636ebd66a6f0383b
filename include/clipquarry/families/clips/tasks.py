"""Tasks of a run of labelled clips: csv, clips, resized copies, frames and sound, list files, release."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.mixed.tasks import tasks as mixed_tasks
from clipquarry.families.clips.options import clips_options
from clipquarry.pipeline.family import Stage, Task, chained, step
from clipquarry.pipeline.shared_tasks import begin_tasks, end_tasks, gate_task, record_tasks

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext
    from clipquarry.quality.engine import Suite
    from clipquarry.quality.params import GateParams
    from clipquarry.quality.tables import RunTables
    from clipquarry.settings import DataRoot


def _annotations(ctx: RunContext) -> Any:
    from clipquarry.families.clips.stages import read_annotations

    return read_annotations(ctx)


def _plan(ctx: RunContext) -> Any:
    from clipquarry.families.clips.stages import plan

    return plan(ctx)


def _lists(ctx: RunContext) -> Any:
    from clipquarry.families.clips.stages import lists

    return lists(ctx)


def _release(ctx: RunContext) -> Any:
    from clipquarry.families.clips.stages import release

    return release(ctx)


def _gate(name: str) -> Stage:
    def run(ctx: RunContext) -> Any:
        from clipquarry.families.clips.stages import gate

        return gate(ctx, name)

    return run


def _annotation_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.gates.annotations import suites

    return suites(spec, run, data, params)


def _clip_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.gates import archives
    from clipquarry.quality.clip_suites import suites

    yield from suites(spec, run, data, params)
    yield from archives.suites(spec, run)


def _frame_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.gates.frames import suites

    return suites(spec, run, data, params)


def _list_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.gates.lists import suites

    return suites(spec, run, data, params)


_BEGIN = begin_tasks(_annotations, _gate("annotations"), _annotation_suites, _plan)
_WINDOWS = (
    step("unpack", "Reads archive volumes as a stream and keeps the wanted clips.", phase="acquire"),
    step("fetch", "Fetches, cuts and verifies each clip.", phase="acquire"),
)
_EXTRACT = step("extract", "Unpacks the archives, all or nothing, beside what is there.", phase="acquire")
_COLLECT = step("collect", "Takes each file, decodes it to verify it, and keeps it as published.", phase="acquire")
_FOLDERS = step("collect_frames", "Takes each folder of frames, reads it to verify it, and keeps it as published.", phase="acquire")  # fmt: skip
_SOUND = (
    step("audio", "Extracts the sound of each clip.", "gate_clips"),
    step("audio_features", "Computes log-mel features of the sound.", "audio"),
)
"""Of data sets whose layout has a folder for it."""


def _rest(*sound: Task) -> tuple[Task, ...]:
    return (
        *record_tasks(_gate("clips"), _clip_suites),
        step("resize", "Makes copies with a short edge of fixed size."),
        step("frames", "Extracts raw frames.", "gate_clips"),
        *sound,
        gate_task(
            "frames",
            "Checks copies and frames, and the sound of clips." if sound else "Checks copies and frames.",
            _gate("frames"),
            _frame_suites,
            "resize",
            "frames",
            *(task.name for task in sound),
            outlet="frames",
        ),
        *_lists_and_end(),
    )


def _lists_and_end() -> tuple[Task, ...]:
    return (
        Task("lists", "Writes the list files from the catalog and what is on disk.", _lists, phase="publish"),
        gate_task("lists", "Checks the list files.", _gate("lists"), _list_suites, phase="publish", outlet="lists"),
        *end_tasks(_release),
    )


def _rest_of_folders(spec: DatasetSpec) -> tuple[Task, ...]:
    """After folders of frames were collected: flow, and videos where the layout has a folder for them."""
    encode = step("encode_video", "Makes a video of each folder of frames.", "gate_clips")
    videos = (encode,) if "videos" in spec.layout else ()
    told = "Checks the optical flow and the videos." if videos else "Checks the optical flow."
    needs = ("flow", *(task.name for task in videos))
    return (
        *record_tasks(_gate("clips"), _clip_suites),
        step("flow", "Makes optical flow of the frames, beside them."),
        *videos,
        gate_task("frames", told, _gate("frames"), _frame_suites, *needs, outlet="frames"),
        *_lists_and_end(),
    )


def tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks of a run, in order: clips are windows that are cut out of videos, whole files, or folders of frames."""
    if clips_options(spec).holds:
        return mixed_tasks(spec)
    sound = _SOUND if "audio" in spec.layout else ()
    if not spec.has_files:
        return chained(*_BEGIN, *_WINDOWS, *_rest(*sound))
    has_archive = any(source.archive for source in spec.item_sources)
    extract = [_EXTRACT] if has_archive else []
    if spec.has_folders:
        return chained(*_BEGIN, *extract, _FOLDERS, *_rest_of_folders(spec))
    return chained(*_BEGIN, *extract, _COLLECT, *_rest(*sound))
