"""The catalog: what a data set should hold, one row per csv row, bad rows included by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from clipquarry.annotations.kinetics_csv import CsvRow, GoodRow, RejectedRow, read_kinetics_csv, why_no_row_is_good
from clipquarry.annotations.labels import LabelIndex, index_labels
from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.manifest import CATALOG_FIELDS, ManifestWriter, Row, schema_of
from clipquarry.reasons import Reason, Status

KIND = "catalog"
_DONE, _OK = str(Status.DONE), str(Reason.OK)


@dataclass
class SplitSummary:
    """Counts of one split's csv; ``rows == good + sum(rejected.values())``."""

    csv: str
    sha256: str
    rows: int = 0
    good: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    labels: int = 0
    """Distinct classes of the good rows."""


@dataclass
class CatalogSummary:
    """What :func:`build_catalog` wrote; ``label_names`` are the normalised names in index order."""

    splits: dict[str, SplitSummary]
    label_names: tuple[str, ...]
    label_origin: str

    @property
    def rows(self) -> int:
        return sum(split.rows for split in self.splits.values())

    @property
    def labels(self) -> LabelIndex:
        return LabelIndex(self.label_names, self.label_origin)

    def as_json(self) -> dict[str, Any]:
        """For ``run.json``: the names are left out, they are in the label map."""
        splits = {name: asdict(split) for name, split in self.splits.items()}
        return {"splits": splits, "labels": len(self.label_names), "label_origin": self.label_origin}


def _good(row: GoodRow, split: str, index: int) -> Row:
    clip, folder = row.clip_id, row.class_dir
    return {
        "item_id": f"{split}/{folder}/{clip}", "video_id": row.video_id, "clip_id": clip, "split": split,
        "label": row.label, "class_dir": folder, "label_index": index, "start": row.start, "end": row.end,
        "row": row.line, "status": _DONE, "reason": _OK, "evidence": "",
    }  # fmt: skip


def _rejected(row: RejectedRow, split: str) -> Row:
    return {
        "item_id": f"{split}/#row-{row.line}", "split": split, "row": row.line, "status": str(Status.REJECTED),
        "reason": str(row.reason), "evidence": f"{row.sentence}: {row.raw}",
    }  # fmt: skip


def _rows(rows: Iterator[CsvRow], split: str, labels: LabelIndex, summary: SplitSummary) -> Iterator[Row]:
    rejected: Counter[str] = Counter()
    folders: set[str] = set()
    for row in rows:
        summary.rows += 1
        if isinstance(row, GoodRow):
            index = -1 if row.label is None else labels.get(row.class_dir)
            if index is not None:
                summary.good += 1
                if row.label is not None:
                    folders.add(row.class_dir)
                yield _good(row, split, index)
                continue
            sentence = (
                f"the label is not one of the {len(labels)} of the {labels.origin}{_meant(row.class_dir, labels)}"
            )
            row = RejectedRow(row.line, Reason.UNKNOWN_LABEL, sentence, f"{row.label},{row.clip_id}")
        rejected[str(row.reason)] += 1
        yield _rejected(row, split)
    summary.rejected = dict(sorted(rejected.items()))
    summary.labels = len(folders)


@lru_cache(maxsize=1000)
def _nearest(class_dir: str, names: tuple[str, ...]) -> str:
    return next(iter(get_close_matches(class_dir, names, 1, 0.85)), "")


def _meant(class_dir: str, labels: LabelIndex) -> str:
    nearest = _nearest(class_dir, labels.names)
    return f" (is '{nearest}' meant?)" if nearest else ""


def build_catalog(
    csvs: Mapping[str, Path], out: Path, *, label_map: Path | None = None, expected_labels: int | None = None
) -> CatalogSummary:
    """Write the catalog of the csvs by split (in that order, rows in csv order) to ``out``.

    Rows are numbered by :func:`index_labels`; a row whose label it does not know is rejected as ``unknown_label``.
    Raises :class:`UserError` for a file that is no annotation csv or has no good row, and when no label index can be trusted.
    """
    labels = index_labels(csvs, label_map=label_map, expected=expected_labels)
    summaries: dict[str, SplitSummary] = {}
    with ManifestWriter(out, schema_of(CATALOG_FIELDS, KIND)) as writer:
        for split, path in csvs.items():
            rows = read_kinetics_csv(path, split)
            summary = summaries[split] = SplitSummary(str(path), sha256_of(path))
            for row in _rows(rows, split, labels, summary):
                writer.write(row)
            if summary.rows and not summary.good:
                why = why_no_row_is_good(path, split) or f"none of its labels is among the {labels.origin}'s"
                raise UserError(f"{path}: {why}.")
    return CatalogSummary(summaries, labels.names, labels.origin)
