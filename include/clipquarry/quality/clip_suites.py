"""Suites over fetched and recorded items: coverage, and every clip as annotated (K-I5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.quality import content, disk, frame_folders, near_copies
from clipquarry.quality.catalog_suites import NO_WINDOW
from clipquarry.quality.declared import declared_splits
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, MATCH, ROWS, Rule, Suite
from clipquarry.quality.params import GateParams, share_of_several
from clipquarry.quality.tables import REJECTED, RunTables, among, looked_up, pick, present
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot

OUR_FAULT = (Reason.TOOL_STALE, Reason.TOOL_FAILED, Reason.TASK_FAILED)
UNASKED = (
    Reason.BOT_CHECK, Reason.RATE_LIMIT, Reason.EGRESS_REFUSED, Reason.WAITING, Reason.NO_NETWORK, Reason.NOT_ASKED,
)  # fmt: skip
WRONG_BYTES = (Reason.NOT_A_VIDEO, Reason.TRUNCATED, Reason.CORRUPT)

TEXT = ("item_id", "video_id", "clip_id", "split", "class_dir", "status", "reason", "evidence", "sha256", "path")
NUMBERS = ("start", "end", "bytes", "duration", "frames", "width", "height")
_WHY = ("status", "reason", "evidence")


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``clips``."""
    recorded = run.load("recorded", (*TEXT, *NUMBERS, "source"))
    yield from result_suites(spec, run, recorded, params, step=_bringing(spec))
    if spec.has_folders:
        yield folder_suite(spec, run, recorded, data, params)
    elif spec.has_files:
        yield file_suite(spec, run, recorded, data)
    else:
        yield clip_suite(spec, run, recorded, data, params)
        yield shorter_suite(spec, recorded, params)
    yield height_suite(spec, run, params)
    yield from content_suites(spec, run, data, params)


def _bringing(spec: DatasetSpec) -> str:
    """The step that brings the items."""
    if spec.has_folders:
        return "collect_frames"
    return "collect" if spec.has_files else "fetch"


def content_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """Suites of the clips' content, and of near copies among other clips."""
    shown = run.optional("recorded", ("item_id", "status", *content.COLUMNS))
    clips = None if shown is None else pick(shown, present(shown))
    yield from content.clip_suites(clips, params, sound_wanted=spec.recipe.audio != "none" and not spec.has_files)
    states = {name: data.state(name) for name in params.compare_with}
    others = [
        near_copies.Other(name, table, name in params.same_ids)
        for name, path in states.items()
        if (table := near_copies.load(path)) is not None
    ]
    samples = near_copies.load(run.place.recorded)
    if samples is not None and spec.parents:  # which show the same by their nature
        samples = pick(samples, ~samples["split"].isin(spec.parents))
    yield near_copies.suite("clips.near_copy", samples, params, others)


def result_suites(
    spec: DatasetSpec, run: RunTables, recorded: pd.DataFrame, params: GateParams, *, step: str = "fetch"
) -> Iterator[Suite]:
    """Rules for the result of every requested item, whatever its file is. ``step`` made the requests."""
    catalog = run.load("catalog", ("item_id", "split", "status"))
    yield _results(recorded, catalog)
    yield from _selected(recorded, catalog, params)
    yield one_result("clips.one_row", run.ids("plan", step), recorded["item_id"])
    usable = pick(recorded, recorded["status"] != REJECTED, "item_id", "split", *_WHY)
    yield from _coverage(spec, usable)
    yield _losses(usable, params)


def one_result(check: str, asked: pd.Series[str], answered: pd.Series[str]) -> Suite:
    """Every requested id has exactly one result, and no result is there twice."""
    codes, ids = pd.factorize(pd.concat([asked, answered], ignore_index=True))
    counts = np.bincount(codes[len(asked) :], minlength=len(ids))
    table = pd.DataFrame({"item_id": pd.Series(ids, dtype="str"), "results": counts})
    rule = Rule(check, BETWEEN, {"column": "results", "min_value": 1, "max_value": 1}, show=("results",))
    return Suite(f"{check.partition('.')[0]}_results", table, [rule])


def _selected(recorded: pd.DataFrame, catalog: pd.DataFrame, params: GateParams) -> Iterator[Suite]:
    """One row for each declared split with usable rows in the catalog: the number of its rows in this run."""
    usable = set(catalog.loc[catalog["status"] != REJECTED, "split"].unique())
    splits = [split for split in declared_splits(params) if split in usable]
    if len(recorded) and splits:  # an empty run is reported once
        counts = recorded["split"].value_counts()
        rows = [int(counts.get(split, 0)) for split in splits]
        table = pd.DataFrame({"item_id": [f"{split}/items" for split in splits], "rows": rows})
        rule = Rule("clips.selected", BETWEEN, {"column": "rows", "min_value": 1}, "splits", show=("rows",))
        yield Suite("selected", table, [rule])


