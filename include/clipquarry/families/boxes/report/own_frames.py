"""Choice of the key frames of a person's own AVA that are drawn: boxes as they were labelled, or as a detector proposes them."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.report.data import Box, KeyFrame, Person
from clipquarry.families.boxes.report.key_frames import MAX_ACTIONS, MAX_PERSONS, WANTED, in_turns, rank, with_proposals
from clipquarry.families.boxes.report.tables import read_proposal_rows
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.files import inside
from clipquarry.media.frame_folder import frame_name
from clipquarry.report.aggregate import split_order

_TRIES = 200
_SECONDS_TRIED = 5
Key = tuple[str, int]
"""A crop's name and a second of it."""


def drawn_frames(
    spec: DatasetSpec, data: Path, folder: Path, keys: pa.Table, names: Mapping[int, str], *, labelled: bool
) -> tuple[KeyFrame, ...]:
    """Key frames to label whose frame is there. ``keys``: the run's key frames; ``names``: the actions'; ``labelled``: with labels."""
    frames = f"{spec.root}/{spec.layout['rawframes']}"
    keys = keys.filter(keys["labelled"])
    by_split: dict[str, list[KeyFrame]] = {}
    for split in sorted(pc.unique(keys["split"]).to_pylist(), key=split_order):
        chosen = _choose(keys.filter(pc.equal(keys["split"], split)), data, frames)
        by_split[split] = [KeyFrame(split, name, str(second), image, (), ()) for (name, second), image in chosen]
    wanted = in_turns(by_split)
    persons = _persons(OwnFiles(folder), {_key(one) for one in wanted}, names) if labelled else {}
    found = [
        KeyFrame(one.split, one.name, one.time, one.image, tuple(persons.get(_key(one), ())), ()) for one in wanted
    ]
    return tuple(_proposed(folder, found))


def _key(frame: KeyFrame) -> Key:
    return frame.name, int(frame.time)


def _choose(keys: pa.Table, data: Path, frames: str) -> list[tuple[Key, str]]:
    """One key frame of each crop, then another of each, with the paths of their frames."""
    names = heapq.nsmallest(_TRIES, pc.unique(keys["clip_id"]).to_pylist(), key=rank)
    crops = [_of_crop(keys.filter(pc.equal(keys["clip_id"], name)), name, data, frames) for name in names]
    chosen: list[tuple[Key, str]] = []
    while crops and len(chosen) < WANTED:
        next_ones = [(crop, next(crop, None)) for crop in crops]
        chosen += [one for _, one in next_ones if one is not None]
        crops = [crop for crop, one in next_ones if one is not None]
    return chosen[:WANTED]


def _of_crop(keys: pa.Table, name: str, data: Path, frames: str) -> Iterator[tuple[Key, str]]:
    rows = sorted(keys.select(["second", "frame"]).to_pylist(), key=lambda row: rank(f"{name},{row['second']}"))
    for row in rows[:_SECONDS_TRIED]:
        try:
            image = f"{frames}/{name}/{frame_name(row['frame'])}"
            path = inside(data, image)
            if path.is_file() and path.resolve().is_relative_to(data.resolve()):
                yield (name, row["second"]), image
        except (ClipquarryError, OSError):
            continue


def _persons(place: OwnFiles, wanted: Collection[Key], names: Mapping[int, str]) -> dict[Key, list[Person]]:
    """The labelled people of some key frames, by their ids."""
    found: dict[Key, dict[Box, list[str]]] = {}
    for key, box, action in _boxes(place.labels, wanted, "action"):
        found.setdefault(key, {}).setdefault(box, []).append(names.get(action, f"action {action}"))
    ids = {(key, box): person for key, box, person in _boxes(place.people, wanted, "person")}
    return {
        key: sorted(
            (Person(box, tuple(dict.fromkeys(said))[:MAX_ACTIONS], ids.get((key, box))) for box, said in boxes.items()),
            key=lambda one: (one.number is None, one.number or 0),
        )[:MAX_PERSONS]
        for key, boxes in found.items()
    }


def _boxes(path: Path, wanted: Collection[Key], column: str) -> Iterator[tuple[Key, Box, int]]:
    """The boxes of some key frames with a number of theirs; the csv is read in pieces. Nothing where it is damaged: who counts its rows
    tells that.
    """
    kinds = {
        "name": pa.string(), "second": pa.int32(), "x1": pa.float64(), "y1": pa.float64(), "x2": pa.float64(),
        "y2": pa.float64(), column: pa.int32(),
    }  # fmt: skip
    crops = pa.array(sorted({name for name, _ in wanted}), pa.string())
    options = pa_csv.ConvertOptions(column_types=kinds, include_columns=list(kinds))
    try:
        with pa_csv.open_csv(path, convert_options=options) as pieces:
            for piece in pieces:
                for row in piece.filter(pc.is_in(piece["name"], value_set=crops)).to_pylist():
                    if (key := (row["name"], row["second"])) in wanted:
                        yield key, (row["x1"], row["y1"], row["x2"], row["y2"]), row[column]
    except (OSError, pa.ArrowException):
        return


def _proposed(folder: Path, frames: list[KeyFrame]) -> Iterator[KeyFrame]:
    """The frames with what a detector proposes, where it does; a split's proposals are read once."""
    for split in dict.fromkeys(frame.split for frame in frames):
        of_split = [frame for frame in frames if frame.split == split]
        try:
            rows = read_proposal_rows(BoxFiles(folder).proposals(split))
        except (ClipquarryError, OSError):
            yield from of_split  # who counts the proposals tells it
            continue
        places = {name: place for place, name in enumerate(rows.videos)}
        for frame in of_split:
            mask = np.asarray((rows.video == places.get(frame.name, -1)) & (rows.second == int(frame.time)))
            yield with_proposals(frame, rows, mask)
