"""The gate after the pixels were made: resized copies (K-I5) and frames (K-I6)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.quality import content, disk, image_folders, shown_images
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.kinetics_checks import CHECKS as KINETICS_CHECKS
from clipquarry.quality.kinetics_clips import one_result, wanted_path
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, among, pick, present
from clipquarry.settings import DataRoot

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


def on_disk(step: str, said: str) -> Rule:
    """For a column ``disk``, what is wrong with each file of a step; ``said``: how much was looked at."""
    return Rule(f"{step}.on_disk", IN_SET, {"column": "disk", "value_set": [""]}, show=("path", "disk"), note=said)


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
    columns = (*ITEM, "bytes", "sha256", "duration", "frames", "width", "height", "has_audio", "keyframe_gap")
    rows = run.shards("resize", columns)
    yield one_result("resize.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    yield made("resize", rows[among(rows["item_id"], clips["item_id"])], params)
    table = _with_clip(pick(rows, present(rows)), clips)
    del rows
    short = params.short_edge or spec.recipe.short_edge
    size = ("width", "height")
    table["wanted_path"], table["short_side"] = wanted_path(spec, "resized", table), _short(table)
    looked = disk.look(table, data.root, run.seed)
    table["disk"] = looked.problems
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
            on_disk("resize", looked.said),
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
    looked = image_folders.look(spec.item, table, data.root, params.sample_folders, run.seed)
    shown = _with_content(run, table)
    seen = shown_images.look(spec.item, shown, data.root, run.seed)
    table["gap"] = looked.gaps
    table["disk"] = [one or other for one, other in zip(looked.odd, seen.odd, strict=True)]
    table["shows"] = [one or other for one, other in zip(seen.other, shown_images.unlike_clip(shown), strict=True)]
    suite = Suite(
        "frames",
        table,
        [
            Rule("frames.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, show=("path", "wanted_path")),
            Rule("frames.count", BETWEEN, {"column": "frames_off", "max_value": FRAME_TOLERANCE},
                 show=("frames", "wanted_frames", "fps", "source_duration"), worst_by="frames_off"),
            Rule("frames.contiguous", IN_SET, {"column": "gap", "value_set": [""]}, show=("path", "frames", "gap")),
            on_disk("frames", f"{looked.said} {seen.said}"),
            Rule("frames.shown", IN_SET, {"column": "shows", "value_set": [""]}, show=("path", "shows"), note=seen.said),
        ],
    )  # fmt: skip
    if params.frame_fps is None:
        suite.skipped.append(("frames.rate", "no rate was asked for: frames have their clip's own"))
    else:
        # 30000/1001 is written 29.97 by people and 29.97002997 by machines.
        wanted = {"column": "fps", "min_value": params.frame_fps - 0.001, "max_value": params.frame_fps + 0.001}
        suite.rules.append(Rule("frames.rate", BETWEEN, wanted, show=("fps",)))
    suite.rules.extend(rule for rule in [_size_rule(table, params)] if rule)
    if len(suite.rules) == 5 + (params.frame_fps is not None):
        suite.skipped.append(("frames.size", "no size was asked for"))
    yield suite
    yield content.folder_suite("frames.content", shown[shown["clip_contrast"] < 0], params)


def _with_content(run: RunTables, table: pd.DataFrame) -> pd.DataFrame:
    """What images show by what was measured, and what their clips show (columns ``clip_…``)."""
    columns = (*content.COLUMNS, "fingerprint")
    shown = table[["item_id", "path", "frames", "fps", "source_duration"]].copy()
    measured = {"": run.optional_shards("frames", ("item_id", *columns)),
                "clip_": run.optional("recorded", ("item_id", *columns))}  # fmt: skip
    for prefix, found in measured.items():
        rows = None if found is None else found.drop_duplicates("item_id").set_index("item_id")
        for name in columns:
            unknown = "" if name in ("sound", "fingerprint") else -1.0
            values = unknown if rows is None else shown["item_id"].map(rows[name]).fillna(unknown)
            shown[f"{prefix}{name}"] = values
    return shown


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
