"""Comparison of labelled persons with proposals: how many are met, and whether a change of the labels would meet
more.

A person detector finds most of the labelled people. If far more would be found after a change of the labelled boxes
(mirrored, turned, seconds away), the labels (or the proposals) are wrong in just that way. Correct labels only lose
by a change, however good the detector is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from clipquarry.families.boxes.gates.rows import BOX
from clipquarry.overlap import NOT_FOUND, Floats, Keys, best_scores
from clipquarry.quality.engine import IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import has

MAX_PERSONS: Final = 100_000
"""Labelled persons to compare; of more, a sample of key frames is used."""
ENOUGH: Final = 50
"""Fewer persons say nothing about the recall of a split."""
ENOUGH_IN_VIDEO: Final = 20
MIN_GAIN: Final = 5
"""Additional persons that a change must find; and :data:`MIN_SHARE` of all, and three times what chance explains."""
MIN_SHARE: Final = 0.1
_SIGMAS: Final = 3
LOW: Final = 0.25
"""A video's recall is low below this share of its split's."""
PUBLISHED: Final = "FAIR"
"""The ``source`` of proposals that none of our detectors made."""
_SECONDS: Final = 10_000_000

Change = Callable[[Floats], Floats]


def _picked(*order: int) -> Change:
    return lambda boxes: boxes[:, list(order)]


def _mirrored(boxes: Floats) -> Floats:
    return np.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], axis=1)


def _upside_down(boxes: Floats) -> Floats:
    return np.stack([boxes[:, 0], 1 - boxes[:, 3], boxes[:, 2], 1 - boxes[:, 1]], axis=1)


def _with_size(boxes: Floats) -> Floats:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


_SWAPPED = _picked(1, 0, 3, 2)
CHANGES: Final[dict[str, Change]] = {
    "x and y exchanged": _SWAPPED,
    "mirrored left to right": _mirrored,
    "upside down": _upside_down,
    "turned by 180 degrees": lambda boxes: _upside_down(_mirrored(boxes)),
    "turned by 90 degrees": lambda boxes: _mirrored(_SWAPPED(boxes)),
    "turned by 270 degrees": lambda boxes: _upside_down(_SWAPPED(boxes)),
    "width and height in place of the second corner": _with_size,
}
"""What the labelled boxes may be, and how they are set right."""
SHIFTS: Final = {f"{abs(by)} s too {'late' if by < 0 else 'early'}": by for by in (-2, -1, 1, 2)}
"""What the labelled seconds may be, and the seconds that set them right."""


@dataclass(frozen=True)
class _Persons:
    """Distinct labelled persons (N) whose key frame has proposals, and all proposals, ascending by key."""

    keys: Keys
    boxes: Floats
    proposal_keys: Keys
    proposals: Floats
    videos: pd.Index

    def met(self, boxes: Floats, shift: int = 0) -> npt.NDArray[np.bool_]:
        scores = np.zeros(len(self.proposal_keys))
        best = best_scores(self.keys + shift, boxes, self.proposal_keys, self.proposals, scores)
        result: npt.NDArray[np.bool_] = best > NOT_FOUND
        return result

    def has_key(self, shift: int) -> npt.NDArray[np.bool_]:
        return has(self.proposal_keys, self.keys + shift)


def suites(
    split: str,
    rows: pd.DataFrame,
    frames: pd.DataFrame,
    proposals: pd.DataFrame,
    source: str,
    params: GateParams,
    seed: str,
) -> Iterator[Suite]:
    """Recall of a split and of each of its videos, and whether a change of the labels would raise it.

    ``rows``: labelled boxes (``video_id, second`` and corners). ``frames``: the key seconds (``video_id, second``)
    whose proposals are wanted. ``proposals``: as ``rows``. ``source``: ``FAIR``, or the detector.
    """
    persons = _persons(rows, frames, proposals, seed)
    met = persons.met(persons.boxes)
    said = f"{len(met):,} labelled persons were compared, on key frames with a proposal."
    yield _recall(split, persons, met, source, params, said)
    video = persons.keys // _SECONDS
    yield _video_recall(split, persons, video, met)
    gains = _Gains(video, len(persons.videos))
    for name, change in CHANGES.items():
        gains.add(f"boxes are {name}", met, persons.met(change(persons.boxes)))
    for name, by in SHIFTS.items():
        both = persons.has_key(by)
        gains.add(f"seconds are {name}", met & both, persons.met(persons.boxes, by) & both)
    yield _aligned(split, persons, gains, params, said)


def _persons(rows: pd.DataFrame, frames: pd.DataFrame, proposals: pd.DataFrame, seed: str) -> _Persons:
    videos = pd.Index(proposals["video_id"].unique())

    def keys(table: pd.DataFrame) -> Keys:
        """-1 for a video without proposals."""
        code = videos.get_indexer(table["video_id"])
        return np.asarray(np.where(code < 0, -1, code * _SECONDS + table["second"].to_numpy()), dtype=np.int64)

    theirs = keys(proposals)
    order = np.argsort(theirs, kind="stable")
    ours = keys(frames)
    wanted = np.sort(pd.unique(ours[has(theirs[order], ours)]))
    if len(wanted) and len(rows) > MAX_PERSONS:
        some = max(1, int(len(wanted) * MAX_PERSONS / len(rows)))
        wanted = np.sort(np.random.default_rng(zlib.crc32(seed.encode())).choice(wanted, some, replace=False))
    own = keys(rows)
    chosen = has(wanted, own)
    table = pd.DataFrame(
        {"key": own[chosen], **{name: rows[name].to_numpy()[chosen] for name in BOX}}
    ).drop_duplicates()
    boxes = table[list(BOX)].to_numpy(dtype=np.float64)
    return _Persons(
        table["key"].to_numpy(), boxes, theirs[order], proposals[list(BOX)].to_numpy(dtype=np.float64)[order], videos
    )


def _recall(
    split: str, persons: _Persons, met: npt.NDArray[np.bool_], source: str, params: GateParams, said: str
) -> Suite:
    """One row for each labelled person."""
    check = "proposals.recall"
    if source == "hog":
        return Suite(
            f"recall_{split}", pd.DataFrame(), skipped=[(check, "hog is for trying out, and finds few of the people")]
        )
    if len(met) < ENOUGH:
        why = f"{len(met)} labelled persons on key frames with a proposal are too few"
        return Suite(f"recall_{split}", pd.DataFrame(), skipped=[(check, why)])
    names = persons.videos.to_numpy()[persons.keys // _SECONDS]
    seconds = pd.Series(persons.keys % _SECONDS).astype(str).str.zfill(4).to_numpy()
    table = pd.DataFrame(
        {"item_id": f"{split}/" + pd.Series(names, dtype="str") + "," + pd.Series(seconds, dtype="str")}
    )
    for at, name in enumerate(BOX):
        table[name] = persons.boxes[:, at]
    table["met"] = met
    published = source == PUBLISHED
    warn, error = (
        (params.recall_warn, params.recall_error) if published else (params.own_recall_warn, params.own_recall_error)
    )
    rule = Rule(
        check, IN_SET, {"column": "met", "value_set": [True]}, split, show=BOX, note=said,
        max_share=round(1 - warn, 9), block_share=round(1 - error, 9),
    )  # fmt: skip
    return Suite(f"recall_{split}", table, [rule])


def _video_recall(split: str, persons: _Persons, video: Keys, met: npt.NDArray[np.bool_]) -> Suite:
    """One row for each video with enough persons."""
    many = np.bincount(video, minlength=len(persons.videos))
    found = np.bincount(video, weights=met, minlength=len(persons.videos))
    some = np.flatnonzero(many >= ENOUGH_IN_VIDEO)
    table = pd.DataFrame(
        {
            "item_id": f"{split}/" + pd.Series(persons.videos.to_numpy()[some], dtype="str"),
            "persons": many[some],
            "recall": np.round(found[some] / many[some], 3),
        }
    )
    least = LOW * float(met.mean()) if len(met) else 0.0
    table["enough"] = table["recall"] >= least
    rule = Rule("proposals.video_recall", IN_SET, {"column": "enough", "value_set": [True]}, split,
                show=("persons", "recall"))  # fmt: skip
    return Suite(f"video_recall_{split}", table, [rule])


class _Gains:
    """By video (the last place: all videos), the change that would find most additional persons, and their number."""

    def __init__(self, video: Keys, videos: int) -> None:
        self._video, self._videos = video, videos
        self.persons = self._counted(np.ones(len(video)))
        self.best = np.zeros(videos + 1)
        self.what = np.full(videos + 1, "", dtype=object)

    def _counted(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        by_video = np.bincount(self._video, weights=weights, minlength=self._videos)
        return np.append(by_video, by_video.sum())

    def add(self, what: str, met: npt.NDArray[np.bool_], changed: npt.NDArray[np.bool_]) -> None:
        more, fewer = (self._counted(mask.astype(np.float64)) for mask in (changed & ~met, met & ~changed))
        gain = more - fewer
        clear = (gain >= MIN_GAIN) & (gain >= MIN_SHARE * self.persons) & (gain > _SIGMAS * np.sqrt(more + fewer))
        better = clear & (gain > self.best)
        self.best[better], self.what[better] = gain[better], what


def _aligned(split: str, persons: _Persons, gains: _Gains, params: GateParams, said: str) -> Suite:
    """One row for each video, and one for all; ``seems``: what the labels seem to be."""
    some = np.flatnonzero(gains.persons > 0)
    names = np.append(persons.videos.to_numpy(dtype=object), "all")[some]
    table = pd.DataFrame(
        {
            "item_id": f"{split}/" + pd.Series(names, dtype="str"),
            "seems": pd.Series(gains.what[some], dtype="str"),
            "persons": gains.persons[some].astype(np.int64),
            "more_found": gains.best[some].astype(np.int64),
        }
    )
    # A split that is wrong as a whole blocks, even if few of its videos have enough persons to decide.
    share = 0.0 if gains.what[-1] else params.misaligned_error
    rule = Rule("proposals.aligned", IN_SET, {"column": "seems", "value_set": [""]}, split, worst_by="more_found",
                show=("seems", "persons", "more_found"), block_share=share, note=said)  # fmt: skip
    return Suite(f"aligned_{split}", table, [rule])
