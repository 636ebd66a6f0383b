"""The catalog of Kinetics' annotation csvs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from clipquarry.annotations.catalog import CatalogSummary, write_catalog
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.kinetics_csv import GoodRow, read_kinetics_csv, why_no_row_is_good
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex, index_labels
from clipquarry.ids import normalise_label
from clipquarry.microseconds import of
from clipquarry.reasons import Reason


@lru_cache(maxsize=1000)
def _nearest(class_dir: str, names: tuple[str, ...]) -> str:
    return next(iter(get_close_matches(class_dir, names, 1, 0.85)), "")


def _meant(class_dir: str, labels: LabelIndex) -> str:
    nearest = _nearest(class_dir, labels.names)
    return f" (is '{nearest}' meant?)" if nearest else ""


def _unlike(text: str, seconds: int) -> str | None:
    return None if text == str(seconds) else text


def item_of(row: GoodRow, labels: LabelIndex, name: str | None = None) -> Item | RejectedRow:
    """The item of a row, or why its label is none. ``name``: what the class is called here, where the csv says otherwise."""
    name = name or row.label
    folder = row.class_dir if name is None else normalise_label(name)
    given: tuple[Label, ...] = ()
    if name is not None:
        index = labels.get(folder)
        if index is None:
            why = f"the label is not one of the {len(labels)} of the {labels.origin}{_meant(folder, labels)}"
            return RejectedRow(row.line, Reason.UNKNOWN_LABEL, why, f"{row.label},{row.clip_id}")
        given = (Label(index, name),)
    return Item(
        row.line, row.video_id, row.clip_id, folder, of(row.start), of(row.end), given,
        _unlike(row.start_text, row.start), _unlike(row.end_text, row.end),
    )  # fmt: skip


def build_catalog(
    csvs: Mapping[str, Path],
    out: Path,
    *,
    label_map: Path | None = None,
    expected_labels: int | None = None,
    own_ids: bool = False,
) -> CatalogSummary:
    """Write the catalog of the csvs by split (in that order, rows in csv order) to ``out``, and its labels beside
    it.

    ``own_ids``: ids need not look like YouTube's. Rows are numbered by :func:`index_labels`; a row with an unknown
    label is rejected as ``unknown_label``. Raises :class:`UserError` for a file that is no annotation csv or has no
    good row, and if no label index can be trusted.
    """
    labels = index_labels(csvs, label_map=label_map, expected=expected_labels, own_ids=own_ids)

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        for row in read_kinetics_csv(path, split, own_ids=own_ids):
            yield item_of(row, labels) if isinstance(row, GoodRow) else row

    def why_none(split: str, path: Path) -> str:
        why = why_no_row_is_good(path, split, own_ids=own_ids)
        return why or f"none of its labels is among the {labels.origin}'s"

    return write_catalog(csvs, out, read, labels, why_none=why_none)
