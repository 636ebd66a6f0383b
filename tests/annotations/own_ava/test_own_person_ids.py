"""Ids of labelled people, and the final files."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from clipquarry.annotations.action_list import read_action_list
from clipquarry.annotations.own_ava import final_files
from clipquarry.annotations.own_ava.actions import attributes_of
from clipquarry.annotations.own_ava.label_rows import Box, LabelRow
from clipquarry.annotations.own_ava.person_ids import (
    PersonRow,
    Track,
    complete,
    identify,
    one_to_one,
    reference_join,
    same_box,
)
from clipquarry.annotations.proposals import read_proposals
from clipquarry.errors import UserError

LEFT = (0.1, 0.1, 0.3, 0.9)
RIGHT = (0.6, 0.1, 0.8, 0.9)


def row(second: int, box: Box, action: int = 1, video: str = "1") -> LabelRow:
    return LabelRow(video, second, box, action)


def moved(box: Box, by: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return x1 + by, y1, x2 + by, y2


def test_ids_come_from_tracks_by_overlap() -> None:
    rows = [row(2, LEFT), row(2, LEFT, 3), row(2, RIGHT), row(3, LEFT)]
    tracks = [Track("1", 2, moved(RIGHT, 0.02), 4), Track("1", 2, moved(LEFT, 0.02), 9), Track("2", 3, LEFT, 1)]
    found = identify(rows, tracks)
    assert [one.person for one in found.rows] == [8, 8, 3, 9]
    assert [one.source for one in found.people] == ["tracker", "tracker", "new"]
    assert found.people[0].overlap == pytest.approx(0.18 / 0.22)


def test_pairs_are_chosen_together_not_greedily() -> None:
    assert sorted(one_to_one(np.array([[0.9, 0.8], [0.8, 0.1]]), 0.5)) == [(0, 1), (1, 0)]
    assert one_to_one(np.array([[0.4]]), 0.5) == [] and one_to_one(np.zeros((0, 3)), 0.5) == []


def test_the_unmatched_go_on_as_one_person() -> None:
    rows = [
        row(2, LEFT),
        row(3, moved(LEFT, 0.03)),
        row(3, RIGHT),
        row(4, moved(LEFT, 0.06)),
        row(6, moved(LEFT, 0.06)),
    ]
    found = complete(rows, [-1, -1, 5, -1, -1])
    assert [one.person for one in found.rows] == [6, 6, 5, 6, 7]
    assert [(one.second, one.source, one.from_second) for one in found.people] == [
        (2, "new", -1),
        (3, "taken over", 2),
        (3, "tracker", -1),
        (4, "taken over", 3),
        (6, "new", -1),
    ]


def test_of_two_boxes_with_one_id_the_first_keeps_it() -> None:
    found = complete([row(2, LEFT), row(2, RIGHT)], [0, 0])
    assert [one.person for one in found.rows] == [0, 1]


def test_rows_of_one_box_have_one_id_within_the_tolerance() -> None:
    found = complete([row(2, LEFT), row(2, moved(LEFT, 0.004)), row(2, moved(LEFT, 0.006))], [-1, 3, -1])
    assert [one.person for one in found.rows] == [3, 3, 4]


def test_a_track_below_one_is_refused() -> None:
    with pytest.raises(UserError, match="count from 1"):
        identify([row(2, LEFT)], [Track("1", 2, LEFT, 0)])


def test_everybody_has_an_id_and_nobody_shares_one() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        rows, given, tracks = [], [], []
        for _ in range(60):
            x, y = chance.random() * 0.7, chance.random() * 0.7
            one = row(chance.randrange(2, 9), (x, y, x + 0.25, y + 0.25), video=str(chance.randrange(2)))
            tracks.append(Track(one.video, one.second, moved(one.box, 0.01), chance.randrange(1, 6)))
            for action in range(chance.randrange(1, 3)):
                rows.append(one._replace(action=action + 1))
                given.append(chance.randrange(-1, 4))
        for found in (complete(rows, given), identify(rows, tracks)):
            assert [one.row for one in found.rows] == rows
            ids: dict[tuple[str, int, int], set[Box]] = {}
            for one in found.rows:
                assert one.person >= 0
                ids.setdefault((one.row.video, one.row.second, one.person), set()).add(one.row.box)
            for boxes in ids.values():
                first = min(boxes)
                assert all(same_box(first, other) or len(boxes) < 3 for other in boxes)
            seen = [(one.video, one.second, one.person) for one in found.people]
            assert len(set(seen)) == len(seen)


def test_the_reference_s_join() -> None:
    rows = [
        ["1", "2", "0.2", "0.3", "0.5", "0.9", "3"],
        ["1", "2", "0.2051", "0.3", "0.5", "0.9", "3"],
        ["1", "3", "0", "0.3", "0.5", "1", "4"],
    ]
    tracks = [["1", "0002", "0.2", "0.3", "0.5", "0.904", "5"], ["01", "0003", "0.0", "0.3", "0.5", "0.996", "2"]]
    assert [one[-1] for one in reference_join(rows, tracks)] == ["4", "-1", "1"]
    assert (
        reference_join([["1", "2", "0.2", "0.3", "0.5", "0.9", "3"]], [["1", "2", "0.205", "0.3", "0.5", "0.9", "1"]])[
            0
        ][-1]
        == "0"
    )
    with pytest.raises(UserError, match="6 columns"):
        reference_join([["1"] * 6], [])
    with pytest.raises(UserError, match="no number"):
        reference_join([["1", "2", "x", "0", "1", "1", "1"]], [])


ACTIONS = attributes_of({"head": ["talk", "bow"], "body": ["stand"]})


def test_the_final_files(tmp_path: Path) -> None:
    rows = [PersonRow(row(2, (0.14218725000000002, 0, 0.5, 1), 3), 0)]
    boxes = np.array([[0.1, 0.1, 0.3, 0.9, 0.5]])
    written = final_files.write_split(tmp_path, "train", rows, {"1,0002": boxes}, crlf=True)
    written += final_files.write_common(tmp_path, ACTIONS, range(2, 9))
    assert sorted(one.name for one in written) == [
        "action_list.pbtxt",
        "dense_proposals_train.pkl",
        "included_timestamps.txt",
        "train.csv",
        "train_excluded_timestamps.csv",
    ]
    assert (tmp_path / "train.csv").read_bytes() == b"1,2,0.14218725000000002,0,0.5,1,3,0\r\n"
    assert (tmp_path / "train_excluded_timestamps.csv").read_bytes() == b""
    assert (tmp_path / "included_timestamps.txt").read_bytes() == b"02\n03\n04\n05\n06\n07\n08"
    assert (tmp_path / "action_list.pbtxt").read_bytes() == final_files.action_list(ACTIONS)
    assert read_action_list(tmp_path / "action_list.pbtxt") == {1: "talk", 2: "bow", 3: "stand"}
    assert read_proposals(tmp_path / "dense_proposals_train.pkl")[0]["1,0002"].tolist() == boxes.tolist()
    assert final_files.excluded_csv([("1", 4)]) == b"1,0004\n"


def test_a_person_without_id_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="complete the ids first"):
        final_files.write_split(tmp_path, "train", [PersonRow(row(2, LEFT), -1)], {})
    assert not list(tmp_path.iterdir())


def test_who_was_tracked_stands_in_the_reference_s_form(tmp_path: Path) -> None:
    """The example line of specification 4.10."""
    box = (0.3703125, 0.24166666666666667, 0.5546875, 0.9895833333333334)
    path = tmp_path / final_files.seen_name("train")
    final_files.write_seen(path, [Track("1", 3, box, 5)])
    assert path.name == "train_personID.csv"
    assert path.read_bytes() == b"1,0003,0.3703125,0.24166666666666667,0.5546875,0.9895833333333334,5\r\n"


def test_a_new_id_is_that_of_no_track() -> None:
    """Two have numbers of the page, the third was drawn without one; three people were tracked."""
    rows = [row(2, LEFT), row(2, RIGHT), row(2, (0.4, 0.1, 0.5, 0.9))]
    tracks = [Track("1", 2, LEFT, 1), Track("1", 2, RIGHT, 2), Track("1", 5, RIGHT, 3)]
    assert [one.person for one in complete(rows, [0, 1, -1]).rows] == [0, 1, 2]
    assert [one.person for one in complete(rows, [0, 1, -1], tracks=tracks).rows] == [0, 1, 3]
