"""The gate after the list files: every line (K-I3), and no csv row is lost (K-I4)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.datasets.model import OF_FLOW, DatasetSpec
from clipquarry.families.clips.gates import json_lists
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.manifest import scalar
from clipquarry.quality import disk, flow_folders, frame_folders
from clipquarry.quality.clip_suites import suffixes
from clipquarry.quality.engine import BETWEEN, IN_SET, MATCH, UNIQUE, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, among, extract, pick, present
from clipquarry.run_documents import read_lists
from clipquarry.settings import DataRoot

_TRUE: Final = [True]
_SHOW = ("line", "text")
_AT_ONCE: Final = 20_000
"""Paths that are converted to Python texts at a time."""
_SPACES: Final = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
r"""The characters of Python's ``\s``. With a character class, pandas leaves the expression to Arrow, which takes a
fifth of the time.
"""


@dataclass(frozen=True)
class _List:
    """One list file: its split, its format and where it is."""

    split: str
    format: str
    path: Path

    @property
    def item_id(self) -> str:
        return f"{self.split}/{self.path.name}"

    @property
    def of_folders(self) -> bool:
        """Whether its lines name folders of frames, and a count."""
        return self.format.startswith("rawframes")


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``lists``."""
    lists = _wanted(spec, run, data, params, set(run.load("recorded", ("split",))["split"].unique()))
    yield _files(lists, final_newline=spec.final_newline)
    for one in lists:
        if one.path.is_file():
            # A split at a time: with 650,000 rows, the tables of all of them and a copy of one take a fifth more memory.
            rows, there = _catalog(spec, run, one.split), _recorded(run, one.split)
            lines = _read(one, spec)
            lines["key"] = _keys(one, spec, lines["path"], rows["key"])
            if one.format in spec.group_lists and spec.labels.groups:
                yield json_lists.group_suite(spec, run, data, one.split, one.format, lines)
            pa.default_memory_pool().release_unused()  # reading leaves a fifth of all memory in Arrow's pool
            yield _lines(spec, run, data, params, one, lines, pick(rows, rows["status"] != REJECTED), there)
            yield _balance(run, one, rows, lines["key"], there["item_id"], spec.items_in)


def _catalog(spec: DatasetSpec, run: RunTables, split: str) -> pd.DataFrame:
    """The rows of a split: ``item_id``, ``status``, the ``labels`` and the ``key`` that a list has for them."""
    rows = run.load("catalog", ("item_id", "split", "class_dir", "clip_id", "status"), split=split)
    some = rows["item_id"]
    rows["labels"] = json_lists.labels(run, split, some) if spec.labels.groups else _labels(run, some)
    rows["key"] = rows["class_dir"] + "/" + rows["clip_id"] if spec.item.level == 2 else rows["clip_id"]
    return rows[["item_id", "status", "key", "labels"]].copy()


def _recorded(run: RunTables, split: str) -> pd.DataFrame:
    """The clips of a split that are there: ``item_id``, ``path`` and ``bytes``."""
    rows = run.load("recorded", ("item_id", "split", "status", "path", "bytes"), split=split)
    return pick(rows, present(rows), "item_id", "path", "bytes")


def _wanted(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams, splits: set[str]) -> list[_List]:
    """The lists that must be there: of every split of this run, all that the run wrote, and an empty one of a chosen
    split without rows.
    """
    first = spec.items_in
    with_frames = params.frames or run.has("frames")
    formats: tuple[str, ...] = params.lists or (first, *(["rawframes"] if with_frames and first == "videos" else []))
    pairs = {(split, format_) for split in splits for format_ in formats}
    if first in formats and params.splits is not None:
        pairs |= {(split, first) for split in params.splits}
    for entry in read_lists(run.place) if run.place.lists.exists() else []:
        pairs.add((str(entry["split"]), str(entry["format"])))
    known = [
        (split, format_)
        for split, format_ in sorted(pairs)
        if format_.removesuffix(OF_FLOW) in spec.lists and split in spec.samples_of(spec.splits)
    ]
    return [_List(split, name, data.dataset(spec.root, spec.list_name(name, split))) for split, name in known]


