"""The trigger form: run parameters as Airflow params, with the data set's own splits, sources and defaults."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param
from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.family import default_params, params_model
from clipquarry.pipeline.params import sections_of

_REFRESH_LEAVES_OUT = frozenset({"limit"})
_WAIT_DAYS = 7
"""Default of ``wait_days`` where videos come in archives that somebody may have to place: nobody watches a DAG run."""

_LABEL_DAYS = 30
"""Default of ``label_days``: labels=true from the form pauses for people, and no run from the form for videos that are not there."""


def run_params(spec: DatasetSpec, kind: str) -> dict[str, Param]:
    """One Param per field of the data set's parameters, in the order of the form's sections; the form validates with the same JSON schema."""
    model = params_model(spec)
    schema = model.model_json_schema()["properties"]
    chosen = default_params(spec)
    if kind == "full" and spec.has_files and any(source.archive for source in spec.item_sources):
        chosen["wait_days"] = _WAIT_DAYS
    if "label_days" in model.model_fields:
        chosen["label_days"] = _LABEL_DAYS
    params: dict[str, Param] = {}
    for section, fields in sections_of(model).items():
        for name in fields:
            if kind == "refresh" and name in _REFRESH_LEAVES_OUT:
                continue
            field = model.model_fields[name]
            default: Any = chosen.get(name, field.default)
            rules = _rules(name, schema[name], spec)
            params[name] = Param(default, description=field.description, section=section, **rules)
    return params


def _rules(name: str, schema: dict[str, Any], spec: DatasetSpec) -> dict[str, Any]:
    rules = {key: value for key, value in schema.items() if key not in ("default", "description", "title", "anyOf")}
    for option in schema.get("anyOf", []):  # 'integer or null' becomes one type list, which the form can draw
        rules |= {key: value for key, value in option.items() if key != "type"}
        rules["type"] = [*rules.get("type", []), option["type"]]
    if rules.get("type") in ("array", "string") and "enum" not in rules:
        # Without null the form demands a value, and does not accept an empty list or text as one.
        rules["type"] = [rules["type"], "null"]
    rules["title"] = name.replace("_", " ").capitalize()
    if name == "splits":
        rules |= {"examples": list(spec.splits), "items": {"type": "string", "enum": list(spec.splits)}}
    elif name in ("sources", "annotation_sources"):
        of = spec.item_sources if name == "sources" else spec.annotation_sources
        known = [source.id for source in of]
        rules |= {"examples": known, "items": {"type": "string", "enum": known}}
    return rules
