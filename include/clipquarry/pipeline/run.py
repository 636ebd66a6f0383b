"""A whole run without Airflow: the same parts in the same order, steps in this process."""

from __future__ import annotations

from typing import Any

from clipquarry.errors import ClipquarryError, Exit, MachineError, RetryLater, ToolOutdated, UserError
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.failures import clear_failure, note_failure
from clipquarry.pipeline.graph import graph_of
from clipquarry.pipeline.stages import NothingInThisRun, NothingToDo, Say, run_stage
from clipquarry.pipeline.summary import run_summary


def _stage(name: str, ctx: RunContext, say: Say) -> Any:
    try:
        return run_stage(name, ctx, say=say)
    except NothingInThisRun:
        raise
    except NothingToDo as nothing:
        say("%s", f"{name}: {nothing}")
        return None


def _shards(step: str, ctx: RunContext, say: Say) -> None:
    from clipquarry.steps.registry import make_step
    from clipquarry.steps.runner import run_step

    errors = {
        Exit.WAIT: RetryLater, Exit.RETRY: RetryLater, Exit.FAIL: MachineError, Exit.USAGE: UserError,
        Exit.UPGRADE: ToolOutdated,
    }  # fmt: skip
    root = ctx.data.root
    for job in _stage(f"{step}_shards", ctx, say) or []:
        result = run_step(
            make_step(step), items=root / job["items"], params=f"@{root / job['params']}", out=root / job["out"],
            data=root, jobs=ctx.params.jobs,
        )  # fmt: skip
        say("%s", f"{job['name']}: {result.sentence}")
        if result.exit is not Exit.OK:
            raise errors.get(result.exit, ClipquarryError)(result.sentence)


def run_all(ctx: RunContext, say: Say) -> dict[str, Any]:
    """Run every part; those that always run are also run behind one that stopped the run. Returns the run's summary.

    Raises what stopped the run, after the report.
    """
    stopped: BaseException | None = None
    for part in graph_of(ctx.spec.annotation_format):
        if stopped is not None and not part.always:
            continue
        try:
            (_shards if part.is_step else _stage)(part.name, ctx, say)
            if part.is_step:
                clear_failure(ctx.folder, part.name)
        except NothingInThisRun as nothing:
            say("%s", f"{part.name}: {nothing}")
            break
        except BaseException as error:  # noqa: BLE001  raised again below; an interrupted run has a report too
            if part.is_step:
                note_failure(ctx.folder, part.name, error)
            stopped = stopped or error
    if stopped is not None:
        raise stopped
    return run_summary(ctx.data, ctx.spec.name, ctx.run)
