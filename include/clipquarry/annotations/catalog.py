"""The catalog: what a data set should hold, one row per row of its annotation files, rejected rows included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.items import Item, RejectedRow, item_problem
from clipquarry.annotations.label_table import Label, LabelWriter
from clipquarry.annotations.labels import LabelIndex
from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.manifest import CATALOG_FIELDS, ManifestWriter, Row, schema_of
from clipquarry.reasons import Reason, Status
from clipquarry.run_folder import labels_beside

KIND = "catalog"
_KNOWN = 16_384
_EVIDENCE = 3000
"""Characters; a reader shortens its texts itself."""
_DONE, _OK = str(Status.DONE), str(Reason.OK)

Read = Callable[[str, Path], Iterator[Item | RejectedRow]]
"""Reads the annotation file of a split: every row in order."""


@dataclass
class SplitSummary:
    """Counts of one split's annotation file; ``rows == good + sum(rejected.values())``."""

    csv: str
    sha256: str
    rows: int = 0
    good: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    labels: int = 0
    """Distinct classes of the good rows."""


@dataclass
class CatalogSummary:
    """What :func:`write_catalog` wrote; ``label_names`` are the normalised names in index order."""

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
        """For ``run.json``, without the names, which are in the label map."""
        splits = {name: asdict(split) for name, split in self.splits.items()}
        return {"splits": splits, "labels": len(self.label_names), "label_origin": self.label_origin}


def _good(item: Item, split: str) -> Row:
    one = item.labels[0] if len(item.labels) == 1 else None
    return {
        "item_id": "/".join(filter(None, (split, item.class_dir, item.clip_id))), "video_id": item.video_id, "clip_id": item.clip_id,
        "split": split, "label": one and one.name, "class_dir": item.class_dir, "label_index": one.index if one else -1,
        "start": item.start, "end": item.end, "row": item.line, "start_text": item.start_text, "end_text": item.end_text,
        "status": _DONE, "reason": _OK, "evidence": "",
    }  # fmt: skip


def _rejected(row: RejectedRow, split: str, before: int) -> Row:
    """``before``: rejected rows of the same line, which a format without a line per row may have."""
    again = f"-{before + 1}" if before else ""
    return {
        "item_id": f"{split}/#row-{row.line}{again}", "split": split, "row": row.line, "status": str(Status.REJECTED),
        "reason": str(row.reason), "evidence": visible(f"{row.sentence}: {row.raw}", _EVIDENCE),
    }  # fmt: skip


class _Checked:
    """The rows of one split as its reader gives them; items that no run could use, or that were given before, are
    rejected.
    """

    def __init__(self, classes: int) -> None:
        self._classes, self._seen = classes, set[int]()
        self._known: dict[int, Label] = {}
        """Labels of good rows by their ``id``: a row may have dozens, which most readers give again and again."""
        self.classes: set[int] = set()
        """Numbers of the classes of the good rows."""

    def __call__(self, row: Item | RejectedRow) -> Item | RejectedRow:
        if isinstance(row, RejectedRow):
            return row
        known = self._known.keys() >= set(map(id, row.labels))
        if (problem := item_problem(row, self._classes, labels_right=known)) is None:
            # As in read_kinetics_csv: a keyed hash instead of the text.
            key = hash((row.class_dir, row.clip_id))
            if key not in self._seen:
                self._seen.add(key)
                if not known:
                    self.classes.update([label.index for label in row.labels])
                    if len(self._known) < _KNOWN:
                        self._known.update({id(label): label for label in row.labels})
                return row
            problem = Reason.DUPLICATE, "a clip of this name and class was given before"
        reason, sentence = problem
        return RejectedRow(row.line, reason, sentence, f"{row.class_dir or ''}/{row.clip_id}{_window(row)}")


def _window(item: Item) -> str:
    return "" if item.start is None else f", {item.start} to {item.end} microseconds"


def _noted(rows: Iterator[Item | RejectedRow], path: Path) -> Iterator[Item | RejectedRow]:
    """The rows; an error gets a note that says in which file, and after which line."""
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except Exception as error:
        error.add_note(f"{path}, after line {line}")
        raise


def write_catalog(
    files: Mapping[str, Path],
    out: Path,
    read: Read,
    labels: LabelIndex,
    *,
    why_none: Callable[[str, Path], str] | None = None,
    digest: Callable[[Path], str] = sha256_of,
) -> CatalogSummary:
    """Write the catalog of the annotation files by split (in that order, rows in the files' order) to ``out``, and
    its labels beside it.

    The catalog's ``label`` and ``label_index`` are set for items with exactly one label. ``why_none`` returns a
    phrase that says why a file has no usable row; by default it is what is wrong with the first one. An item that no run could use (:func:`item_problem`), or whose
    name and class were given before, is rejected whatever ``read`` says of it. ``digest`` gives the sha256 of what stands for a
    split, where that is a folder of files. Raises :class:`UserError` for a file
    without a usable row, and all errors of ``read``, with a note that says where it was.
    """
    summaries: dict[str, SplitSummary] = {}
    # The labels are written before the catalog.
    with ManifestWriter(out, schema_of(CATALOG_FIELDS, KIND)) as writer, LabelWriter(labels_beside(out)) as labelled:
        for split, path in files.items():
            summary = summaries[split] = SplitSummary(str(path), digest(path))
            rejected: Counter[str] = Counter()
            checked = _Checked(len(labels))
            lines: Counter[int] = Counter()
            first = ""
            for row in map(checked, _noted(read(split, path), path)):
                summary.rows += 1
                if isinstance(row, Item):
                    summary.good += 1
                    good = _good(row, split)
                    writer.write(good)
                    labelled.add(good["item_id"], row.labels)
                else:
                    rejected[str(row.reason)] += 1
                    writer.write(_rejected(row, split, lines[row.line]))
                    lines[row.line] += 1
                    first = first or f"no row of it can be used, the first because {visible(row.sentence)}"
            summary.rejected = dict(sorted(rejected.items()))
            summary.labels = len(checked.classes)
            if summary.rows and not summary.good:
                raise UserError(f"{path}: {why_none(split, path) if why_none else first}.")
    return CatalogSummary(summaries, labels.names, labels.origin)
