"""The modules of the product, and what they import."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[1]
INCLUDE = PROJECT / "include/clipquarry"
PLUGINS = PROJECT / "plugins"
DAGS = PROJECT / "dags"


@cache
def modules_of(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path) -> tuple[tuple[str, int], ...]:
    """Full names of everything a module imports anywhere, with the line; a relative one begins with its dots."""
    found = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [(name.name, node.lineno) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(f"{'.' * node.level}{node.module}.{name.name}", node.lineno) for name in node.names]
    return tuple(found)


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(PROJECT)}:{line}"
