"""Run parameters of tubes."""

from __future__ import annotations

from clipquarry.pipeline.params import RunParams


class TubesParams(RunParams):
    """Parameters of tubes: those of every run."""