def _results(recorded: pd.DataFrame, catalog: pd.DataFrame) -> Suite:
    there, reason = present(recorded), recorded["reason"]
    explained = (reason != Reason.OK) & recorded["evidence"].str.strip().ne("")
    table = recorded[["item_id", *_WHY]].assign(
        in_catalog=among(recorded["item_id"], catalog["item_id"]),
        explained=explained.where(~there, reason == Reason.OK),
    )
    return Suite(
        "recorded",
        table,
        [
            Rule("clips.selected", ROWS, {"min_value": 1}),
            Rule("clips.in_catalog", IN_SET, {"column": "in_catalog", "value_set": [True]}, show=_WHY),
            Rule("clips.words", IN_SET, {"column": "status", "value_set": [str(one) for one in Status]}, "status",
                 show=_WHY),
            Rule("clips.words", IN_SET, {"column": "reason", "value_set": [str(one) for one in Reason]}, "reason",
                 show=_WHY),
            Rule("clips.explained", IN_SET, {"column": "explained", "value_set": [True]}, show=_WHY),
        ],
    )  # fmt: skip


def _coverage(spec: DatasetSpec, usable: pd.DataFrame) -> Iterator[Suite]:
    """Coverage: usable selected clips that are there, overall and by split. Rejected csv rows do not count."""
    usable = usable.assign(there=present(usable))
    for scope in ["all", *sorted(usable["split"].unique())]:
        table = usable if scope == "all" else pick(usable, usable["split"] == scope)
        rule = Rule(
            "clips.coverage", IN_SET, {"column": "there", "value_set": [True]}, scope, max_share=spec.missing.warn,
            block_share=spec.missing.error, show=_WHY, list_rows=scope != "all",
        )  # fmt: skip
        yield Suite(f"coverage_{scope}", table, [rule])


def _losses(usable: pd.DataFrame, params: GateParams) -> Suite:
    """Usable selected clips by the trait of their reason."""

    def rule(check: str, reasons: tuple[Reason, ...], block: float | None = None) -> Rule:
        words = [str(reason) for reason in reasons]
        never = "ExpectColumnValuesToNotBeInSet"
        return Rule(check, never, {"column": "reason", "value_set": words}, show=_WHY, block_share=block)

    return Suite(
        "losses",
        usable,
        [
            rule("clips.stopped", UNASKED),
            rule("clips.our_fault", OUR_FAULT, params.our_fault_error),
            rule("clips.wrong_bytes", WRONG_BYTES),
        ],
    )


def wanted_path(spec: DatasetSpec, folder: str, rows: pd.DataFrame, *, suffixed: bool = True) -> pd.Series[str]:
    """``{root}/{folder of the split}/{class_dir}/{clip_id}.mp4``; any extension of the data set is right.

    A row without a class has no class folder.
    """
    folders = {split: f"{spec.root}/{spec.folder(folder, split)}" for split in rows["split"].unique()}
    stem = looked_up(rows["split"], folders).astype("str") + "/"
    if spec.item.level == 2:
        stem = stem + (rows["class_dir"] + "/").where(rows["class_dir"] != "", "")
    stem = stem + rows["clip_id"]
    if not suffixed:
        return stem
    first, *others = suffixes(spec)
    wanted = stem + f".{first}"
    for suffix in others:
        other = stem + f".{suffix}"
        wanted = wanted.where(rows["path"] != other, other)
    return wanted


def suffixes(spec: DatasetSpec) -> list[str]:
    """Suffixes, without dots, that an item's file may have: the data set's; where files stay as published, any video's."""
    more = [suffix.removeprefix(".") for suffix in VIDEO_SUFFIXES] if spec.has_files else []
    lower = dict.fromkeys((*spec.item.ext, *more))
    return list(dict.fromkeys((*lower, *map(str.upper, lower)))) if spec.has_files else list(lower)


