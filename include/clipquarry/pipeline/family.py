"""The definition of a family: its options, run parameters, tasks, checks, report section and sample.

The module of a family, and those of the functions that it names, import the ground floor, the data-set model and
this module at the top; their bodies import the rest. DAG files read them at parse time, and the Docker images of
steps contain them without pandas and pyarrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.families import find_family
from clipquarry.datasets.model import DatasetSpec, Options
from clipquarry.datasets.ways import parts_of
from clipquarry.steps.registry import STEPS, Brings

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext
    from clipquarry.pipeline.params import RunParams
    from clipquarry.pipeline.sample import Sample
    from clipquarry.quality.check import Check
    from clipquarry.quality.gates import Suites
    from clipquarry.report.section import Section

Pool = Literal["clipquarry_egress", "clipquarry_cpu"]
EGRESS: Pool = "clipquarry_egress"
"""Pool of tasks with network requests."""
CPU: Pool = "clipquarry_cpu"
"""Pool of tasks that decode, encode or read whole tables."""

Phase = Literal["prepare", "acquire", "process", "people", "combine", "publish"]
"""Phases of a run, in order; the graph view shows a box for each."""

Stage = Callable[["RunContext"], Any]
Where = tuple[str | int, ...]
Problem = tuple[Where, str]
"""Place of a key in the YAML, and the sentence."""


@dataclass(frozen=True)
class Task:
    """A task of a run: a *stage*, the function ``run`` in the worker, or a *step* (``is_step``) that is mapped over
    its shards.

    ``title`` is one sentence on what it does. ``needs`` are the tasks before it, by name; empty: the one above.
    ``always``: it runs whatever happened before it. ``outlet``: the asset that it updates (``videos`` is
    ``{dataset}/videos``). ``suites``: it is a gate with these checks. ``leaves``: a pattern of its files in the
    run's folder, by which the report knows that it ran. For a step, ``run`` makes the shards; None: the jobs of the
    plan.
    """

    name: str
    title: str
    run: Stage | None = None
    needs: tuple[str, ...] = ()
    phase: Phase = "process"
    pool: Pool = CPU
    is_step: bool = False
    always: bool = False
    outlet: str = ""
    suites: Suites | None = None
    leaves: str = ""

    @property
    def stage(self) -> str:
        """Name of the stage in the worker: ``fetch_shards`` makes the shards of the step ``fetch``."""
        return f"{self.name}_shards" if self.is_step else self.name

    @property
    def gate(self) -> str:
        """Name of the gate: ``clips`` for the task ``gate_clips``; empty for other tasks."""
        return self.name.removeprefix("gate_") if self.suites is not None else ""


def step(name: str, title: str, *needs: str, run: Stage | None = None, phase: Phase = "process") -> Task:
    """A step of :data:`clipquarry.steps.registry.STEPS`; one with a network has the pool of such tasks."""
    return Task(name, title, run, needs, phase, EGRESS if STEPS[name].network else CPU, is_step=True)


def chained(*tasks: Task) -> tuple[Task, ...]:
    """The tasks with their needs filled in."""
    before: tuple[str, ...] = ()
    found = []
    for task in tasks:
        found.append(replace(task, needs=task.needs or before))
        before = (task.name,)
    return tuple(found)


@dataclass(frozen=True)
class Family:
    """One kind of sample. The functions get a data set of the family."""

    name: str
    title: str
    """What a sample is, in a few words."""
    options: type[Options]
    """Model of the key ``options`` in the YAML."""
    noun: Callable[[DatasetSpec], str]
    """What an item is called: ``clip``, ``video``."""
    params: Callable[[DatasetSpec], type[RunParams]]
    """Model of the parameters of a run."""
    defaults: Callable[[DatasetSpec], Mapping[str, Any]]
    """Defaults of the YAML, instead of the parameters' own; None: there are none."""
    tasks: Callable[[DatasetSpec], tuple[Task, ...]]
    """The tasks of a run, in order; every task names what it needs."""
    checks: Callable[[], tuple[Check, ...]]
    """Every check that its gates can report."""
    needs: Callable[[DatasetSpec], Iterator[Problem]]
    """Keys that a run needs and the YAML lacks."""
    problems: Callable[[DatasetSpec], Iterator[Problem]]
    """Further errors in a YAML that only the family can find."""
    sample: Callable[[], Sample]
    """A tiny data set of it that the demo, the tests and the benchmarks make and run."""
    more_samples: Callable[[], Mapping[str, Sample]] | None = None
    """Samples of further data sets of it, by the name of the demo that plays them."""
    section: Callable[[], Section] | None = None
    """Its section of the report, besides those of all reports."""
    media: frozenset[str] = frozenset({"video"})
    """What its items may be: values of ``item.medium``."""
    tables: Callable[[], Mapping[str, Mapping[str, str]]] | None = None
    """The tables of its gates, for suites that users bring: by gate and name what a row is; ``*`` in a name stands for
    a split and the like. None: whatever a run has.
    """


def family_of(spec: DatasetSpec) -> Family:
    """The family of a data set."""
    family: Family = find_family(spec.family)
    return family


def params_model(spec: DatasetSpec) -> type[RunParams]:
    """The parameters that runs of a data set have."""
    return family_of(spec).params(spec)


def default_params(spec: DatasetSpec) -> dict[str, Any]:
    """What the data set's YAML says instead of the model's own defaults."""
    return {name: value for name, value in family_of(spec).defaults(spec).items() if value is not None}


def tasks_of(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks of a data set's run, in order. One that is made of others looks at these first."""
    tasks = family_of(spec).tasks(spec)
    return chained(_LOOKS, tasks[0], *tasks[1:]) if parts_of(spec) else tasks


MADE_OF = "made_of"
"""The stage of every data set that is made of others; its function reads families, so that no family names it."""
_LOOKS = Task(MADE_OF, "Notes the releases that the data set is made of.", phase="prepare")


def steps_of(spec: DatasetSpec) -> list[str]:
    """Names of the steps, in order."""
    return [task.name for task in tasks_of(spec) if task.is_step]


def gates_of(spec: DatasetSpec) -> dict[str, Suites]:
    """The gates of a data set's run, in order, with their suites."""
    return {task.gate: task.suites for task in tasks_of(spec) if task.suites is not None}


def bringing_step(spec: DatasetSpec) -> str:
    """The step that fetches the items."""
    return next(name for name in steps_of(spec) if STEPS[name].brings)


def brings(spec: DatasetSpec) -> Brings:
    """What the items are: windows of videos, videos named with their suffix, files of any suffix, or folders of frames."""
    return STEPS[bringing_step(spec)].brings
