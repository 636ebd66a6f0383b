"""Tasks of a run of labelled clips: csv, clips, resized copies and frames, list files, release."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
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
    from clipquarry.quality.clip_suites import suites

    return suites(spec, run, data, params)


def _frame_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.gates.frames import suites

    return suites(spec, run, data, params)


def _list_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.gates.lists import suites

    return suites(spec, run, data, params)


_TASKS = chained(
    *begin_tasks(_annotations, _gate("annotations"), _annotation_suites, _plan),
    step("unpack", "Reads archive volumes as a stream and keeps the wanted clips.", phase="acquire"),
    step("fetch", "Fetches, cuts and verifies each clip.", phase="acquire"),
    *record_tasks(_gate("clips"), _clip_suites),
    step("resize", "Makes copies with a short edge of fixed size."),
    step("frames", "Extracts raw frames.", "gate_clips"),
    gate_task(
        "frames",
        "Checks copies and frames.",
        _gate("frames"),
        _frame_suites,
        "resize",
        "frames",
        outlet="frames",
    ),
    Task("lists", "Writes the list files from the catalog and what is on disk.", _lists, phase="publish"),
    gate_task("lists", "Checks the list files.", _gate("lists"), _list_suites, phase="publish", outlet="lists"),
    *end_tasks(_release),
)


def tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks of a run, in order."""
    return _TASKS
