"""The stages of a run by name. Each is safe to run again and leaves its outcome in the run's folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.ways import about_files
from clipquarry.errors import ClipquarryError, RetryLater, UserError, WaitUntil
from clipquarry.files import disk_errors
from clipquarry.pipeline import stage
from clipquarry.pipeline.chains import look_at_parts
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.failures import clear_failure, note_failure
from clipquarry.pipeline.family import MADE_OF, Stage, Task, tasks_of
from clipquarry.pipeline.nothing import NothingInThisRun, NothingToDo
from clipquarry.waiting import look, look_again, still_growing, still_written, stop_waiting, wait_for

__all__ = ["NothingInThisRun", "NothingToDo", "run_stage", "stages"]


def _function(task: Task) -> Stage:
    if task.name == MADE_OF:
        return look_at_parts
    if task.run is not None:
        return task.run
    assert task.is_step, f"the task {task.name} does nothing"
    return partial(stage.shards, step=task.name)


def stages(spec: DatasetSpec) -> dict[str, Stage]:
    """The stages in the worker, by name, in order; the steps run in a runtime."""
    return {task.stage: _function(task) for task in tasks_of(spec)}


def _waiting(name: str, ctx: RunContext) -> Any:
    """Run the stage. Where it lacks files that a person can place, and the run may wait for them, raises WaitUntil."""
    root = ctx.data.dataset(ctx.spec.root)
    lists = {root / Path(path).parent for path in ctx.spec.splits.values()}
    places = {root, *lists}
    seen = look(places) if ctx.params.wait_days else {}
    days, note = ctx.params.wait_days, ctx.place.waiting(name)
    by_person = any(source.kind == "manual" for source in ctx.spec.annotation_sources)
    if by_person and name == "annotations" and (growing := still_written(lists) if days else still_growing(lists)):
        told = f"Somebody still writes {growing[0]}, so nothing is read yet."
        wait_for(note, told, places, days, seen={})
        if not days:
            raise RetryLater(f"{told} Run this again when it is copied.")
    try:
        return stages(ctx.spec)[name](ctx)
    except ClipquarryError as error:
        if error.places and days:
            soon = isinstance(error, RetryLater)
            told = f"{error} {about_files(ctx.spec)}".rstrip()
            wait_for(note, told, error.places, days, seen=seen, soon=soon)
            if soon:  # it has waited long enough: another try would wait as long again
                raise UserError(str(error)) from error
        raise


def run_stage(name: str, ctx: RunContext) -> Any:
    """Run one stage. Its error is noted for the report; a wait (WaitUntil) is none."""
    try:
        if ctx.problem and name != "report":
            if name == "record":
                raise NothingToDo("The run's parameters are wrong, so there is nothing to record.")
            raise UserError(ctx.problem)
        waits = ctx.place.waiting(name)
        look_again(waits)
        with disk_errors(ctx.data.root):
            result = _waiting(name, ctx)
        stop_waiting(waits)
    except WaitUntil:
        clear_failure(ctx.folder, name)
        raise
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
