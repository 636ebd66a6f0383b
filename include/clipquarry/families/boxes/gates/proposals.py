"""The gate after the person proposals were made or fetched (A-I5, AK-I6), over the tables of the pickles' content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.gates import alignment
from clipquarry.families.boxes.gates.alignment import PUBLISHED
from clipquarry.families.boxes.gates.rows import BOX, FRAME_COLUMNS, read_frames
from clipquarry.families.boxes.options import boxes_options
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.ids import YOUTUBE_FORM
from clipquarry.quality.disk import file_problem
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.label_files import first_problem
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, among, distinct, pick, present
from clipquarry.settings import DataRoot

KEY: Final = rf"{YOUTUBE_FORM},[0-9]{{4,}}"
NEIGHBOURS: Final = 1
"""Seconds around an annotated one in which people are detected in AVA-Kinetics."""
OUTSIDE: Final = 0.01
"""How far a detector's box may reach over the frame in AVA-Kinetics; AVA's reader stops at any."""
NO_SCORE: Final = -1.0
PROPOSAL_COLUMNS = ("key", "video_id", "second", *BOX, "score")
_TRUE: Final = [True]


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``proposals``."""
    ava = boxes_options(spec).items == "videos"
    wanted = _labelled(run, params, ava=ava)
    place = BoxFiles(run.run_dir)
    made = place.proposal_splits()
    told = {split: run.json(place.proposal_facts(split)) for split in made}
    yield files_suite(data, sorted({*made, *wanted}), told)
    yield usable_suite(run, told, wanted)
    yield _first_seen(told)
    for split in made:
        boxes = run.plain(place.proposals(split), PROPOSAL_COLUMNS)
        keys = distinct(boxes[["key", "video_id", "second"]], "key")
        keys.insert(0, "item_id", f"{split}/" + keys["key"])
        frames = wanted.get(split, _none())
        yield counts_suite(split, told[split], keys, boxes)
        yield rejected_suite(run, split, keys, params)
        yield boxes_suite(spec, split, boxes, params, published=told[split].get("source") == PUBLISHED, ava=ava)
        looked_at = frames if ava else _looked_at(run, split, frames)
        yield _keys(run, split, keys, looked_at, ava=ava)
        if ava:
            why = "published proposals, and a detector's of AVA, have other keys"
            yield Suite(f"three_{split}", keys, skipped=[("proposals.three_keys", why)])
        else:
            yield _three(split, keys, looked_at)
        yield coverage_suite(split, keys, frames, params)
        if split in wanted:
            rows = run.plain(_labels(run, split, ava=ava), ("video_id", "second", *BOX))
            rows["video_id"] = rows["video_id"].str.slice(0, 11)
            source = str(told[split].get("source", ""))
            yield from alignment.suites(split, rows, frames, boxes, source, params, run.seed)


def _none() -> pd.DataFrame:
    return pd.DataFrame(
        {"item_id": pd.Series(dtype="str"), "video_id": pd.Series(dtype="str"), "second": pd.Series(dtype="int64")}
    )


def key_of(table: pd.DataFrame) -> pd.Series[str]:
    """``0f39OWEqJ24,0902``."""
    return table["video_id"] + "," + table["second"].astype(str).str.zfill(4)


def _distinct(split: str, frames: pd.DataFrame) -> pd.DataFrame:
    """``item_id, video_id, second`` of the key seconds, each once; a clip's name begins with its video's id."""
    frames = frames[["video_id", "second"]].assign(video_id=frames["video_id"].str.slice(0, 11))
    frames = distinct(frames, "video_id", "second")
    frames.insert(0, "item_id", f"{split}/" + key_of(frames))
    return frames


def _labels(run: RunTables, split: str, *, ava: bool) -> Path:
    """The table of labelled boxes for which people are proposed."""
    place = BoxFiles(run.run_dir)
    return place.annotated(split, "boxes") if ava else place.prepared(split)


