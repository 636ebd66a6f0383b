"""Tasks of a run of packages of skeletons: their list, the files, a look at every sample, release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.skeletons.options import skeletons_options
from clipquarry.families.skeletons.run_files import LEFT_BY_MAKE, LEFT_BY_SAMPLES
from clipquarry.pipeline.family import CPU, Stage, Task, chained, step
from clipquarry.pipeline.shared_tasks import begin_tasks, end_tasks, gate_task, record_tasks

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext
    from clipquarry.quality.engine import Suite
    from clipquarry.quality.params import GateParams
    from clipquarry.quality.tables import RunTables
    from clipquarry.settings import DataRoot


def _packages(ctx: RunContext) -> Any:
    from clipquarry.families.skeletons.stages import list_packages

    return list_packages(ctx)


def _plan(ctx: RunContext) -> Any:
    from clipquarry.families.skeletons.stages import plan

    return plan(ctx)


def _make(ctx: RunContext) -> Any:
    from clipquarry.families.skeletons.made import make_packages

    return make_packages(ctx)


def _samples(ctx: RunContext) -> Any:
    from clipquarry.families.skeletons.samples import samples

    return samples(ctx)


def _release(ctx: RunContext) -> Any:
    from clipquarry.families.skeletons.stages import release

    return release(ctx)


def _gate(name: str) -> Stage:
    def run(ctx: RunContext) -> Any:
        from clipquarry.families.skeletons.stages import gate

        return gate(ctx, name)

    return run


def _catalog_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.skeletons.gates.files import catalog_suites

    return catalog_suites(spec, run, data, params)


def _file_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.skeletons.gates.files import suites

    return suites(spec, run, data, params)


def _package_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.skeletons.gates.packages import suites

    return suites(spec, run, data, params)


def _begin(spec: DatasetSpec) -> Iterator[Task]:
    """The tasks of all families, with what they do here: packages have no annotation files."""
    titles = {
        "annotations": "Lists the packages, with what is published of each.",
        "gate_annotations": "Checks the list of packages.",
    }
    for task in begin_tasks(_packages, _gate("annotations"), _catalog_suites, _plan):
        if task.name == "plan" and any(one.made_of for one in skeletons_options(spec).packages.values()):
            made = "Makes packages of the files that a person has placed."
            yield Task("make", made, _make, phase="prepare", leaves=LEFT_BY_MAKE)
        yield replace(task, title=titles.get(task.name, task.title), pool=CPU)


def tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks of a run, in order."""
    told = "Takes each package, verifies that it is a whole pickle that calls nothing, and keeps it as published."
    return chained(
        *_begin(spec),
        step("collect_packages", told, phase="acquire"),
        *record_tasks(_gate("clips"), _file_suites),
        Task(
            "samples", "Reads each package sample by sample, and notes what is wrong.", _samples, leaves=LEFT_BY_SAMPLES
        ),
        gate_task(
            "packages",
            "Checks the packages' samples, splits and sizes.",
            _gate("packages"),
            _package_suites,
            outlet="packages",
        ),
        *end_tasks(_release),
    )