def _last_byte(path: Path) -> bytes:
    with open(path, "rb") as handle:
        handle.seek(max(0, os.fstat(handle.fileno()).st_size - 1))
        return handle.read(1)


def _files(lists: list[_List], *, final_newline: bool) -> Suite:
    """One table row per list file. An empty file is a complete list without clips."""
    there = [one.path.is_file() for one in lists]
    last = [_last_byte(one.path) if is_there else b"" for one, is_there in zip(lists, there, strict=True)]
    ended = [byte == b"" or (byte == b"\n") == final_newline for byte in last]
    table = pd.DataFrame(
        {
            "item_id": pd.Series([one.item_id for one in lists], dtype="str"),
            "path": pd.Series([str(one.path) for one in lists], dtype="str"),
            "exists": pd.Series(there, dtype="bool"),
            "line_end": pd.Series(ended, dtype="bool"),
        }
    )
    rules = [
        Rule("lists.exists", IN_SET, {"column": "exists", "value_set": _TRUE}, show=("path",)),
        Rule("lists.final_newline", IN_SET, {"column": "line_end", "value_set": _TRUE}, show=("path",)),
    ]
    return Suite("files", table, rules)


def _read(one: _List, spec: DatasetSpec) -> pd.DataFrame:
    """The lines of a list as they are; a line that does not parse gets the index -2 and no key."""
    if spec.labels.groups:
        return json_lists.read(one.path)
    text = one.path.read_bytes().decode("utf-8", "backslashreplace")
    whole = pa.array([text.removesuffix("\n")] if text else [], pa.large_string())
    del text
    lines = pa.table({"text": pc.list_flatten(pc.split_pattern(whole, "\n"))})
    table: pd.DataFrame = scalar(lines).to_pandas().astype("str")
    table.insert(0, "line", range(1, len(table) + 1))
    # Fields as the readers see them: the last ones are the indices; in lists of frames their number comes before.
    fields = r"\A(?P<path>[^\s\pZ]+)" + (r" (?P<frames>\d{1,9})" if one.format != "videos" else "")
    found = extract(table["text"], fields + r"(?P<labels>(?: \d{1,9})*)\z")
    table["path"] = found["path"].fillna("")
    table["labels"] = found["labels"].fillna("").str.removeprefix(" ")
    table["frames"] = pd.to_numeric(found["frames"]).fillna(-1).astype("int64") if "frames" in found else -1
    return table


def _keys(one: _List, spec: DatasetSpec, paths: pd.Series[str], known: pd.Series[str]) -> pd.Series[str]:
    """The clip of each path of a list: a folder's name is the clip's; a file's is the clip's and a suffix.

    A dot in a clip's name has no meaning. Of a file with two suffixes, the name with the first one is tried, then
    the name without.
    """
    suffix = rf"\.(?i:{'|'.join(map(re.escape, _suffixes(spec)))})" if one.format == "videos" else r"\.npy"
    stem = r"(?P<stem>[^/]+?)" + ("" if one.of_folders else rf"(?:{suffix})")
    name = extract(paths, rf"\A(?P<folder>(?:.*/)?){stem}\z").fillna("")
    if spec.item.level != 2:
        name["folder"] = ""
    keys: pd.Series[str] = name["folder"] + name["stem"]
    if one.format == "videos" and not (right := among(keys, known)).all():
        shorter = extract(name["stem"], rf"\A(?P<stem>[^/]+?)(?:{suffix})+\z")["stem"]
        keys = keys.where(right | shorter.isna(), name["folder"] + shorter)
    return keys


def _suffixes(spec: DatasetSpec) -> list[str]:
    return [*spec.item.ext, *(suffix.removeprefix(".") for suffix in VIDEO_SUFFIXES)]


