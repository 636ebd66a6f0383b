"""Tasks of a run of tubes: ground truth, folders of frames, their optical flow, release."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.tubes.run_files import LEFT_BY_FLOW
from clipquarry.pipeline.family import Stage, Task, chained, step
from clipquarry.pipeline.shared_tasks import begin_tasks, end_tasks, gate_task, record_tasks

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext
    from clipquarry.quality.engine import Suite
    from clipquarry.quality.params import GateParams
    from clipquarry.quality.tables import RunTables
    from clipquarry.settings import DataRoot


def _annotations(ctx: RunContext) -> Any:
    from clipquarry.families.tubes.stages import read_annotations

    return read_annotations(ctx)


def _plan(ctx: RunContext) -> Any:
    from clipquarry.families.tubes.stages import plan

    return plan(ctx)


def _flow_images(ctx: RunContext) -> Any:
    from clipquarry.families.tubes.flow_images import flow_images

    return flow_images(ctx)


def _release(ctx: RunContext) -> Any:
    from clipquarry.families.tubes.stages import release

    return release(ctx)


def _gate(name: str) -> Stage:
    def run(ctx: RunContext) -> Any:
        from clipquarry.families.tubes.stages import gate

        return gate(ctx, name)

    return run


def _annotation_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.tubes.gates.annotations import suites

    return suites(spec, run, data, params)


def _clip_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.quality.clip_suites import suites

    return suites(spec, run, data, params)


def _tube_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.tubes.gates.tree import suites

    return suites(spec, run, data, params)


_EXTRACT = step("extract", "Unpacks the archives, all or nothing, beside what is there.", phase="acquire")
_TASKS = (
    step("collect_frames", "Takes each folder of frames, reads it to verify it, and keeps it as published.", phase="acquire"),
    *record_tasks(_gate("clips"), _clip_suites),
    Task(
        "flow_images",
        "Takes the published optical flow of each video from a copy, and counts it.",
        _flow_images,
        leaves=LEFT_BY_FLOW,
    ),
    gate_task("tubes", "Compares frames and flow with the ground truth.", _gate("tubes"), _tube_suites, outlet="tubes"),
    *end_tasks(_release),
)  # fmt: skip


def tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks of a run, in order."""
    begin = begin_tasks(_annotations, _gate("annotations"), _annotation_suites, _plan)
    extract = (_EXTRACT,) if any(source.archive for source in spec.item_sources) else ()
    return chained(*begin, *extract, *_TASKS)
