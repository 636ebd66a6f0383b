"""The gate after the list files: every line (K-I3), and that no csv row is lost (K-I4)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from clipyard.datasets.model import DatasetSpec
from clipyard.errors import UserError
from clipyard.files import inside, read_json
from clipyard.quality import image_folders
from clipyard.quality.disk import EMPTY
from clipyard.quality.engine import BETWEEN, IN_SET, MATCH, UNIQUE, Rule, Suite
from clipyard.quality.params import GateParams
from clipyard.quality.tables import REJECTED, RunTables, among, pick, present
from clipyard.settings import DataRoot

_TRUE: Final = [True]
_SHOW = ("line", "text")


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
    lists = _wanted(spec, run, data, params, set(recorded["split"]))
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
    """The lines of a list as they are; what does not parse gets the index -2, no key and a made-up item id."""
    text = one.path.read_bytes().decode("utf-8", "backslashreplace")
    lines = text.removesuffix("\n").split("\n") if text else []
    table = pd.DataFrame({"line": range(1, len(lines) + 1), "text": pd.Series(lines, dtype="str")})
    # Fields as the readers see them: the last one is the index, and of frames the one before is their number.
    fields = r"\A(?P<path>[^\s\pZ]+)" + (r" (?P<frames>\d{1,9})" if one.format == "rawframes" else "")
    found = _extract(table["text"], fields + r"(?: (?P<index>\d{1,9}))?\z")
    table["path"] = found["path"].fillna("")
    table["index"] = pd.to_numeric(found["index"].replace("", None)).fillna(-1).astype("int64")
    table["index"] = table["index"].where(found["path"].notna(), -2)
    table["frames"] = pd.to_numeric(found["frames"]).fillna(-1).astype("int64") if "frames" in found else -1
    # A clip name ends at its first dot; a class folder may hold one.
    name = _extract(table["path"], r"\A(?:(?P<folder>.*)/)?(?P<stem>[^/.]*)[^/]*\z").fillna("")
    table["key"] = name["folder"] + "/" + name["stem"] if spec.item.level == 2 else name["stem"]
    table["item_id"] = (f"{one.split}/" + table["key"]).where(
        table["path"] != "", f"{one.split}/#line-" + table["line"].astype(str)
    )
    return table


def _extract(texts: pd.Series[str], regex: str) -> pd.DataFrame:
    """The named groups of an RE2 expression, null where it does not match; in arrow, which takes a tenth of pandas' time."""
    found = pc.extract_regex(pa.array(texts, pa.large_string(), from_pandas=True), regex)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    names = [found.type.field(at).name for at in range(found.type.num_fields)]
    frame: pd.DataFrame = pa.table(found.flatten(), names=names).to_pandas()
    return frame


def _syntax(spec: DatasetSpec, format_: str) -> str:
    name = r"[^\s/]+/[^\s/]+" if spec.item.level == 2 else r"[^\s/]+"
    if format_ == "rawframes":
        return rf"\A{name} \d+(?: \d+)?\Z"
    extensions = "|".join(re.escape(extension) for extension in spec.item.ext)
    return rf"\A{name}\.(?:{extensions})(?: \d+)?\Z"


def _lines(
    spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams, one: _List, table: pd.DataFrame,
    rows: pd.DataFrame, recorded: pd.DataFrame,
) -> Suite:  # fmt: skip
    """One row for each line; ``rows`` are the usable ones of the catalog, ``recorded`` what is known of the clips that are there."""
    known = among(table["key"], rows["key"])
    right = among(table["key"] + " " + table["index"].astype(str), rows["key"] + " " + rows["label_index"].astype(str))
    folder = data.dataset(spec.root, spec.folder(one.format, one.split))
    table["in_csv"], table["index_right"] = known, right | ~known
    sizes = _sizes_below(folder, table["path"], folders=one.format == "rawframes")
    known_sizes = dict(zip(recorded["path"].tolist(), recorded["bytes"].tolist(), strict=True))
    base = f"{spec.root}/{spec.folder(one.format, one.split)}/"
    table["file"] = [
        _file_problem(sizes.get(path), known_sizes.get(base + path, -1)) for path in table["path"].tolist()
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
    )  # fmt: skip
    if one.format == "rawframes":
        folders = pd.DataFrame({"path": base + table["path"], "frames": table["frames"]})
        looked = image_folders.look(spec.item, folders, data.root, params.sample_folders, run.seed)
        table["gap"] = [gap or odd for gap, odd in zip(looked.gaps, looked.odd, strict=True)]
        suite.rules.append(
            Rule("lists.total_frames", IN_SET, {"column": "gap", "value_set": [""]}, scope, show=(*_SHOW, "gap"),
                 note=looked.said)
        )  # fmt: skip
    return suite


def _file_problem(size: int | None, recorded: int) -> str:
    """What is wrong with a listed file of ``size`` bytes (None: not there); -1: nothing is ``recorded`` of it."""
    if size is None:
        return "it is not there"
    if size == 0:
        return EMPTY
    return f"{size:,} bytes, recorded were {recorded:,}" if 0 < recorded != size else ""


def _sizes_below(root: Path, paths: pd.Series[str], *, folders: bool) -> dict[str, int]:
    """Bytes of those paths that are on disk (of folders: 1). Each folder is listed once; nothing outside ``root`` is looked at."""
    found: dict[str, int] = {}
    for parent in sorted({path.rpartition("/")[0] for path in paths if path}):
        prefix = f"{parent}/" if parent else ""
        try:
            with os.scandir(inside(root, parent) if parent else root) as entries:
                for entry in entries:
                    if entry.is_dir() if folders else entry.is_file():
                        found[prefix + entry.name] = 1 if folders else entry.stat().st_size
        except (OSError, UserError):
            continue
    return found


def _balance(run: RunTables, one: _List, rows: pd.DataFrame, listed: pd.Series[str], there: pd.Series[str]) -> Suite:
    """Every csv row of the split is a line or in the table of missing clips, not both and not neither."""
    scope = f"{one.split} {one.format}"
    missing = _missing(run, one)
    table = rows[["item_id", "status"]].assign(
        listed=among(rows["key"], listed) & (rows["status"] != REJECTED), missing=among(rows["item_id"], missing)
    )
    strays = sorted(set(missing[~among(missing, rows["item_id"])]))
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
