"""The files of a plan, and whether a run goes on with them: ``plan.json`` names the sha256 of each, so that no run goes on with other ones.

A table of another run, or one that lost rows, reads as well as the right one: only its digest tells.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from clipquarry.errors import UserError
from clipquarry.files import TEMPORARY_PREFIX, found_at, sha256_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.family import steps_of
from clipquarry.pipeline.finished import ASKING
from clipquarry.pipeline.params import APPROVING
from clipquarry.run_documents import PlanFacts, read_plan
from clipquarry.run_folder import RunFolder

log = logging.getLogger(__name__)


def digests(place: RunFolder) -> dict[str, str]:
    """Sha256 of every file of the plan, by its path below ``plan/``."""
    found = sorted(path for path in place.plan.rglob("*") if path.is_file())
    return {
        path.relative_to(place.plan).as_posix(): sha256_of(path)
        for path in found
        if not path.name.startswith(TEMPORARY_PREFIX)
    }


def damage_of(place: RunFolder, plan: PlanFacts, only: Collection[Path] | None = None) -> str:
    """A sentence about a file of the plan that is not what the plan wrote; "" if there is none. ``only``: these are looked at.

    Plans of earlier versions name no digests, and pass. Windows for other data sets are done without if they are gone.
    """
    for name, wanted in plan.get("files", {}).items():
        path = place.plan / name
        optional = path == place.others and not os.path.lexists(path)
        if optional or (only is not None and path not in only):
            continue
        if problem := _problem(path, wanted):
            return f"{path} is not the file that the plan of this run wrote ({problem})."
    return ""


def check_plan_files(place: RunFolder, plan: PlanFacts, only: Collection[Path] | None = None) -> None:
    """Raise :class:`UserError` for what :func:`damage_of` finds."""
    if damage := damage_of(place, plan, only):
        raise UserError(f"{damage} {advice(place)}")


def check_job(root: Path, job: Mapping[str, str]) -> None:
    """The same for the items and the parameters of one job; ``root`` is the data root. Jobs that no plan made pass."""
    place = RunFolder((root / job["out"]).parents[1])
    if place.plan_file.exists():
        check_plan_files(place, read_plan(place), [root / job["items"], root / job["params"]])


def advice(place: RunFolder) -> str:
    """What a person can do about a damaged plan."""
    return (
        f"Restore it. Or delete {place.plan_file} and start the run again: it is planned anew, and what it asked for is "
        "asked for again."
    )


def _problem(path: Path, wanted: str) -> str:
    try:
        if (found := found_at(path)) != "file":  # neither a pipe, whose reader waits for ever
            return "it is no file" if found else "it is gone"
        return "" if sha256_of(path) == wanted else "its content is another"
    except OSError as error:
        return str(error.strerror)


def remove(path: Path) -> bool:
    """Remove whatever lies at ``path``, of a link the link only; returns whether anything did."""
    if not os.path.lexists(path):
        return False
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    return True


def planned(about: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What a plan depends on. Whether a person may release all the same changes no plan."""
    params = about.get("params")
    told = params if isinstance(params, dict) else {}
    return about.get("kind"), {name: value for name, value in told.items() if name not in APPROVING}


def existing_plan(ctx: RunContext) -> PlanFacts | None:
    """The run's plan if it was made with the same parameters.

    A restarted run must meet the same shards, or its finished manifests would belong to other items. With other
    parameters, and without a plan, the old manifests are removed. Raises :class:`UserError` for a damaged plan after which
    items were asked for; one from which nothing was asked yet is made anew.
    """
    if not ctx.plan_file.exists():
        if _forget(ctx):
            log.warning(f"{ctx.plan_file} is gone: the run is planned anew, and what it asked for is asked for again.")
        return None
    try:
        plan = read_plan(ctx.place)
    except UserError as error:
        damage = str(error)
    else:
        if planned(plan) != planned(ctx.as_json()):
            _forget(ctx)
            return None
        damage = damage_of(ctx.place, plan)
        if not damage:
            return plan
    if any(any(ctx.place.step(step).glob("[!.]*")) for step in ASKING):
        raise UserError(f"{damage} {advice(ctx.place)}")
    log.warning(f"{damage} Nothing was asked for yet, so the run is planned anew.")
    _forget(ctx)
    return None


def _forget(ctx: RunContext) -> bool:
    """Remove a plan, and what the steps made of it; returns whether there was any of that."""
    remove(ctx.plan_file)
    remove(ctx.place.plan)
    removed = [remove(ctx.place.step(step)) for step in steps_of(ctx.spec)]
    return any(removed)
