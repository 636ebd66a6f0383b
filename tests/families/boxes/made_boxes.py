"""A run of the family without a run: the one writer of what it adds to the run's folder, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from clipquarry.annotations.box_csv import BOXES, KEY_FRAMES, REJECTED
from clipquarry.families.boxes.proposals import TABLE as PROPOSALS
from clipquarry.families.boxes.run_files import BoxFiles, What
from clipquarry.families.boxes.tables import save
from clipquarry.files import write_json
from clipquarry.manifest import Row
from families.made_run import MadeRun, Rows

SCHEMAS: dict[What, pa.Schema] = {
    "boxes": BOXES, "key_frames": KEY_FRAMES, "excluded": KEY_FRAMES, "rejected": REJECTED, "excluded_rejected": REJECTED,
}  # fmt: skip


def rect(left: float, top: float, right: float, bottom: float) -> Row:
    """The columns of a box, as fractions of the picture."""
    return {"x1": left, "y1": top, "x2": right, "y2": bottom}


def box_row(video: str, time: str, box: Row, action: int, person: int = 1) -> Row:
    """``time`` as the csv writes it; ``box`` of :func:`rect`."""
    return {**key_row(video, time), **box, "action_id": action, "person_id": person}


def key_row(video: str, time: str) -> Row:
    """A key frame."""
    return {"video_id": video, "time": time, "second": int(float(time))}


def proposal_row(video: str, second: int, box: Row, score: float) -> Row:
    """A score of -1 is none."""
    return {"key": f"{video},{second:04d}", "video_id": video, "second": second, **box, "score": score}


def _table(rows: Rows, schema: pa.Schema) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows.select(schema.names).cast(schema)
    found = list(rows)
    for row in found:
        assert set(row) == set(schema.names), f"{sorted(row)} are not the columns {schema.names}"
    return pa.Table.from_pylist(found, schema=schema)


class MadeBoxes(MadeRun):
    """Writes what the family adds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.files = BoxFiles(folder)

    def annotated(self, split: str, what: What, rows: Rows) -> None:
        """Rows of the annotation files."""
        save(_table(rows, SCHEMAS[what]), self.files.annotated(split, what))

    def actions(self, names: Mapping[str, str], evaluated: Iterable[int], **more: Any) -> None:
        """Names by number; the numbers that count."""
        write_json(self.files.actions, {"names": dict(names), "evaluated": list(evaluated), **more})

    def prepared(self, split: str, rows: Rows, *, what: What = "boxes") -> None:
        """The same of the clips that are there."""
        save(_table(rows, SCHEMAS[what]), self.files.prepared(split, what))

    def prepared_facts(self, split: str, rows: int, *, dropped: int = 0, no_clip: int = 0) -> None:
        write_json(self.files.prepared_facts(split), {"rows": rows, "dropped": dropped, "no_clip": no_clip})

    def proposals(
        self, split: str, rows: Rows, *, path: str, source: str, rejected: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        """Proposed boxes, and what is told of their file ``path`` below the data root."""
        table = _table(rows, PROPOSALS)
        save(table, self.files.proposals(split))
        keys = len(table["key"].unique())
        about = {"path": path, "keys": keys, "boxes": table.num_rows, "source": source, **more}
        write_json(self.files.proposal_facts(split), about)
        write_json(self.files.rejected_proposals(split), dict(rejected or {}))

    def merged(self, numbers: Mapping[str, Any]) -> None:
        """The numbers of the merge."""
        write_json(self.files.merged, dict(numbers))
