"""The gate after excerpts and frames were made: AVA's excerpts (A-I4, A-I6), frames of AVA-Kinetics' windows
(AK-I5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd

from clipquarry.annotations.ava_time import FPS
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.gates.rows import FRAME_COLUMNS
from clipquarry.families.boxes.options import is_flat
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.quality import content, disk, frame_folders, shown_frames
from clipquarry.quality.clip_suites import one_result
from clipquarry.quality.disk import place
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.flow_suites import flow_suites
from clipquarry.quality.frame_folders import jpeg_problem
from clipquarry.quality.frame_suites import FRAME_CHECKS, ITEM, asked_clips, frame_suites, is_off, made, on_disk
from clipquarry.quality.params import GateParams, share_of_several
from clipquarry.quality.tables import RunTables, among, extract, pick, present
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

FRAME_TOLERANCE: Final = 3
SECOND_TOLERANCE: Final = 0.1
RATE_TOLERANCE: Final = 0.01
READER_FRAMES: Final = 32
"""Frames that readers take at most on either side of a key frame."""
EXCERPTS: Final = "excerpts"
"""Key of the layout."""

_NUMBERS = ("start", "end", "duration", "frames", "fps", "width", "height", "images", "image_width", "image_height")


def excerpts(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``frames`` of AVA."""
    clips = asked_clips(run, spec)
    rows = run.shards("excerpt", (*ITEM, "video_id", "image_path", "bytes", "sha256", *_NUMBERS))
    yield one_result("excerpt.one_row", clips.loc[clips["asked"], "item_id"], rows["item_id"])
    # The gate of the clips (clips.reach) reports a video that ends before the excerpt begins; nothing could be made of
    # it.
    fit = among(rows["item_id"], clips["item_id"]) & (rows["reason"] != str(Reason.TOO_SHORT))
    yield made("excerpt", rows[fit], params)
    table = pick(rows, present(rows))
    del rows
    has_excerpts = bool((table["path"] != "").any()) if params.excerpts is None else params.excerpts
    has_images = bool((table["image_path"] != "").any()) if params.frames is None else params.frames
    table["stem"] = extract(table["clip_id"], r"(?s)\A(?P<stem>.*?)(?:\.[^.]*)?\z")["stem"]
    table["explained"] = table["evidence"].str.strip() != ""
    if has_excerpts or table.empty:
        yield _excerpts(spec, run, table, data, params)
    else:
        why = "no excerpts were asked for"
        yield Suite(
            "excerpts", table, skipped=[(f"excerpt.{name}", why) for name in ("duration", "rate", "frames", "on_disk")]
        )
    if has_images or table.empty:
        yield _images(spec, run, table, data, params, with_excerpt=has_excerpts)
        yield from _shown(spec, run, table, data, params)
    else:
        why = "no frames were asked for"
        names = ("images", "size", "contiguous", "reader_window", "shown", "content")
        yield Suite("images", table, skipped=[(f"excerpt.{name}", why) for name in names])
    yield from flow_suites(spec, run, clips, data, params, "flow")


def _excerpts(spec: DatasetSpec, run: RunTables, table: pd.DataFrame, data: DataRoot, params: GateParams) -> Suite:
    table["wanted_path"] = f"{spec.root}/{spec.folder(EXCERPTS)}/" + table["clip_id"]
    off = (table["duration"] - (table["end"] - table["start"])).abs().round(6)
    # The step explains an earlier end; nothing explains a longer excerpt, or an empty one.
    shorter = table["explained"] & (table["duration"] > 0) & (table["duration"] < table["end"] - table["start"])
    table["seconds_off"] = off.where(~shorter, 0.0)
    table["frames_off"] = (table["frames"] - (table["duration"] * FPS).round()).abs()
    near = {"column": "fps", "min_value": FPS - RATE_TOLERANCE, "max_value": FPS + RATE_TOLERANCE}
    looked = disk.look(table, data.root, run.seed)
    table["disk"] = looked.problems
    return Suite(
        "excerpts",
        table,
        [
            Rule("excerpt.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, "excerpt",
                 show=("path", "wanted_path")),
            Rule("excerpt.duration", BETWEEN, {"column": "seconds_off", "max_value": SECOND_TOLERANCE},
                 show=("start", "end", "duration", "evidence"), worst_by="seconds_off",
                 block_share=share_of_several(params.long_error, len(table))),
            Rule("excerpt.rate", BETWEEN, near, show=("fps", "frames")),
            Rule("excerpt.frames", BETWEEN, {"column": "frames_off", "max_value": FRAME_TOLERANCE},
                 show=("frames", "duration"), worst_by="frames_off"),
            on_disk("excerpt", looked.said),
        ],
    )  # fmt: skip


