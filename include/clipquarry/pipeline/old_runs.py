"""Removal of old run folders, if ``CLIPQUARRY_KEEP_RUNS`` limits the number of a data set's runs."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from clipquarry.files import TEMPORARY_PREFIX, owned_beside
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.releases import latest_lock, latest_name
from clipquarry.run_documents import known_run_facts
from clipquarry.run_order import RunOrder, run_order

log = logging.getLogger(__name__)


def remove_old_runs(ctx: RunContext) -> list[str]:
    """Remove the oldest ended runs beyond the setting; returns their names.

    Never removed: this run, a run that has not ended or writes its report, the run of the newest release, and folders that are no runs of
    ours. Nothing is removed while nobody can tell which release is the newest.
    """
    keep = ctx.settings.keep_runs
    if not keep:
        return []
    released = latest_name(ctx.data, ctx.spec.name)
    latest = ctx.data.latest_release(ctx.spec.name)
    if os.path.lexists(latest) and latest_lock(ctx.data, ctx.spec.name) is None:
        log.warning(f"{latest} names no release, so no run folder is removed: the newest release's may be among them.")
        return []
    runs: list[tuple[RunOrder, Path]] = []
    for folder in ctx.data.runs(ctx.spec.name).iterdir():
        about = known_run_facts(folder)
        if folder.is_symlink() or folder.name.startswith(TEMPORARY_PREFIX) or not about.get("started"):
            continue
        runs.append((run_order(folder, about), folder))
    removed = []
    for _, folder in sorted(runs, reverse=True)[keep:]:
        facts = known_run_facts(folder)
        if folder.name in (ctx.run, released) or not facts.get("ended") or facts.get("reported") is False:
            continue
        # Renamed first, so that a kill leaves no half of a run; a later run deletes the rest.
        aside = owned_beside(folder)
        try:
            folder.rename(aside)
        except FileNotFoundError:  # another run removes it
            continue
        shutil.rmtree(aside, ignore_errors=True)
        removed.append(folder.name)
    return removed
