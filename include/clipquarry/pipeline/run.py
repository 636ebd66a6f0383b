"""A whole run without Airflow: the same tasks in the same order, steps in this process."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from clipquarry.errors import ClipquarryError, Exit, MachineError, RetryLater, ToolOutdated, UserError, WaitUntil
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.failures import clear_failure, note_failure
from clipquarry.pipeline.family import tasks_of
from clipquarry.pipeline.stages import NothingInThisRun, NothingToDo, run_stage
from clipquarry.pipeline.summary import run_summary
from clipquarry.reasons import Reason
from clipquarry.waiting import sleep_until

log = logging.getLogger(__name__)


def _stage(name: str, ctx: RunContext) -> Any:
    try:
        while True:
            try:
                return run_stage(name, ctx)
            except WaitUntil as wait:
                log.info(str(wait))
                sleep_until(wait.resume_at)
    except NothingInThisRun:
        raise
    except NothingToDo as nothing:
        log.info(f"{name}: {nothing}")
        return None


def _shards(step: str, ctx: RunContext) -> None:
    from clipquarry.steps.registry import make_step
    from clipquarry.steps.runner import run_step

    errors = {
        Exit.WAIT: RetryLater, Exit.RETRY: RetryLater, Exit.FAIL: MachineError, Exit.USAGE: UserError,
        Exit.UPGRADE: ToolOutdated,
    }  # fmt: skip
    root = ctx.data.root
    for job in _stage(f"{step}_shards", ctx) or []:
        while True:
            result = run_step(
                make_step(step), items=root / job["items"], params=f"@{root / job['params']}", out=root / job["out"],
                data=root, jobs=ctx.params.jobs,
            )  # fmt: skip
            if result.exit is not Exit.WAIT or result.resume_at is None or result.reason != Reason.NOT_FOUND:
                break  # a pause that a server asked for may be long: the run ends, and a later one goes on
            log.info(f"{job['name']}: {result.sentence}")
            sleep_until(datetime.fromisoformat(result.resume_at))
        log.info(f"{job['name']}: {result.sentence}")
        if result.exit is not Exit.OK:
            raise errors.get(result.exit, ClipquarryError)(result.sentence)


def run_all(ctx: RunContext) -> dict[str, Any]:
    """Run every task; those that always run also run after one that stopped the run. Returns the run's summary.

    Raises the error that stopped the run, after the report.
    """
    stopped: BaseException | None = None
    for task in tasks_of(ctx.spec):
        if stopped is not None and not task.always:
            continue
        try:
            (_shards if task.is_step else _stage)(task.name, ctx)
            if task.is_step:
                clear_failure(ctx.folder, task.name)
        except NothingInThisRun as nothing:
            log.info(f"{task.name}: {nothing}")
            break
        except BaseException as error:  # noqa: BLE001  raised again below; an interrupted run has a report too
            if task.is_step:
                note_failure(ctx.folder, task.name, error)
            stopped = stopped or error
    if stopped is not None:
        raise stopped
    return run_summary(ctx.data, ctx.spec.name, ctx.run)
