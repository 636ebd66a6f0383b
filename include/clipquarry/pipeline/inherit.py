"""Inheritance of a refresh from the data set's last full run: the requests, their sources, and what is made from the
items.

``{data}/.clipquarry/state/{dataset}.params.json`` keeps the parameters of the last full run that had a plan and was
no trial (see :attr:`RunParams.trial`), because old run folders are removed: ``{"run", "params", "recorded",
"released"}``. ``recorded``: whether such a run recorded its results; ``released``: run and parameters of the last one
that came to its release, or null. A run that starts by itself repeats the latter. Not inherited: the choice of items (the
state knows all requested ones), the division of the work (``shards``, ``jobs``), the time (``wait_days``, ``label_days``, ``retry_all``,
``as_of``, ``dry_run``), and whether a person is asked (``approve_gates``, ``approve_above``), since nobody watches such a run. Cookies and the egress are the deployment's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import known_object, write_json
from clipquarry.pipeline.family import default_params, params_model
from clipquarry.pipeline.nothing import NothingInThisRun
from clipquarry.pipeline.param_checks import parse_run_params
from clipquarry.pipeline.params import RunParams
from clipquarry.pipeline.state import locked
from clipquarry.run_documents import known_run_facts
from clipquarry.run_folder import RunFolder
from clipquarry.run_order import run_order
from clipquarry.settings import DataRoot

_OF_ONE_DAY = frozenset({"dry_run", "retry_all", "as_of", "approve_gates", "approve_above"})


def inherited(spec: DatasetSpec, given: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of ``last`` that a refresh with ``given`` inherits: all of each group from which it chooses
    nothing.

    The trigger form sends all parameters, so a default counts as not chosen.
    """
    model = params_model(spec)
    fields = model.model_fields
    usual = {name: field.default for name, field in fields.items()} | default_params(spec)
    found: dict[str, Any] = {}
    for group in model.groups:
        if any(given.get(name) not in (None, usual.get(name)) for name in group):
            continue
        found |= {name: last[name] for name in group if name in fields and last.get(name) not in (None, usual[name])}
    return found


def repeated(spec: DatasetSpec, last: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of ``last`` that a run which starts by itself repeats: all that say what is made, and how."""
    usual = {name: field.default for name, field in params_model(spec).model_fields.items()} | default_params(spec)
    return {
        name: value
        for name, value in last.items()
        if name in usual and name not in _OF_ONE_DAY and value not in (None, usual[name])
    }


def last_params(spec: DatasetSpec, data: DataRoot) -> dict[str, Any]:
    """The parameters that refreshes inherit; empty if no full run recorded any, or if they no longer exist."""
    kept = known_object(data.last_params(spec.name)).get("params")
    last = kept if isinstance(kept, dict) else _of_run_folders(spec, data)
    try:
        parse_run_params(last, spec)
    except ClipquarryError:  # the YAML has changed since
        return {}
    return last


def params_to_repeat(spec: DatasetSpec, data: DataRoot) -> dict[str, Any]:
    """The parameters of the last full run that came to its release, for a run that starts by itself; empty without one.

    Raises NothingInThisRun where they no longer fit: the defaults in their place may take days that nobody asked for.
    """
    made = data.full_release(spec.name)
    if made is None:
        return {}
    last = made.get("params")
    try:
        if not isinstance(last, dict):
            raise UserError("they are damaged.")
        parse_run_params(last, spec)
    except ClipquarryError as error:
        raise NothingInThisRun(
            f"{spec.name} does not start by itself, because the parameters of its last full run no longer fit: start a "
            f"run by hand. What is wrong with them: {error}"
        ) from error
    return last


def remember(
    spec: DatasetSpec, data: DataRoot, run: str, params: RunParams, came_to: Literal["plan", "record", "release"]
) -> None:
    """Note a full run's parameters and how far it came, unless it is a trial."""
    if params.is_trial:
        return
    path, told = data.last_params(spec.name), {"run": run, "params": params.model_dump(mode="json")}
    with locked(data.state(spec.name)):
        before = known_object(path)
        recorded, released = data.had_full_run(spec.name), data.full_release(spec.name)
        if released is not None:
            released = {key: released.get(key) for key in told}
        if came_to == "plan" or not before:
            before = told
        write_json(
            path,
            {
                **{key: before.get(key) for key in told},
                "recorded": recorded or came_to != "plan",
                "released": told if came_to == "release" else released,
            },
        )


def _of_run_folders(spec: DatasetSpec, data: DataRoot) -> dict[str, Any]:
    """For a data set whose runs are older than the file, or were all trials: those of the last planned run,
    preferably of one that was no trial.

    The sources of a trial say nothing about other sources.
    """
    model, trial = params_model(spec), dict[str, Any]()
    for folder in sorted(data.runs(spec.name).glob("*/"), key=run_order, reverse=True):
        facts = known_run_facts(folder)
        params = facts.get("params")
        if facts.get("kind") != "full" or not isinstance(params, dict) or not RunFolder(folder).plan_file.exists():
            continue
        if not any(params.get(name) for name in model.trial):
            return params
        if not params.get("dry_run"):
            trial = trial or {name: value for name, value in params.items() if name not in model.groups[0]}
    return trial
