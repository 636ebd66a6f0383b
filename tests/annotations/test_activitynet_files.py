"""ActivityNet's annotations, and the reference's lists, byte for byte where its oracles are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clipquarry.annotations.activitynet import (
    BsnEntry,
    Spelled,
    Video,
    by_subset,
    database_of,
    read_bsn,
    read_database,
    read_object,
    video_of,
    with_videos,
)
from clipquarry.annotations.file_list import ListEntry, write_list
from clipquarry.annotations.items import RejectedRow
from clipquarry.annotations.name_lists import known_names
from clipquarry.annotations.offset_lists import window_in_frames
from clipquarry.datasets.load import find_spec
from clipquarry.errors import UserError
from clipquarry.families.segments.frames_here import count_files, counted_prefix

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
NAMES = known_names("activitynet")
HEADER = "video,numFrame,seconds,fps,rfps,subset,featureFrame\n"


def entry(*segments: Any, subset: str = "training", duration: Any = 10) -> dict[str, Any]:
    return {"duration": duration, "subset": subset, "annotations": list(segments)}


def segment(start: Any = 0, end: Any = 1, label: Any = "BMX") -> dict[str, Any]:
    return {"segment": [start, end], "label": label}


def told(database: dict[str, Any]) -> list[str]:
    """``ID:segments`` of videos, ``reason`` of rejected rows."""
    return [
        f"{one.video_id}:{len(one.segments)}" if isinstance(one, Video) else str(one.reason)
        for one in read_database(database, NAMES)
    ]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("rule", "made"), [("rgb", "rgb_only_is_the_FIXED_result"), ("all_files", "rgb_and_flow_BUGGY")]
)
def test_the_lists_of_frames_are_those_of_the_reference(rule: str, made: str, tmp_path: Path) -> None:
    """With frames counted right, and with all files counted as it does."""
    prefix = counted_prefix(find_spec("activitynet"), rule)
    case = ORACLES / "activitynet_rawframes_filelist"
    root = case / "inputs/data/ActivityNet"
    database = database_of(read_object(root / "activity_net.v1-3.min.json", "annotation"), root)
    found: dict[str, list[ListEntry]] = {}
    for one in read_database(database, NAMES):
        if isinstance(one, Video) and (folder := root / "rawframes" / f"v_{one.video_id}").is_dir():
            frames, split = count_files(folder, prefix), {"training": "train", "validation": "val"}[one.subset]
            labels = [NAMES.index(segment.label) for segment in one.segments]
            found.setdefault(f"anet_{split}_video.txt", []).append(ListEntry(folder.name, (labels[0],), frames))
            for each, label in zip(one.segments, labels, strict=True):
                first, count = window_in_frames(each.start, each.end, one.duration, frames)
                found.setdefault(f"anet_{split}_clip.txt", []).append(ListEntry(folder.name, (label,), count, first))
    expected = case / "expected" / made / "data/ActivityNet"
    assert {path.name for path in expected.iterdir()} == set(found)
    for name, entries in found.items():
        assert write_list(tmp_path / name, entries, final_newline=False) == len(entries)
        assert (tmp_path / name).read_bytes() == (expected / name).read_bytes()


@pytest.mark.shared
def test_the_copy_with_the_videos_that_are_there_is_what_the_reference_makes_of_the_original() -> None:
    case = ORACLES / "activitynet_download"
    report = json.loads((case / "expected/bsn/tools/data/activitynet/download_report.json").read_text())
    value = read_object(case / "inputs/data/ActivityNet/anet_anno_action.json", "annotation")
    copy = with_videos(value, {name for name, ok, _ in report if ok})
    wanted = (case / "expected/bsn/data/ActivityNet/anet_anno_action.json").read_text()
    assert json.dumps(copy) == json.dumps(json.loads(wanted)) == wanted


def test_the_copy_of_the_official_annotation_keeps_what_is_no_video() -> None:
    value = {"version": "1.3", "taxonomy": [1], "database": {"a": {}, "b": {}}}
    assert with_videos(value, {"v_b"}) == {"version": "1.3", "taxonomy": [1], "database": {"b": {}}}


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        (0, 10, (0, 25)), (0, 99, (0, 25)), (0, 0, (0, 1)), (9.999, 10, (24, 1)), (10, 12, (25, 0)), (40, 50, (100, -75)),
        (5, 4, (12, -1)),
    ],
)  # fmt: skip
def test_a_segment_in_frames(start: float, end: float, window: tuple[int, int]) -> None:
    """25 frames in 10 seconds; below one frame, a segment lies behind the end or backwards."""
    assert window_in_frames(start, end, 10, 25) == window


@pytest.mark.parametrize(
    ("bad", "reasons"),
    [
        ({"../../etc/pw": entry(segment())}, ["bad_id"]),
        ({"v_aaaaaaaaaaa": entry(segment())}, ["bad_id"]),
        ({"aaaaaaaaaaa": []}, ["bad_row"]),
        ({"aaaaaaaaaaa": {"duration": 1, "subset": "training"}}, ["bad_row"]),
        ({"aaaaaaaaaaa": entry(segment(), duration=0)}, ["bad_row"]),
        ({"aaaaaaaaaaa": entry(segment(), duration="10")}, ["bad_row"]),
        ({"aaaaaaaaaaa": entry(segment(), duration=True)}, ["bad_row"]),
        ({"aaaaaaaaaaa": entry(segment(), subset="train")}, ["bad_row"]),
        ({"aaaaaaaaaaa": entry(segment(), subset=["training"])}, ["bad_row"]),
        ({"aaaaaaaaaaa": entry()}, ["bad_row"]),
        ({"aaaaaaaaaaa": entry(subset="testing")}, ["aaaaaaaaaaa:0"]),
        ({"aaaaaaaaaaa": entry(segment(label="Bmx"))}, ["unknown_label", "bad_row"]),
        ({"aaaaaaaaaaa": entry(segment(), segment(label=["BMX"]))}, ["unknown_label", "aaaaaaaaaaa:1"]),
        ({"aaaaaaaaaaa": entry(segment(start=-1), segment())}, ["bad_time", "aaaaaaaaaaa:1"]),
        ({"aaaaaaaaaaa": entry(segment(end=1e300), segment())}, ["bad_time", "aaaaaaaaaaa:1"]),
        ({"aaaaaaaaaaa": entry({"segment": [1], "label": "BMX"}, 3, segment())}, ["bad_row", "bad_row", "aaaaaaaaaaa:1"]),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_rejected_and_the_rest_goes_on(bad: dict[str, Any], reasons: list[str]) -> None:
    assert told({**bad, "zzzzzzzzzzz": entry(segment(), segment(5, 4))}) == [*reasons, "zzzzzzzzzzz:2"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "holds a list"), ("{", "is no annotation"), ('{"a": 1, "a": 2}', "'a' is given twice"), ('{"a": NaN}', "NaN is no number"),
        ("[" * 100_000, "is no annotation"), (f'{{"a": 1{"0" * 400}}}', "a number has 401 digits"),
    ],
    ids=["array", "cut", "twice", "nan", "deep", "huge"],
)  # fmt: skip
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=says):
        read_object(tmp_path / "a.json", "annotation")


def test_numbers_keep_their_spelling(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 12.50, "b": 3}')
    value = read_object(tmp_path / "a.json", "annotation", spelled=True)
    assert isinstance(value["a"], Spelled) and (value["a"], value["a"].text, value["b"]) == (12.5, "12.50", 3)


def bsn(tmp_path: Path, text: str, *names: str) -> list[BsnEntry | RejectedRow]:
    (tmp_path / "info.csv").write_text(text)
    entries = {
        name: {"duration_second": 5.5, "duration_frame": 9, "annotations": [segment()], "feature_frame": 8} for name in names
    }  # fmt: skip
    return list(read_bsn(entries, tmp_path / "info.csv"))


def test_bsns_annotation_is_divided_by_the_csv_in_its_order(tmp_path: Path) -> None:
    rows = (
        "v_ccccccccccc,9,5.5,30.0,29.97,validation,8\nv_aaaaaaaaaaa,9,5.5,25,25.0,training,8\n"
        "v_bbbbbbbbbbb,9,5.5,1,2,held_out,8\nv_ddddddddddd,9,5.5,1,2,testing,8\n"
    )
    names = [f"v_{letter * 11}" for letter in "xabcd"]
    *entries, left = bsn(tmp_path, HEADER + rows, *names)
    assert isinstance(left, RejectedRow) and (left.line, left.raw) == (6, "v_xxxxxxxxxxx")
    found = [one for one in entries if isinstance(one, BsnEntry)]
    parts = by_subset(found)
    assert {part: list(entries) for part, entries in parts.items()} == {
        "full": [names[3], names[1], names[2], names[4]], "train": [names[1]], "val": [names[3]], "test": [names[4]],
        "trainval": [names[1], names[3]],
    }  # fmt: skip
    assert json.dumps(parts["val"]) == (
        '{"v_ccccccccccc": {"duration_second": 5.5, "duration_frame": 9, "annotations": [{"segment": [0, 1], "label": "BMX"}], '
        '"feature_frame": 8, "fps": 30.0, "rfps": 29.97}}'
    )
    videos = [str(one[2]) for entry in found for one in video_of(entry, NAMES)]
    assert videos == ["validation", "training", "its subset is none of training, validation, testing", "testing"]
    assert parts["train"][names[1]]["fps"] == 25.0 and isinstance(parts["train"][names[1]]["fps"], float)


def test_a_csv_of_one_row_is_read(tmp_path: Path) -> None:
    (one,) = bsn(tmp_path, f"{HEADER}v_aaaaaaaaaaa,9,5.5,25,25.0,training,8", "v_aaaaaaaaaaa")
    assert isinstance(one, BsnEntry) and one[:3] == (2, "aaaaaaaaaaa", "training")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("v_bbbbbbbbbbb,9,5.5,25,25.0,training,8", "bad_row"), ("aaaaaaaaaaa,9,5.5,25,25.0,training,8", "bad_id"), ("v_aaaaaaaaaaa,9", "bad_row"),
        ("v_aaaaaaaaaaa,9,5.5,x,25.0,training,8", "bad_row"), ("v_aaaaaaaaaaa,9,5.5,nan,25.0,training,8", "bad_row"),
        ("v_../../etc/,9,5.5,25,25.0,training,8", "bad_id"),
    ],
)  # fmt: skip
def test_a_line_of_bsns_csv_that_cannot_be_used_is_rejected(tmp_path: Path, row: str, reason: str) -> None:
    """The reference stops at a video that the json lacks."""
    good = "v_aaaaaaaaaaa,9,5.5,25,25.0,training,8\n"
    first, second, third = bsn(tmp_path, f"{HEADER}{row}\n{good}{good}", "v_aaaaaaaaaaa")
    assert isinstance(first, RejectedRow) and (str(first.reason), first.line) == (reason, 2)
    assert isinstance(second, BsnEntry) and isinstance(third, RejectedRow) and str(third.reason) == "duplicate"


@pytest.mark.parametrize("text", ["", "video,numFrame\n", '"', "\xff"])
def test_a_csv_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "info.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"info\.csv"):
        list(read_bsn({}, tmp_path / "info.csv"))
