"""Ids of labelled people: joined with a tracker's by overlap, one to one, and completed so that nobody is without.

Source: ``train_temp.py`` and ``train.py`` of Whiffe/Custom-ava-dataset_Custom-Spatio-Temporally-Action-Video-Dataset. Its join
is :func:`reference_join`; its repair, which tears people apart, is replaced by the rules of :func:`complete`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.own_ava.label_rows import Box, LabelRow
from clipquarry.errors import UserError

TOLERANCE = 0.005
"""Fractions of the frame below which a coordinate counts as the same."""
IOU = 0.5
NOBODY = -1
_FAR = 1e6
Source = Literal["tracker", "page", "taken over", "new"]
Floats = npt.NDArray[np.float64]


class Track(NamedTuple):
    """A person whom a tracker saw in a key second (from 0): box in fractions of the frame, ``person`` from 1."""

    video: str
    second: int
    box: tuple[float, float, float, float]
    person: int


class Person(NamedTuple):
    """A box of a key second and where its id (from 0) comes from.

    ``tracker``: a track; ``page``: a person who labelled said so; ``taken over``: an unmatched person of the key second ``from_second``; ``new``: nobody before.
    ``overlap`` is the IoU with what it was taken from, 0 for new ones.
    """

    video: str
    second: int
    box: Box
    person: int
    source: Source
    overlap: float = 0.0
    from_second: int = NOBODY


class PersonRow(NamedTuple):
    """A row of labels with the person's id, from 0."""

    row: LabelRow
    person: int

    def fields(self) -> list[str]:
        """The eight texts of its line."""
        return [*self.row.fields(), str(self.person)]


class Identified(NamedTuple):
    """Rows in their order with ids, and the table of the people: one a box of a key second."""

    rows: list[PersonRow]
    people: list[Person]


