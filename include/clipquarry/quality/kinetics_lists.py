"""The gate after the list files: every line (K-I3), and that no csv row is lost (K-I4)."""

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

from clipquarry.datasets.model import DatasetSpec
from clipquarry.files import read_json
from clipquarry.quality import disk, image_folders
from clipquarry.quality.engine import BETWEEN, IN_SET, MATCH, UNIQUE, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, among, extract, pick, present
from clipquarry.settings import DataRoot

_TRUE: Final = [True]
_SHOW = ("line", "text")
_SPACES: Final = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
r"""What Python's ``\s`` is. As characters, pandas leaves the expression to arrow, which takes a fifth of the time."""


@dataclass(frozen=True)
class _List:
    """One list file: its split, its format and where it is."""

    split: str
    format: str
    path: Path

    @property
    def item_id(self) -> str:
        return f"{self.split}/{self.path.name}"


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``lists``."""
    columns = ("item_id", "split", "class_dir", "clip_id", "label_index", "status")
    catalog = run.load("catalog", columns)
    clip = catalog["clip_id"]
    catalog["key"] = catalog["class_dir"] + "/" + clip if spec.item.level == 2 else clip
    recorded = run.load("recorded", ("item_id", "split", "status", "path", "bytes"))
    lists = _wanted(spec, run, data, params, set(recorded["split"].unique()))
    yield _files(lists)
    for one in lists:
        if one.path.is_file():
            lines = _read(one, spec)
            rows = pick(catalog, catalog["split"] == one.split)
            there = recorded.loc[(recorded["split"] == one.split) & present(recorded)]
            yield _lines(spec, run, data, params, one, lines, pick(rows, rows["status"] != REJECTED), there)
            yield _balance(run, one, rows, lines["key"], there["item_id"])


def _wanted(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams, splits: set[str]) -> list[_List]:
    """The lists that must be there: of every split of this run, all that the run says it wrote, and an empty one of a chosen
    split of which nothing is there.
    """
    formats: tuple[str, ...] = params.lists or (
        "videos",
        *(["rawframes"] if params.frames or run.has("frames") else []),
    )
    pairs = {(split, format_) for split in splits for format_ in formats}
    if "videos" in formats and params.splits is not None:
        pairs |= {(split, "videos") for split in params.splits}
    summary = run.run_dir / "lists.json"
    for entry in read_json(summary) if summary.exists() else []:
        pairs.add((str(entry["split"]), str(entry["format"])))
    known = [(split, format_) for split, format_ in sorted(pairs) if format_ in spec.lists and split in spec.parts]
    return [_List(split, name, data.dataset(spec.root, spec.list_name(name, split))) for split, name in known]


def _last_byte(path: Path) -> bytes:
    with open(path, "rb") as handle:
        handle.seek(max(0, os.fstat(handle.fileno()).st_size - 1))
        return handle.read(1)


def _files(lists: list[_List]) -> Suite:
    """One table row per list file. An empty file is a list of nothing and is whole."""
    there = [one.path.is_file() for one in lists]
    ended = [not is_there or _last_byte(one.path) in (b"", b"\n") for one, is_there in zip(lists, there, strict=True)]
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
    """The lines of a list as they are; what does not parse gets the index -2 and no key."""
    text = one.path.read_bytes().decode("utf-8", "backslashreplace")
    whole = pa.array([text.removesuffix("\n")] if text else [], pa.large_string())
    del text
    lines = pa.table({"text": pc.list_flatten(pc.split_pattern(whole, "\n"))})
    table: pd.DataFrame = lines.to_pandas().astype("str")
    table.insert(0, "line", range(1, len(table) + 1))
    # Fields as the readers see them: the last one is the index, and of frames the one before is their number.
    fields = r"\A(?P<path>[^\s\pZ]+)" + (r" (?P<frames>\d{1,9})" if one.format == "rawframes" else "")
    found = extract(table["text"], fields + r"(?: (?P<index>\d{1,9}))?\z")
    table["path"] = found["path"].fillna("")
    table["index"] = pd.to_numeric(found["index"].replace("", None)).fillna(-1).astype("int64")
    table["index"] = table["index"].where(found["path"].notna(), -2)
    table["frames"] = pd.to_numeric(found["frames"]).fillna(-1).astype("int64") if "frames" in found else -1
    # A clip name ends at its first dot; a class folder may hold one.
    name = extract(table["path"], r"\A(?:(?P<folder>.*)/)?(?P<stem>[^/.]*)[^/]*\z").fillna("")
    table["key"] = name["folder"] + "/" + name["stem"] if spec.item.level == 2 else name["stem"]
    return table


def _names(split: str, lines: pd.DataFrame) -> pd.Series[str]:
    names: pd.Series[str] = (f"{split}/" + lines["key"]).where(
        lines["path"] != "", f"{split}/#line-" + lines["line"].astype(str)
    )
    return names


def _syntax(spec: DatasetSpec, format_: str) -> str:
    part = f"[^/{_SPACES}]+"
    name = f"{part}/{part}" if spec.item.level == 2 else part
    if format_ == "rawframes":
        return rf"\A{name} [0-9]+(?: [0-9]+)?\Z"
    extensions = "|".join(re.escape(extension) for extension in spec.item.ext)
    return rf"\A{name}\.(?:{extensions})(?: [0-9]+)?\Z"


def _lines(
    spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams, one: _List, table: pd.DataFrame,
    rows: pd.DataFrame, recorded: pd.DataFrame,
) -> Suite:  # fmt: skip
    """One row for each line; ``rows`` are the usable ones of the catalog, ``recorded`` what is known of the clips that are there."""
    at = pc.index_in(*(pa.array(some["key"], pa.large_string(), from_pandas=True) for some in (table, rows)))
    known = np.asarray(pc.is_valid(at))
    right = np.asarray(pc.fill_null(pc.take(pa.array(rows["label_index"].to_numpy()), at), -1)) == table["index"]
    odd = known & ~right  # a clip may stand in the csv twice, with two labels
    pairs = [
        some["key"] + " " + some[name].astype(str) for some, name in ((table[odd], "index"), (rows, "label_index"))
    ]
    right[odd] = among(*pairs) if odd.any() else False
    table["in_csv"], table["index_right"] = known, right | ~known
    folder = data.dataset(spec.root, spec.folder(one.format, one.split))
    base = f"{spec.root}/{spec.folder(one.format, one.split)}/"
    sizes = _recorded_bytes(recorded, base + table["path"]).tolist()
    folders = one.format == "rawframes"
    table["file"] = [
        _problem(folder, path, size, folder=folders) for path, size in zip(table["path"].tolist(), sizes, strict=True)
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
            rule("lists.index", "index_right", "index"),
            Rule("lists.files", IN_SET, {"column": "file", "value_set": [""]}, scope, show=(*_SHOW, "file")),
        ],
        named=partial(_names, one.split),
    )  # fmt: skip
    if one.format == "rawframes":
        wanted = pd.DataFrame({"path": base + table["path"], "frames": table["frames"]})
        looked = image_folders.look(spec.item, wanted, data.root, params.sample_folders, run.seed)
        table["gap"] = [gap or odd for gap, odd in zip(looked.gaps, looked.odd, strict=True)]
        suite.rules.append(
            Rule("lists.total_frames", IN_SET, {"column": "gap", "value_set": [""]}, scope, show=(*_SHOW, "gap"),
                 note=looked.said)
        )  # fmt: skip
    return suite


def _recorded_bytes(recorded: pd.DataFrame, paths: pd.Series[str]) -> npt.NDArray[np.int64]:
    """What is recorded of each path; -1 where nothing is."""
    known = pa.array(recorded["path"], pa.large_string(), from_pandas=True)
    at = pc.index_in(pa.array(paths, pa.large_string(), from_pandas=True), value_set=known)
    sizes = pc.fill_null(pc.take(pa.array(recorded["bytes"].to_numpy()), at), -1)
    return np.asarray(sizes, dtype=np.int64)


def _problem(root: Path, path: str, recorded: int, *, folder: bool) -> str:
    """What is wrong with a listed file (or folder of images) below ``root``; nothing outside it is looked at. -1: nothing is ``recorded`` of it."""
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


def _balance(run: RunTables, one: _List, rows: pd.DataFrame, listed: pd.Series[str], there: pd.Series[str]) -> Suite:
    """Every csv row of the split is a line or in the table of missing clips, not both and not neither."""
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
    if one.format == "videos":
        table["found"] = table["listed"] | ~among(table["item_id"], there)
        found = {"column": "found", "value_set": _TRUE}
        suite.rules.append(Rule("lists.present", IN_SET, found, scope, show=("status", "missing")))
    return suite


def _missing(run: RunTables, one: _List) -> pd.Series[str]:
    """Ids in the table of missing clips of this format and split."""
    name = f"missing_{one.format}"
    table = run.load(name if (run.run_dir / f"{name}.parquet").exists() else "missing", ("item_id", "split"))
    return table.loc[table["split"] == one.split, "item_id"]
