"""What the family writes into a run's folder, besides what all families do (:mod:`clipquarry.run_folder`).

::

    annotations/{split}.{boxes,key_frames,excluded,rejected,excluded_rejected}.parquet
                                      the rows of the annotation files; ``actions.json``: the actions by number
    prepared/{split}.…                the same of the clips that are there, and what is left out
    detection/…                       the frames in which people are detected
    proposals/{split}.…               the person proposals as a table, their numbers, the keys that cannot be used
    ava/…                             the other data set's annotations, as they were checked before the merge
    merged.json                       the numbers of the merge
    readable/…                        files that were written for the release
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

What = Literal["boxes", "key_frames", "excluded", "rejected", "excluded_rejected"]
"""Kinds of rows of annotation files, a table each."""

_TABLES: dict[What, str] = {
    "boxes": ".boxes.parquet", "key_frames": ".key_frames.parquet", "excluded": ".excluded.parquet",
    "rejected": ".rejected.parquet", "excluded_rejected": ".excluded_rejected.parquet",
}  # fmt: skip
_ANNOTATIONS, _PREPARED, _PROPOSALS = "annotations", "prepared", "proposals"
FOLDERS = (_ANNOTATIONS, _PREPARED, _PROPOSALS)
_MERGED = "merged.json"

LEFT_BY_BOXES = f"{_PREPARED}/*.json"
LEFT_BY_PROPOSALS = f"{_PROPOSALS}/*.parquet"
LEFT_BY_MERGE = _MERGED
"""Patterns of the tasks' files, by which the report knows that the tasks ran."""


def _splits(folder: Path, suffix: str) -> list[str]:
    return sorted(path.name.removesuffix(suffix) for path in folder.glob(f"[!.]*{suffix}"))


@dataclass(frozen=True)
class BoxFiles:
    """``root`` is the run's folder. Nothing is created here."""

    root: Path

    # The annotations as in their files

    def annotated(self, split: str, what: What) -> Path:
        return self.root / _ANNOTATIONS / f"{split}{_TABLES[what]}"

    def annotated_splits(self, what: What = "boxes") -> list[str]:
        """Splits with such a table, sorted."""
        return _splits(self.root / _ANNOTATIONS, _TABLES[what])

    @property
    def actions(self) -> Path:
        """``names``, ``evaluated`` and ``evaluated_names``."""
        return self.root / _ANNOTATIONS / "actions.json"

    # The annotations of the present clips

    def prepared(self, split: str, what: What = "boxes") -> Path:
        return self.root / _PREPARED / f"{split}{_TABLES[what]}"

    def prepared_splits(self) -> list[str]:
        """Splits with prepared boxes, sorted."""
        return _splits(self.root / _PREPARED, _TABLES["boxes"])

    def prepared_facts(self, split: str) -> Path:
        """``rows``, ``dropped``, ``no_clip`` and ``moved``."""
        return self.root / _PREPARED / f"{split}.json"

    def frame_counts(self, split: str) -> Path:
        """Number of frames by clip."""
        return self.root / _PREPARED / f"{split}.images.parquet"

    def left(self, split: str) -> Path:
        """Key frames without a clip."""
        return self.root / _PREPARED / f"{split}.left.csv"

    def times(self, split: str) -> Path:
        """The exact times of the prepared rows, for the release."""
        return self.root / _PREPARED / f"{split}.times.csv"

    # Detections and proposals

    @property
    def detection_items(self) -> Path:
        """Shards of the frames in which people are detected."""
        return self.root / "detection" / "items"

    @property
    def detection_jobs(self) -> Path:
        return self.root / "detection" / "jobs.json"

    @property
    def detection_needed(self) -> Path:
        """``needed``: the frames' items; ``signatures`` of the new ones; ``identity`` of the detector."""
        return self.root / "detection" / "needed.json"

    def proposals(self, split: str) -> Path:
        """One row for each proposed box."""
        return self.root / _PROPOSALS / f"{split}.parquet"

    def proposal_splits(self) -> list[str]:
        """Splits that have proposals, sorted."""
        return _splits(self.root / _PROPOSALS, ".parquet")

    def proposal_facts(self, split: str) -> Path:
        """``path``, ``sha256``, ``source`` and the numbers of a split's proposal file."""
        return self.root / _PROPOSALS / f"{split}.json"

    def all_proposal_facts(self) -> list[Path]:
        """The facts of all splits; including the keys that cannot be used."""
        return list((self.root / _PROPOSALS).glob("[!.]*.json"))

    def rejected_proposals(self, split: str) -> Path:
        """Keys that cannot be used, with the reason."""
        return self.root / _PROPOSALS / f"{split}.rejected.json"

    # The merge and the release

    def checked(self, name: str) -> Path:
        """A csv of the other data set, with its good rows only."""
        return self.root / "ava" / name

    def checked_rows(self, split: str, what: What) -> Path:
        """The same as a table."""
        return self.root / "ava" / f"{split}{_TABLES[what]}"

    @property
    def merged(self) -> Path:
        """The numbers of the merge, the files it wrote and their ``sha256``."""
        return self.root / _MERGED

    def readable(self, name: str) -> Path:
        """A file that was written for the release."""
        return self.root / "readable" / name
