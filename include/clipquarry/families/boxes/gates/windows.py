"""Suites over the catalog of AVA-Kinetics: windows of Kinetics clips, or what is around each key second (AK-I2, AK-I8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import pandas as pd

from clipquarry.annotations.ava_kinetics_cut import AROUND, NAME_FORM
from clipquarry.annotations.kinetics_columns import EVALUATION, kinetics_csv
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import TRAIN
from clipquarry.families.boxes.gates.rows import FRAME_COLUMNS, read_frames
from clipquarry.families.boxes.options import boxes_options, is_cut, is_flat
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.ids import SECOND_FORM, YOUTUBE_FORM
from clipquarry.microseconds import SECOND
from clipquarry.quality.catalog_suites import length_rule, source_rules, window_name
from clipquarry.quality.engine import EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.tables import RunTables, among, distinct, extract
from clipquarry.settings import DataRoot

FLAT_LEAD, FLAT_LENGTH = 3, 6
"""Seconds before the key second of a clip of the flat layout, and of the whole clip."""
_TRUE: Final = [True]
_SHOW = ("split", "clip_id", "start", "end")
_HUNDREDTH: Final = 0.01
_AROUND: Final = AROUND / SECOND
Parts = Callable[["pd.Series[str]"], pd.DataFrame]
"""From names of clips to :func:`clip_parts`."""


def clip_parts(names: pd.Series[str], *, flat: bool) -> pd.DataFrame:
    """``video_id``, ``start`` and ``end`` (s) from clip names; an empty id and -1 if a name has another form."""
    codes, distinct = pd.factorize(names)  # rows are many, clips are few
    parts = _parts(pd.Series(distinct, dtype="str"), flat=flat).take(codes)
    parts.index = names.index
    return parts


def parts_of(spec: DatasetSpec, run: RunTables) -> Parts:
    """:func:`clip_parts` of a data set; names of clips that are cut out of others do not tell their times: the catalog has them."""
    if not is_cut(spec):
        return partial(clip_parts, flat=is_flat(spec))
    known = run.load("catalog", ("clip_id", "video_id", "start", "end"))
    known = known[known["clip_id"] != ""].drop_duplicates("clip_id").set_index("clip_id")

    def parts(names: pd.Series[str]) -> pd.DataFrame:
        found = known.reindex(names)
        found.index = names.index
        return found.fillna({"video_id": "", "start": -1, "end": -1})

    return parts


def _names_of_cuts(usable: pd.DataFrame) -> pd.Series[str]:
    """The names, where they fit the times: the key frame is 1.25 s after what is cut, or that begins with its clip."""
    found = extract(usable["clip_id"], rf"\A(?P<video_id>{YOUTUBE_FORM})_{NAME_FORM}\z")
    begin, second, key = (pd.to_numeric(found[name]).fillna(-1) for name in ("clip_start", "second", "key"))
    moment = usable["start"] + key * _HUNDREDTH  # hundredths are cut off, not rounded
    in_second = (moment > second - _HUNDREDTH) & (moment < second + 1)
    at_start = (usable["start"] == begin) & (key <= 100 * _AROUND)
    later = (usable["start"] > begin) & (key == 100 * _AROUND)
    inside = usable["end"].between(moment, usable["start"] + 2 * _AROUND + _HUNDREDTH)
    right = (found["video_id"] == usable["video_id"]) & in_second & (at_start | later) & inside
    return usable["clip_id"].where(right, "another name")


def _parts(names: pd.Series[str], *, flat: bool) -> pd.DataFrame:
    if flat:
        found = extract(names, rf"\A(?P<video_id>{YOUTUBE_FORM})_(?P<second>{SECOND_FORM})\z")
        second = pd.to_numeric(found["second"]).fillna(-FLAT_LENGTH).astype("int64")
        start = (second - FLAT_LEAD).clip(lower=0).where(second >= 0, -1)
        end = (start + FLAT_LENGTH).where(second >= 0, -1)
    else:
        found = extract(names, rf"\A(?P<video_id>{YOUTUBE_FORM})_(?P<start>{SECOND_FORM})_(?P<end>{SECOND_FORM})\z")
        start, end = (pd.to_numeric(found[name]).fillna(-1).astype("int64") for name in ("start", "end"))
    return pd.DataFrame({"video_id": found["video_id"].fillna(""), "start": start, "end": end}, index=names.index)


def names(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    """One row for each window: its names, which have no class, and its times."""
    if is_cut(spec):
        wanted = _names_of_cuts(usable)
    elif is_flat(spec):  # only the name has the key second
        same = (clip_parts(usable["clip_id"], flat=True) == usable[["video_id", "start", "end"]]).all(axis=1)
        wanted = usable["clip_id"].where(same, "another name")
    else:
        wanted = window_name(usable)
    table = usable.assign(
        seconds=usable["end"] - usable["start"],
        wanted_clip=wanted,
        wanted_item=usable["split"] + "/" + usable["clip_id"],
    )
    return Suite(
        "windows",
        table,
        [
            *source_rules(spec),
            length_rule(spec),
            Rule("annotations.names", EQUAL, {"column_A": "clip_id", "column_B": "wanted_clip"}, "clip_id", show=_SHOW),
            Rule(
                "annotations.names",
                IN_SET,
                {"column": "class_dir", "value_set": [""]},
                "class_dir",
                show=("class_dir",),
            ),
            Rule("annotations.names", EQUAL, {"column_A": "item_id", "column_B": "wanted_item"}, "item_id", show=_SHOW),
        ],
    )


def suites(
    spec: DatasetSpec, run: RunTables, data: DataRoot, usable: pd.DataFrame, trained: pd.Series[str] | None
) -> Iterator[Suite]:
    """Windows compared with key frames and with Kinetics-700; and training videos compared with Kinetics'
    evaluation.
    """
    yield from _keys(spec, run, usable)
    yield _inside(spec, data, usable)
    yield from _leaks(spec, data, trained)


def _wanted(run: RunTables, split: str) -> pd.DataFrame:
    """Distinct key seconds that need windows: in train only those with boxes."""
    frames = [run.plain(BoxFiles(run.run_dir).annotated(split, "boxes"), FRAME_COLUMNS)]
    if split != TRAIN:
        frames.append(read_frames(run, BoxFiles(run.run_dir).annotated(split, "key_frames")))
    return distinct(pd.concat(frames, ignore_index=True)[["video_id", "second"]], "video_id", "second")


def _keys(spec: DatasetSpec, run: RunTables, usable: pd.DataFrame) -> Iterator[Suite]:
    for split in BoxFiles(run.run_dir).annotated_splits():
        windows = usable.loc[usable["split"] == split, ["item_id", "video_id", "clip_id", "split", "start", "end"]]
        frames = _wanted(run, split)
        frames["item_id"] = f"{split}/" + frames["video_id"] + "," + frames["second"].astype(str).str.zfill(4)
        pairs = windows.merge(frames, on="video_id", suffixes=("", "_key"))
        # A key second may be a clip's last whole one: its exact time is later.
        pairs = pairs[(pairs["start"] <= pairs["second"]) & (pairs["second"] < pairs["end"])]
        windows = windows.assign(used=among(windows["item_id"], pairs["item_id"])).reset_index(drop=True)
        frames["covered"] = among(frames["item_id"], pairs["item_id_key"])
        used = Rule("windows.key_second", IN_SET, {"column": "used", "value_set": _TRUE}, split, show=_SHOW)
        yield Suite(f"windows_{split}", windows, [used])
        covered = Rule("windows.covered", IN_SET, {"column": "covered", "value_set": _TRUE}, split,
                       block_share=spec.missing.error)  # fmt: skip
        yield Suite(f"covered_{split}", frames, [covered])


def _inside(spec: DatasetSpec, data: DataRoot, usable: pd.DataFrame) -> Suite:
    """One row for each window of a split whose Kinetics-700 csv is there."""
    suite = Suite("inside", pd.DataFrame())
    source = boxes_options(spec).windows_of
    if source is None:
        suite.skipped.append(("windows.in_clip", "clips of the flat layout are cut from whole videos"))
        return suite
    tables = []
    for split in sorted(usable["split"].unique()):
        found = kinetics_csv(data, source, split, ("youtube_id", "time_start", "time_end"))
        if isinstance(found, str):
            suite.skipped.append(("windows.in_clip", found))
            continue
        windows = usable.loc[usable["split"] == split, ["item_id", "video_id", "split", "clip_id", "start", "end"]]
        pairs = windows.merge(found.rows, left_on="video_id", right_on="youtube_id")
        pairs = pairs[(pairs["time_start"] <= pairs["start"]) & (pairs["end"] <= pairs["time_end"])]
        tables.append(windows.assign(inside=among(windows["item_id"], pairs["item_id"])))
    if tables:
        suite.table = pd.concat(tables, ignore_index=True)
        suite.rules.append(Rule("windows.in_clip", IN_SET, {"column": "inside", "value_set": _TRUE}, show=_SHOW))
    return suite


def _leaks(spec: DatasetSpec, data: DataRoot, trained: pd.Series[str] | None) -> Iterator[Suite]:
    """One row for each training video, for each csv of Kinetics' evaluation."""
    if trained is None:
        yield Suite("leaks", pd.DataFrame(), skipped=[("ava.leak", "train is not in the run")])
        return
    for dataset in boxes_options(spec).kept_apart:
        for split in EVALUATION:
            found = kinetics_csv(data, dataset, split, ("youtube_id",))
            if isinstance(found, str):
                yield Suite(f"leaks_{dataset}_{split}", pd.DataFrame(), skipped=[("ava.leak", found)])
                continue
            table = pd.DataFrame({"item_id": f"{TRAIN}/" + trained, "leaked": among(trained, found.rows["youtube_id"])})
            rule = Rule("ava.leak", IN_SET, {"column": "leaked", "value_set": [False]}, f"{dataset} {split}")
            yield Suite(f"leaks_{dataset}_{split}", table, [rule])