def _images(
    spec: DatasetSpec, run: RunTables, table: pd.DataFrame, data: DataRoot, params: GateParams, *, with_excerpt: bool
) -> Suite:
    folder = f"{spec.root}/{spec.folder('rawframes')}/"
    table["wanted_images_path"] = folder + table["stem"]
    wanted = ((table["end"] - table["start"]) * FPS).where(~table["explained"], table["images"])
    if with_excerpt:
        wanted = table["frames"]
    table["wanted_images"] = wanted
    # A folder without frames is never right.
    table["images_off"] = (table["images"] - wanted.clip(lower=FRAME_TOLERANCE + 1)).abs()
    names = {"image_path": "path", "images": "frames", "image_width": "width", "image_height": "height"}
    folders = table[list(names)].rename(columns=names)
    looked = frame_folders.look(spec.item, folders, data.root, params.sample_folders, run.seed)
    table["gap"] = looked.gaps
    sizes = _odd_sizes(spec, table, data, with_excerpt=with_excerpt)
    table["odd_size"] = [size or odd for size, odd in zip(sizes, looked.odd, strict=True)]
    table["last_second"] = table["item_id"].map(_last_seconds(run)).fillna(-1).astype("int64")
    needed = (table["last_second"] - table["start"]) * FPS + 1 + READER_FRAMES
    table["images_lacking"] = (needed - table["images"]).clip(lower=0).where(table["last_second"] >= 0, 0)
    return Suite(
        "images",
        table,
        [
            Rule("excerpt.path", EQUAL, {"column_A": "image_path", "column_B": "wanted_images_path"}, "images",
                 show=("image_path", "wanted_images_path")),
            Rule("excerpt.images", BETWEEN, {"column": "images_off", "max_value": FRAME_TOLERANCE},
                 show=("images", "wanted_images", "evidence"), worst_by="images_off"),
            Rule("excerpt.size", IN_SET, {"column": "odd_size", "value_set": [""]}, show=("odd_size",), note=looked.said),
            Rule("excerpt.contiguous", IN_SET, {"column": "gap", "value_set": [""]}, show=("image_path", "images", "gap")),
            Rule("excerpt.reader_window", BETWEEN, {"column": "images_lacking", "max_value": 0},
                 show=("last_second", "images", "evidence"), worst_by="images_lacking"),
        ],
    )  # fmt: skip


def _shown(
    spec: DatasetSpec, run: RunTables, table: pd.DataFrame, data: DataRoot, params: GateParams
) -> Iterator[Suite]:
    """The content of the frames: now, compared with the fingerprint of their making, and as measured then."""
    measured = run.optional_shards("excerpt", ("item_id", *content.COLUMNS, "fingerprint"))
    if measured is None:
        why = content.NOBODY_LOOKED
        yield Suite("shown", table, skipped=[("excerpt.shown", why), ("excerpt.content", why)])
        return
    facts = table[["item_id", "image_path", "images"]].merge(measured, on="item_id", validate="one_to_one")
    facts = facts.rename(columns={"image_path": "path", "images": "frames"})
    facts["source_duration"] = facts["frames"] / FPS
    seen = shown_frames.look(spec.item, facts, data.root, run.seed)
    facts["odd"] = [one or other for one, other in zip(seen.odd, seen.other, strict=True)]
    rule = Rule("excerpt.shown", IN_SET, {"column": "odd", "value_set": [""]}, show=("path", "odd"), note=seen.said)
    yield Suite("shown", facts, [rule])
    yield content.folder_suite("excerpt.content", facts, params)