def _labelled(run: RunTables, params: GateParams, *, ava: bool) -> dict[str, pd.DataFrame]:
    """Key seconds with boxes by split, of videos with frames; the others need no proposals."""
    found: dict[str, pd.DataFrame] = {}
    there = None
    if ava and run.place.recorded.exists():
        recorded = run.load("recorded", ("item_id", "status"))
        made = run.shards("excerpt", ("item_id", "status"))  # none of a video that ends before its section begins
        there = recorded.loc[
            present(recorded) & ~among(recorded["item_id"], made.loc[~present(made), "item_id"]), "item_id"
        ]
    place = BoxFiles(run.run_dir)
    for split in place.annotated_splits() if ava else place.prepared_splits():
        if params.splits is not None and split not in params.splits:
            continue
        frames = _distinct(split, run.plain(_labels(run, split, ava=ava), FRAME_COLUMNS))
        if frames.empty:
            continue
        if there is not None:
            frames = pick(frames, among(f"{split}/" + frames["video_id"], there))
        if ava:
            frames = pick(frames, ~among(key_of(frames), key_of(read_frames(run, place.annotated(split, "excluded")))))
        found[split] = frames
    return found


def _looked_at(run: RunTables, split: str, labelled: pd.DataFrame) -> pd.DataFrame:
    """In AVA-Kinetics: key seconds with boxes and, outside train, those without."""
    others = read_frames(run, BoxFiles(run.run_dir).prepared(split, "key_frames"))
    return _distinct(split, pd.concat([labelled[["video_id", "second"]], others], ignore_index=True))


def files_suite(data: DataRoot, splits: list[str], told: dict[str, dict[str, object]]) -> Suite:
    """One row for each split that is annotated or has proposals."""
    problems = []
    for split in splits:
        about = told.get(split, {})
        path = str(about.get("path", ""))
        problem = file_problem(data, path, str(about.get("sha256", ""))) if path else "none was made"
        problems.append(f"'{path}': {problem}" if path and problem else problem)
    table = pd.DataFrame({"item_id": [f"{split}/proposals" for split in splits], "problem": problems}, dtype="str")
    return Suite(
        "files", table, [Rule("proposals.file", IN_SET, {"column": "problem", "value_set": [""]}, show=("problem",))]
    )


def usable_suite(run: RunTables, told: dict[str, dict[str, object]], wanted: dict[str, pd.DataFrame]) -> Suite:
    """One row for each split with proposals: a file that is refused as a whole is reported once."""
    problems, place = [], BoxFiles(run.run_dir)
    for split, numbers in told.items():
        bad = run.json(place.rejected_proposals(split))
        reasons = Counter(str(reason).partition(" (")[0] for reason in bad.values())
        problem = ""
        if not int(str(numbers.get("keys", 0))) and reasons:
            (reason, rows), total = reasons.most_common(1)[0], reasons.total()
            problem = f"none of its {total:,} keys can be used, {rows:,} of them because {reason}"
        elif not int(str(numbers.get("keys", 0))) and len(wanted.get(split, _none())):
            problem = "it holds no key at all"
        problems.append(problem)
    table = pd.DataFrame({"item_id": [f"{split}/proposals" for split in told], "problem": problems}, dtype="str")
    note = " ".join(f"{split}: {problem}." for split, problem in zip(told, problems, strict=True) if problem)
    rule = Rule("proposals.usable", IN_SET, {"column": "problem", "value_set": [""]}, show=("problem",), note=note)
    return Suite("usable", table, [rule])


def _first_seen(told: dict[str, dict[str, object]]) -> Suite:
    """One row for each published file: whether it is the one that was first seen under this name."""
    published = {str(about["path"]): about for about in told.values() if "first" in about}
    if not published:
        return Suite("pins", pd.DataFrame(), skipped=[("proposals.changed", "these proposals were not published")])
    problems = [first_problem(about) for about in published.values()]
    table = pd.DataFrame({"item_id": list(published), "problem": problems}, dtype="str")
    rule = Rule("proposals.changed", IN_SET, {"column": "problem", "value_set": [""]}, show=("problem",))
    return Suite("pins", table, [rule])


def counts_suite(split: str, told: dict[str, object], keys: pd.DataFrame, boxes: pd.DataFrame) -> Suite:
    table = pd.DataFrame(
        {
            "item_id": [f"{split}/keys", f"{split}/boxes"],
            "found": [len(keys), len(boxes)],
            "told": [int(str(told.get(name, -1))) for name in ("keys", "boxes")],
        }
    )
    rule = Rule("proposals.count", EQUAL, {"column_A": "found", "column_B": "told"}, split, show=("found", "told"))
    return Suite(f"counts_{split}", table, [rule])


