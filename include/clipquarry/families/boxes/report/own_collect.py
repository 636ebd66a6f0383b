"""Collection of the section "Boxes" of a person's own AVA, from the tables in a run's folder.

Each table stands alone: an absent or damaged one is named, and the rest is shown. Of the rows of labels only whole numbers are
held, a few bytes a box.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.boxes.own.counts import (
    ACTION_COLUMNS,
    BY_ONE,
    LABELLED,
    TO_SETTLE,
    WAITING,
    WRONG,
    CropLabels,
)
from clipquarry.families.boxes.own.label_page import PROJECT
from clipquarry.families.boxes.own.margins import labelled_keys
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.report.collect import per_key_frame
from clipquarry.families.boxes.report.own_data import (
    OwnAction,
    OwnActionAgreement,
    OwnAgreement,
    OwnBoxes,
    OwnProposals,
    OwnSplit,
)
from clipquarry.families.boxes.report.own_frames import drawn_frames
from clipquarry.families.boxes.report.own_words import advice, balance, next_steps
from clipquarry.families.boxes.report.tables import read_proposal_rows
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.files import read_json
from clipquarry.manifest import read_table
from clipquarry.reasons import Status
from clipquarry.report.aggregate import split_order
from clipquarry.report.text import clean
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot

WRONG_ROWS, FOLDERS = 50, 20
"""Rows of what is wrong, and folders to label, on the page."""
_STATES = {LABELLED: "labelled", WAITING: "waiting", WRONG: "wrong", BY_ONE: "by_one", TO_SETTLE: "to_settle"}
_READ = ("splits", "frames", "fps", "first_key", "margin", "proposals", "labels", "annotators", "val_is_train")
_BOX = ("x1", "y1", "x2", "y2")
_NO_STATES: tuple[CropLabels, ...] = ()
_NO_PROBLEMS: tuple[tuple[str, str], ...] = ()
_NO_ACTIONS: tuple[OwnAction, ...] = ()
_Kind = TypeVar("_Kind")


@dataclass
class _Tables:
    """The reader of a run's tables: what it cannot read stands in ``problems``."""

    place: OwnFiles
    problems: list[str] = field(default_factory=list)

    def read(self, path: Path, how: Callable[[Path], _Kind], otherwise: _Kind, absent: str = "") -> _Kind:
        """``otherwise`` for an absent file, of which ``absent`` is told, and for a damaged one."""
        try:
            return how(path)
        except FileNotFoundError:
            if absent:
                self.problems.append(f"{path.name} is not there: {absent}")
        except (ClipquarryError, OSError, KeyError, TypeError, ValueError, csv.Error, pa.ArrowException) as error:
            said = str(error) if isinstance(error, ClipquarryError) else f"({type(error).__name__})"
            self.problems.append(f"{path.name} cannot be read: {said}")
        return otherwise


