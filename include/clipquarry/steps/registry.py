"""The steps by name. Each is imported only when it is asked for: a step's tools may be heavy."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from clipquarry.errors import UserError

if TYPE_CHECKING:  # DAG files read the names below, and must not wait for pyarrow
    from clipquarry.steps.base import Step

    StepFactory = Callable[[], Step[Any]]


def _lazy(module: str, name: str) -> StepFactory:
    def make() -> Step[Any]:
        step: Step[Any] = getattr(import_module(f"clipquarry.steps.{module}"), name)()
        return step

    return make


STEPS: dict[str, StepFactory] = {
    "fetch": _lazy("fetch", "FetchStep"),
    "unpack": _lazy("unpack", "UnpackStep"),
    "resize": _lazy("resize", "ResizeStep"),
    "frames": _lazy("frames", "FramesStep"),
    "download": _lazy("download", "DownloadStep"),
    "excerpt": _lazy("excerpt", "ExcerptStep"),
    "detect": _lazy("detect", "DetectStep"),
}

NETWORK_STEPS = frozenset({"fetch", "unpack", "download"})
"""Steps that reach out. A container of any other step has no network."""


def make_step(name: str) -> Step[Any]:
    """The step called ``name``; an unknown one is a sentence with the names that exist."""
    if name not in STEPS:
        raise UserError(f"There is no step '{name}'. Known: {', '.join(sorted(STEPS))}.")
    return STEPS[name]()
