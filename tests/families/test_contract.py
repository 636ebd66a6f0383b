"""The contract of every family, and of every packaged data set."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest
from clipquarry.datasets.families import family_names, find_family
from clipquarry.datasets.load import load_all
from clipquarry.datasets.ways import parts_of
from clipquarry.pipeline.family import (
    MADE_OF,
    Family,
    Phase,
    bringing_step,
    default_params,
    family_of,
    gates_of,
    params_model,
    tasks_of,
)
from clipquarry.pipeline.stages import stages
from clipquarry.quality.check import Check
from clipquarry.steps.registry import STEPS

SPECS = load_all()[0]


def test_every_packaged_data_set_loads() -> None:
    assert load_all()[1] == []


@pytest.mark.parametrize("name", family_names())
def test_a_family_is_called_as_its_folder(name: str) -> None:
    family: Family = find_family(name)
    assert family.name == name and family.title
    assert {spec.family for spec in SPECS.values()} >= {name}, "a data set of it is packaged"


@pytest.mark.parametrize("name", family_names())
def test_a_family_has_a_sample(name: str) -> None:
    """Its run is in ``test_samples.py``."""
    family: Family = find_family(name)
    sample = family.sample()
    assert SPECS[sample.dataset].family == name
    params_model(SPECS[sample.dataset]).model_validate({**default_params(SPECS[sample.dataset]), **sample.params})


@pytest.mark.parametrize("name", sorted(SPECS))
def test_the_tasks_of_a_data_set(name: str) -> None:
    tasks = tasks_of(SPECS[name])
    names = [task.name for task in tasks]
    assert len(set(names)) == len(names)
    before: set[str] = set()
    for task in tasks:
        assert set(task.needs) <= before, f"{task.name} needs what comes later"
        assert task.needs or not before, f"{task.name} stands alone"
        assert task.title.endswith(".") and len(task.title.split()) <= 20, task.title
        assert task.is_step == (task.name in STEPS)
        assert task.run is not None or task.is_step or task.name == MADE_OF, (
            "only the look at other releases is no family's"
        )
        assert task.name.startswith("gate_") == (task.suites is not None)
        before.add(task.name)
    first = ["made_of", "annotations"] if parts_of(SPECS[name]) else ["annotations"]
    assert (names[: len(first)], names[-1]) == (first, "report")
    assert {"plan", "record", "release"} <= before and bringing_step(SPECS[name]) in before
    assert [task.name for task in tasks if task.always] == ["record", "report"]
    order = list(get_args(Phase))
    phases = [order.index(task.phase) for task in tasks]
    assert phases == sorted(phases), "a phase is one stretch of the run"
    assert len({task.outlet for task in tasks if task.outlet}) == sum(bool(task.outlet) for task in tasks)
    assert list(stages(SPECS[name])) == [task.stage for task in tasks]


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_function_of_a_task_takes_the_context(name: str) -> None:
    for task in tasks_of(SPECS[name]):
        if task.run is not None:
            assert list(inspect.signature(task.run).parameters) == ["ctx"], task.name
        if task.suites is not None:
            assert list(inspect.signature(task.suites).parameters) == ["spec", "run", "data", "params"], task.name


@pytest.mark.parametrize("name", family_names())
def test_checks_of_a_family(name: str) -> None:
    checks: tuple[Check, ...] = find_family(name).checks()
    assert len({check.id for check in checks}) == len(checks)
    gates = {gate for spec in SPECS.values() if spec.family == name for gate in gates_of(spec)}
    assert gates <= {check.gate for check in checks}, "every gate has a check"
    assert all(check.title and check.why for check in checks)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_parameters_of_a_data_set(name: str) -> None:
    spec = SPECS[name]
    model = params_model(spec)
    model.model_validate(default_params(spec))
    for field, info in model.model_fields.items():
        assert info.description, field
    known = set(model.model_fields)
    assert {field for group in model.groups for field in group} <= known
    assert {*model.trial, *model.partial, *model.steers} <= known


@pytest.mark.parametrize("name", sorted(SPECS))
def test_nouns(name: str) -> None:
    assert family_of(SPECS[name]).noun(SPECS[name]) in ("clip", "video", "package")
