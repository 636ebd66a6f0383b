"""Find and load data sets' YAML: the package's own, then the folders that ``CLIPQUARRY_DATASETS`` names.

A wrong YAML gets one sentence with the file, the key and the line.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import ValidationError

from clipquarry.datasets.checks import problems
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.needs import run_needs
from clipquarry.datasets.safe_yaml import read_yaml
from clipquarry.errors import SpecError

PACKAGED = Path(__file__).parent


def _line_of(node: yaml.Node | None, path: Iterable[str | int]) -> int:
    """Line (1-based) of the deepest node on ``path`` that exists."""
    line = 1 if node is None else node.start_mark.line + 1
    for step in path:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    found, line = value, key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
            line = found.start_mark.line + 1
        if found is None:
            break
        node = found
    return line


def _duplicate_key(node: yaml.Node | None, path: str = "") -> tuple[str, int] | None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            if key.value in seen:
                return name, key.start_mark.line + 1
            seen.add(key.value)
            if inner := _duplicate_key(value, name):
                return inner
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            if inner := _duplicate_key(value, f"{path}[{index}]"):
                return inner
    return None


def load_spec(path: Path, *, to_run: bool = False) -> DatasetSpec:
    """Load one YAML. Raises :class:`SpecError` with one sentence.

    A data set may be described only, without an annotation format; ``to_run`` refuses one whose family has runs.
    """
    node, value = read_yaml(path, "a data set's YAML")
    if not isinstance(value, dict):
        raise SpecError(f"{path}, line 1: a data set's YAML is a mapping that begins with 'schema: dataset-spec/v1'.")
    if twice := _duplicate_key(node):
        raise SpecError(f"{path}, line {twice[1]}: the key '{twice[0]}' is given twice; keep one.")
    try:
        spec = DatasetSpec.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A misspelt key is also a missing one; the misspelling says more.
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        where = first["loc"]
        key = ".".join(str(part) for part in where) or "(top)"
        reason = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = "unknown key; see docs/dataset-yaml.md for the keys"
        raise SpecError(f"{path}, line {_line_of(node, where)}: key '{key}': {reason}.") from error
    for where, reason in run_needs(spec, described=not to_run):
        key = ".".join(str(part) for part in where)
        raise SpecError(f"{path}, line {_line_of(node, where)}: key '{key}': {reason}.")
    for problem in problems(spec):
        key = ".".join(map(str, problem.where))
        raise SpecError(f"{path}, line {_line_of(node, problem.where)}: key '{key}': {problem.text}.")
    return spec


def spec_files(folders: Iterable[Path] = ()) -> list[Path]:
    """All YAML files, the package's first."""
    return [path for folder in (PACKAGED, *folders) for path in sorted(folder.glob("[!.]*.yaml"))]


def load_all(folders: Iterable[Path] = ()) -> tuple[dict[str, DatasetSpec], list[SpecError]]:
    """Every data set by name, and what was wrong with the others (a bad file never hides a good one)."""
    specs: dict[str, DatasetSpec] = {}
    origin: dict[str, Path] = {}
    folders = list(folders)
    errors = [
        SpecError(f"CLIPQUARRY_DATASETS names {folder}, which is no folder: make it, or take it out of the variable.")
        for folder in folders
        if not folder.is_dir()
    ]
    for path in spec_files(folders):
        try:
            spec = load_spec(path)
            if spec.name in specs:
                raise SpecError(
                    f"{path}: the name '{spec.name}' is already taken by {origin[spec.name]}; choose another name."
                )
        except SpecError as error:
            errors.append(error)
            continue
        except Exception as error:  # noqa: BLE001  whatever one file makes a library raise, the others are loaded
            errors.append(SpecError(f"{path}: cannot be read as a data set's YAML: {type(error).__name__}: {error}."))
            continue
        specs[spec.name], origin[spec.name] = spec, path
    return specs, errors


def find_spec(name: str, folders: Iterable[Path] = ()) -> DatasetSpec:
    """One data set by name; its own YAML error, or the list of names, when it cannot be had."""
    specs, errors = load_all(folders)
    if name in specs:
        return specs[name]
    for error in errors:
        if f"/{name}.yaml" in str(error):
            raise error
    raise SpecError(f"There is no data set '{name}'. Known: {', '.join(sorted(specs))}.")
