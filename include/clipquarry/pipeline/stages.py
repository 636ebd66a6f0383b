"""The stages of a run by name. Each is safe to run again and leaves its outcome in the run's folder."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from clipquarry.datasets.model import AnnotationFormat
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import disk_errors
from clipquarry.pipeline import stage
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.failures import clear_failure, note_failure
from clipquarry.pipeline.graph import stages_of
from clipquarry.pipeline.stage import NothingInThisRun, NothingToDo, Say, Stage

__all__ = ["NothingInThisRun", "NothingToDo", "Say", "run_stage", "stages"]

_OWN: dict[AnnotationFormat, str] = {
    "kinetics_csv": "clipquarry.pipeline.kinetics",
    "ava_csv": "clipquarry.pipeline.boxes.ava",
    "ava_kinetics_csv": "clipquarry.pipeline.boxes.ava_kinetics",
}
"""Modules with the stages that are a format's own; each is imported only when it is asked for."""

_SHARED: dict[str, Stage] = {"record": stage.record, "report": stage.report}


def stages(format_: AnnotationFormat) -> dict[str, Stage]:
    """Stages that run in the worker, in order; the steps run in a runtime."""
    own: dict[str, Stage] = _SHARED | import_module(_OWN[format_]).STAGES
    return {
        name: own[name] if name in own else partial(stage.shards, step=name.removesuffix("_shards"))
        for name in stages_of(format_)
    }


def run_stage(name: str, ctx: RunContext, *, say: Say) -> Any:
    """Run one stage; ``say`` gets ``("%s", sentence)`` like a logger. Why it failed is noted for the report."""
    assert ctx.spec.annotation_format is not None
    try:
        if ctx.problem and name != "report":
            if name == "record":
                raise NothingToDo("The run's parameters are wrong, so there is nothing to record.")
            raise UserError(ctx.problem)
        with disk_errors(ctx.data.root):
            result = stages(ctx.spec.annotation_format)[name](ctx, say)
    except NothingToDo:
        clear_failure(ctx.folder, name)
        raise
    except OSError as error:
        if error.filename is None:
            note_failure(ctx.folder, name, error)
            raise
        # A folder or a link in the place of a file, no permission: a person must look, and needs the name, not our frames.
        where = error.filename2 or error.filename  # of a rename: what it was to become
        told = ClipquarryError(f"{where}: {error.strerror}. Look at what lies there, then run this again.")
        note_failure(ctx.folder, name, told)
        raise told from error
    except BaseException as error:
        note_failure(ctx.folder, name, error)
        raise
    clear_failure(ctx.folder, name)
    return result
