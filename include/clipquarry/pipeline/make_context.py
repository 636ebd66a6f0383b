"""The context of a run, from the data set's name and the parameters that were given."""

from __future__ import annotations

from typing import Any

from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.pipeline.context import Kind, RunContext
from clipquarry.pipeline.inherit import inherited, last_params, params_to_repeat, repeated
from clipquarry.pipeline.param_checks import parse_run_params
from clipquarry.run_documents import read_run_facts
from clipquarry.settings import DataRoot, Settings, slug


def make_context(
    dataset: str,
    run: str,
    params: dict[str, Any],
    *,
    kind: Kind = "full",
    settings: Settings | None = None,
    in_process: bool = False,
    started: bool = False,
    automatic: bool = False,
) -> RunContext:
    """Load the data set and validate the parameters. ``automatic``: no person started the run.

    Wrong parameters raise UserError. For a run that has ``started`` they give a context with a ``problem``, from
    which the report is written. An automatic run whose parameters no longer fit raises NothingInThisRun.
    """
    settings = settings or Settings.from_env()
    spec = find_spec(dataset, settings.dataset_folders)
    name = slug(run)
    try:
        taken = _taken_over(spec, settings.data, name, params, kind) if kind == "refresh" or automatic else {}
        return RunContext(
            settings, spec, name, kind, parse_run_params({**params, **taken}, spec), in_process, inherited=taken,
            automatic=automatic,
        )  # fmt: skip
    except UserError as error:
        if not started:
            raise
        return RunContext(settings, spec, name, kind, parse_run_params({}, spec), in_process, str(error), dict(params))


def _taken_over(spec: DatasetSpec, data: DataRoot, run: str, params: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """What a refresh or an automatic run inherits. Once it has begun this stays, whatever full run comes after."""
    try:
        last = dict(read_run_facts(data.run(spec.name, run))["inherited"])
    except (UserError, OSError, KeyError, TypeError, ValueError):
        last = last_params(spec, data) if kind == "refresh" else params_to_repeat(spec, data)
    return inherited(spec, params, last) if kind == "refresh" else repeated(spec, last)
