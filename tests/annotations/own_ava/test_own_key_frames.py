"""Key frames, label text and proposals of crops."""

from __future__ import annotations

import json
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from clipquarry.annotations.own_ava import detections as det
from clipquarry.annotations.own_ava import key_frames as keys
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.errors import UserError
from clipquarry.media.frame_folder import frame_name as raw_name


def frames_of(folder: dict[str, str]) -> list[det.FrameLabels]:
    found = []
    for name, text in folder.items():
        rows = list(det.read_labels(text, name))
        assert not any(isinstance(one, Refused) for one in rows)
        found.append(det.FrameLabels(name, tuple(one for one in rows if isinstance(one, det.Detection))))
    return found


def test_seconds_of_a_crop_of_eleven_seconds_and_of_ten() -> None:
    eleven, ten = keys.all_seconds(330), keys.all_seconds(300)
    assert [keys.frame_of(one) for one in eleven][:3] == [1, 31, 61] and eleven[-1] == 10
    assert keys.middle_seconds(eleven) == keys.middle_seconds(eleven, reference=True) == [2, 3, 4, 5, 6, 7, 8]
    assert keys.middle_seconds(ten) == keys.middle_seconds(ten, reference=True) == [2, 3, 4, 5, 6, 7]


def test_other_starts_rates_and_margins() -> None:
    seconds = keys.all_seconds(25 * 8, 7, first=3, fps=25)
    assert seconds == [3, 4, 5, 6, 7]
    assert keys.middle_seconds(seconds, 1, after=0) == [4, 5, 6, 7]
    assert keys.middle_seconds(seconds, 4) == []
    with pytest.raises(UserError, match="leave the margins out"):
        keys.middle_seconds(seconds, 1, reference=True)


def test_the_last_underscore_separates_name_and_number() -> None:
    assert keys.frame_name("a_b.c", 61) == "a_b.c_000061.jpg"
    assert keys.parse_frame_name("a_b.c_000061.jpg") == ("a_b.c", 61)
    assert keys.parse_frame_name("1_000061") == ("1", 61)
    assert keys.second_of(61) == 2 and keys.second_of(60) == 1


@pytest.mark.parametrize(
    "name", ["a.jpg", "_000001.jpg", "a_000000.jpg", "a,b_000001.jpg", "../a_000001.jpg", "a_x.jpg"]
)
def test_names_that_are_no_frame_s(name: str) -> None:
    with pytest.raises(UserError, match="is no frame's name"):
        keys.parse_frame_name(name)


LABELS = {
    "abc_000061.txt": "56 0.5 0.5 0.2 0.2 0.4\n0 0.25 0.572917 0.3125 0.729167 0.714345\n0 0.730469 0.557292 0.523438 0.885417 0.9\n",
    "abc_000091.txt": "56 0.5 0.5 0.2 0.2 0.4\n",
    "abc_000001.txt": "0 0.25 0.5 0.25 0.5 0.8\n",
    "10_000061.txt": "0 0.25 0.5 0.25 0.5\n",
    "2_000061.txt": "0 0.25 0.5 0.25 0.5 0.8 7\n",
}


def test_proposals_are_of_chosen_seconds_clipped_and_without_empty_keys() -> None:
    found = det.proposals(frames_of(LABELS), lambda _: (2, 3))
    assert list(found) == ["2,0002", "10,0002", "abc,0002"]
    assert found["abc,0002"].dtype == np.float64
    assert found["abc,0002"][0].tolist() == [0.09375, 0.2083335, 0.40625, 0.9375005000000001, 0.714345]
    assert found["abc,0002"][1, 3] == 1.0
    assert found["10,0002"][0, 4] == 1.0, "no score in the text"


def test_proposals_of_a_table() -> None:
    rows = [
        ("a", 3, (0.1, 0.1, 0.2, 1.2, 0.5)),
        ("a", 9, (0.1, 0.1, 0.2, 0.2, 0.5)),
        ("a", 2, (1.1, 0.1, 1.2, 0.2, 0.5)),
    ]
    found = det.table_proposals(rows, lambda _: range(2, 9))
    assert {key: boxes.tolist() for key, boxes in found.items()} == {"a,0003": [[0.1, 0.1, 0.2, 1.0, 0.5]]}