def collect_own(spec: DatasetSpec, data: Path, folder: Path, params: Mapping[str, Any]) -> OwnBoxes | None:
    """The section of the run in ``folder``; ``data`` is the data root. None for a run that read no list of crops."""
    place, tables = OwnFiles(folder), _Tables(OwnFiles(folder))
    if not place.crops.exists():
        return None
    chosen = _params(params, tables)
    splits = {one: OwnSplit(one) for one in spec.splits if one in (chosen.splits or spec.splits)}
    tables.read(RunFolder(folder).catalog, lambda path: _wanted(path, chosen, splits), None)
    keys = tables.read(place.key_frames, _key_frames, None, "the stage “key_frames” has not run (yet).")
    states = tables.read(place.label_crops, _states, _NO_STATES)
    _crops(splits, keys, states)
    actions = tables.read(place.labels_per_action, _actions, _NO_ACTIONS)
    for split, one in splits.items():
        splits[split] = replace(one, labels=sum(action.splits.get(split, 0) for action in actions))
    splits = {name: one for name, one in splits.items() if one.crops or one.there}
    whole = bool(states) and all(row.state == LABELLED for row in states)
    persons, bare = None, sum(one.bare for one in splits.values())
    if whole:
        persons = tables.read(
            place.labels, lambda path: per_key_frame([_persons(path), np.zeros(bare, np.int64)]), None
        )
    wrong = tables.read(place.label_problems, _wrong, _NO_PROBLEMS)
    left = [row.name for row in states if row.state == WAITING]
    names = {action.number: action.name for action in actions}
    found = OwnBoxes(
        splits=tuple(splits[name] for name in sorted(splits, key=split_order)),
        actions=actions,
        per_key_frame=persons,
        ids=tables.read(place.people, _ids, {}) if whole else {},
        untracked=tables.read(place.untracked, _untracked, _NO_PROBLEMS)[:FOLDERS] if whole else (),
        wrong=wrong[:WRONG_ROWS],
        more_wrong=max(0, len(wrong) - WRONG_ROWS),
        looked_at=tables.read(BoxFiles(folder).detection_needed, lambda path: len(read_json(path)["needed"]), None),
        proposals=tuple(
            told
            for split, one in splits.items()
            if chosen.detects and (told := _proposals(folder, split, one.frames, tables)) is not None
        ),
        to_do=tuple(f"{spec.root}/{MIDDLE}/{name}" for name in left[:FOLDERS] if chosen.annotators == 1),
        key_frames=drawn_frames(spec, data, folder, keys, names, labelled=whole) if keys is not None else (),
        asked=chosen.labels,
        page=DataRoot(data).labelling(spec.name, PROJECT).is_dir(),
        problems=(),
        annotators=chosen.annotators,
        agreement=tables.read(place.agreement, _agreement, None),
        set_aside=tables.read(place.set_aside, _set_aside, (0, 0)),
    )
    used = [one.split for one in found.splits]
    found = replace(
        found,
        problems=tuple(clean(problem, 300) for problem in tables.problems),
        balance=balance(actions),
        advice=tuple(advice(actions, used, copied=chosen.val_is_train)),
    )
    return replace(found, next_steps=tuple(next_steps(found, spec.name)))


def _params(params: Mapping[str, Any], tables: _Tables) -> CropsParams:
    known = {name: value for name, value in params.items() if name in _READ}
    try:
        return CropsParams.model_validate(known)
    except ValueError:
        tables.problems.append("The parameters of the run cannot be read: those of a plain run are taken here.")
        return CropsParams()


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, strict=True))


def _states(path: Path) -> tuple[CropLabels, ...]:
    return tuple(
        CropLabels(
            row["name"], row["split"], _known(row["state"]), int(row["key_frames"]), int(row["with_labels"]),
            int(row["boxes"]), int(row["without_action"]),
        )
        for row in _rows(path)
    )  # fmt: skip


def _known(state: str) -> str:
    if state not in _STATES:
        raise ValueError(state)
    return state


def _reasons(path: Path, what: str) -> tuple[tuple[str, str], ...]:
    """What a table names in its column ``what``, and why."""
    return tuple((clean(row[what], 200), clean(row["why"], 300)) for row in _rows(path))


def _wrong(path: Path) -> tuple[tuple[str, str], ...]:
    return _reasons(path, "where")


def _set_aside(path: Path) -> tuple[int, int]:
    rows = _rows(path)
    return len(rows), len({row["name"] for row in rows})


def _untracked(path: Path) -> tuple[tuple[str, str], ...]:
    return _reasons(path, "name")


def _wanted(path: Path, chosen: CropsParams, splits: dict[str, OwnSplit]) -> None:
    """Count the crops of the list, and the key frames that it promises."""
    table = read_table(path, ["split", "status", "start", "end"])
    for row in table.filter(pc.equal(table["status"], str(Status.DONE))).to_pylist():
        if (one := splits.get(row["split"])) is None:
            continue
        labelled = labelled_keys(row["end"] - row["start"], chosen)
        splits[one.split] = replace(one, crops=one.crops + 1, wanted_frames=one.wanted_frames + labelled)


