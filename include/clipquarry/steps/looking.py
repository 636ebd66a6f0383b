"""The detector of a process, and its results as the store notes them: what the steps that look for people share."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import Field, model_validator

from clipquarry.files import inside
from clipquarry.people.make import Backend, make_detector
from clipquarry.people.shared import SharedDetector
from clipquarry.steps.base import StepContext, StepParams
from clipquarry.store import Facts, Store, content_key

KIND = "people"
"""The store's kind of noted detections."""


class DetectorParams(StepParams):
    """``checkpoint`` and a ``config`` ending in ``.py`` are paths below the data root, or absolute. ``sha256``: the required sum of the
    checkpoint. ``device``, ``batch``, ``half``: see :mod:`clipquarry.people.mmdet`. A box's score must be above ``least``.
    """

    backend: Backend = "hog"
    config: str | None = None
    checkpoint: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f]{64}$")
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$")
    batch: int = Field(default=4, ge=1, le=512)
    half: bool = False
    least: float = Field(default=0.5, ge=0, lt=1)

    @model_validator(mode="after")
    def _has_weights(self) -> DetectorParams:
        if self.backend != "hog" and not self.checkpoint:
            raise ValueError(f"the detector {self.backend} needs a checkpoint")
        return self


NAMED_BY_DETECTOR = {"backend", "config", "checkpoint", "sha256", "device", "batch", "half"}
"""Parameters that a step's key leaves out: the detector's name holds all of them that change a result."""

_making = Lock()


@lru_cache(maxsize=1)
def _made(data: str, chosen: str) -> SharedDetector:
    params = DetectorParams.model_validate_json(chosen)
    checkpoint = _place(data, params.checkpoint) if params.checkpoint else None
    config = params.config
    if config is not None and config.endswith(".py"):
        config = str(_place(data, config))
    made = make_detector(
        params.backend, config=config, checkpoint=checkpoint, sha256=params.sha256, device=params.device,
        batch=params.batch, half=params.half, least=params.least,
    )  # fmt: skip
    return SharedDetector(made, params.batch)


def _place(data: str, path: str) -> Path:
    return Path(path) if path.startswith("/") else inside(Path(data), path)


def detector_of(ctx: StepContext[Any]) -> SharedDetector:
    """The process's detector, made once for all threads, of a step whose parameters are :class:`DetectorParams`. Other parameters
    replace it.
    """
    chosen = ctx.params.model_dump(include=set(DetectorParams.model_fields))
    with _making:
        return _made(str(ctx.data.root), json.dumps(chosen, sort_keys=True))


class Notes:
    """The noted results of one part of a clip, by what identifies a frame's content, in one file of the store called ``name``.

    ``where`` are the parts of the key. Facts hold the frame's path as ``image``. Without a name nothing is noted.
    """

    def __init__(self, store: Store, name: str, where: dict[str, Any]) -> None:
        self._store, self._name = store, name
        self._key = content_key(kind=KIND, **where)
        self._known: Facts = {}
        if name:
            known = (store.noted(KIND, name, self._key) or {}).get("pictures")
            self._known = known if isinstance(known, dict) else {}

    def get(self, key: str) -> dict[str, Any] | None:
        """The facts of a frame, when they were noted, else None."""
        facts = self._known.get(key)
        return dict(facts) if isinstance(facts, dict) else None

    def add(self, found: dict[str, dict[str, Any]]) -> None:
        """Note new results. They replace older ones of the same frame."""
        if not found or not self._name:
            return
        images = {facts["image"] for facts in found.values()}
        kept = {key: facts for key, facts in self._known.items() if facts.get("image") not in images}
        self._store.note(KIND, self._name, self._key, {"pictures": kept | found})
