"""The gate after the pixels were made: resized copies (K-I5) and frames (K-I6)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from clipyard.datasets.model import DatasetSpec, Item
from clipyard.errors import UserError
from clipyard.files import inside
from clipyard.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipyard.quality.kinetics_checks import CHECKS as KINETICS_CHECKS
from clipyard.quality.kinetics_clips import one_result, wanted_path
from clipyard.quality.params import GateParams
from clipyard.quality.tables import RunTables, among, pick, present
from clipyard.settings import DataRoot

KEYFRAME_GAP = 16
"""Frames from one key frame to the next in a dense copy, at most."""
FRAME_TOLERANCE = 2
"""Images that a folder may have more or less than rate x duration."""

CHECKS = tuple(check.id for check in KINETICS_CHECKS if check.gate == "frames")
"""Ids of the checks of this gate."""
ITEM = ("item_id", "split", "class_dir", "clip_id", "status", "reason", "evidence", "path")
_WHY = ("status", "reason", "evidence")


def asked_clips(run: RunTables) -> pd.DataFrame:
    """Clips that are there, with ``asked``: whether this run is to work on them."""
    clips = run.load("recorded", ("item_id", "status", "start", "end", "frames", "width", "height"))
    clips = pick(clips, present(clips))
    if run.has("plan"):  # a refresh records the whole data set and works on what it asked for
        clips["asked"] = among(clips["item_id"], run.ids("plan"))
    else:
        clips["asked"] = True
    return clips


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``frames``. The checks of a stage that was off are skipped."""
    clips = asked_clips(run)
    for step, wanted, make in (("resize", params.resize, _resized), ("frames", params.frames, frame_suites)):
        if is_off(run, step, wanted):
            off = [(check, f"the {step} stage was off") for check in CHECKS if check.startswith(f"{step}.")]
            yield Suite(step, pd.DataFrame(), skipped=off)
        else:
            yield from make(spec, run, clips, data, params)


def is_off(run: RunTables, step: str, wanted: bool | None) -> bool:
    """True for a stage that was switched off, or of which nobody said anything and nothing is there."""
    return wanted is False or (wanted is None and not (run.run_dir / step).is_dir())


def made(step: str, table: pd.DataFrame, params: GateParams) -> Suite:
    """Rows of a stage: a clip that is there should have given an artefact."""
    rule = Rule(
        f"{step}.made", IN_SET, {"column": "made", "value_set": [True]}, show=_WHY, block_share=params.made_error
    )
    return Suite(f"{step}_made", table[["item_id", *_WHY]].assign(made=present(table)), [rule])


