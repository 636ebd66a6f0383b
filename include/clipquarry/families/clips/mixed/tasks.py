"""Tasks of a run whose splits hold different things."""

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
    from clipquarry.families.clips.mixed.stages import read_annotations

    return read_annotations(ctx)


def _plan(ctx: RunContext) -> Any:
    from clipquarry.families.clips.mixed.stages import plan

    return plan(ctx)


def _lists(ctx: RunContext) -> Any:
    from clipquarry.families.clips.mixed.lists import write_lists

    return write_lists(ctx)


def _release(ctx: RunContext) -> Any:
    from clipquarry.families.clips.mixed.stages import release

    return release(ctx)


def _gate(name: str) -> Stage:
    def run(ctx: RunContext) -> Any:
        from clipquarry.families.clips.mixed.stages import gate

        return gate(ctx, name)

    return run


def _annotation_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.mixed.gates import annotation_suites

    return annotation_suites(spec, run, data, params)


def _clip_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.mixed.gates import clip_suites

    return clip_suites(spec, run, data, params)


def _list_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.clips.mixed.gates import list_suites

    return list_suites(spec, run, data, params)


def tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks, in order."""
    return chained(
        *begin_tasks(_annotations, _gate("annotations"), _annotation_suites, _plan),
        step("extract", "Unpacks each volume, all or nothing, into the folder of its source.", phase="acquire"),
        step("collect_mixed", "Decodes every file to verify it, and cuts long videos into parts.", phase="acquire"),
        *record_tasks(_gate("clips"), _clip_suites),
        Task("lists", "Checks the published lists, and writes them with what is on disk.", _lists, phase="publish"),
        gate_task("lists", "Checks the list files.", _gate("lists"), _list_suites, phase="publish", outlet="lists"),
        *end_tasks(_release),
    )