def _last_seconds(run: RunTables) -> pd.Series[int]:
    """The last annotated second by ``{split}/{video_id}``."""
    found: list[pd.Series[int]] = [pd.Series(dtype="int64")]
    place = BoxFiles(run.run_dir)
    for split in place.annotated_splits():
        last = run.plain(place.annotated(split, "boxes"), FRAME_COLUMNS).groupby("video_id")["second"].max()
        last.index = f"{split}/" + last.index.astype("str")
        found.append(last)
    last_seconds: pd.Series[int] = pd.concat(found)
    return last_seconds


def _odd_sizes(spec: DatasetSpec, table: pd.DataFrame, data: DataRoot, *, with_excerpt: bool) -> list[str]:
    """For each folder, what is wrong with its frames' sizes, ``""`` for nothing: the first, the middle and the last
    are read.
    """
    name = spec.item.rgb_pattern.format
    answers = []
    columns = ("image_path", "images", "image_width", "image_height", "width", "height")
    for path, images, image_width, image_height, width, height in zip(
        *(table[c].tolist() for c in columns), strict=True
    ):
        size = (image_width, image_height)
        if with_excerpt and size != (width, height):
            answers.append(f"frames of {image_width}x{image_height} from an excerpt of {width}x{height}")
            continue
        first, folder = spec.item.start_index, place(data.root, path)
        numbers = sorted({first, first + images // 2, first + images - 1}) if images > 0 and folder is not None else []
        odd = ((name(number), jpeg_problem(f"{folder}/{name(number)}", size)) for number in numbers)
        answers.append(next((f"{image} {problem}" for image, problem in odd if problem), ""))
    return answers


def windows(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``frames`` of AVA-Kinetics."""
    if is_off(run, "frames", params.frames):
        names = list(FRAME_CHECKS)
        why = "the frames stage was off"
        yield Suite(
            "frames", pd.DataFrame(), skipped=[(name, why) for name in (*names, "frames.window", "frames.last_second")]
        )
        yield from flow_suites(spec, run, pd.DataFrame(), data, params.model_copy(update={"flow": False}))
        return
    clips = asked_clips(run, spec)
    chosen = params.model_copy(update={"frame_fps": params.frame_fps or float(FPS)})
    yield from frame_suites(spec, run, clips, data, chosen)
    yield _window(spec, run, params)
    yield from flow_suites(spec, run, clips, data, params)


def _window(spec: DatasetSpec, run: RunTables, params: GateParams) -> Suite:
    rows = run.shards("frames", ("item_id", "status", "start", "end", "frames"))
    table = pick(rows, present(rows))
    wanted = (table["end"] - table["start"]) * FPS
    table["wanted_frames"] = wanted
    table["frames_off"] = (table["frames"] - wanted).abs()
    table["frames_lacking"] = (wanted - table["frames"]).clip(lower=0)
    show = ("start", "end", "frames", "wanted_frames")
    rules = [
        Rule("frames.window", BETWEEN, {"column": "frames_off", "max_value": 1}, show=show, worst_by="frames_off",
             block_share=params.short_error),
    ]  # fmt: skip
    suite = Suite("window", table, rules)
    if is_flat(spec):
        suite.skipped.append(("frames.last_second", "boxes of the flat layout are kept by their own frame"))
    else:
        lacking = {"column": "frames_lacking", "max_value": 0}
        rules.append(Rule("frames.last_second", BETWEEN, lacking, show=show, worst_by="frames_lacking"))
    return suite