def _with_clip(table: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """Add the clip's own frames, width and height (-1 without a clip)."""
    facts = clips.drop_duplicates("item_id").set_index("item_id")
    for name in ("frames", "width", "height"):
        table[f"clip_{name}"] = table["item_id"].map(facts[name]).fillna(-1).astype("int64")
    return table


def _short(table: pd.DataFrame) -> pd.Series[int]:
    return table[["width", "height"]].min(axis=1)


def _resized(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    columns = (*ITEM, "bytes", "duration", "frames", "width", "height", "has_audio", "keyframe_gap")
    rows = run.shards("resize", columns)
    yield one_result("resize.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    yield made("resize", rows[among(rows["item_id"], clips["item_id"])], params)
    table = _with_clip(pick(rows, present(rows)), clips)
    del rows
    short = params.short_edge or spec.recipe.short_edge
    size = ("width", "height")
    table["wanted_path"], table["short_side"] = wanted_path(spec, "resized", table), _short(table)
    facts = [
        Rule("resize.facts", BETWEEN, {"column": name, "min_value": 0, "strict_min": True}, name, show=(name,))
        for name in ("bytes", "frames", "duration")
    ]
    yield Suite(
        "resized",
        table,
        [
            *facts,
            Rule("resize.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, show=("path", "wanted_path")),
            Rule("resize.short_side", IN_SET, {"column": "short_side", "value_set": [short]}, show=size),
            Rule("resize.keyframe_gap", BETWEEN, {"column": "keyframe_gap", "min_value": 1, "max_value": KEYFRAME_GAP},
                 show=("keyframe_gap",), worst_by="keyframe_gap"),
            Rule("resize.no_audio", IN_SET, {"column": "has_audio", "value_set": [False]}, show=("has_audio",)),
            Rule("resize.frame_count", EQUAL, {"column_A": "frames", "column_B": "clip_frames"},
                 show=("frames", "clip_frames")),
        ],
    )  # fmt: skip


def frame_suites(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    """Frames of ``clips`` (see :func:`asked_clips`) in folders of their own."""
    rows = run.shards("frames", (*ITEM, "frames", "width", "height", "fps", "source_duration"))
    yield one_result("frames.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    yield made("frames", rows[among(rows["item_id"], clips["item_id"])], params)
    table = _with_clip(pick(rows, present(rows)), clips)
    del rows
    table["wanted_path"] = wanted_path(spec, "rawframes", table, suffixed=False)
    # Half a frame up, as people round; python's round() would go to the even number.
    table["wanted_frames"] = (table["fps"] * table["source_duration"] + 0.5).clip(0, 2**31).astype("int64")
    table["frames_off"] = (table["frames"] - table["wanted_frames"]).abs()
    table["gap"] = numbering_gaps(spec, table, data, params.sample_folders)
    suite = Suite(
        "frames",
        table,
        [
            Rule("frames.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, show=("path", "wanted_path")),
            Rule("frames.count", BETWEEN, {"column": "frames_off", "max_value": FRAME_TOLERANCE},
                 show=("frames", "wanted_frames", "fps", "source_duration"), worst_by="frames_off"),
            Rule("frames.contiguous", IN_SET, {"column": "gap", "value_set": [""]}, show=("path", "frames", "gap")),
        ],
    )  # fmt: skip
    if params.frame_fps is None:
        suite.skipped.append(("frames.rate", "no rate was asked for: frames have their clip's own"))
    else:
        # 30000/1001 is written 29.97 by people and 29.97002997 by machines.
        wanted = {"column": "fps", "min_value": params.frame_fps - 0.001, "max_value": params.frame_fps + 0.001}
        suite.rules.append(Rule("frames.rate", BETWEEN, wanted, show=("fps",)))
    suite.rules.extend(rule for rule in [_size_rule(table, params)] if rule)
    if len(suite.rules) == 3 + (params.frame_fps is not None):
        suite.skipped.append(("frames.size", "no size was asked for"))
    yield suite


def _size_rule(table: pd.DataFrame, params: GateParams) -> Rule | None:
    size = table["width"].astype(str) + "x" + table["height"].astype(str)
    if params.frame_size is not None:
        width, height = params.frame_size
        right = size == f"{width}x{height}"
    elif params.frame_short_edge is not None:
        clip_short = table[["clip_width", "clip_height"]].min(axis=1)
        short = _short(table)  # a smaller clip may be left as it is
        right = (short == params.frame_short_edge) | ((short == clip_short) & (short < params.frame_short_edge))
    else:
        return None
    table["right_size"] = right
    return Rule("frames.size", IN_SET, {"column": "right_size", "value_set": [True]}, show=("width", "height"))


def numbering_gaps(spec: DatasetSpec, table: pd.DataFrame, data: DataRoot, sample: int) -> list[str]:
    """For each folder (``path``, ``frames``) what is wrong with its numbers, ``""`` for nothing.

    Every folder is probed at both ends (the first and last image are there, the one after is not); ``sample`` of them,
    evenly spread, are listed name by name, because to list all would be hundreds of millions of names.
    """
    every = max(1, len(table) // sample) if sample else 0
    rows = zip(table["path"].tolist(), table["frames"].tolist(), strict=True)
    return [
        _gap(spec.item, data.root, path, frames, listed=bool(every) and index % every == 0)
        for index, (path, frames) in enumerate(rows)
    ]


def _gap(item: Item, root: Path, path: str, frames: int, *, listed: bool) -> str:
    try:
        folder = str(inside(root, path)) if ".." in path or "\\" in path or "\0" in path else f"{root}/{path}"
    except UserError:
        return "the path leaves the data root"
    first = item.start_index
    name = item.rgb_pattern.format
    if listed:
        there = _names(folder, item.rgb_prefix)
        wanted = {name(number) for number in range(first, first + frames)}
        if absent := sorted(wanted - there):
            return f"{len(absent)} images are absent, such as {absent[0]}"
        return f"{len(there - wanted)} images too many, such as {min(there - wanted)}" if there - wanted else ""
    # Text, not Path objects: a data set has 650,000 folders, and three questions about each.
    if frames < 1 or not os.path.isfile(f"{folder}/{name(first)}"):  # noqa: PTH113
        return f"{name(first)} is absent"
    if not os.path.isfile(f"{folder}/{name(first + frames - 1)}"):  # noqa: PTH113
        return f"{name(first + frames - 1)} is absent"
    return f"{name(first + frames)} is one too many" if os.path.lexists(f"{folder}/{name(first + frames)}") else ""


def _names(folder: str, prefix: str) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if name.startswith(prefix)}  # noqa: PTH208
    except (OSError, ValueError):
        return set()
