"""Data sets that are made of others follow them: when a run of theirs starts by itself, and of which releases it is made.

Airflow's events only say when to look, and may be lost (of a paused DAG, of a run of the command line). What decides is on
the disk: the fingerprints of the releases that a data set is made of, and those that the lock of its own newest
release names. ``{data}/.clipquarry/state/{dataset}.follows.json`` names the last run that started by itself: ``{"run", "made_of"}``.
A run that fails is not started again for the same releases; neither is one beside, or after, a person's that takes from them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.ways import may_lack, parts_of
from clipquarry.errors import UserError
from clipquarry.files import as_object, known_document, known_object, write_json
from clipquarry.pipeline.annotation_choice import drop_old_copies
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.family import params_model
from clipquarry.pipeline.finished import is_over
from clipquarry.pipeline.inherit import params_to_repeat
from clipquarry.pipeline.nothing import NothingInThisRun, NothingToDo
from clipquarry.pipeline.releases import Standing, latest_lock, made_of_in, standing, unreadable
from clipquarry.run_documents import known_run_facts
from clipquarry.run_folder import RunFolder, begun_runs
from clipquarry.settings import DataRoot, Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Due:
    """Whether a data set should be made anew, with the reason in a sentence."""

    due: bool
    sentence: str
    parts: dict[str, str] = field(default_factory=dict)
    """Data set to the fingerprint of its newest release, for those that have one."""


def due(spec: DatasetSpec, settings: Settings, run: str = "") -> Due:
    """Whether all parts of a data set are whole, and one has changed since its newest release. ``run``: the run that
    asks, which may have asked before.
    """
    name, parts = spec.name, _parts(spec, settings)
    now = {part.dataset: part.fingerprint for part in parts if part.fingerprint}
    lock, last = latest_lock(settings.data, name), settings.data.full_release(name)
    if not settings.chains:
        return Due(False, f"{name} does not follow what it is made of: CLIPQUARRY_CHAINS is off.", now)
    own = standing(name, settings)
    if last is None or not (
        lock or own.damaged
    ):  # a run that a person stopped at the plan is no consent, nor is a trial
        return Due(False, f"{name} follows what it is made of after its first full run: start that by hand.", now)
    try:
        params_to_repeat(spec, settings.data)
    except NothingInThisRun as unfit:
        return Due(False, str(unfit), now)
    if missing := _missing(parts):
        return Due(False, f"{name} waits until all that it is made of is whole: {missing}.", now)
    of_last = settings.data.runs(name) / str(last.get("run"))
    try:
        changed = _changed(now, lock, of_last, settings.data) if lock else None
    except UserError:  # a lock that is cut off behind its header says what it is made of
        changed = None
    if changed is None:
        why = own.why or unreadable(name, own.run)
        return Due(False, f"{name} does not start by itself, because nobody knows what it is made of: {why}.", now)
    if not changed:
        return Due(
            False,
            f"Nothing changed: the newest release of {name} is made of those of {', '.join(now) or 'no other data set'}.",
            now,
        )
    if other := _started_for(now, spec, settings.data, run, of_last):
        return Due(
            False,
            f"The run {other} of {name} was started for these releases and has published nothing so far. "
            "Another starts when one of them changes.",
            now,
        )
    return Due(True, f"{name} is due: {', '.join(changed)} changed since its newest release.", now)


def _changed(now: Mapping[str, str], lock: Path, of_last: Path, data: DataRoot) -> list[str]:
    """The parts that changed since the newest release. ``of_last``: the folder of the last full run that came to its release.

    The locks of earlier versions do not say what they are made of: then a part has changed whose lock is newer.
    """
    made = made_of_in(lock)
    if made or RunFolder(of_last).made_of.exists():  # it may be made of none of them
        return [part for part in now if made.get(part) != now[part]]
    own = lock.parent.parent / of_last.name / lock.name  # a trial or a refresh that came later looked at no part
    since = (own if own.is_file() else lock).stat().st_mtime_ns
    theirs = {part: latest_lock(data, part) for part in now}
    return [part for part, file in theirs.items() if file is not None and file.stat().st_mtime_ns > since]


def _started_for(now: Mapping[str, str], spec: DatasetSpec, data: DataRoot, run: str, of_last: Path) -> str:
    """Another full run that takes from these very releases, whoever started it, and published nothing since; or ""."""
    tried = known_object(data.followed(spec.name))
    since = str(known_run_facts(of_last).get("started", ""))
    for folder in begun_runs(data.runs(spec.name)):
        if folder.name == run or known_object(RunFolder(folder).made_of) != now:
            continue
        facts = known_run_facts(folder)
        if facts.get("kind") != "full" or _only_tries(spec, facts):  # a run that was refused may have left a note in it
            continue
        # Runs before the last release are settled. That one itself was begun again, if it notes other releases by now.
        if folder == of_last or str(facts.get("started", "")) >= since:
            return folder.name
    name = str(tried.get("run"))
    if tried.get("made_of") == now and name != run and not (data.release(spec.name) / name).exists():
        return name
    return ""


def _only_tries(spec: DatasetSpec, facts: Mapping[str, Any]) -> bool:
    """Whether a run of which these are the facts is a trial."""
    params = as_object(facts.get("params"))
    return any(params.get(name) for name in params_model(spec).trial)


def _parts(spec: DatasetSpec, settings: Settings) -> list[Standing]:
    """What the data set is made of here: without parts that have no release, if their items also come from elsewhere."""
    every = [standing(part, settings) for part in parts_of(spec)]
    without = may_lack(spec)
    return [part for part in every if part.fingerprint or part.damaged or part.dataset not in without]


def _missing(parts: list[Standing]) -> str:
    return "; ".join(part.why for part in parts if not part.whole)


def look_at_parts(ctx: RunContext) -> str:
    """The first stage of a data set that is made of others: notes the releases that this run takes from.

    Ends a run that started by itself and is not due. A person's run goes on, whatever its parts are.
    """
    if ctx.kind == "refresh":
        raise NothingToDo("A refresh looks at missing items only, so its release stays made of what it was.")
    missing = _missing(_parts(ctx.spec, ctx.settings))
    if ctx.params.is_trial:  # a full run under its name would go on with what it noted
        if missing:
            _warn(ctx, missing)
        return "A trial notes no releases, and takes the annotation files that are here."
    noted = ctx.place.made_of.exists() and not _only_tries(ctx.spec, known_run_facts(ctx.folder))
    if noted and not is_over(ctx.data, ctx.folder):
        return "The run goes on with the releases that it noted when it began."
    told = due(ctx.spec, ctx.settings, ctx.run)
    # A person cleared such a run: it is that person's now.
    again = noted or (ctx.data.release(ctx.spec.name) / ctx.run).exists()
    if ctx.automatic and not again:
        if not told.due:
            raise NothingInThisRun(told.sentence)
        write_json(ctx.data.followed(ctx.spec.name), {"run": ctx.run, "made_of": told.parts})
    elif missing:
        _warn(ctx, missing)
    for path in drop_old_copies(ctx):
        log.info(f"{path} was copied from another data set, whose file has changed since: it is copied anew.")
    write_json(ctx.place.made_of, told.parts)
    log.info(told.sentence)
    return told.sentence


def _warn(ctx: RunContext, missing: str) -> None:
    log.warning(f"Not all that {ctx.spec.name} is made of is whole, and this run takes what is there: {missing}.")


def made_of(ctx: RunContext) -> dict[str, str]:
    """The releases that this run's release is made of: data set to fingerprint.

    A trial and a refresh take over those of the newest release, because they looked at a part only.
    """
    if not parts_of(ctx.spec):
        return {}
    if ctx.kind == "full" and not ctx.params.is_trial:
        return _noted(ctx.place)
    name, lock = ctx.spec.name, latest_lock(ctx.data, ctx.spec.name)
    try:
        if lock is not None or not standing(name, ctx.settings).damaged:
            return made_of_in(lock)
    except UserError as error:
        log.warning(str(error))
    last = RunFolder(ctx.data.runs(name) / str((ctx.data.full_release(name) or {}).get("run")))
    if last.made_of.exists():  # trials and refreshes took it over since
        return _noted(last)
    raise UserError(
        f"Nobody knows any more what {name} is made of, because the lock file of its newest release cannot be read: run "
        f"{name} once in full."
    )


def _noted(place: RunFolder) -> dict[str, str]:
    """The releases that a run noted; none if the note is damaged: then all have changed since."""
    told = known_object(place.made_of)
    if not told and known_document(place.made_of) != {} and os.path.lexists(place.made_of):
        log.warning(f"{place.made_of} cannot be read: the release names no parts, and the data set is made anew once.")
    return {str(part): str(one) for part, one in told.items()}