def _labels(run: RunTables, items: pd.Series[str]) -> pd.Series[str]:
    """The indices of each item's labels as a list writes them, ``3 17``; empty without labels."""
    table = run.load("labels", ("item_id", "position", "index"))
    first = (table["position"] == 0).to_numpy()
    starts = np.flatnonzero(first)
    ends = np.append(starts, len(table))[: len(starts) + 1]
    numbers = table["index"].astype("str")
    texts = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(numbers, pa.string(), from_pandas=True))
    of = pa.array(table["item_id"][first], pa.large_string(), from_pandas=True)
    at = pc.index_in(pa.array(items, pa.large_string(), from_pandas=True), value_set=of)
    found: pd.Series[str] = pd.Series(pc.fill_null(pc.take(pc.binary_join(texts, " "), at), ""), dtype="str")
    found.index = items.index
    return found


def _names(split: str, lines: pd.DataFrame) -> pd.Series[str]:
    names: pd.Series[str] = (f"{split}/" + lines["key"]).where(
        lines["path"] != "", f"{split}/#line-" + lines["line"].astype(str)
    )
    return names


def _syntax(spec: DatasetSpec, format_: str) -> str:
    if spec.labels.groups:
        return json_lists.syntax(spec, format_)
    part = f"[^/{_SPACES}]+"
    name = f"{part}/{part}" if spec.item.level == 2 else part
    if format_ == "audio_features":
        return rf"\A{name}\.npy [0-9]+(?: [0-9]+)*\Z"
    if format_ != "videos":
        return rf"\A{name} [0-9]+(?: [0-9]+)*\Z"
    extensions = "|".join(re.escape(extension) for extension in suffixes(spec))
    return rf"\A{name}\.(?i:{extensions})(?: [0-9]+)*\Z"


def _lines(
    spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams, one: _List, table: pd.DataFrame,
    rows: pd.DataFrame, recorded: pd.DataFrame,
) -> Suite:  # fmt: skip
    """One row for each line; ``rows`` are the catalog's usable ones, ``recorded`` the facts of the present clips."""
    at = pc.index_in(*(pa.array(some["key"], pa.large_string(), from_pandas=True) for some in (table, rows)))
    known = np.asarray(pc.is_valid(at))
    wanted = pc.take(pa.array(rows["labels"], pa.large_string(), from_pandas=True), at)
    told = pa.array(table["labels"], pa.large_string(), from_pandas=True)
    right = np.array(pc.fill_null(pc.equal(wanted, told), False))
    odd = known & ~right  # a clip may be in the csv twice, with two labels
    pairs = [some["key"] + " " + some["labels"] for some in (table[odd], rows)]
    right[odd] = among(*pairs) if odd.any() else False
    table["in_csv"], table["index_right"] = known, right | ~known
    folder = data.dataset(spec.root, spec.folder(one.format, one.split))
    base = f"{spec.root}/{spec.folder(one.format, one.split)}/"
    sizes = _recorded_bytes(recorded, base + table["path"])
    folders = one.of_folders
    table["file"] = [
        _problem(folder, path, int(size), folder=folders)
        for begin in range(0, len(table), _AT_ONCE)
        for path, size in zip(
            table["path"][begin : begin + _AT_ONCE].tolist(), sizes[begin : begin + _AT_ONCE], strict=True
        )
    ]

    def rule(check: str, column: str, *show: str) -> Rule:
        return Rule(check, IN_SET, {"column": column, "value_set": _TRUE}, scope, show=(*_SHOW, *show))

    scope = f"{one.split} {one.format}"
    suite = Suite(
        f"{one.split}_{one.format}",
        table,
        [
            Rule("lists.syntax", MATCH,
                 {"column": "text", "regex": _syntax(spec, one.format)}, scope, show=_SHOW),
            Rule("lists.unique", UNIQUE, {"column": "text"}, scope, show=_SHOW),
            rule("lists.row", "in_csv"),
            rule("lists.index", "index_right", "labels"),
            Rule("lists.files", IN_SET, {"column": "file", "value_set": [""]}, scope, show=(*_SHOW, "file")),
        ],
        named=partial(_names, one.split),
    )  # fmt: skip
    if one.format == "rawframes" and params.list_thirds:
        told = "the counts are a third of the folders' images, as list_thirds asks"
        suite.skipped.append(("lists.total_frames", told))
    elif one.of_folders:
        wanted = pd.DataFrame({"path": base + table["path"], "frames": table["frames"]})
        looker = flow_folders.look_at_counts if one.format.endswith(OF_FLOW) else frame_folders.look
        looked = looker(spec.item, wanted, data.root, params.sample_folders, run.seed)
        table["gap"] = [gap or odd for gap, odd in zip(looked.gaps, looked.odd, strict=True)]
        suite.rules.append(
            Rule("lists.total_frames", IN_SET, {"column": "gap", "value_set": [""]}, scope, show=(*_SHOW, "gap"),
                 note=looked.said)
        )  # fmt: skip
    return suite


