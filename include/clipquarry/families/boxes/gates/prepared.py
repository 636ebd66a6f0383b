"""The gate after the boxes of AVA-Kinetics were assigned to clips: rows, csv, folders and frames (AK-I2 to AK-I5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from clipquarry.annotations.ava_time import FPS
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.gates import flat_csv
from clipquarry.families.boxes.gates.files import COLUMNS, csv_state, line_names, read_lines, repeated_in, rows_differ
from clipquarry.families.boxes.gates.rows import BOX, BOX_COLUMNS, FRAME_COLUMNS, NOBODY, read_frames, seconds
from clipquarry.families.boxes.gates.windows import Parts, parts_of
from clipquarry.families.boxes.options import is_flat
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, among, numbered, pick, present
from clipquarry.settings import DataRoot

NEEDED_FRAMES: Final = 30
"""Frames after the key second, for the readers' window of 64 frames."""
FLAT_FRAMES: Final = 20
"""Frames after the key frame, in the flat layout."""
MAX_SECONDS: Final = 10
_TRUE: Final = [True]
_FALSE: Final = [False]
ID_LENGTH: Final = 11
"""A clip's name begins with its video's id."""
_ROW = ("video_id", "time", *BOX, "action_id", "person_id")


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``boxes``."""
    flat, parts = is_flat(spec), parts_of(spec, run)
    folder = data.dataset(spec.root, spec.folder("rawframes"))
    folders = _folders(folder)
    place = BoxFiles(run.run_dir)
    splits = place.prepared_splits()
    key_frames = {split: read_frames(run, place.prepared(split, "key_frames")) for split in splits}
    yield _some_rows(run, key_frames, params)
    for split in splits:
        rows = run.plain(place.prepared(split), BOX_COLUMNS)
        yield _rows(split, rows, parts(rows["video_id"]), flat=flat)
        yield from _against_raw(run, split, rows)
        yield _balance(run, split, len(rows), len(key_frames[split]) if flat else None)
        if params.frames is False:
            why = "no frames were asked for"
            yield Suite(f"images_{split}", rows, skipped=[(check, why) for check in ("boxes.folder", "boxes.images")])
        else:
            yield _images(spec, split, rows, folder, folders, parts)
        if flat:
            yield from flat_csv.suites(flat_csv.csv_path(spec, data, split), split, rows, key_frames[split], parts)
        else:
            yield from _csv(data.dataset(spec.root, f"kinetics_{split}.csv"), split, rows)
    yield _strays(run, folders)


def _some_rows(run: RunTables, key_frames: dict[str, pd.DataFrame], params: GateParams) -> Suite:
    """One row about all splits, and one for each chosen split with clips: rows of boxes, and key frames without
    boxes.
    """
    place = BoxFiles(run.run_dir)
    counts = {split: run.count(place.prepared(split)) + len(some) for split, some in key_frames.items()}
    rows = {"prepared": sum(counts.values())}
    if run.place.recorded.exists():
        recorded = run.load("recorded", ("split", "status"))
        there = set(recorded.loc[present(recorded), "split"].unique())
        rows |= {f"prepared/{split}": counts.get(split, 0) for split in params.splits or () if split in there}
    table = pd.DataFrame({"item_id": list(rows), "rows": list(rows.values())})
    return Suite(
        "prepared", table, [Rule("boxes.not_empty", BETWEEN, {"column": "rows", "min_value": 1}, show=("rows",))]
    )


def _folders(root: os.PathLike[str]) -> set[str]:
    """Names of the frame folders that are no links."""
    try:
        with os.scandir(root) as entries:
            return {
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            }
    except OSError:
        return set()


def _rows(split: str, rows: pd.DataFrame, parts: pd.DataFrame, *, flat: bool) -> Suite:
    length = parts["end"] - parts["start"]
    time = seconds(rows["time"])
    named = (parts["video_id"] != "") & length.between(1, MAX_SECONDS)
    # Readers subtract the clip's start from the whole second. Another check reports a name without times.
    begins = (parts["start"] <= rows["second"]) & ((parts["start"] < time) | flat)
    table = rows.assign(named=named, within=~named | (begins & (rows["second"] < parts["end"])))
    return Suite(
        f"rows_{split}",
        table,
        [
            Rule("boxes.clip_name", IN_SET, {"column": "named", "value_set": _TRUE}, split, show=_ROW),
            Rule("boxes.person", IN_SET, {"column": "person_id", "value_set": [NOBODY]}, split, show=_ROW),
            Rule("boxes.second", IN_SET, {"column": "within", "value_set": _TRUE}, split, show=_ROW),
        ],
        named=partial(_names, split),
    )


def _names(split: str, rows: pd.DataFrame) -> pd.Series[str]:
    return f"{split}/" + rows["video_id"] + "," + rows["second"].astype(str)


def _in_raw(
    own: pd.DataFrame, raw: pd.DataFrame, own_key: npt.NDArray[np.int64], raw_key: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which of our rows are raw ones; the second of two equal ones only if it is there twice.

    Rows of a key frame nearly always have the same order, so the n-th is compared with the n-th, and only the rest
    is counted.
    """
    orders = [np.argsort(key, kind="stable") for key in (own_key, raw_key)]
    keys, theirs = own_key[orders[0]], raw_key[orders[1]]
    place = np.searchsorted(theirs, keys) + np.arange(len(keys)) - np.searchsorted(keys, keys)
    there = place < np.searchsorted(theirs, keys, "right")
    ours, others = orders[0][there], orders[1][place[there]]
    same = np.ones(len(ours), dtype=bool)
    for name in (*BOX, "action_id"):
        same &= own[name].to_numpy()[ours] == raw[name].to_numpy()[others]
    found = np.zeros(len(own), dtype=bool)
    found[ours[same]] = True
    left = np.ones(len(raw), dtype=bool)
    left[others[same]] = False
    both = pd.concat([own.loc[~found, [*BOX, "action_id"]], raw.loc[left, [*BOX, "action_id"]]], ignore_index=True)
    key = pd.Series(np.concatenate([own_key[~found], raw_key[left]]))
    rows, cut = numbered(key, *(both[name] for name in both)), int((~found).sum())
    found[~found] = repeated_in(pd.factorize(rows)[0][:cut], pd.factorize(rows)[0][cut:])
    return found


