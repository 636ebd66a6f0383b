"""Registry of the steps by name. A step is imported only when it is used, because its libraries may be heavy."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.errors import UserError

if TYPE_CHECKING:  # DAG files read the names below, and must not wait for pyarrow
    from clipquarry.steps.base import Step


Brings = Literal["", "windows", "videos", "files", "folders", "mixed"]


@dataclass(frozen=True)
class StepFacts:
    """Facts about a step without its import. ``module`` and ``name`` say where its class is.

    ``network``: it uses the network; a container of any other step has none. ``gpu``: it can use a GPU. ``brings``: the items that it fetches: ``windows`` of videos, ``videos`` named with their suffix, or
    ``files`` of any suffix, ``folders`` of frames, or ``mixed``: files and folders; empty: none. ``image``: the Docker image that it runs in, without the project's name.
    """

    module: str
    name: str
    network: bool = False
    gpu: bool = False
    brings: Brings = ""
    image: str = "media"


STEPS: dict[str, StepFacts] = {
    "fetch": StepFacts("fetch", "FetchStep", network=True, brings="windows"),
    "unpack": StepFacts("unpack", "UnpackStep", network=True, image="archives"),
    "extract": StepFacts("extract", "ExtractStep", network=True, image="archives"),
    "collect": StepFacts("collect", "CollectStep", network=True, brings="files"),
    "collect_frames": StepFacts("collect_frames", "CollectFramesStep", brings="folders"),
    "collect_mixed": StepFacts("collect_mixed", "CollectMixedStep", brings="mixed"),
    "collect_features": StepFacts("collect_features", "CollectFeaturesStep", brings="files"),
    "collect_packages": StepFacts("collect_packages", "CollectPackagesStep", network=True, brings="files"),
    "resize": StepFacts("resize", "ResizeStep"),
    "frames": StepFacts("frames", "FramesStep"),
    "flow": StepFacts("flow", "FlowStep"),
    "audio": StepFacts("audio", "AudioStep"),
    "audio_features": StepFacts("audio_features", "AudioFeaturesStep"),
    "pool_features": StepFacts("pool_features", "PoolFeaturesStep"),
    "encode_video": StepFacts("encode_video", "EncodeVideoStep"),
    "download": StepFacts("download", "DownloadStep", network=True, brings="videos"),
    "excerpt": StepFacts("excerpt", "ExcerptStep"),
    "detect": StepFacts("detect", "DetectStep", gpu=True, image="detect"),
    "track": StepFacts("track", "TrackStep", gpu=True, image="detect"),
}

ARCHIVES = ("unpack", "extract")
"""Steps whose rows are archives, not items."""


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
        image = f"clipquarry-{facts.image}"
        raise UserError(
            f"The step '{name}' needs the package {error.name}, which is not installed here: run it in the image {image}, or install "
            "the project's dependencies with 'make setup'."
        ) from error
    return step