def file_rules(numbers: Sequence[str], said: str, *, timed: bool = True) -> list[Rule]:
    """Rules for any video file, with the columns ``wanted_path``, ``videos_with_these_bytes`` and ``disk``;
    ``numbers`` are at least 1. ``said``: how many files were read. ``timed``: they have a length in seconds.
    """
    facts = [
        Rule("clips.facts", BETWEEN, {"column": name, "min_value": 1}, name, show=(name, "source")) for name in numbers
    ]
    length = Rule("clips.facts", BETWEEN, {"column": "duration", "min_value": 0, "strict_min": True}, "duration",
                  show=("duration", "source"))  # fmt: skip
    return [
        *facts,
        *([length] if timed else []),
        Rule("clips.sha256", MATCH, {"column": "sha256", "regex": r"\A[0-9a-f]{64}\Z"}, show=("sha256", "source")),
        Rule("clips.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, show=("path", "wanted_path")),
        Rule("clips.on_disk", IN_SET, {"column": "disk", "value_set": [""]}, show=("path", "disk"), note=said),
        Rule("clips.duplicate_content", BETWEEN, {"column": "videos_with_these_bytes", "max_value": 1},
             show=("sha256", "source", "videos_with_these_bytes"), worst_by="videos_with_these_bytes"),
    ]  # fmt: skip


def same_bytes(clips: pd.DataFrame) -> pd.Series[int]:
    """Number of videos that have the same bytes as each file."""
    videos = pd.Series(1, index=clips.index)
    again = clips["sha256"].duplicated(keep=False)  # few, if all is well
    videos[again] = clips[again].groupby("sha256")["video_id"].transform("nunique").astype(int)
    return videos


def clip_suite(spec: DatasetSpec, run: RunTables, recorded: pd.DataFrame, data: DataRoot, params: GateParams) -> Suite:
    """Suite of the present clips, each with the whole window of its row."""
    tolerance = spec.recipe.duration_tolerance
    clips = pick(recorded, present(recorded))
    over = (clips["duration"] - (clips["end"] - clips["start"])).round(6)  # 10.3 - 10 is not 0.3 in binary
    clips["wanted_path"] = wanted_path(spec, "videos", clips)
    clips["seconds_over"] = over
    clips["videos_with_these_bytes"] = same_bytes(clips)
    looked = disk.look(clips, data.root, run.seed)
    clips["disk"] = looked.problems
    length = ("start", "end", "duration", "source")
    return Suite(
        "clips",
        clips,
        [
            *file_rules(("bytes", "frames", "width", "height"), looked.said),
            Rule("clips.longer", BETWEEN, {"column": "seconds_over", "max_value": tolerance}, show=length,
                 worst_by="seconds_over", block_share=share_of_several(params.long_error, len(clips))),
        ],
    )  # fmt: skip


def file_suite(spec: DatasetSpec, run: RunTables, recorded: pd.DataFrame, data: DataRoot) -> Suite:
    """Suite of the present items that are whole files: nothing says how long they should be."""
    files = pick(recorded, present(recorded))
    files["wanted_path"] = wanted_path(spec, "videos", files)
    files["videos_with_these_bytes"] = same_bytes(files)
    looked = disk.look(files, data.root, run.seed)
    files["disk"] = looked.problems
    rules = file_rules(("bytes", "frames", "width", "height"), looked.said)
    skipped = [(check, NO_WINDOW) for check in ("clips.longer", "clips.shorter")]
    return Suite("clips", files, rules, skipped=skipped)


def folder_suite(
    spec: DatasetSpec, run: RunTables, recorded: pd.DataFrame, data: DataRoot, params: GateParams
) -> Suite:
    """Suite of the present items that are folders of frames: both ends of all, every name of some, the contents of a few."""
    folders = pick(recorded, present(recorded))
    folders["wanted_path"] = wanted_path(spec, "rawframes", folders, suffixed=False)
    folders["videos_with_these_bytes"] = same_bytes(folders)
    looked = frame_folders.look(spec.item, folders, data.root, params.sample_folders, run.seed)
    contents = frame_folders.other_contents(spec.item, folders, data.root, run.seed)
    folders["disk"] = [
        one or two or three for one, two, three in zip(looked.gaps, looked.odd, contents.odd, strict=True)
    ]
    rules = file_rules(("bytes", "frames", "width", "height"), f"{looked.said} {contents.said}", timed=False)
    skipped = [(check, NO_WINDOW) for check in ("clips.longer", "clips.shorter")]
    return Suite("clips", folders, rules, skipped=skipped)


def shorter_suite(spec: DatasetSpec, recorded: pd.DataFrame, params: GateParams) -> Suite:
    """One row for each item whose source gave a duration: present clips, and those lost as too short.

    Clips that lack more than the tolerance are discarded when they are fetched, so that the loss is counted where it
    occurs.
    """
    lost = recorded["reason"] == str(Reason.TOO_SHORT)
    table = pick(recorded, present(recorded) | (lost & (recorded["status"] != REJECTED)))
    lacking = (table["end"] - table["start"] - table["duration"]).round(6)
    table["long_enough"] = (lacking <= spec.recipe.duration_tolerance) & (table["reason"] != str(Reason.TOO_SHORT))
    rule = Rule("clips.shorter", IN_SET, {"column": "long_enough", "value_set": [True]},
                show=("start", "end", "duration", "evidence"),
                block_share=share_of_several(params.short_error, len(table)))  # fmt: skip
    return Suite("shorter", table, [rule])


def height_suite(spec: DatasetSpec, run: RunTables, params: GateParams) -> Suite:
    """One row for each present clip for which a height was asked."""
    check = "clips.height"
    recorded = run.optional("recorded", ("item_id", "status", "width", "height", "asked_height", "source"))
    if recorded is None:
        return Suite(
            "height", pd.DataFrame(), skipped=[(check, "this run did not record the heights that it asked for")]
        )
    table = pick(recorded, present(recorded) & (recorded["asked_height"] > 0))
    if table.empty:
        return Suite("height", table, skipped=[(check, "no height was asked of any source")])
    table["high_enough"] = (
        table[["width", "height"]].min(axis=1) >= table["asked_height"]
    )  # the request is for the short side
    rule = Rule(check, IN_SET, {"column": "high_enough", "value_set": [True]}, max_share=params.low_warn,
                show=("width", "height", "asked_height", "source"))  # fmt: skip
    return Suite("height", table, [rule])
