"""Lists of labels in groups, which are JSON, for the gate after the lists: their entries, and the lists of each group."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.label_groups import LabelGroups, as_text
from clipquarry.annotations.label_table import read_indices
from clipquarry.datasets.model import DatasetSpec
from clipquarry.manifest import scalar
from clipquarry.quality.clip_suites import suffixes
from clipquarry.quality.engine import IN_SET, Rule, Suite
from clipquarry.quality.tables import RunTables, extract
from clipquarry.run_documents import read_label_groups
from clipquarry.run_folder import labels_beside
from clipquarry.settings import DataRoot

_AT_ONCE = 8 << 20
"""Characters of a list at a time: in all columns at once, a list of half a million clips would take a gigabyte."""
_SPLIT = ', {"'
_INDICES = r"\[[0-9]{1,9}(?:, [0-9]{1,9})*\]"
_FIELDS = (
    r'\A\{(?:"filename": "(?P<path>[^"\\]+)"|"frame_dir": "(?P<folder>[^"\\]+)", "total_frames": (?P<frames>[0-9]{1,9})), '
    r'"label": (?P<labels>\{.*\}|\[.*\])\}\z'
)


def read(path: Path) -> pd.DataFrame:
    """The entries of a list: ``text``, ``line`` (number of the entry, from 1), ``path``, ``frames`` (-1: none) and ``labels``, a
    digest of their text. What is no such list is one entry without a path, or several.
    """
    pieces = [scalar(table).to_pandas() for table in _tables(path)]
    table: pd.DataFrame = (
        pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame({name: [] for name in _COLUMNS})
    )
    table = table.astype({"text": "str", "path": "str", "labels": "str", "frames": "int64"})
    table.insert(0, "line", range(1, len(table) + 1))
    return table


_COLUMNS = ("text", "path", "labels", "frames")


def _tables(path: Path) -> Iterator[pa.Table]:
    for entries in _entries(path):
        texts = pa.array(entries, pa.large_string())
        found = extract(pd.Series(entries, dtype="str"), _FIELDS)
        names = found["path"].fillna("") + found["folder"].fillna("")  # one of them is empty
        frames = pd.to_numeric(found["frames"], errors="coerce").fillna(-1).astype("int64")
        labels = [_digest(text) for text in found["labels"].fillna("").tolist()]
        columns = (texts, pa.array(names, pa.large_string()), pa.array(labels, pa.large_string()), pa.array(frames))
        yield pa.table(dict(zip(_COLUMNS, columns, strict=True)))


def _entries(path: Path) -> Iterator[list[str]]:
    """The texts of the entries, some at a time."""
    with open(path, encoding="utf-8", errors="backslashreplace", newline="") as handle:
        rest = handle.read(_AT_ONCE)
        if rest == "[]":
            return
        if not rest.startswith("["):
            rest = "\n" + rest  # no entry begins so
        rest = rest.removeprefix("[")
        while more := handle.read(_AT_ONCE):
            *whole, last = rest.split(_SPLIT)
            if whole:
                yield _begun(whole)
                last = _SPLIT + last
            rest = last.removeprefix(", ") + more
        # What follows the end of the array belongs to the last entry, which is none then.
        whole = rest.split(_SPLIT)
        whole[-1] = whole[-1].removesuffix("]") if whole[-1].endswith("}]") else f"{whole[-1]}\n"
        yield _begun(whole)


def _begun(pieces: list[str]) -> list[str]:
    """Entries, of which all but the first lost their first two characters."""
    return [pieces[0], *(f'{{"{piece}' for piece in pieces[1:])]


def _digest(text: str) -> str:
    """Some characters instead of hundreds; equal in this process only."""
    return f"{hash(text) & 0xFFFFFFFFFFFFFFFF:016x}" if text else ""


def labels(run: RunTables, split: str, items: pd.Series[str]) -> pd.Series[str]:
    """The digest of each item's labels as a list writes them; empty without labels."""
    groups = LabelGroups(read_label_groups(run.place))
    names, texts = [], []
    for item_id, indices in read_indices(labels_beside(run.place.catalog)):
        if item_id.startswith(f"{split}/"):
            names.append(item_id)
            texts.append(_digest(as_text(groups.divided(indices))))
    at = pc.index_in(pa.array(items, pa.large_string(), from_pandas=True), value_set=pa.array(names, pa.large_string()))
    found = pd.Series(pc.fill_null(pc.take(pa.array(texts, pa.large_string()), at), ""), dtype="str")
    found.index = items.index
    return found


def syntax(spec: DatasetSpec, format_: str) -> str:
    """The form of an entry."""
    groups = rf'\{{"[a-z0-9_]+": {_INDICES}(?:, "[a-z0-9_]+": {_INDICES})*\}}'
    if format_ != "videos":
        return rf'\A\{{"frame_dir": "[^"\\/\s]+", "total_frames": [0-9]+, "label": {groups}\}}\Z'
    extensions = "|".join(re.escape(extension) for extension in suffixes(spec))
    return rf'\A\{{"filename": "[^"\\/\s]+\.(?i:{extensions})", "label": {groups}\}}\Z'


def group_suite(
    spec: DatasetSpec, run: RunTables, data: DataRoot, split: str, format_: str, whole: pd.DataFrame
) -> Suite:
    """One row for each group: whether its list has exactly those entries of the ``whole`` list that have a label of it."""
    rows: list[dict[str, Any]] = []
    for group in read_label_groups(run.place):
        path = data.dataset(spec.root, spec.group_list_name(format_, split, group))
        wanted = _of_group(whole, group)
        lines, problem = _compared(path, wanted)
        rows.append({"item_id": f"{split}/{path.name}", "lines": lines, "wanted": len(wanted), "problem": problem})
    show = ("lines", "wanted", "problem")
    rule = Rule("lists.group", IN_SET, {"column": "problem", "value_set": [""]}, f"{split} {format_}", show=show)
    return Suite(f"groups_{split}_{format_}", pd.DataFrame(rows), [rule])


def _of_group(whole: pd.DataFrame, group: str) -> pa.Array:
    """The entries that the list of a group has."""
    fields = rf'\A(?P<head>\{{[^{{}}]*"label": )\{{[^{{}}]*{re.escape(json.dumps(group))}: (?P<indices>{_INDICES})'
    found = pc.extract_regex(pa.array(whole["text"], pa.large_string(), from_pandas=True), fields)
    found = (found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found).drop_null()
    ends = [pa.scalar(text, pa.large_string()) for text in ("}", "")]
    return pc.binary_join_element_wise(found.field("head"), found.field("indices"), *ends)


def _compared(path: Path, wanted: pa.Array) -> tuple[int, str]:
    """The entries of a group's list, and how it differs from what is wanted."""
    if not path.is_file():
        return 0, "it is not there"
    lines, problem = 0, ""
    for entries in _entries(path):
        right = wanted.slice(lines, len(entries))
        texts = pa.array(entries, pa.large_string())
        if not problem and len(right) == len(texts) and not pc.all(pc.equal(texts, right), min_count=0).as_py():
            at = int(np.flatnonzero(pc.not_equal(texts, right).to_numpy(zero_copy_only=False))[0])
            problem = f"entry {lines + at + 1} is {entries[at][:120]}, not {right[at].as_py()[:120]}"
        lines += len(entries)
    if not problem and lines != len(wanted):
        problem = f"{lines:,} entries, where the list of all groups has {len(wanted):,} clips with a label of this one"
    return lines, problem
