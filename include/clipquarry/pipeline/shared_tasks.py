"""Tasks of every family: the beginning of a run, the collection of results, and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clipquarry.pipeline.family import EGRESS, Phase, Stage, Task

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext
    from clipquarry.quality.gates import Suites


def _record(ctx: RunContext) -> Any:
    from clipquarry.pipeline.stage import record

    return record(ctx)


def _report(ctx: RunContext) -> Any:
    from clipquarry.pipeline.stage import report

    return report(ctx)


def gate_task(
    name: str, title: str, run: Stage, suites: Suites, *needs: str, phase: Phase = "process", outlet: str = ""
) -> Task:
    """The gate ``name`` with its suites; ``run`` chooses its parameters and runs it."""
    return Task(f"gate_{name}", title, run, needs, phase, outlet=outlet, suites=suites)


def begin_tasks(annotations: Stage, gate: Stage, suites: Suites, plan: Stage) -> tuple[Task, ...]:
    """The annotation files, the gate ``annotations`` over them, the plan."""
    told = "Downloads the annotation files and builds the catalog."
    return (
        Task("annotations", told, annotations, phase="prepare", pool=EGRESS),
        gate_task("annotations", "Checks the catalog: counts, ids, times, labels.", gate, suites, phase="prepare"),
        Task("plan", "Chooses the items whose time has come, and cuts them into shards.", plan, phase="prepare"),
    )


def record_tasks(gate: Stage, suites: Suites) -> tuple[Task, ...]:
    """The collection of the shards' results, and the gate ``clips`` over it."""
    told = "Checks what was fetched, and how much of it."
    return (
        # Results are also collected after failed shards; a failed plan still stops the tasks after it.
        Task(
            "record",
            "Tells the ledger what came of each item that was asked for.",
            _record,
            phase="acquire",
            always=True,
        ),
        gate_task("clips", told, gate, suites, "record", "plan", phase="acquire", outlet="videos"),
    )


def end_tasks(release: Stage) -> tuple[Task, ...]:
    """The release, and the report, which is written whatever happened before."""
    told = "Publishes what is complete, with a lock of checksums."
    return (
        Task("release", told, release, phase="publish", outlet="release"),
        Task("report", "Writes the quality report, whatever happened before.", _report, phase="publish", always=True),
    )
