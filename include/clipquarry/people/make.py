"""Factory of detectors by the name of the backend. A backend's libraries are imported only when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from clipquarry.errors import UserError
from clipquarry.people.detector import Detector

Backend = Literal["hog", "small", "mmdet"]


def make_detector(
    backend: Backend,
    *,
    config: str | None = None,
    checkpoint: Path | None = None,
    sha256: str | None = None,
    device: str = "auto",
    batch: int = 4,
    half: bool = False,
    least: float = 0.5,
) -> Detector:
    """``hog`` takes ``least`` only, ``small`` also ``checkpoint`` (its model) and ``sha256``. ``config`` None is the backend's
    default. Errors: those of the backend's class.
    """
    if backend == "hog":
        try:
            from clipquarry.people.hog import HogDetector
        except ImportError:
            from clipquarry.errors import MachineError

            raise MachineError("The detector 'hog' needs opencv-contrib-python-headless below 5.") from None
        return HogDetector(least=least)
    if backend == "small":
        from clipquarry.people.small.detector import SmallDetector

        if checkpoint is None:
            raise UserError("The detector 'small' needs its model: the path of an ONNX file, as `checkpoint`.")
        return SmallDetector(checkpoint, sha256=sha256, least=least)
    from clipquarry.people.mmdet import CONFIG, MmdetDetector

    if checkpoint is None:
        raise UserError("The detector 'mmdet' needs a checkpoint: the path of a file with its weights.")
    return MmdetDetector(
        checkpoint, config or CONFIG, sha256=sha256, device=device, batch=batch, half=half, least=least
    )
