"""What the generated pages ask the product: data sets, their families, graphs, gates, parameters and commands.

Every question to the product stands here, so that the tables (``tables.py``) know nothing of its rooms.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import yaml
from clipquarry import cli
from clipquarry.datasets.families import find_family, packaged_families
from clipquarry.datasets.load import load_all
from clipquarry.datasets.model import DatasetSpec, DiskSize, Source
from clipquarry.datasets.ways import by_hand, by_itself, can_expire, passwords_of, usual_sources, way_of
from clipquarry.families.boxes.checks import INVARIANTS
from clipquarry.pipeline import family as families
from clipquarry.pipeline.family import Task, default_params, params_model
from clipquarry.pipeline.params import RunParams
from clipquarry.quality.check import Check
from clipquarry.quality.params import GateParams
from clipquarry.steps.registry import STEPS
from pydantic.fields import FieldInfo

__all__ = ["CATALOGUE", "INVARIANTS", "ROOT", "Check", "DatasetSpec", "DiskSize", "Parameter", "Task", "passwords_of"]

ROOT = Path(__file__).parents[2]

CATALOGUE: dict[str, Check] = {check.id: check for name in packaged_families() for check in find_family(name).checks()}
"""Every check of the packaged families, by id: what other packages bring stands in their own pages."""


def data_sets() -> list[DatasetSpec]:
    """The packaged data sets: the largest family first, the demo's at the end of each."""
    specs, broken = load_all()
    if broken:
        raise SystemExit(f"make docs: {broken[0]}")
    found = sorted(specs.values(), key=lambda spec: ("demo" in spec.tags, spec.name))
    size = Counter(map(family_of, found))
    return sorted(found, key=lambda spec: (-size[family_of(spec)], family_of(spec)))


def family_of(spec: DatasetSpec) -> str:
    return families.family_of(spec).name


def sample_of(spec: DatasetSpec) -> str:
    """What a sample is."""
    return families.family_of(spec).title


def gates_of(spec: DatasetSpec) -> tuple[str, ...]:
    return tuple(families.gates_of(spec))


def tasks_of(spec: DatasetSpec) -> tuple[Task, ...]:
    return families.tasks_of(spec)


def bytes_of(spec: DatasetSpec) -> str:
    """How the videos come without any setting, in the order in which the sources are tried."""
    return ", then ".join(dict.fromkeys(map(_way, usual_sources(spec))))


def is_demo(spec: DatasetSpec) -> bool:
    """Whether a data set is only the demo's."""
    return "demo" in spec.tags


def automatic(spec: DatasetSpec) -> list[str]:
    """What comes without a person."""
    return [_named(what, spec) for what in by_itself(spec)]


def placeable(spec: DatasetSpec) -> list[str]:
    """What a person can place by hand where its source fails."""
    return list(dict.fromkeys(_named(one.provides, spec) for one in by_hand(spec)))


def refresh_of(spec: DatasetSpec) -> tuple[str, str]:
    """Name and schedule of the refresh DAG; no name where nothing can expire, no schedule where a person starts it."""
    return (f"{spec.name}_refresh", spec.refresh.schedule or "") if can_expire(spec) else ("", "")


def _way(source: Source) -> str:
    way = way_of(source)
    if way in ("crawl", "derived", "by hand"):
        return {"crawl": "YouTube", "derived": f"the clips of `{source.dataset}`"}.get(way, "files that you place")
    address = next(iter([*source.volume_lists.values(), *source.all_urls]), "")
    setting = re.match(r"\$\{(\w+)\}", address)
    host = f"the server that `{setting[1]}` names" if setting else str(urlsplit(address).hostname)
    checked = "" if source.verify_certificate else " (whose certificate is not verified)"
    return f"{'archives' if way == 'archive' else 'files'} of {host}{checked}"


@dataclass(frozen=True)
class Parameter:
    """A run parameter of one data set."""

    spec: DatasetSpec
    name: str
    default: object
    meaning: str
    is_shared: bool
    """Every data set has it, of whatever family."""


def parameters() -> Iterator[Parameter]:
    """Those of all data sets, in the order of each one's trigger form."""
    for spec in data_sets():
        said = default_params(spec)
        for name, field in params_model(spec).model_fields.items():
            default = said.get(name, _default(field))
            yield Parameter(spec, name, default, str(field.description), name in RunParams.model_fields)


def settings() -> list[tuple[str, object, str]]:
    """Name, default and meaning of the gates' settings."""
    return [(name, _default(field), str(field.description)) for name, field in GateParams.model_fields.items()]


def _default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True, validated_data={})


def pools() -> list[tuple[str, int, str]]:
    """Name, slots and purpose."""
    text = (ROOT / "airflow_settings.yaml").read_text(encoding="utf-8")
    return [
        (pool["pool_name"], pool["pool_slot"], pool["pool_description"])
        for pool in yaml.safe_load(text)["airflow"]["pools"]
    ]


def options_of(*command: str) -> list[tuple[list[str], str]]:
    """The names of each option, with what it takes (``--run NAME``), and what it does; of a group's command by both names."""
    context = click.Context(cli.main)
    found: click.Command | None = cli.main
    for name in command:
        found = found.get_command(context, name) if isinstance(found, click.Group) else None
    if found is None:
        raise SystemExit(f"make docs: there is no command {' '.join(command)}")
    options = [param for param in found.params if isinstance(param, click.Option)]
    return [
        (
            [
                name if option.is_flag else f"{name} {option.make_metavar(context)}"
                for name in (*option.opts, *option.secondary_opts)
            ],
            option.help or "",
        )
        for option in options
    ]


def steps() -> list[str]:
    return list(STEPS)


def which(chosen: Iterable[DatasetSpec], among: Iterable[DatasetSpec]) -> str:
    """The ``chosen`` data sets in words: ``all``, whole families by their name, others one by one."""
    left, among = list(chosen), list(among)
    if len(left) == len(among):
        return "all"
    words = []
    for family in dict.fromkeys(map(family_of, among)):
        of_it = [spec for spec in among if family_of(spec) == family]
        if all(spec in left for spec in of_it):
            words.append(f"all of {family}")
            left = [spec for spec in left if spec not in of_it]
    return ", ".join([*words, *(f"`{spec.name}`" for spec in left)])


def by_value(
    of: Callable[[DatasetSpec], object], specs: Iterable[DatasetSpec]
) -> list[tuple[object, list[DatasetSpec]]]:
    """Data sets that agree on a value, together; in the order of the first of each."""
    groups: list[tuple[object, list[DatasetSpec]]] = []
    for spec in specs:
        value = of(spec)
        for known, members in groups:
            if known == value:
                members.append(spec)
                break
        else:
            groups.append((value, [spec]))
    return groups


def _named(what: str, spec: DatasetSpec) -> str:
    """What a source provides, in the word for the data set's items."""
    items = "packages" if spec.item.medium == "package" else "videos"
    return items if what == "items" else what
