"""What the family writes into a run's folder, besides what all families do (:mod:`clipquarry.run_folder`).

::

    videos.parquet          every video that the ground truth names: see :mod:`clipquarry.families.tubes.tables`
    tubes.parquet           every tube
    shown.json              some videos with the boxes of a few of their frames, for the report
    flow_images.parquet     the optical flow of each video that is there
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LEFT_BY_FLOW = "flow_images.parquet"
"""The task's file, by which the report knows that it ran."""


@dataclass(frozen=True)
class TubeFiles:
    """``root`` is the run's folder. Nothing is created here."""

    root: Path

    @property
    def videos(self) -> Path:
        """Every video that the ground truth names."""
        return self.root / "videos.parquet"

    @property
    def tubes(self) -> Path:
        """Every tube."""
        return self.root / "tubes.parquet"

    @property
    def shown(self) -> Path:
        """Some videos, with the boxes of a few frames."""
        return self.root / "shown.json"

    @property
    def flow(self) -> Path:
        """The optical flow of each video that is there."""
        return self.root / LEFT_BY_FLOW