def same_box(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether each coordinate differs by less than :data:`TOLERANCE`, compared as upstream does."""
    return all(abs(a - b) < TOLERANCE for a, b in zip(one, other, strict=True))


def overlaps(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> Floats:
    """IoU of all pairs, (N, M), of boxes ``x1, y1, x2, y2``."""
    a = np.array(one, dtype=np.float64).reshape(-1, 1, 4)
    b = np.array(other, dtype=np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = np.prod(np.maximum(sides, 0), axis=-1)
    areas = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1)
    result: Floats = both / np.maximum(areas - both, 1e-12)
    return result


def one_to_one(scores: Floats, least: float) -> list[tuple[int, int]]:
    """Pairs (row, column) with scores of ``least`` or more: as many as possible, then the greatest sum of scores."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    if not scores.size:
        return []
    allowed = scores >= least
    chosen = linear_sum_assignment(np.where(allowed, -scores, _FAR))
    return [(int(row), int(column)) for row, column in zip(*chosen, strict=True) if allowed[row, column]]


@dataclass
class _Seen:
    """A person of a key second while ids are given: the first box of its rows."""

    box: Box
    person: int = NOBODY
    source: Source = "new"
    overlap: float = 0.0
    from_second: int = NOBODY


_Groups = dict[str, dict[int, list[_Seen]]]


def _grouped(
    rows: Sequence[LabelRow], given: Sequence[int] | None, source: Source = "tracker"
) -> tuple[_Groups, list[_Seen]]:
    """The people of each video and second, and each row's. Boxes that are the same within the tolerance are one person."""
    groups: _Groups = defaultdict(lambda: defaultdict(list))
    of_row = []
    for place, row in enumerate(rows):
        people = groups[row.video][row.second]
        # The same numbers come first: a neighbour within the tolerance must not take them.
        seen = next((one for one in people if one.box == row.box), None) or next(
            (one for one in people if same_box(one.box, row.box)), None
        )
        if seen is None:
            seen = _Seen(row.box)
            people.append(seen)
        if given is not None and seen.person == NOBODY and given[place] >= 0:
            seen.person, seen.source, seen.overlap = given[place], source, 1.0
        of_row.append(seen)
    return groups, of_row


def identify(rows: Sequence[LabelRow], tracks: Iterable[Track], *, least: float = IOU, step: int = 1) -> Identified:
    """Ids (tracker's id - 1) by the best one-to-one assignment of boxes of a key second with IoU of ``least`` or more, then
    :func:`complete`'s rules for the others. ``step``: seconds between key seconds. Raises :class:`UserError` for a track below 1.
    """
    groups, of_row = _grouped(rows, None)
    seen: dict[str, dict[int, list[Track]]] = defaultdict(lambda: defaultdict(list))
    tracks = list(tracks)
    for track in tracks:
        if track.person < 1:
            raise UserError(
                f"The track {track.person} of {visible(track.video, 60)} is below 1: a tracker's ids count from 1."
            )
        seen[track.video][track.second].append(track)
    for video, seconds in groups.items():
        for second, people in seconds.items():
            _match(people, seen.get(video, {}).get(second, []), least)
    return _finish(rows, groups, of_row, _largest(tracks), step)


def _largest(tracks: Iterable[Track]) -> dict[str, int]:
    """The largest id (from 0) that the tracks of each video take."""
    largest: dict[str, int] = {}
    for track in tracks:
        largest[track.video] = max(largest.get(track.video, NOBODY), track.person - 1)
    return largest


def _match(people: Sequence[_Seen], tracks: Sequence[Track], least: float) -> None:
    """Give tracks' ids; several boxes of one track in a second count as one, by the better overlap."""
    ids = sorted({track.person for track in tracks})
    scores = np.zeros((len(people), len(ids)))
    if not scores.size:
        return
    all_pairs = overlaps([one.box for one in people], [track.box for track in tracks])
    for column, track in enumerate(tracks):
        place = ids.index(track.person)
        scores[:, place] = np.maximum(scores[:, place], all_pairs[:, column])
    for row, place in one_to_one(scores, max(least, 1e-9)):
        people[row].person, people[row].source = ids[place] - 1, "tracker"
        people[row].overlap = float(scores[row, place])


def complete(
    rows: Sequence[LabelRow],
    given: Sequence[int],
    *,
    step: int = 1,
    source: Source = "tracker",
    tracks: Iterable[Track] = (),
) -> Identified:
    """Complete ids that ``source`` gave, where -1 is nobody. Nobody's known id changes, but where two boxes of a second share one.

    1. Rows of a second with the same box (within :data:`TOLERANCE`) have one id.
    2. An unmatched person takes over the id of an unmatched one with IoU of 0.5 or more, or the same box, a key second before.
    3. Any other gets the largest id of the video + 1.

    So every id is 0 or more, and no two boxes of a second share one. Of two that did, the first keeps it. No new id is that of one of
    the ``tracks``, which may be somebody else.
    """
    groups, of_row = _grouped(rows, given, source)
    for seconds in groups.values():
        for people in seconds.values():
            taken: set[int] = set()
            for one in people:
                if one.person in taken:
                    one.person, one.source, one.overlap = NOBODY, "new", 0.0
                elif one.person != NOBODY:
                    taken.add(one.person)
    return _finish(rows, groups, of_row, _largest(tracks), step)


def _finish(
    rows: Sequence[LabelRow], groups: _Groups, of_row: Sequence[_Seen], largest: Mapping[str, int], step: int
) -> Identified:
    for video, seconds in groups.items():
        known = (one.person for people in seconds.values() for one in people)
        following = max(largest.get(video, NOBODY), *known, NOBODY) + 1
        before: list[_Seen] = []
        last = NOBODY
        for second in sorted(seconds):
            left = [one for one in seconds[second] if one.person == NOBODY]
            if second - last == step:
                _take_over(left, before, last)
            for one in left:
                if one.person == NOBODY:
                    one.person, following = following, following + 1
            before, last = left, second
    people = [
        Person(video, second, one.box, one.person, one.source, one.overlap, one.from_second)
        for video, seconds in groups.items()
        for second in sorted(seconds)
        for one in seconds[second]
    ]
    return Identified([PersonRow(row, one.person) for row, one in zip(rows, of_row, strict=True)], people)


def _take_over(left: Sequence[_Seen], before: Sequence[_Seen], second: int) -> None:
    if not left or not before:
        return
    found = overlaps([one.box for one in left], [one.box for one in before])
    same = np.array([[same_box(one.box, other.box) for other in before] for one in left])
    for row, column in one_to_one(np.where(same, np.maximum(found, IOU), found), IOU):
        left[row].person, left[row].source = before[column].person, "taken over"
        left[row].overlap, left[row].from_second = float(found[row, column]), second


def reference_join(rows: Iterable[Sequence[str]], tracks: Iterable[Sequence[str]]) -> list[list[str]]:
    """Upstream's join of lines of texts: the seven columns unchanged, and as the eighth the id - 1 of the first track of the same
    video and second whose four coordinates each differ by less than 0.005; else ``-1``. Seconds may be padded.

    Raises :class:`UserError` for a line that is too short, or holds what is no number.
    """
    found: dict[tuple[str, int], list[tuple[tuple[float, ...], int]]] = defaultdict(list)
    for line in tracks:
        key, box = _key_and_box(line, "tracks")
        found[key].append((box, _whole(line[6], "tracks")))
    result = []
    for line in rows:
        key, box = _key_and_box(line, "labels")
        person = next((person - 1 for seen, person in found.get(key, ()) if same_box(box, seen)), NOBODY)
        result.append([*line[:7], str(person)])
    return result


def _key_and_box(line: Sequence[str], what: str) -> tuple[tuple[str, int], tuple[float, ...]]:
    if len(line) < 7:
        raise UserError(f"A line of the {what} has {len(line)} columns instead of 7: write the list again.")
    video = str(int(line[0])) if line[0].isascii() and line[0].isdigit() and len(line[0]) < 19 else line[0]
    try:
        return (video, _whole(line[1], what)), tuple(float(one) for one in line[2:6])
    except ValueError as error:
        raise UserError(
            f"A line of the {what} holds what is no number ({visible(str(error), 60)}): write the list again."
        ) from error


def _whole(text: str, what: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or len(text) > 18:
        raise UserError(
            f"A line of the {what} holds {visible(text, 20)!r}, which is no whole number: write the list again."
        )
    return int(text)
