"""Which fields of the models of a data set's YAML the product reads, by types as mypy resolves them: a JSON list of model and field.

A process of its own: the trees of all modules take two gigabytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from clipquarry.datasets import model
from clipquarry.datasets.families import packaged_families
from mypy import build
from mypy.modulefinder import BuildSource
from mypy.nodes import MemberExpr, Node
from mypy.options import Options
from mypy.types import Instance, Type, UnionType, get_proper_type

PROJECT = Path(__file__).parents[2]
ROOMS = {PROJECT / "include": "clipquarry", PROJECT / "plugins": "clipquarry_airflow"}
OPTIONS = tuple(f"clipquarry.families.{name}.options" for name in packaged_families())
MODULES = {model.__name__, *OPTIONS}
JUDGES = ("clipquarry.datasets.checks", "clipquarry.datasets.needs", "clipquarry.datasets.load", *OPTIONS)
"""They ask whether a value can be right, which is no effect."""
_SKIPPED = (
    "airflow", "alembic", "av", "docker", "fastapi", "great_expectations", "jinja2", "kubernetes", "matplotlib", "mmdet", "numpy",
    "pandas", "PIL", "pyarrow", "requests", "scipy", "sqlalchemy", "starlette", "torch", "yt_dlp",
)  # fmt: skip
"""Libraries, whose types nobody asks for."""
_BEHIND = frozenset({"node", "info", "names", "type", "unanalyzed_type", "original_def"})
"""Attributes of a node that lead to other trees."""


def _sources() -> Iterator[BuildSource]:
    for root, package in ROOMS.items():
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield BuildSource(str(path), ".".join(parts[:-1] if parts[-1] == "__init__" else parts), None)


def _typed() -> build.BuildResult:
    options = Options()
    options.export_types = options.preserve_asts = options.ignore_missing_imports = options.check_untyped_defs = True
    options.incremental, options.cache_dir = False, os.devnull
    options.mypy_path = [str(root) for root in ROOMS]
    for other in _SKIPPED:
        options.per_module_options[other] = options.per_module_options[f"{other}.*"] = {"follow_imports": "skip"}
    return build.build(list(_sources()), options)


def _members(tree: Node) -> Iterator[MemberExpr]:
    """Every ``a.b`` of a module; mypy's own visitors are compiled and cannot be inherited from."""
    todo: list[object] = [tree]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if isinstance(node, list | tuple):
            todo.extend(node)
        elif isinstance(node, Node) and id(node) not in seen:
            seen.add(id(node))
            if isinstance(node, MemberExpr):
                yield node
            names = {name for kind in type(node).__mro__ for name in vars(kind) if not name.startswith("_")} - _BEHIND
            todo += [value for name in names if isinstance(value := getattr(node, name, None), Node | list | tuple)]


def _models(of: Type | None) -> Iterator[str]:
    """The models of the YAML that an expression may be."""
    if of is None:
        return
    proper = get_proper_type(of)
    for one in proper.items if isinstance(proper, UnionType) else [proper]:
        kind = get_proper_type(one)
        if isinstance(kind, Instance):
            yield from (base.name for base in kind.type.mro if base.module_name in MODULES)


def read() -> set[tuple[str, str]]:
    """Model and field of every access. Names alone are shared by others."""
    typed = _typed()
    return {
        (name, member.name)
        for module, tree in typed.files.items()
        if module.partition(".")[0] in ROOMS.values() and module not in JUDGES
        for member in _members(tree)
        for name in _models(typed.types.get(member.expr))
    }


if __name__ == "__main__":
    print(json.dumps(sorted(read())))
