"""What the family writes into a run's folder, besides what all families do (:mod:`clipquarry.run_folder`).

::

    intervals.parquet                 every labelled interval: see :mod:`clipquarry.families.segments.intervals`
    proposals/{split}.parquet         each video of a list of proposals: its block, or why it has none
    proposals/{split}.json            the list that was written: path, sha256, numbers
    readable/missing_proposals_{split}.csv  the latter for people
    lists/{split}.parquet             each interval of the annotation of a split: its lines in lists of frames, or why it has none
    lists/{split}.json                the lists that were written: path, sha256, numbers
    readable/missing_frames_{split}.csv  intervals without a line, for people
    copies.json                       path and sha256 of the files that were made of the annotation
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PROPOSALS = "proposals"
LEFT_BY_PROPOSALS = f"{_PROPOSALS}/*.parquet"
"""Pattern of the task's files, by which the report knows that it ran."""
_LISTS = "lists"
LEFT_BY_LISTS = f"{_LISTS}/*.parquet"
_COPIES = "copies.json"
LEFT_BY_COPIES = _COPIES


@dataclass(frozen=True)
class SegmentFiles:
    """``root`` is the run's folder. Nothing is created here."""

    root: Path

    @property
    def intervals(self) -> Path:
        """Every labelled interval, in one table."""
        return self.root / "intervals.parquet"

    @property
    def proposals(self) -> Path:
        """Folder of what follows."""
        return self.root / _PROPOSALS

    def blocks(self, split: str) -> Path:
        """One row for each video of a split's published list of proposals."""
        return self.proposals / f"{split}.parquet"

    def block_splits(self) -> list[str]:
        """Splits with such a table, sorted."""
        return sorted(path.stem for path in self.proposals.glob("[!.]*.parquet"))

    def proposal_facts(self, split: str) -> Path:
        """``path`` (relative to the data root), ``sha256`` and the numbers of the list that was written."""
        return self.proposals / f"{split}.json"

    @property
    def lists(self) -> Path:
        """Folder of what follows."""
        return self.root / _LISTS

    def list_rows(self, split: str) -> Path:
        """One row for each interval of a split's annotation."""
        return self.lists / f"{split}.parquet"

    def list_splits(self) -> list[str]:
        """Splits with such a table, sorted."""
        return sorted(path.stem for path in self.lists.glob("[!.]*.parquet"))

    def list_facts(self, split: str) -> Path:
        """``files`` (path relative to the data root to sha256) and numbers of the lists that were written."""
        return self.lists / f"{split}.json"

    def missing_frames(self, split: str) -> Path:
        """Intervals without a line in the lists of frames, for people and for the release."""
        return self.root / "readable" / f"missing_frames_{split}.csv"

    @property
    def copies(self) -> Path:
        """``path`` and ``sha256`` of each file that was made of the annotation."""
        return self.root / _COPIES

    def missing_proposals(self, split: str) -> Path:
        """Videos of the published list without a block in the one that was written, for people and for the release."""
        return self.root / "readable" / f"missing_proposals_{split}.csv"