def _against_raw(run: RunTables, split: str, rows: pd.DataFrame) -> Iterator[Suite]:
    """Prepared rows are raw rows with another name, whole key frames of them, and the rest is counted."""
    raw = run.plain(BoxFiles(run.run_dir).annotated(split, "boxes"), (*FRAME_COLUMNS, *BOX, "action_id"))
    videos, times = (
        pd.concat([one, other], ignore_index=True)
        for one, other in ((rows["video_id"].str.slice(0, ID_LENGTH), raw["video_id"]), (rows["time"], raw["time"]))
    )
    keys, distinct = pd.factorize(numbered(videos, times))
    del videos, times
    own_key, raw_key = keys[: len(rows)], keys[len(rows) :]
    table = rows.assign(in_raw=_in_raw(rows, raw, own_key, raw_key))
    in_raw = Rule("boxes.in_raw", IN_SET, {"column": "in_raw", "value_set": _TRUE}, split, show=_ROW)
    yield Suite(f"raw_{split}", table, [in_raw], named=partial(_names, split))
    first = np.flatnonzero(~pd.Series(own_key).duplicated())
    frames = rows.iloc[first][["video_id", "second"]].reset_index(drop=True)
    for name, key in (("rows", own_key), ("raw_rows", raw_key)):
        frames[name] = np.bincount(key, minlength=len(distinct))[own_key[first]]
    # Rows that the raw csv lacks are reported one by one.
    whole = Rule("boxes.whole_key", "ExpectColumnPairValuesAToBeGreaterThanB",
                 {"column_A": "rows", "column_B": "raw_rows", "or_equal": True}, split, show=("rows", "raw_rows"))  # fmt: skip
    yield Suite(f"frames_{split}", frames, [whole], named=partial(_names, split))


