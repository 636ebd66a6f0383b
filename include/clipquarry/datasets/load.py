"""Loader of data sets' YAML: the package's own, then the folders in ``CLIPQUARRY_DATASETS``.

A wrong YAML gets one sentence with the file, the key and the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from clipquarry.datasets.checks import problems
from clipquarry.datasets.families import find_family, spec_model
from clipquarry.datasets.former_keys import FormerKeyError, as_written, place_of_error, translated
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.namespace import namespace_of
from clipquarry.datasets.needs import run_needs
from clipquarry.datasets.problem import Problem
from clipquarry.datasets.safe_yaml import read_yaml
from clipquarry.errors import SpecError
from clipquarry.ids import YOUTUBE

PACKAGED = Path(__file__).parent
_NAME = re.compile(r"[a-z0-9_]{1,60}\Z")


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


def load_spec(path: Path) -> DatasetSpec:
    """Load one YAML. Raises :class:`SpecError` with one sentence."""
    return _packaged(path, path.read_bytes()) if path.parent == PACKAGED and path.is_file() else _load(path)


@lru_cache(maxsize=256)
def _packaged(path: Path, content: bytes) -> DatasetSpec:
    """A YAML of the package, read once for each content: :func:`find_spec` reads all of them for each name, and specs never change."""
    return _load(path)


def _load(path: Path) -> DatasetSpec:
    node, value = read_yaml(path, "a data set's YAML")
    if not isinstance(value, dict):
        raise SpecError(f"{path}, line 1: a data set's YAML is a mapping that begins with 'schema: dataset-spec/v1'.")
    if twice := _duplicate_key(node):
        raise SpecError(f"{path}, line {twice[1]}: the key '{twice[0]}' is given twice; keep one.")
    written = value
    try:
        value = dict(translated(value))
    except FormerKeyError as error:
        key = ".".join(map(str, error.where))
        raise SpecError(f"{path}, line {_line_of(node, error.where)}: key '{key}': {error}.") from error
    try:
        spec = _model(path, node, value).model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A misspelt key is also a missing one; the misspelling says more.
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        where = place_of_error(written, first)
        key = ".".join(map(str, where)) or "(top)"
        reason = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = "unknown key; 'clipquarry spec --json-schema' prints those that there are"
        raise SpecError(f"{path}, line {_line_of(node, where)}: key '{key}': {reason}.") from error
    family = find_family(spec.family)
    for where, reason in (
        *_medium(spec, family.media),
        *run_needs(spec),
        *family.needs(spec),
        *problems(spec),
        *family.problems(spec),
    ):
        place = as_written(written, where)
        raise SpecError(f"{path}, line {_line_of(node, place)}: key '{'.'.join(map(str, place))}': {reason}.")
    return spec


def _medium(spec: DatasetSpec, media: frozenset[str]) -> Iterator[Problem]:
    """A medium of the items for which the family has no steps."""
    if spec.item.medium not in media:
        told = f"a run of the family {spec.family} prepares {' or '.join(sorted(media, reverse=True))}"
        yield Problem(("item", "medium"), f"samples of medium '{spec.item.medium}' cannot be prepared yet: {told}")


def _model(path: Path, node: yaml.Node | None, value: dict[str, Any]) -> type[DatasetSpec]:
    """The model of the family that the YAML names."""
    name = value.get("family")
    if not isinstance(name, str):  # which is told, or an earlier key
        value.pop("options", None)
        return DatasetSpec
    try:
        return spec_model(name)
    except SpecError as error:
        raise SpecError(f"{path}, line {_line_of(node, ('family',))}: key 'family': {error}.") from error


def spec_files(folders: Iterable[Path] = ()) -> list[Path]:
    """All YAML files, the package's first."""
    return [path for folder in (PACKAGED, *folders) for path in sorted(folder.glob("[!.]*.yaml"))]


def load_all(folders: Iterable[Path] = ()) -> tuple[dict[str, DatasetSpec], list[SpecError]]:
    """Every data set by name, and the errors of the others (a bad file never hides a good one)."""
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
    for name, reason in [
        (name, reason) for name, spec in specs.items() if (reason := _foreign(spec, specs, origin[name]))
    ]:
        errors.append(SpecError(reason))
        del specs[name]
    return specs, errors


def _foreign(spec: DatasetSpec, specs: Mapping[str, DatasetSpec], path: Path) -> str:
    """Why a data set may not take another one's clips: their ids have another meaning there. "" if it may."""
    for index, source in enumerate(spec.sources):
        other = specs.get(source.dataset or "") if source.kind == "dataset" and source.provides == "items" else None
        if other is None or namespace_of(other) == namespace_of(spec):
            continue
        whose = [
            f"'{one.name}' has {'YouTube' if namespace_of(one) == YOUTUBE else 'its own'} ids" for one in (spec, other)
        ]
        where = ("sources", index, "dataset")
        line = _line_of(read_yaml(path, "a data set's YAML")[0], where)
        return (
            f"{path}, line {line}: key 'sources.{index}.dataset': {whose[0]} and {whose[1]}, so that clips of the same name are not the "
            "same: leave this source out, or say 'item: {ids: youtube}' in both where all ids are YouTube's."
        )
    return ""


def find_spec(name: str, folders: Iterable[Path] = ()) -> DatasetSpec:
    """One data set by name. Raises its own YAML error, or one with the names like it."""
    specs, errors = load_all(folders)
    if name in specs:
        return specs[name]
    for error in errors:
        if f"/{name}.yaml" in str(error):
            raise error
    near = get_close_matches(name, specs, 6, 0.5)
    meant = f" Known are, among others: {', '.join(near)}." if near else ""
    raise SpecError(f"There is no data set '{name[:60]}'.{meant} `clipquarry datasets` lists all {len(specs)}.")


def load_named(name: str, folders: Iterable[Path] = ()) -> DatasetSpec:
    """One data set by name, from the YAML of that name; all are read only if there is none. Raises as
    :func:`find_spec`.
    """
    if _NAME.match(name):
        if (path := PACKAGED / f"{name}.yaml").is_file():
            return load_spec(path)
        for path in [folder / f"{name}.yaml" for folder in folders]:
            if path.is_file() and (spec := load_spec(path)).name == name:
                return spec
    return find_spec(name, folders)
