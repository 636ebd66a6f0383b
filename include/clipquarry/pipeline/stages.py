"""The stages of a run by name. Each is safe to run again and leaves its outcome in the run's folder."""

from __future__ import annotations

from functools import partial
from typing import Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import disk_errors
from clipquarry.pipeline import stage
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.failures import clear_failure, note_failure
from clipquarry.pipeline.family import Stage, Task, tasks_of
from clipquarry.pipeline.nothing import NothingInThisRun, NothingToDo

__all__ = ["NothingInThisRun", "NothingToDo", "run_stage", "stages"]


def _function(task: Task) -> Stage:
    if task.run is not None:
        return task.run
    assert task.is_step, f"the task {task.name} does nothing"
    return partial(stage.shards, step=task.name)


def stages(spec: DatasetSpec) -> dict[str, Stage]:
    """The stages in the worker, by name, in order; the steps run in a runtime."""
    return {task.stage: _function(task) for task in tasks_of(spec)}


def run_stage(name: str, ctx: RunContext) -> Any:
    """Run one stage. Its error is noted for the report."""
    try:
        if ctx.problem and name != "report":
            if name == "record":
                raise NothingToDo("The run's parameters are wrong, so there is nothing to record.")
            raise UserError(ctx.problem)
        with disk_errors(ctx.data.root):
            result = stages(ctx.spec)[name](ctx)
    except NothingToDo:
        clear_failure(ctx.folder, name)
        raise
    except OSError as error:
        if error.filename is None:
            note_failure(ctx.folder, name, error)
            raise
        # A folder or a link in place of a file, no permission: a person must look, and needs the path, not our frames.
        where = error.filename2 or error.filename  # for a rename: its target
        told = ClipquarryError(f"{where}: {error.strerror}. Look at what lies there, then run this again.")
        note_failure(ctx.folder, name, told)
        raise told from error
    except BaseException as error:
        note_failure(ctx.folder, name, error)
        raise
    clear_failure(ctx.folder, name)
    return result