def test_the_reference_s_form() -> None:
    frames = [one for one in frames_of(LABELS) if one.name.startswith("abc")]
    found = det.reference_proposals(frames, lambda _: range(11))
    assert list(found) == ["abc,0000", "abc,0002", "abc,0003"]
    assert found["abc,0003"] == [] and found["abc,0002"][1][3:] == [1.0000005, "0.9\n"]
    assert pickle.loads(det.reference_pickle(found)) == found
    assert list(det.fixed(found)) == ["abc,0000", "abc,0002"]
    assert det.reference_seconds(33) == list(range(2, 11)) and det.reference_seconds(29) == list(range(2, 10))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0.5 0.5 0.1", "4 fields"),
        ("0 0.5 0.5 0.1 x", "no number"),
        ("0 0.5 0.5 0.1 nan", "no number"),
        ("0.5 0.5 0.5 0.1 0.1", "no whole number"),
        ("0 0.5 0.5 0 0.1", "no area"),
        ("0 64 48 10 10", "leaves the frame"),
        ("0 0.5 0.5 0.1 0.1 1.5", "not between 0 and 1"),
        ("0 0.5 0.5 0.1 0.1 1 x1", "no number"),
        ("0 0.5 0.5 0.1 0.1 1 1.5", "no whole number"),
    ],
)
def test_bad_lines_are_told_with_their_place(line: str, told: str) -> None:
    good, bad = det.read_labels(f"0 0.5 0.5 0.1 0.1\n{line}\n", "1_000061.txt")
    assert isinstance(good, det.Detection) and isinstance(bad, Refused)
    assert bad.where == "1_000061.txt, line 2" and told in bad.why


def test_a_label_line_is_read_again() -> None:
    for text in ("0 0.5 0.5 0.1 0.1", "3 0.5 0.25 0.1 0.1 0.75", "0 0.5 0.5 0.1 0.1 0.5 12"):
        (found,) = det.read_labels(text, "x")
        assert isinstance(found, det.Detection) and det.label_line(found) == text


@pytest.mark.shared
@pytest.mark.parametrize("kind", ["full", "gaps"])
def test_the_reference_s_pickles(shared: Path, kind: str) -> None:
    oracle = shared / "oracles/custom_proposals"
    texts = {one.name: one.read_text() for one in sorted((oracle / f"inputs/labels_{kind}").iterdir())}
    frames = frames_of(texts)
    kept = det.reference_seconds(len(texts))
    for name, seconds in (("", kept), ("_deepsort", range(11))):
        found = det.reference_proposals(frames, lambda _, seconds=seconds: seconds)  # type: ignore[misc]
        stem = oracle / f"expected/dense_proposals_train{name}_{kind}"
        assert found == json.loads(stem.with_suffix(".json").read_text())
        assert list(found) == list(json.loads(stem.with_suffix(".json").read_text()))
        assert det.reference_pickle(found) == stem.with_suffix(".pkl").read_bytes()
    wanted = json.loads((oracle / f"expected/fixed_{kind}.json").read_text())
    fixed = det.proposals(frames, lambda _: kept)
    assert {key: rows.tolist() for key, rows in fixed.items()} == {key: rows for key, rows in wanted.items() if rows}


@pytest.mark.shared
def test_the_reference_s_selection(shared: Path) -> None:
    wanted = json.loads((shared / "oracles/custom_cut_and_choose_frames/expected/result.json").read_text())
    seconds = keys.all_seconds(wanted["frames per video"])
    by_video = defaultdict(list)
    for name in wanted["choose_frames_all"]:
        by_video[keys.parse_frame_name(name).video].append(name)
    for video, names in by_video.items():
        assert names == [keys.frame_name(video, keys.frame_of(one)) for one in seconds]
    middle = [keys.frame_name("1", keys.frame_of(one)) for one in keys.middle_seconds(seconds, reference=True)]
    assert middle == wanted["choose_frames_middle/1"]


@pytest.mark.shared
def test_the_reference_s_names_of_raw_frames(shared: Path) -> None:
    """``rawframes/1/1_000330.jpg`` becomes ``img_00330.jpg``; here both names are of one file."""
    oracle = shared / "oracles/custom_rawframes_rename"
    given, wanted = ((oracle / name / "names.txt").read_text().split() for name in ("inputs", "expected"))
    found = [
        f"rawframes/{one.video}/{raw_name(one.number)}"
        for one in map(keys.parse_frame_name, (Path(name).name for name in given))
    ]
    assert found == wanted
    assert [
        f"rawframes/{Path(name).parent.name}/{keys.frame_name(Path(name).parent.name, int(Path(name).stem[4:]))}"
        for name in wanted
    ] == given


@pytest.mark.shared
def test_the_reference_s_middle_frames(shared: Path) -> None:
    """The frame of the middle second of crops of 15 s, by its number and not by a part of its name."""
    oracle = shared / "oracles/imagedet_cut_and_choose"
    given = (oracle / "inputs/frame_names.txt").read_text().split()
    chosen = [name for name in given if keys.parse_frame_name(name).number == keys.frame_of(15 // 2)]
    assert chosen == (oracle / "expected/chosen_correct.txt").read_text().split()
