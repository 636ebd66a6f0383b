"""A whole run without Airflow: the same stages in the same order, steps in this process."""

from __future__ import annotations

from typing import Any

from clipyard.errors import ClipyardError, Exit, MachineError, RetryLater, UserError
from clipyard.pipeline.context import RunContext
from clipyard.pipeline.stages import NothingToDo, Say, run_stage
from clipyard.pipeline.summary import run_summary

_BEFORE = ("annotations", "gate_annotations")
_AFTER = ("gate_frames", "lists", "gate_lists", "release")


def _stage(name: str, ctx: RunContext, say: Say) -> Any:
    try:
        return run_stage(name, ctx, say=say)
    except NothingToDo as nothing:
        say("%s", f"{name}: {nothing}")
        return None


def _shards(step: str, ctx: RunContext, say: Say) -> None:
    from clipyard.steps.registry import make_step
    from clipyard.steps.runner import run_step

    errors = {Exit.WAIT: RetryLater, Exit.RETRY: RetryLater, Exit.FAIL: MachineError, Exit.USAGE: UserError}
    root = ctx.data.root
    for job in _stage(f"{step}_shards", ctx, say) or []:
        result = run_step(
            make_step(step), items=root / job["items"], params=f"@{root / job['params']}", out=root / job["out"],
            data=root, jobs=ctx.params.jobs,
        )  # fmt: skip
        say("%s", f"{job['name']}: {result.sentence}")
        if result.exit is not Exit.OK:
            raise errors.get(result.exit, ClipyardError)(result.sentence)


def run_all(ctx: RunContext, say: Say) -> dict[str, Any]:
    """Run every stage; the report is written also when a gate blocks or a step stops. Returns the run's summary.

    Raises what stopped the run, after the report.
    """
    try:
        for name in _BEFORE:
            _stage(name, ctx, say)
        _stage("plan", ctx, say)
        try:
            for step in ("unpack", "fetch"):
                _shards(step, ctx, say)
        finally:
            _stage("record", ctx, say)
        _stage("gate_clips", ctx, say)
        for step in ("resize", "frames"):
            _shards(step, ctx, say)
        for name in _AFTER:
            _stage(name, ctx, say)
    finally:
        _stage("report", ctx, say)
    return run_summary(ctx.data, ctx.spec.name, ctx.run)
