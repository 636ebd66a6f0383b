"""Checks of a run's parameters, all before the first request.

:func:`parse_run_params` needs only the data set's YAML, so that the command line, the trigger form's server and
every task check alike. :func:`check_here` checks this machine: files, folders and variables; the first stage of a
run calls it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clipquarry.acquire.template import Template, unset_variables
from clipquarry.datasets.model import DatasetSpec, Source
from clipquarry.errors import UserError
from clipquarry.pipeline.family import default_params, params_model
from clipquarry.pipeline.params import RunParams
from clipquarry.settings import DataRoot

_WEB = ("http://", "https://")


def parse_run_params(value: Mapping[str, Any], spec: DatasetSpec) -> RunParams:
    """Validate a run's parameters against the model and the data set. Raises UserError with one sentence."""
    defaults = default_params(spec)
    try:
        given = {name: one for name, one in value.items() if one is not None}  # the form's value of an empty field
        params = params_model(spec).model_validate(defaults | given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "(top)"
        if first["type"] == "extra_forbidden":
            fields = ", ".join(sorted(params_model(spec).model_fields))
            raise UserError(f"{spec.name} has no parameter '{key}'; it has {fields}.") from error
        raise UserError(f"Parameter '{key}' of {spec.name}: {first['msg']}.") from error
    usual = params_model(spec).model_validate(defaults)
    chosen = {name for name in type(params).model_fields if getattr(params, name) != getattr(usual, name)}
    for problem in chain(_unknown(params, spec), params.conflicts(chosen), _unplaced(params, spec)):
        raise UserError(problem)
    return params


def _unknown(params: RunParams, spec: DatasetSpec) -> Iterator[str]:
    """Names that the data set lacks."""
    known = {
        "split": (params.splits, list(spec.splits)),
        "source": (params.sources, [source.id for source in spec.item_sources]),
        "annotation source": (params.annotation_sources, [source.id for source in spec.annotation_sources]),
    }
    for what, (asked, there) in known.items():
        for name in asked:
            if name not in there:
                yield f"{spec.name} has no {what} '{name}'; it has {', '.join(there) or 'none'}."
    yield from params.problems(spec)


def _unplaced(params: RunParams, spec: DatasetSpec) -> Iterator[str]:
    """Folders and addresses that nothing would read, or that cannot be right."""
    for step, key in (
        ("resize", "resized"), ("frames", "rawframes"), ("audio", "audio"), ("audio_features", "audio_features"),
    ):  # fmt: skip
        if getattr(params, step, False) and key not in spec.layout:
            yield f"{step}=true needs a folder '{key}' in the layout of {spec.name}'s YAML, which names none."
    for kind, name, address in addresses(params):
        ids = replaceable(spec, kind)
        if not ids:
            yield f"{spec.name} has no source of kind '{kind}' that {name} could replace."
        elif params.sources and ids[0] not in params.sources:
            yield f"{name} is the address of the source '{ids[0]}', which 'sources' leaves out: add it there, or leave {name} out."
        try:
            Template(address)
        except UserError as error:
            yield f"Parameter '{name}': {error}"
    if params.mirror_url and not params.mirror_url.startswith(_WEB):
        yield f"mirror_url is {params.mirror_url[:80]!r}; write an address that begins with http:// or https://."


def addresses(params: RunParams) -> Iterator[tuple[str, str, str]]:
    """Kind of source, parameter and value of each address among the run's parameters."""
    for kind, name in (("local", "local_folder"), ("http", "mirror_url")):
        if address := getattr(params, name):
            yield kind, name, address


def replaceable(spec: DatasetSpec, kind: str) -> list[str]:
    """Sources whose address a run may replace; the first one is. Those whose address is a variable's come first: a folder of the
    data set's own is searched whatever folder a run names besides.
    """
    sources = [
        source
        for source in spec.item_sources
        if source.kind == kind and not source.volume_lists and not (source.archive and source.has_files)
    ]
    return [source.id for source in sorted(sources, key=lambda one: not switched_off(one, {}))]


def switched_off(source: Source, environ: Mapping[str, str]) -> list[str]:
    """Variables that a source needs and the environment lacks."""
    return unset_variables(" ".join([*source.all_urls, source.path or ""]), environ)


def check_here(
    params: RunParams,
    spec: DatasetSpec,
    *,
    steps_here: bool,
    data: DataRoot | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Raise UserError for a file, folder, data set or variable that the run names and this machine lacks.

    ``data``: the data root with the states of the data sets. ``steps_here``: steps run as processes of this machine,
    so that their inputs must be here too.
    """
    replaced = {replaceable(spec, kind)[0] for kind, _, _ in addresses(params)}
    for asked, sources in ((params.sources, spec.item_sources), (params.annotation_sources, spec.annotation_sources)):
        for source in sources:
            if source.id in asked and source.id not in replaced and (unset := switched_off(source, environ)):
                raise UserError(
                    f"The source '{source.id}' is asked for and switched off: set {unset[0]}, or leave the source out."
                )
    for name in getattr(params, "compare_with", []):
        if name == spec.name or "/" in name or not (data is None or data.has_state(name)):
            raise UserError(
                f"compare_with names '{name[:60]}', which is no other data set that was fetched on this disk: leave it out."
            )
    for name, path, by_step in params.names():
        if (steps_here or not by_step) and not Path(path).is_file():
            raise UserError(f"Parameter '{name}' names {path}, which is no file: write the path of one.")
    folder, hole, _ = params.local_folder.partition("{")
    folder = folder.rpartition("/")[0] or "/" if hole else folder
    if steps_here and folder and not Path(folder).is_dir():
        raise UserError(f"local_folder names {folder}, which is no folder: mount it, or write another path.")
