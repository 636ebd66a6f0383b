"""Suites over frame folders (K-I6) that families share."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.quality import content, frame_folders, shown_frames
from clipquarry.quality.clip_suites import one_result, wanted_path
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.shared_checks import CHECKS
from clipquarry.quality.tables import RunTables, among, pick, present
from clipquarry.settings import DataRoot

FRAME_TOLERANCE = 2
"""Frames that a folder may have more or fewer than rate x duration."""

FRAME_CHECKS = tuple(check.id for check in CHECKS if check.id.startswith("frames."))
"""Ids of the shared checks of frame folders."""
ITEM = ("item_id", "split", "class_dir", "clip_id", "status", "reason", "evidence", "path")
_WHY = ("status", "reason", "evidence")


def asked_clips(run: RunTables, spec: DatasetSpec) -> pd.DataFrame:
    """Clips that are there and of which more is made, with ``asked``: whether this run works on them."""
    clips = run.load("recorded", ("item_id", "split", "status", "start", "end", "frames", "width", "height"))
    clips = pick(clips, present(clips) & ~clips["split"].isin(spec.parents))
    if run.has("plan"):  # a refresh records the whole data set, and works on its requests
        clips["asked"] = among(clips["item_id"], run.ids("plan"))
    else:
        clips["asked"] = not run.place.plan_file.exists()  # a plan without shards asks for nothing
    return clips


def is_off(run: RunTables, step: str, wanted: bool | None) -> bool:
    """True for a stage that was switched off, or that was not mentioned and left nothing."""
    return wanted is False or (wanted is None and not (run.run_dir / step).is_dir())


def made(step: str, table: pd.DataFrame, params: GateParams) -> Suite:
    """Rule for a stage: each present clip should have its artefact."""
    rule = Rule(
        f"{step}.made", IN_SET, {"column": "made", "value_set": [True]}, show=_WHY, block_share=params.made_error
    )
    return Suite(f"{step}_made", table[["item_id", *_WHY]].assign(made=present(table)), [rule])


def on_disk(step: str, said: str) -> Rule:
    """Rule for a column ``disk`` with the problem of each of a step's files; ``said``: how many were read."""
    return Rule(f"{step}.on_disk", IN_SET, {"column": "disk", "value_set": [""]}, show=("path", "disk"), note=said)


def with_clip(table: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """Add the clip's own frames, width and height (-1 without a clip)."""
    facts = clips.drop_duplicates("item_id").set_index("item_id")
    for name in ("frames", "width", "height"):
        table[f"clip_{name}"] = table["item_id"].map(facts[name]).fillna(-1).astype("int64")
    return table


def short_side(table: pd.DataFrame) -> pd.Series[int]:
    return table[["width", "height"]].min(axis=1)


def frame_suites(
    spec: DatasetSpec, run: RunTables, clips: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    """Suites of frame folders of ``clips`` (see :func:`asked_clips`)."""
    rows = run.shards("frames", (*ITEM, "frames", "width", "height", "fps", "source_duration"))
    yield one_result("frames.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    yield made("frames", rows[among(rows["item_id"], clips["item_id"])], params)
    table = with_clip(pick(rows, present(rows)), clips)
    del rows
    table["wanted_path"] = wanted_path(spec, "rawframes", table, suffixed=False)
    # Half a frame is rounded up, as people do; python's round() would go to the even number.
    table["wanted_frames"] = (table["fps"] * table["source_duration"] + 0.5).clip(0, 2**31).astype("int64")
    table["frames_off"] = (table["frames"] - table["wanted_frames"]).abs()
    looked = frame_folders.look(spec.item, table, data.root, params.sample_folders, run.seed)
    shown = _with_content(run, table)
    seen = shown_frames.look(spec.item, shown, data.root, run.seed)
    table["gap"] = looked.gaps
    table["disk"] = [one or other for one, other in zip(looked.odd, seen.odd, strict=True)]
    table["shows"] = [one or other for one, other in zip(seen.other, shown_frames.unlike_clip(shown), strict=True)]
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
    """The measured content of frames, and of their clips (columns ``clip_…``)."""
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
        short = short_side(table)  # a smaller clip may keep its size
        right = (short == params.frame_short_edge) | ((short == clip_short) & (short < params.frame_short_edge))
    else:
        return None
    table["right_size"] = right
    return Rule("frames.size", IN_SET, {"column": "right_size", "value_set": [True]}, show=("width", "height"))
