"""Verbs times runtimes: a step is written once, and configuration says where it runs.

``CLIPYARD_RUNTIME`` names the runtime of all steps, ``CLIPYARD_RUNTIME_FETCH`` that of one. A runtime is an operator class with the
constructor of :class:`~clipyard_airflow.operators.step.StepOperator`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from clipyard.errors import UserError

if TYPE_CHECKING:
    from clipyard_airflow.operators.step import StepOperator

RUNTIMES = {
    "process": "process.ProcessStepOperator",
    "docker": "docker.DockerStepOperator",
    "kubernetes": "kubernetes.KubernetesStepOperator",
}
"""Each is imported only when it is chosen: the clients of Docker and Kubernetes are slow to import."""


def runtime_of(step: str, environ: Mapping[str, str] = os.environ) -> str:
    """The runtime that configuration chooses for a step."""
    name = environ.get(f"CLIPYARD_RUNTIME_{step.upper()}") or environ.get("CLIPYARD_RUNTIME") or "process"
    if name not in RUNTIMES:
        raise UserError(f"CLIPYARD_RUNTIME is '{name}'; it can be {' or '.join(RUNTIMES)}.")
    return name


def step_operator(step: str) -> type[StepOperator]:
    """The operator class for a step."""
    module, name = RUNTIMES[runtime_of(step)].split(".")
    operator: type[StepOperator] = getattr(import_module(f"clipyard_airflow.operators.{module}"), name)
    return operator
