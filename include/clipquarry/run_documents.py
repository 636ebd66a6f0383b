"""The JSON documents of a run that several modules read: their keys, and their readers.

The strict readers raise :class:`UserError` for a damaged document, and OSError for an absent one. An earlier version
may have written the document, so every key of a run's file can be absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict, cast

from clipquarry.approvals import standing
from clipquarry.errors import UserError
from clipquarry.files import known_object, read_json
from clipquarry.run_folder import RunFolder

GATE_SCHEMA: Final = "gate-result/v1"
"""The form of ``gates/{gate}.json``."""


class RunFacts(TypedDict, total=False):
    """``run.json``. Times are ISO 8601; ``ended`` is null while the run is in progress. ``number`` gives the order
    of runs, from 1. ``reported`` is false while an ended run writes its report.
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
    reported: bool
    title: str
    tools: dict[str, str]
    sources: dict[str, Any]


class PlanSources(TypedDict):
    """The sources of the run: ``keys`` by source id, as the ledger knows them; ``for_good``: ids of sources that
    never get an item later.
    """

    keys: dict[str, str]
    for_good: list[str]


class EstimateFacts(TypedDict):
    """What a plan expects of its run. ``sentences``: all of it in words; ``items``, ``fetch`` and ``disk``: one object a
    place, source or kind of files, with ``bytes`` and their ``basis``, null where nothing says how many. ``disks``: ``need``
    and ``free`` bytes of each, the data root's first; ``need``: in all; ``complete``: no part of it is unknown; ``fits``: null
    where the known part does, and another is unknown. ``for_others``: windows cut for other data sets, by name, at
    most. ``youtube``: hours at the budget; null where nobody asks YouTube.
    """

    noun: str
    selected: int
    items: list[dict[str, Any]]
    fetch: list[dict[str, Any]]
    youtube: dict[str, Any] | None
    for_others: NotRequired[dict[str, int]]
    disk: list[dict[str, Any]]
    disks: list[dict[str, Any]]
    need: int
    complete: bool
    fits: bool | None
    sentences: list[str]


class PlanFacts(TypedDict):
    """``plan.json``. ``counts`` in items; ``jobs`` by step; ``archives``: splits to read, by source; ``automatic``: no person
    started the run; ``files``: sha256 of each file by its path below ``plan/``.
    """

    kind: str
    params: dict[str, Any]
    counts: dict[str, Any]
    jobs: dict[str, list[dict[str, str]]]
    dry_run: bool
    archives: dict[str, list[str]]
    planned: str
    sources: PlanSources
    automatic: NotRequired[bool]
    nothing_due: NotRequired[bool]
    estimate: NotRequired[EstimateFacts]
    files: NotRequired[dict[str, str]]


class SplitFacts(TypedDict):
    """One split's annotation file."""

    sha256: str


class CatalogFacts(TypedDict):
    """``catalog.json``. ``obtained``: the files that were read; ``label_names``: classes in the order of their numbers;
    ``label_groups``: how many of them are in each group, in the same order.

    ``label_names_of``: the same of each release, where a data set holds several that number classes of their own.
    """

    splits: dict[str, SplitFacts]
    obtained: NotRequired[list[dict[str, str]]]
    files: NotRequired[list[dict[str, str]]]
    label_names: NotRequired[list[str]]
    label_names_of: NotRequired[dict[str, list[str]]]
    label_groups: NotRequired[dict[str, int]]


class GroupListFacts(TypedDict):
    """The list of one group of labels."""

    group: str
    path: str
    lines: int
    sha256: str


class ListFacts(TypedDict):
    """One list file in ``lists.json``; lists of earlier versions have no ``sha256``, and others no groups."""

    split: str
    format: str
    path: str
    sha256: NotRequired[str]
    groups: NotRequired[list[GroupListFacts]]


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
    for step, jobs in value["jobs"].items():
        _needs(path, value["jobs"], "the jobs", **{step: list})
        for job in jobs:
            _needs(path, job, f"a job of {step}", name=str, items=str, params=str, out=str)
    for key in sorted(
        value.keys() & {"sources", "archives", "estimate", "files"}
    ):  # plans of earlier versions lack some
        _needs(path, value, **{key: dict})
    if "sources" in value:
        _needs(path, value["sources"], "the sources", keys=dict, for_good=list)
    for source in value.get("archives", {}):
        _needs(path, value["archives"], "the archives", **{source: list})
    return cast(PlanFacts, value)


def known_plan(place: RunFolder) -> PlanFacts | None:
    """The same; None if there is none, or a damaged one."""
    try:
        return read_plan(place)
    except (UserError, OSError):
        return None


def read_step_params(path: Path, **kinds: type) -> dict[str, Any]:
    """The parameters of a step, with these keys, of these kinds."""
    value = _object(path)
    _needs(path, value, **kinds)
    return value


def read_catalog_facts(place: RunFolder) -> CatalogFacts:
    path = place.catalog_file
    value = _object(path)
    _needs(path, value, splits=dict)
    for name, split in value["splits"].items():
        _needs(path, split, name, sha256=str)
    return cast(CatalogFacts, value)


def read_label_maps(place: RunFolder) -> dict[str, list[str]]:
    """The names of the classes in the order of their numbers, by release; of a data set that is one release under ``""``."""
    path = place.catalog_file
    value = _object(path)
    if "label_names_of" in value:
        _needs(path, value, label_names_of=dict)
        return {str(name): [str(one) for one in names] for name, names in value["label_names_of"].items()}
    _needs(path, value, label_names=list)
    return {"": [str(name) for name in value["label_names"]]}


def read_label_groups(place: RunFolder) -> dict[str, int]:
    """The groups of labels, in the order of their classes' numbers, with how many each has; empty without groups."""
    path = place.catalog_file
    value = _object(path).get("label_groups", {})
    if not isinstance(value, dict) or not all(isinstance(size, int) and size > 0 for size in value.values()):
        raise UserError(f"{path}: 'label_groups' are no numbers of classes: run the annotations stage again.")
    return {str(name): size for name, size in value.items()}


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
    """``pass``, ``warn`` or ``block`` by gate, in the order in which the gates ran; ``asked``, ``approved`` or ``stopped`` where a
    person was asked about it.
    """
    found = {path.stem: _object(path) for path in place.gates()}
    in_order = sorted(found.items(), key=lambda one: str(one[1].get("started", "")))
    return {name: standing(place, name, gate)[0] or str(gate.get("verdict")) for name, gate in in_order}


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, not an object; delete it or restore it.")
    return value
