"""What a refresh takes over from the data set's last full run: all that decides what is asked for, of whom, and what is made of it.

``{data}/.clipquarry/state/{dataset}.params.json`` keeps the parameters of the last full run that came to a plan and was no trial (dry run,
``limit``, ``classes`` or ``videos``), because old run folders are removed. Not taken over: which items (the state knows what was ever
asked for), how the work is cut (``shards``, ``jobs``), and when (``retry_all``, ``as_of``, ``dry_run``). Cookies and the egress are the
deployment's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.files import read_json, write_json
from clipquarry.pipeline.param_checks import parse_run_params
from clipquarry.pipeline.params import RunParams, default_params, params_model
from clipquarry.run_order import run_order
from clipquarry.settings import DataRoot

GROUPS: tuple[tuple[str, ...], ...] = (
    ("sources", "local_folder", "mirror_url"),
    ("annotation_sources",),
    ("annotation_counts",),
    ("label_map",),
    ("compare_with",),
    ("version",),
    ("kinetics_list",),
    ("merge",),
    ("resize", "frames", "short_edge", "frame_width", "frame_height", "frame_rate"),
    ("excerpts",),
    (
        "proposals", "detector", "detector_config", "detector_checkpoint", "detector_sha256", "detector_batch", "device", "half",
        "score", "frame_offset",
    ),
)  # fmt: skip
"""Parameters that only make sense together: a refresh that is given one of a group keeps its own for the whole group."""
NOT_INHERITED = frozenset({"splits", "limit", "classes", "videos", "shards", "jobs", "dry_run", "retry_all", "as_of"})
_OF_A_TRIAL = ("dry_run", "limit", "classes", "videos")


def inherited(spec: DatasetSpec, given: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of ``last`` that a refresh with ``given`` takes over: of each group of which it chooses nothing.

    The trigger form sends all parameters, so that a default counts as not chosen.
    """
    fields = params_model(spec).model_fields
    usual = {name: field.default for name, field in fields.items()} | default_params(spec)
    found: dict[str, Any] = {}
    for group in GROUPS:
        if any(given.get(name) not in (None, usual.get(name)) for name in group):
            continue
        found |= {name: last[name] for name in group if name in fields and last.get(name) not in (None, usual[name])}
    return found


def last_params(spec: DatasetSpec, data: DataRoot) -> dict[str, Any]:
    """The parameters that refreshes take over; empty when no full run told any, or its parameters no longer exist."""
    kept = _read(_file(spec, data)).get("params")
    last = kept if isinstance(kept, dict) else _of_run_folders(spec, data)
    try:
        parse_run_params(last, spec)
    except ClipquarryError:  # the YAML has changed since
        return {}
    return last


def counts_for_refreshes(params: RunParams) -> bool:
    """Whether a full run with these parameters is no trial."""
    return not any(getattr(params, name, None) for name in _OF_A_TRIAL)


def remember(spec: DatasetSpec, data: DataRoot, run: str, params: RunParams) -> None:
    """Keep a full run's parameters for the refreshes after it, unless the run is a trial."""
    if counts_for_refreshes(params):
        write_json(_file(spec, data), {"run": run, "params": params.model_dump(mode="json")})


def _of_run_folders(spec: DatasetSpec, data: DataRoot) -> dict[str, Any]:
    """Of a data set whose runs are older than the file, or were all trials: those of the last planned one, rather one that was no trial.
    Whom a trial asked says nothing about others.
    """
    trial: dict[str, Any] = {}
    for folder in sorted(data.runs(spec.name).glob("*/"), key=run_order, reverse=True):
        facts = _read(folder / "run.json")
        params = facts.get("params")
        if facts.get("kind") != "full" or not isinstance(params, dict) or not (folder / "plan.json").exists():
            continue
        if not any(params.get(name) for name in _OF_A_TRIAL):
            return params
        if not params.get("dry_run"):
            trial = trial or {name: value for name, value in params.items() if name not in GROUPS[0]}
    return trial


def _file(spec: DatasetSpec, data: DataRoot) -> Path:
    return data.private / "state" / f"{spec.name}.params.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (OSError, ClipquarryError):  # none yet, or damaged by hand
        return {}
    return value if isinstance(value, dict) else {}
