"""Registry of families: found by name, the packaged ones first, then those of other packages by an entry point.

Nobody imports a family. A packaged one is the module ``clipquarry.families.{name}.family`` with the object
``FAMILY``; another package names such an object in the entry-point group ``clipquarry.families``.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, Union

from pydantic import TypeAdapter, create_model

from clipquarry.datasets.model import DatasetSpec, Options
from clipquarry.errors import SpecError

GROUP = "clipquarry.families"
_FOLDER = Path(__file__).parents[1] / "families"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def packaged_families() -> list[str]:
    """Names of the packaged families, sorted."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/family.py"))


def family_names() -> list[str]:
    """Names of all families, sorted."""
    return sorted({*packaged_families(), *(point.name for point in entry_points(group=GROUP))})


@cache
def find_family(name: str) -> Any:
    """The object that describes a family; ``pipeline.family.family_of`` gives it its type.

    Raises :class:`SpecError` for an unknown name.
    """
    if _NAME.fullmatch(name) and (_FOLDER / name / "family.py").is_file():
        return importlib.import_module(f"clipquarry.families.{name}.family").FAMILY
    for point in entry_points(group=GROUP, name=name):
        return point.load()
    raise SpecError(f"there is no family {name[:60]!r}; known: {', '.join(family_names())}")


@cache
def spec_model(family: str) -> type[DatasetSpec]:
    """The model of the YAMLs of a family: ``options`` has the family's own keys. Raises as :func:`find_family`."""
    options: type[Options] = find_family(family).options
    needed = any(field.is_required() for field in options.model_fields.values())
    default: Any = ... if needed else options()
    fields: dict[str, Any] = {"family": (Literal[family], ...), "options": (options, default)}
    return create_model(f"{family.capitalize()}Spec", __base__=DatasetSpec, __doc__=DatasetSpec.__doc__, **fields)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a YAML of any family."""
    models: Any = Union[tuple(spec_model(name) for name in family_names())]  # noqa: UP007  made of a list
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TypeAdapter(models).json_schema()}


def spec_of(value: dict[str, Any]) -> DatasetSpec:
    """The data set of a YAML's content. Raises pydantic's ValidationError, and as :func:`find_family`."""
    return spec_model(value["family"]).model_validate(value)
