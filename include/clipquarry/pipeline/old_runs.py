"""Removal of old run folders, where ``CLIPQUARRY_KEEP_RUNS`` says how many of a data set's runs are kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from clipquarry.errors import ClipquarryError
from clipquarry.files import TEMPORARY_PREFIX, owned_beside, read_json
from clipquarry.pipeline.context import RunContext
from clipquarry.run_order import RunOrder, run_order


def remove_old_runs(ctx: RunContext) -> list[str]:
    """Remove the oldest ended runs beyond the setting; returns their names.

    Never removed: this run, a run that has not ended, the run of the newest release, and what is not a run of ours.
    """
    keep = ctx.settings.keep_runs
    if not keep:
        return []
    from clipquarry.pipeline.publish import latest_name  # which is made of stages

    released = latest_name(ctx)
    runs: list[tuple[RunOrder, Path]] = []
    for folder in ctx.data.runs(ctx.spec.name).iterdir():
        about = _about(folder)
        if folder.is_symlink() or folder.name.startswith(TEMPORARY_PREFIX) or not about.get("started"):
            continue
        runs.append((run_order(folder, about), folder))
    removed = []
    for _, folder in sorted(runs, reverse=True)[keep:]:
        if folder.name in (ctx.run, released) or not _about(folder).get("ended"):
            continue
        # Out of sight in one step, so that a kill leaves no half of a run; what is left then is swept by a later run.
        aside = owned_beside(folder)
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
        removed.append(folder.name)
    return removed


def _about(folder: Path) -> dict[str, Any]:
    try:
        value = read_json(folder / "run.json")
    except (OSError, ClipquarryError):
        return {}
    return value if isinstance(value, dict) else {}