def _key_frames(path: Path) -> pa.Table:
    return read_table(path, ["clip_id", "split", "second", "frame", "labelled"])


def _crops(splits: dict[str, OwnSplit], keys: pa.Table | None, states: Sequence[CropLabels]) -> None:
    """Count the crops and key frames that are there, and what came of them."""
    if keys is not None:
        crops = keys.group_by(["split", "clip_id"]).aggregate([("labelled", "sum")])
        for row in crops.to_pylist():
            if (one := splits.get(row["split"])) is not None:
                frames = int(row["labelled_sum"] or 0)
                splits[one.split] = replace(one, there=one.there + 1, frames=one.frames + frames)
    if not states:  # nobody has read labels
        splits.update({name: replace(one, waiting=one.there, left=one.frames) for name, one in splits.items()})
    for state in states:
        if (one := splits.get(state.split)) is None:
            continue
        without = state.key_frames - state.with_labels
        counted = _STATES[state.state]
        splits[one.split] = replace(
            one,
            **{counted: getattr(one, counted) + 1},
            with_labels=one.with_labels + state.with_labels,
            bare=one.bare + (without if counted == "labelled" else 0),
            left=one.left + (0 if counted == "labelled" else without),
            boxes=one.boxes + state.boxes,
            without_action=one.without_action + state.without_action,
        )


def _actions(path: Path) -> tuple[OwnAction, ...]:
    found = []
    for row in _rows(path):
        counts = {name: int(value) for name, value in row.items() if name not in ACTION_COLUMNS}
        found.append(OwnAction(int(row["action"]), row["group"], row["name"], counts))
    return tuple(found)


def _agreement(path: Path) -> OwnAgreement | None:
    rows = _rows(path)
    if not rows:
        return None
    actions = (
        OwnActionAgreement(
            row["group"], row["name"], int(row["both"]), int(row["first_only"]), int(row["second_only"]), int(row["neither"]),
            float(row["agreed"]) if row["agreed"] else None, float(row["kappa"]) if row["kappa"] else None,
        )
        for row in rows
    )  # fmt: skip
    clips, boxes, alone = (int(rows[0][name]) for name in ("clips", "boxes", "boxes_of_one"))
    return OwnAgreement(clips, boxes, alone, tuple(actions))


def _persons(path: Path) -> npt.NDArray[np.int64]:
    """How many labelled people each key frame has that has any."""
    kinds = {"name": pa.string(), "second": pa.int32(), **dict.fromkeys(_BOX, pa.float64())}
    table = pa_csv.read_csv(
        path, convert_options=pa_csv.ConvertOptions(column_types=kinds, include_columns=list(kinds))
    )
    boxes = table.group_by(list(kinds)).aggregate([])
    counts = boxes.group_by(["name", "second"]).aggregate([([], "count_all")])
    return np.asarray(counts["count_all"].to_numpy(), dtype=np.int64)


def _ids(path: Path) -> dict[str, int]:
    table = pa_csv.read_csv(
        path, convert_options=pa_csv.ConvertOptions(column_types={"source": pa.string()}, include_columns=["source"])
    )
    counts = {str(one["values"].as_py()): int(one["counts"].as_py()) for one in pc.value_counts(table["source"])}
    return {clean(name, 60): counts[name] for name in sorted(counts, key=lambda one: (-counts[one], one))}


def _proposals(folder: Path, split: str, frames: int, tables: _Tables) -> OwnProposals | None:
    place = BoxFiles(folder)
    rows = tables.read(place.proposals(split), read_proposal_rows, None)
    if rows is None:
        return None
    told: object = tables.read(place.proposal_facts(split), read_json, None)
    source = str(told.get("source", "")) if isinstance(told, dict) else ""
    some = len(np.unique(rows.video.astype(np.int64) << 32 | rows.second))
    return OwnProposals(split, clean(source, 80), some, max(0, frames - some), len(rows))