def rejected_suite(run: RunTables, split: str, keys: pd.DataFrame, params: GateParams) -> Suite:
    """One row for each key, with the reason if it was rejected."""
    bad = run.json(BoxFiles(run.run_dir).rejected_proposals(split))
    rejected = pd.DataFrame(
        {
            "item_id": [f"{split}/{key}" for key in bad],
            "reason": [str(reason) or "no reason" for reason in bad.values()],
        },
        dtype="str",
    )
    table = pd.concat([rejected, keys[["item_id"]].assign(reason="")], ignore_index=True)
    rule = Rule("proposals.rejected", IN_SET, {"column": "reason", "value_set": [""]}, split, show=("reason",),
                block_share=params.rejected_error)  # fmt: skip
    return Suite(f"rejected_{split}", table, [rule])


def boxes_suite(
    spec: DatasetSpec, split: str, boxes: pd.DataFrame, params: GateParams, *, published: bool, ava: bool
) -> Suite:
    """Every proposed box."""
    reach = 0.0 if ava else OUTSIDE
    fine = (boxes["x1"] < boxes["x2"]) & (boxes["y1"] < boxes["y2"])
    for name in BOX:
        fine &= boxes[name].between(-reach, 1 + reach)
    score = boxes["score"]
    threshold = params.proposal_score if params.proposal_score is not None else boxes_options(spec).detection.score
    # Files without scores are legal. Our detectors keep boxes above their threshold; the published one kept all.
    scored = (score == NO_SCORE) | score.between(0, 1) if published else (score > threshold) & (score <= 1)
    table = boxes.assign(inside=fine, scored=scored)
    return Suite(
        f"boxes_{split}",
        table,
        [
            Rule("proposals.box", IN_SET, {"column": "inside", "value_set": _TRUE}, split, show=BOX),
            Rule("proposals.score", IN_SET, {"column": "scored", "value_set": _TRUE}, split, show=("score",)),
        ],
        named=lambda rows: f"{split}/" + rows["key"],
    )


def _keys(run: RunTables, split: str, keys: pd.DataFrame, frames: pd.DataFrame, *, ava: bool) -> Suite:
    """Every key: its form, and its annotated second."""
    keys["right"] = keys["key"].str.fullmatch(KEY) & (keys["key"] == key_of(keys))
    if ava:
        catalog = run.load("catalog", ("video_id", "start", "end")).drop_duplicates("video_id").set_index("video_id")
        # Without any key the result would be texts.
        start, end = (pd.to_numeric(keys["video_id"].map(catalog[name])).fillna(-1) for name in ("start", "end"))
        keys["known"] = (start <= keys["second"]) & (keys["second"] < end)
    else:
        near = [frames.assign(second=frames["second"] + step) for step in range(-NEIGHBOURS, NEIGHBOURS + 1)]
        keys["known"] = among(keys["key"], pd.concat([key_of(some) for some in near]))
    return Suite(
        f"keys_{split}",
        keys,
        [
            Rule("proposals.key", IN_SET, {"column": "right", "value_set": _TRUE}, split, show=("video_id", "second")),
            Rule(
                "proposals.known", IN_SET, {"column": "known", "value_set": _TRUE}, split, show=("video_id", "second")
            ),
        ],
    )


def _three(split: str, keys: pd.DataFrame, frames: pd.DataFrame) -> Suite:
    """One row about the whole split."""
    most = (2 * NEIGHBOURS + 1) * len(frames)
    table = pd.DataFrame(
        {
            "item_id": [f"{split}/keys"],
            "keys": [len(keys)],
            "annotated": [len(frames)],
            "too_many": [max(0, len(keys) - most)],
        }
    )
    rule = Rule(
        "proposals.three_keys", BETWEEN, {"column": "too_many", "max_value": 0}, split, show=("keys", "annotated")
    )
    return Suite(f"three_{split}", table, [rule])


def coverage_suite(split: str, keys: pd.DataFrame, frames: pd.DataFrame, params: GateParams) -> Suite:
    """One row for each annotated key second."""
    frames = frames.assign(proposed=among(frames["item_id"], keys["item_id"]))
    rule = Rule(
        "proposals.coverage", IN_SET, {"column": "proposed", "value_set": _TRUE}, split,
        max_share=round(1 - params.proposal_coverage_warn, 9), block_share=round(1 - params.proposal_coverage_error, 9),
    )  # fmt: skip
    return Suite(f"coverage_{split}", frames, [rule])
