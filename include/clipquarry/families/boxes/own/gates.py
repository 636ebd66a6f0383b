"""The gates of a person's own AVA: after its catalog was built, after its frames were linked (C-I1, C-I6),
and after people were detected (C-I2)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.annotations.ava_time import FPS
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.gates.proposals import (
    PROPOSAL_COLUMNS,
    boxes_suite,
    counts_suite,
    coverage_suite,
    files_suite,
    key_of,
    rejected_suite,
    usable_suite,
)
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.quality.catalog_suites import COLUMNS, CSV_ROW, all_rows, length_rule, not_empty, source_rules
from clipquarry.quality.declared import split_rows
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.flow_suites import flow_suites
from clipquarry.quality.frame_suites import FRAME_CHECKS, asked_clips, frame_suites, is_off
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, among, distinct, pick, present
from clipquarry.settings import DataRoot

_FOLDER_COLUMNS = ("item_id", "clip_id", "split", "rawframes", "frames", "keys", "middle", "wanted_keys")
_OWN = ("frames.window", "frames.last_second", "own.named", "own.key_frames", "own.to_label")


def of_crops(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``annotations``: the list of crops, and its division into splits."""
    catalog = run.load("catalog", COLUMNS)
    usable = pick(catalog, catalog["status"] != REJECTED)
    yield not_empty(usable)
    yield split_rows(usable, params)
    yield all_rows(catalog, catalog["status"] != REJECTED, params, rejected="own.crops")
    yield _names(spec, usable)
    yield _other_splits(usable)


def _names(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    table = usable.assign(
        wanted_item=usable["split"] + "/" + usable["clip_id"],
        seconds=(usable["end"] - usable["start"]).round(6),
        one_of_its_name=~usable["clip_id"].duplicated(keep=False),
    )
    return Suite(
        "windows",
        table,
        [
            *source_rules(spec),
            length_rule(spec),
            Rule("annotations.names", EQUAL, {"column_A": "item_id", "column_B": "wanted_item"}, "item_id", show=CSV_ROW),
            Rule("annotations.names", IN_SET, {"column": "one_of_its_name", "value_set": [True]}, "clip_id", show=CSV_ROW),
        ],
    )  # fmt: skip


def _other_splits(usable: pd.DataFrame) -> Suite:
    """One row for each raw video of another split than train."""
    videos = usable[["split", "video_id"]].drop_duplicates()
    of_train = set(videos.loc[videos["split"] == "train", "video_id"])
    table = videos[videos["split"] != "train"].reset_index(drop=True)
    if table.empty or not of_train:
        why = "all crops are of one split"
        return Suite("other_splits", pd.DataFrame(), skipped=[("ava.split_disjoint", why)])
    table["item_id"] = table["split"] + "/" + table["video_id"]
    table["in_train"] = table["video_id"].isin(of_train)
    return Suite(
        "other_splits", table, [Rule("ava.split_disjoint", IN_SET, {"column": "in_train", "value_set": [False]})]
    )


def of_frames(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``frames``."""
    if is_off(run, "frames", params.frames):
        skipped = [(name, "the frames stage was off") for name in (*FRAME_CHECKS, *_OWN)]
        yield Suite("frames", pd.DataFrame(), skipped=skipped)
        yield from flow_suites(spec, run, pd.DataFrame(), data, params.model_copy(update={"flow": False}))
        return
    clips = asked_clips(run, spec)
    chosen = params.model_copy(update={"frame_fps": params.frame_fps or float(FPS)})
    yield from frame_suites(spec, run, clips, data, chosen)
    yield _window(run, chosen)
    yield _folders(run)
    yield from flow_suites(spec, run, clips, data, params)


def _window(run: RunTables, params: GateParams) -> Suite:
    """One row for each folder of frames, with the frames of its crop: the second behind the labelled ones needs one only."""
    rows = run.shards("frames", ("item_id", "status", "start", "end", "frames"))
    table = pick(rows, present(rows))
    rate = params.frame_fps or float(FPS)
    wanted = (table["end"] - table["start"]) * rate
    table["wanted_frames"] = wanted
    table["frames_off"] = (table["frames"] - wanted).abs().round(6)
    table["frames_lacking"] = ((wanted - rate).round() + 1 - table["frames"]).clip(lower=0)
    show = ("start", "end", "frames", "wanted_frames")
    return Suite(
        "window",
        table,
        [
            Rule("frames.window", BETWEEN, {"column": "frames_off", "max_value": 1}, show=show, worst_by="frames_off",
                 block_share=params.short_error),
            Rule("frames.last_second", BETWEEN, {"column": "frames_lacking", "max_value": 0}, show=show,
                 worst_by="frames_lacking"),
        ],
    )  # fmt: skip


def _folders(run: RunTables) -> Suite:
    """One row for each crop with frames: what lies in its folders."""
    table = run.load(OwnFiles(run.run_dir).frames, _FOLDER_COLUMNS)
    labelled = run.load(OwnFiles(run.run_dir).key_frames, ("item_id", "labelled"))
    wanted = labelled[labelled["labelled"]]["item_id"].value_counts()
    table["wanted_middle"] = table["item_id"].map(wanted).fillna(0).astype("int64")
    table["keys_lacking"] = (table["wanted_keys"] - table["keys"]).clip(lower=0)
    table["to_label"] = (table["middle"] == table["wanted_middle"]) & (table["wanted_middle"] > 0)
    return Suite(
        "own_folders",
        table,
        [
            Rule("own.named", EQUAL, {"column_A": "frames", "column_B": "rawframes"}, show=("frames", "rawframes")),
            Rule("own.key_frames", BETWEEN, {"column": "keys_lacking", "max_value": 0}, show=("keys", "wanted_keys"),
                 worst_by="keys_lacking"),
            Rule("own.to_label", IN_SET, {"column": "to_label", "value_set": [True]}, show=("middle", "wanted_middle")),
        ],
    )  # fmt: skip


def of_proposals(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``proposals`` (C-I2): of key frames to label alone, in the form that readers take."""
    place = BoxFiles(run.run_dir)
    made = place.proposal_splits()
    told = {split: run.json(place.proposal_facts(split)) for split in made}
    frames = run.load(OwnFiles(run.run_dir).key_frames, ("clip_id", "split", "second", "labelled"))
    frames = frames[frames["labelled"]].rename(columns={"clip_id": "video_id"})
    frames["item_id"] = frames["split"] + "/" + key_of(frames)
    wanted = {split: frames[frames["split"] == split].reset_index(drop=True) for split in made}
    yield files_suite(data, made, told)
    yield usable_suite(run, told, {})
    for split in made:
        boxes = run.plain(place.proposals(split), PROPOSAL_COLUMNS)
        keys = distinct(boxes[["key", "video_id", "second"]], "key")
        keys.insert(0, "item_id", f"{split}/" + keys["key"])
        yield counts_suite(split, told[split], keys, boxes)
        yield rejected_suite(run, split, keys, params)
        yield boxes_suite(spec, split, boxes, params, published=False, ava=True)
        keys["known"] = among(keys["item_id"], wanted[split]["item_id"])
        known = {"column": "known", "value_set": [True]}
        yield Suite(f"keys_{split}", keys, [Rule("proposals.known", IN_SET, known, split, show=("video_id", "second"))])
        yield coverage_suite(split, keys, wanted[split], params)
