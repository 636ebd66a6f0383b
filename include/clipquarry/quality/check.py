"""What a check is, and which gates there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from clipquarry.datasets.model import AnnotationFormat

Gate = Literal["annotations", "clips", "frames", "lists", "boxes", "proposals", "merged"]
Severity = Literal["error", "warn", "info"]

GATES: Final[tuple[Gate, ...]] = ("annotations", "clips", "frames", "lists", "boxes", "proposals", "merged")
"""All gates, in the order of a run."""

GATES_OF: Final[dict[AnnotationFormat, tuple[Gate, ...]]] = {
    "kinetics_csv": ("annotations", "clips", "frames", "lists"),
    "ava_csv": ("annotations", "clips", "frames", "proposals"),
    "ava_kinetics_csv": ("annotations", "clips", "frames", "boxes", "proposals", "merged"),
}
"""The gates of a data set's runs, by its annotation format."""


@dataclass(frozen=True)
class Check:
    """One check. ``severity`` is what breaking it does: ``error`` blocks, ``warn`` warns, ``info`` is only told.

    A check with ``blocks_above`` becomes an ``error`` when the share of rows that break it is above that threshold.
    """

    id: str
    gate: Gate
    severity: Severity
    title: str
    why: str
    invariant: str = ""
    blocks_above: str = ""