def _recorded_bytes(recorded: pd.DataFrame, paths: pd.Series[str]) -> npt.NDArray[np.int64]:
    """Recorded bytes of each path; -1 if unknown."""
    known = pa.array(recorded["path"], pa.large_string(), from_pandas=True)
    at = pc.index_in(pa.array(paths, pa.large_string(), from_pandas=True), value_set=known)
    sizes = pc.fill_null(pc.take(pa.array(recorded["bytes"].to_numpy()), at), -1)
    return np.asarray(sizes, dtype=np.int64)


def _problem(root: Path, path: str, recorded: int, *, folder: bool) -> str:
    """What is wrong with a listed file (or frame folder) below ``root``; nothing outside it is read. -1: no bytes
    are ``recorded``.
    """
    where = disk.place(root, path) if path else None
    try:
        found = os.stat(where or "")
    except (OSError, ValueError):
        return "it is not there"
    if not (stat.S_ISDIR if folder else stat.S_ISREG)(found.st_mode):
        return "it is not there"
    if folder:
        return ""
    if found.st_size == 0:
        return disk.EMPTY
    return f"{found.st_size:,} bytes, recorded were {recorded:,}" if 0 < recorded != found.st_size else ""


def _balance(
    run: RunTables, one: _List, rows: pd.DataFrame, listed: pd.Series[str], there: pd.Series[str], items: str
) -> Suite:
    """Every csv row of the split is a line, or in the table of missing clips, but not both. ``items``: the format of the list
    that every clip that is there must be in.
    """
    scope = f"{one.split} {one.format}"
    missing = _missing(run, one)
    table = rows[["item_id", "status"]].assign(
        listed=among(rows["key"], listed) & (rows["status"] != REJECTED), missing=among(rows["item_id"], missing)
    )
    strays = sorted(missing[~among(missing, rows["item_id"])].unique())
    table = pd.concat(
        [table, pd.DataFrame({"item_id": strays, "status": "not in the csv", "listed": False, "missing": False})],
        ignore_index=True,
    ).astype({"item_id": "str", "status": "str", "listed": "bool", "missing": "bool"})
    table["places"] = table["listed"].astype(int) + table["missing"].astype(int)
    balance: dict[str, Any] = {"column": "places", "min_value": 1, "max_value": 1}
    suite = Suite(
        f"balance_{one.split}_{one.format}",
        table,
        [Rule("lists.balance", BETWEEN, balance, scope, show=("status", "listed", "missing"))],
    )
    if one.format == items:
        table["found"] = table["listed"] | ~among(table["item_id"], there)
        found = {"column": "found", "value_set": _TRUE}
        suite.rules.append(Rule("lists.present", IN_SET, found, scope, show=("status", "missing")))
    return suite


def _missing(run: RunTables, one: _List) -> pd.Series[str]:
    """Ids in the table of missing clips of this format and split."""
    path = run.place.missing(one.format)
    table = run.load(path if path.exists() else run.place.missing_of_all, ("item_id", "split"))
    return table.loc[table["split"] == one.split, "item_id"]
