"""The JSON documents of a run that several modules read: their keys, and their readers.

The strict readers raise :class:`UserError` for a damaged document, and OSError for an absent one. An earlier version
may have written the document, so every key of a run's file can be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict, cast

from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import read_json
from clipquarry.run_folder import RunFolder

GATE_SCHEMA: Final = "gate-result/v1"
"""The form of ``gates/{gate}.json``."""


class RunFacts(TypedDict, total=False):
    """``run.json``. Times are ISO 8601; ``ended`` is null while the run is in progress. ``number`` gives the order
    of runs, from 1.
    """

    dataset: str
    namespace: str
    run: str
    kind: str
    egress: str
    params: dict[str, Any]
    inherited: dict[str, Any]
    number: int
    started: str
    ended: str | None
    title: str
    tools: dict[str, str]
    sources: dict[str, Any]


class PlanSources(TypedDict):
    """The sources of the run: ``keys`` by source id, as the ledger knows them; ``for_good``: ids of sources that
    never get an item later.
    """

    keys: dict[str, str]
    for_good: list[str]


class PlanFacts(TypedDict):
    """``plan.json``. ``counts`` in items; ``jobs`` by step; ``archives``: splits to read, by source."""

    kind: str
    params: dict[str, Any]
    counts: dict[str, Any]
    jobs: dict[str, list[dict[str, str]]]
    dry_run: bool
    archives: dict[str, list[str]]
    planned: str
    sources: PlanSources
    nothing_due: NotRequired[bool]


class SplitFacts(TypedDict):
    """One split's annotation file."""

    sha256: str


class CatalogFacts(TypedDict):
    """``catalog.json``. ``obtained``: the files that were read; ``label_names``: classes in the order of their numbers."""

    splits: dict[str, SplitFacts]
    obtained: NotRequired[list[dict[str, str]]]
    files: NotRequired[list[dict[str, str]]]
    label_names: NotRequired[list[str]]


class ListFacts(TypedDict):
    """One list file in ``lists.json``; lists of earlier versions have no ``sha256``."""

    split: str
    format: str
    path: str
    sha256: NotRequired[str]


def read_run_facts(folder: Path) -> RunFacts:
    """The facts of the run in ``folder``."""
    return cast(RunFacts, _object(RunFolder(folder).run_file))


def known_run_facts(folder: Path) -> RunFacts:
    """The same as far as they can be read; empty if the run has none, or damaged ones."""
    return cast(RunFacts, known_object(RunFolder(folder).run_file))


def read_plan(place: RunFolder) -> PlanFacts:
    path = place.plan_file
    value = _object(path)
    _needs(path, value, counts=dict, jobs=dict, dry_run=bool)
    return cast(PlanFacts, value)


def read_catalog_facts(place: RunFolder) -> CatalogFacts:
    path = place.catalog_file
    value = _object(path)
    _needs(path, value, splits=dict)
    for name, split in value["splits"].items():
        _needs(path, split, name, sha256=str)
    return cast(CatalogFacts, value)


def read_label_names(place: RunFolder) -> list[str]:
    """The names of the classes, in the order of their numbers."""
    path = place.catalog_file
    value = _object(path)
    _needs(path, value, label_names=list)
    return [str(name) for name in value["label_names"]]


def read_lists(place: RunFolder) -> list[ListFacts]:
    path = place.lists
    value = read_json(path)
    if not isinstance(value, list):
        raise UserError(f"{path} holds a {type(value).__name__}, not a list: write the lists again.")
    for number, one in enumerate(value, 1):
        _needs(path, one, f"list {number}", split=str, format=str, path=str)
    return cast("list[ListFacts]", value)


def _needs(path: Path, value: Any, where: str = "", /, **kinds: type) -> None:
    """Raise :class:`UserError` unless ``value`` is an object with these keys, of these kinds."""
    for key, kind in kinds.items():
        if not isinstance(value, dict) or not isinstance(value.get(key), kind):
            of = f" of {where}" if where else ""
            raise UserError(
                f"{path} has no usable '{key}'{of}: it was damaged or edited; run the stage that writes it again."
            )


def verdicts(place: RunFolder) -> dict[str, str]:
    """``pass``, ``warn`` or ``block`` by gate, in the order in which the gates ran."""
    found = {path.stem: _object(path) for path in place.gates()}
    in_order = sorted(found.items(), key=lambda one: str(one[1].get("started", "")))
    return {name: str(gate.get("verdict")) for name, gate in in_order}


def known_document(path: Path) -> Any:
    """A JSON document; None if it is absent or damaged."""
    try:
        return read_json(path)
    except (ClipquarryError, OSError):
        return None


def known_object(path: Path) -> dict[str, Any]:
    """A JSON object; empty if it is absent, damaged or something else."""
    return as_object(known_document(path))


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object; else an empty object."""
    return dict(value) if isinstance(value, Mapping) else {}


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, not an object; delete it or restore it.")
    return value
