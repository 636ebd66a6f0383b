"""Choice of the runtime of each step by configuration.

``CLIPQUARRY_RUNTIME`` names the runtime of all steps, ``CLIPQUARRY_RUNTIME_FETCH`` that of one. A runtime is an
operator class with the constructor of :class:`~clipquarry_airflow.operators.step.StepOperator`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from clipquarry.errors import UserError

from clipquarry_airflow.choice import Choice, choose

if TYPE_CHECKING:
    from clipquarry_airflow.operators.step import StepOperator

RUNTIMES = {
    "auto": "auto.AutoStepOperator",
    "process": "process.ProcessStepOperator",
    "docker": "docker.DockerStepOperator",
    "kubernetes": "kubernetes.KubernetesStepOperator",
}
"""Each is imported only when it is chosen: the clients of Docker and Kubernetes are slow to import."""


def runtime_of(step: str, environ: Mapping[str, str] = os.environ) -> str:
    """The configured runtime of a step; ``auto`` by default."""
    name = environ.get(f"CLIPQUARRY_RUNTIME_{step.upper()}") or environ.get("CLIPQUARRY_RUNTIME") or "auto"
    if name not in RUNTIMES:
        raise UserError(f"CLIPQUARRY_RUNTIME is '{name}'; it can be {' or '.join(RUNTIMES)}.")
    return name


def place_of(step: str, environ: Mapping[str, str] = os.environ) -> Choice:
    """Where a step runs on this machine, and why, as it was some seconds ago at most."""
    name = runtime_of(step, environ)
    return choose(step, environ, for_page=True) if name == "auto" else Choice(name, "CLIPQUARRY_RUNTIME says so")


def places(steps: Iterable[str], environ: Mapping[str, str] = os.environ) -> str:
    """One sentence for a DAG's page: which steps run where, and why."""
    found: dict[Choice, list[str]] = {}
    for step in steps:
        found.setdefault(place_of(step, environ), []).append(step)
    words = {
        "docker": "in containers of Docker",
        "process": "as processes of the worker",
        "kubernetes": "in pods of Kubernetes",
    }
    return "; ".join(
        f"{', '.join(names)} {words[choice.runtime]}, because {choice.why}".replace("|", "/")
        for choice, names in found.items()
    )


def operator_class(runtime: str) -> type[StepOperator]:
    """The operator class of a runtime."""
    module, name = RUNTIMES[runtime].split(".")
    operator: type[StepOperator] = getattr(import_module(f"clipquarry_airflow.operators.{module}"), name)
    return operator


def step_operator(step: str) -> type[StepOperator]:
    """The operator class for a step."""
    return operator_class(runtime_of(step))
