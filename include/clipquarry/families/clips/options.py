"""Keys of ``options`` in the YAML of a data set of labelled clips."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from clipquarry.datasets.model import DatasetSpec, Model, Options

READERS = tuple(sorted(path.stem for path in (Path(__file__).parent / "readers").glob("[a-z]*.py")))
"""Formats of annotation files, by the modules that read them."""


class FrameOptions(Model):
    """Recipe of the raw frames. ``rate`` 0 keeps every frame; ``quality`` is ffmpeg's JPEG scale, 1 (best) to 31.

    ``enlarge`` false leaves smaller clips unchanged; ``even`` rounds the long side to an even number instead of
    down.
    """

    rate: float = Field(default=0, ge=0, le=240)
    quality: int = Field(default=2, ge=1, le=31)
    enlarge: bool = True
    even: bool = False


class ClipsOptions(Options):
    """``reader``: format of the annotation files."""

    reader: str
    frames: FrameOptions = FrameOptions()

    @field_validator("reader")
    @classmethod
    def _is_there(cls, value: str) -> str:
        if value not in READERS:
            raise ValueError(f"there is no reader {value[:60]!r}; known: {', '.join(READERS)}")
        return value


def clips_options(spec: DatasetSpec) -> ClipsOptions:
    """The options of a data set of this family."""
    assert isinstance(spec.options, ClipsOptions), f"{spec.name} is of another family"
    return spec.options
