"""Registry of the steps by name. A step is imported only when it is used, because its libraries may be heavy."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.errors import UserError

if TYPE_CHECKING:  # DAG files read the names below, and must not wait for pyarrow
    from clipquarry.steps.base import Step


@dataclass(frozen=True)
class StepFacts:
    """Facts about a step without its import. ``module`` and ``name`` say where its class is.

    ``network``: it uses the network; a container of any other step has none. ``gpu``: it can use a GPU, and it has an image
    of its own name. ``brings``: the items that it fetches, ``windows`` (clips) or whole ``files``; empty: none.
    """

    module: str
    name: str
    network: bool = False
    gpu: bool = False
    brings: Literal["", "windows", "files"] = ""


STEPS: dict[str, StepFacts] = {
    "fetch": StepFacts("fetch", "FetchStep", network=True, brings="windows"),
    "unpack": StepFacts("unpack", "UnpackStep", network=True),
    "resize": StepFacts("resize", "ResizeStep"),
    "frames": StepFacts("frames", "FramesStep"),
    "download": StepFacts("download", "DownloadStep", network=True, brings="files"),
    "excerpt": StepFacts("excerpt", "ExcerptStep"),
    "detect": StepFacts("detect", "DetectStep", gpu=True),
}


def make_step(name: str) -> Step[Any]:
    """The step called ``name``. Raises UserError for an unknown one (with the known names), and where its packages are not installed."""
    if name not in STEPS:
        raise UserError(f"There is no step '{name}'. Known: {', '.join(sorted(STEPS))}.")
    facts = STEPS[name]
    try:
        step: Step[Any] = getattr(import_module(f"clipquarry.steps.{facts.module}"), facts.name)()
    except ModuleNotFoundError as error:
        if (error.name or "clipquarry").startswith("clipquarry"):
            raise
        image = f"clipquarry-{name if facts.gpu else 'media'}"
        raise UserError(
            f"The step '{name}' needs the package {error.name}, which is not installed here: run it in the image {image}, or install "
            "the project's dependencies with 'make setup'."
        ) from error
    return step