def _balance(run: RunTables, split: str, boxes: int, key_frames: int | None) -> Suite:
    """One row: kept and dropped rows, and raw rows. ``key_frames`` without boxes count unless they are None."""
    place = BoxFiles(run.run_dir)
    raw = run.count(place.annotated(split, "boxes"))
    if key_frames is not None:
        raw += len(read_frames(run, place.annotated(split, "key_frames")))
    kept, dropped = boxes + (key_frames or 0), int(run.json(place.prepared_facts(split))["dropped"])
    balance = pd.DataFrame({"item_id": [f"{split}/csv"], "raw": [raw], "rows": [kept], "dropped": [dropped]})
    balance["places"] = balance["rows"] + balance["dropped"]
    same = {"column_A": "places", "column_B": "raw"}
    return Suite(
        f"balance_{split}", balance, [Rule("boxes.balance", EQUAL, same, split, show=("raw", "rows", "dropped"))]
    )


def _images(
    spec: DatasetSpec, split: str, rows: pd.DataFrame, root: os.PathLike[str], folders: set[str], parts_in: Parts
) -> Suite:
    """One row for each key second of a clip. Only the last frame that readers need is looked for; the gate of the
    frames reports gaps.
    """
    flat = is_flat(spec)
    table = rows.drop_duplicates(["video_id", "time"]).reset_index(drop=True)
    parts = parts_in(table["video_id"])
    if flat:
        table["needed"] = (
            ((seconds(table["time"]) - parts["start"]) * FPS + FLAT_FRAMES).round(6).astype("int64")
        )  # 3.3 * 30 is 99
    else:
        table["needed"] = (table["second"] - parts["start"]) * FPS + NEEDED_FRAMES
    table["has_folder"] = among(table["video_id"], folders)
    name = spec.item.rgb_pattern.format
    last = table["needed"] - 1 + spec.item.start_index
    there = [
        # Text, not Path objects: a hundred thousand of them. Another check reports an absent folder.
        not has_folder or number < 0 or os.path.isfile(f"{os.fspath(root)}/{clip}/{name(number)}")  # noqa: PTH113
        for clip, number, has_folder in zip(
            table["video_id"].tolist(), last.tolist(), table["has_folder"].tolist(), strict=True
        )
    ]
    table["has_images"] = pd.Series(there, dtype="bool")
    return Suite(
        f"images_{split}",
        table,
        [
            Rule("boxes.folder", IN_SET, {"column": "has_folder", "value_set": _TRUE}, split, show=("video_id",)),
            Rule(
                "boxes.images",
                IN_SET,
                {"column": "has_images", "value_set": _TRUE},
                split,
                show=("video_id", "time", "needed"),
            ),
        ],
        named=partial(_names, split),
    )


def _csv(path: Path, split: str, rows: pd.DataFrame) -> Iterator[Suite]:
    """``{root}/kinetics_{split}.csv``, which training reads, compared with the table of the same rows."""
    if not path.is_file():
        yield csv_state(split, path.name, "it is not there")
        return
    csv = read_lines(path)
    problem = f"{len(csv):,} lines for {len(rows):,} rows" if len(csv) != len(rows) else ""
    if not csv.ended:
        problem = f"the last line has no line end; {problem}".removesuffix("; ")
    yield csv_state(split, path.name, problem)
    lines = csv.table()
    lines["columns"] = csv.columns
    lines["right"] = (lines["columns"] == COLUMNS) & csv.match(f",{NOBODY}$")
    rules = [
        Rule("boxes.csv_columns", IN_SET, {"column": "right", "value_set": _TRUE}, split, show=("columns", "text"))
    ]
    suite = Suite(f"lines_{split}", lines, rules, named=line_names(f"{split}/#line-"))
    if len(csv) == len(rows):
        lines["differs"] = rows_differ(csv, rows)
        rules.append(Rule("boxes.csv_row", IN_SET, {"column": "differs", "value_set": _FALSE}, split, show=("text",)))
    else:
        suite.skipped.append(("boxes.csv_row", "the csv has another number of lines than the table has rows"))
    yield suite


def _strays(run: RunTables, folders: set[str]) -> Suite:
    """One row for each frame folder that is no link."""
    table = pd.DataFrame({"item_id": pd.Series(sorted(folders), dtype="str")})
    table["known"] = among(table["item_id"], run.load("catalog", ["clip_id"])["clip_id"])
    return Suite(
        "folders",
        pick(table, table["item_id"] != ""),
        [Rule("boxes.stray", IN_SET, {"column": "known", "value_set": _TRUE})],
    )
