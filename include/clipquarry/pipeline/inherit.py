"""Inheritance of a refresh from the data set's last full run: the requests, their sources, and what is made from the
items.

``{data}/.clipquarry/state/{dataset}.params.json`` keeps the parameters of the last full run that had a plan and was
no trial (see :attr:`RunParams.trial`), because old run folders are removed. Not inherited: the choice of items (the
state knows all requested ones), the division of the work (``shards``, ``jobs``), and the time (``retry_all``,
``as_of``, ``dry_run``). Cookies and the egress are the deployment's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.files import write_json
from clipquarry.pipeline.family import default_params, params_model
from clipquarry.pipeline.param_checks import parse_run_params
from clipquarry.pipeline.params import RunParams
from clipquarry.run_documents import known_object, known_run_facts
from clipquarry.run_folder import RunFolder
from clipquarry.run_order import run_order
from clipquarry.settings import DataRoot


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


def last_params(spec: DatasetSpec, data: DataRoot) -> dict[str, Any]:
    """The parameters that refreshes inherit; empty if no full run recorded any, or if they no longer exist."""
    kept = known_object(data.last_params(spec.name)).get("params")
    last = kept if isinstance(kept, dict) else _of_run_folders(spec, data)
    try:
        parse_run_params(last, spec)
    except ClipquarryError:  # the YAML has changed since
        return {}
    return last


def counts_for_refreshes(params: RunParams) -> bool:
    """Whether a full run with these parameters is no trial."""
    return not any(getattr(params, name) for name in params.trial)


def remember(spec: DatasetSpec, data: DataRoot, run: str, params: RunParams) -> None:
    """Record a full run's parameters for later refreshes, unless the run is a trial."""
    if counts_for_refreshes(params):
        write_json(data.last_params(spec.name), {"run": run, "params": params.model_dump(mode="json")})


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
