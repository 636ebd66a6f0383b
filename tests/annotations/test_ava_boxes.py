"""AVA's csvs of boxes, action lists, and the Kinetics part of AVA-Kinetics."""

from __future__ import annotations

import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from clipquarry.annotations import box_csv
from clipquarry.annotations.action_list import read_action_list, write_action_list
from clipquarry.annotations.ava_kinetics import (
    frame_folders,
    key_seconds,
    prepare_rows,
    select_windows,
    write_rows,
    write_times,
)
from clipquarry.annotations.box_csv import BOXES, Form, read_boxes
from clipquarry.errors import UserError
from clipquarry.ids import parse_clip_id
from hypothesis import given
from hypothesis import strategies as st

AVA = "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\n-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,9,1\n"


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_ava_rows(tmp_path: Path) -> None:
    table = read_boxes(write(tmp_path / "a.csv", AVA), "ava")
    assert table.boxes.to_pylist()[1] == {
        "video_id": "-5KQ66BBWC4", "time": "0902", "second": 902, "x1": 0.077, "y1": 0.151, "x2": 0.283, "y2": 0.811,
        "action_id": 9, "person_id": 1,
    }  # fmt: skip
    assert table.key_frames.num_rows == table.rejected.num_rows == 0
    assert table.boxes.schema == BOXES


def test_seven_and_two_columns_in_any_order(tmp_path: Path) -> None:
    text = "AAAAAAAAAAA,22.070270,0.1,0.2,0.3,0.401,12\nBBBBBBBBBBB,12457.000000\n_-AAAAAAAAA,7.999999,0,0,1,1,1\n"
    for content in (text, "".join(reversed(text.splitlines(keepends=True))), text.replace("\n", "\r\n")):
        table = read_boxes(write(tmp_path / "a.csv", content), "ava_kinetics")
        assert sorted(table.boxes["second"].to_pylist()) == [7, 22], "whole seconds, never rounded up"
        assert set(table.boxes["person_id"].to_pylist()) == {-1}
        assert table.key_frames.to_pylist() == [{"video_id": "BBBBBBBBBBB", "time": "12457.000000", "second": 12457}]
        assert table.rejected.num_rows == 0


# What a row is in each form: (form, row, reason); "" is a good row.
A = "AAAAAAAAAAA"
BOX4 = "0,0,1,1"
COORDINATES = (".", "", "-", "+0.1", "-0.1", "-0.0", "nan", "inf", "1.001", "9e-0", " 0.1", "0.1 ", "0x0", "0.1.1", "1e400", "1e-", "٠")  # fmt: skip
ACTION_TEXTS = ("0", "81", "-1", "1.5", "12.0", " 12", "0x0C", "", "1e1", "12\0")
FORMS: tuple[tuple[Form, str], ...] = (("ava", ",1"), ("ava_kinetics", ""))
VERDICTS: list[tuple[Form, str, str]] = [
    *[(form, row, reason) for form, person in FORMS for row, reason in (
        (f"../../passwd,903,{BOX4},1{person}", "bad_id"),
        (f"short,903,{BOX4},1{person}", "bad_id"),
        (f"\N{ZERO WIDTH NO-BREAK SPACE}{A},903,{BOX4},1{person}", "bad_id"),  # a byte order mark, but in the middle
        (f"{A} ,903,{BOX4},1{person}", "bad_id"),
        (f"{A}_000012_000022,903,{BOX4},1{person}", "bad_id"),
        (f"{A}_000022_000012,903,{BOX4},1{person}", "bad_id"),
        (f'"{A}",903,{BOX4},1{person}', "bad_row"),
        (f'"{A},903', "bad_row"),
        (f"{A},-1,{BOX4},1{person}", "bad_time"),
        (f"{A},nan,{BOX4},1{person}", "bad_time"),
        (f"{A},1e3,{BOX4},1{person}", "bad_time"),
        (f"{A}, 903,{BOX4},1{person}", "bad_time"),
        (f"{A},99999999,{BOX4},1{person}", "bad_time"),
        (f"{A},0,{BOX4},1{person}", "bad_time"),
        *[(f"{A},903,{text},0,1,1,1{person}", "bad_row") for text in COORDINATES],
        (f"{A},903,0.5,0,0.4,1,1{person}", "bad_row"),
        (f"{A},903,0,0.5,1,0.4,1{person}", "bad_row"),
        *[(f"{A},903,{BOX4},{text}{person}", "bad_label") for text in ACTION_TEXTS],
        (f"{A},903,{BOX4},7{person}", "unknown_label"),  # not in the action list
        (f"{A},903,{BOX4}", "bad_row"),
        (A, "bad_row"),
        (f"{A},903,{BOX4},1{person}\r{A},903,{BOX4},1{person}", "bad_row"),
        (f"{A},903,1e-3,.5,1.,1,1{person}", ""),
        (f"{A},903,0.00123456789012345678,0,1,1.{'0' * 30},012{person}", ""),
    )],
    ("ava", f"{A},904", "bad_row"),
    ("ava", f"{A},903,{BOX4},1", "bad_row"),
    ("ava", f"{A},903,{BOX4},1,", "bad_row"),
    ("ava", f"{A},903,{BOX4},1,x", "bad_row"),
    ("ava", f"{A},903,{BOX4},1,-1", "bad_row"),
    ("ava", f"{A},903,{BOX4},1,1.0", "bad_row"),
    ("ava", f"{A},902.5,{BOX4},1,1", "bad_time"),
    ("ava", f"{A},901,{BOX4},1,1", "bad_time"),
    ("ava", f"{A},1799,{BOX4},1,1", "bad_time"),
    ("ava", f"{A},903,{BOX4},1,1,9,,x", ""),
    ("ava_kinetics", f"{A},903.500000", ""),
    ("ava_kinetics", f"{A},903,{BOX4},1,1", "bad_row"),
    ("ava_kinetics", f"{A},903,{BOX4},1,", "bad_row"),
    ("ava_kinetics", f"{A},0.0000001,{BOX4},1", "bad_time"),
    ("excluded", f"{A},0904", ""),
    ("excluded", f"{A},904.0", "bad_time"),
    ("excluded", f"{A},904,1", "bad_row"),
    ("excluded", f"{A}", "bad_row"),
]  # fmt: skip
GOOD: dict[Form, str] = {
    "ava": AVA,
    "ava_kinetics": f"{A},3.5,{BOX4},12\n{A},3.25,{BOX4},1\n",
    "excluded": f"{A},0902\n{A},0903\n",
}


@pytest.mark.parametrize("piece", [1, 1 << 22], ids=["a piece a line", "one piece"])
def test_every_odd_row_has_one_verdict_however_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    """In a piece of its own, where Arrow reads the others, and among rows that are all read line by line."""
    monkeypatch.setattr(box_csv, "_PIECE", piece)
    failures = []
    for form, row, reason in VERDICTS:
        path = write(tmp_path / "a.csv", GOOD[form] + row + "\n\n" + GOOD[form])
        table = read_boxes(path, form, [1, 9, 12, 80])
        told = [(one["line"], one["reason"]) for one in table.rejected.to_pylist()]
        if told != ([(3, reason)] if reason else []) or not all(table.rejected["evidence"].to_pylist()):
            failures.append((form, row, reason, told))
        good = table.boxes.num_rows + table.key_frames.num_rows
        if good != 4 + (not reason):
            failures.append((form, row, reason, good))
    assert failures == []


def test_what_is_no_row_costs_none(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + AVA.replace("\n", "\r\n").encode() + b"\n  \n" + AVA.encode().rstrip()
    for content in (text, text + b"\nx\n"):
        table = read_boxes(write(tmp_path / "a.csv", content), "ava")
        assert set(table.boxes["video_id"].to_pylist()) == {"-5KQ66BBWC4"}
        assert table.boxes.num_rows == 4
        assert table.rejected["line"].to_pylist() == [7] * (content != text)


def test_bytes_and_a_long_line_cost_one_row(tmp_path: Path) -> None:
    for size in (10_000_000, 10_000):
        path = write(tmp_path / "a.csv", AVA.encode() + b"\xff\xfe,1\n" + b"A" * size + b"\n" + AVA.encode())
        table = read_boxes(path, "ava")
        assert table.boxes.num_rows == 4
        assert table.rejected["line"].to_pylist() == [3, 4]


def test_cases_that_failed_once(shared: Path) -> None:
    cases = shared / "cases"
    ava = read_boxes(cases / "annotations/ava_rejected_rows/ava_train_v2.2.csv", "ava")
    told = [(row["line"], row["reason"]) for row in ava.rejected.to_pylist()]
    assert told == [(2, "bad_row"), (4, "bad_label"), (5, "bad_label"), (6, "bad_row")]
    eight = read_boxes(cases / "annotations/avak_8_columns/kinetics_train_v1.0.csv", "ava_kinetics")
    assert (eight.boxes.num_rows, eight.rejected["line"].to_pylist()) == (1, [2])
    dot = read_boxes(cases / "hostile/dot.csv", "ava")
    assert (dot.boxes.num_rows, dot.rejected["line"].to_pylist()) == (1, [1])


def test_empty_and_absent(tmp_path: Path) -> None:
    for content in ("", "\n\n", "\ufeff", "\ufeff\r\n"):
        table = read_boxes(write(tmp_path / "a.csv", content), "ava")
        assert table.boxes.num_rows == table.rejected.num_rows == 0
    with pytest.raises(UserError, match="cannot be read"):
        read_boxes(tmp_path / "none.csv", "ava")


@pytest.mark.parametrize("piece", [1, 1000, 1 << 22])
def test_both_ways_of_reading_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    rng = random.Random(5)
    lines = []
    for number in range(300 if piece == 1 else 3000):  # a piece a line costs 4 ms each
        x1, y1 = rng.random() * 0.5, rng.random() * 0.5
        video = f"{number % 50:05d}-_Abcd"
        lines.append(
            f"{video},{1 + rng.random() * 2000:.6f}"
            + (f",{x1:.3f},{y1:.3f},{x1 + 0.4:.3f},{y1 + 0.4:.3f},{rng.randint(1, 80)}" if number % 7 else "")
        )
    path = write(tmp_path / "a.csv", "\n".join(lines) + "\n")
    monkeypatch.setattr(box_csv, "_PIECE", piece)
    with monkeypatch.context() as patch:
        patch.setattr(box_csv, "_read_rows", None)
        fast = read_boxes(path, "ava_kinetics")  # a well-formed file needs no second look
    odd = write(tmp_path / "odd.csv", path.read_text() + "x\n")
    monkeypatch.setattr(box_csv, "_PIECE", 1 << 22)
    slow = read_boxes(odd, "ava_kinetics")
    assert slow.rejected["line"].to_pylist() == [len(lines) + 1]
    assert fast.boxes.equals(slow.boxes)
    assert sorted(fast.key_frames.to_pylist(), key=str) == sorted(slow.key_frames.to_pylist(), key=str)


# Selecting and cutting.


def windows_of(annotations: str, clips: list[str], tmp_path: Path) -> list[tuple[str, str]]:
    seconds = key_seconds(read_boxes(write(tmp_path / "k.csv", annotations), "ava_kinetics").boxes)
    return [
        (window.name, window.path)
        for window in select_windows(seconds, [(parse_clip_id(Path(c).name), c) for c in clips])
    ]


def row(video: str, time: float) -> str:
    return f"{video},{time:.6f},0.1,0.2,0.3,0.4,12\n"


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    assert windows_of(row("AAAAAAAAAAA", 17.07), ["a/AAAAAAAAAAA_000012_000022.mp4"], tmp_path) == [
        ("AAAAAAAAAAA_000015_000019", "a/AAAAAAAAAAA_000012_000022.mp4")
    ]


def test_edges_and_contained_windows(tmp_path: Path) -> None:
    a = "AAAAAAAAAAA"
    clips = [
        f"c/{a}_000010_000020.mp4",
        f"b/{a}_000010_000020.mp4",
        f"d/{a}_000012_000022.mp4",
        f"e/{a}_000040_000050.mp4",
    ]
    found = windows_of(row(a, 10.4) + row(a, 13) + row(a, 14.9) + row(a, 50.1) + row(a, 41), clips, tmp_path)
    # 10.4 is at the start of the first clip and 50.1 at the end of the last: strictly inside is meant, in whole seconds.
    assert found == [
        (f"{a}_000011_000016", f"b/{a}_000010_000020.mp4"),
        (f"{a}_000040_000043", f"e/{a}_000040_000050.mp4"),
    ]


def test_the_windows_of_the_reference(shared: Path) -> None:
    case = shared / "oracles" / "avak_cut_kinetics"
    boxes = read_boxes(case / "inputs/ava_kinetics_v1_0/kinetics_train_v1.0.csv", "ava_kinetics").boxes
    paths = [
        line.rpartition(" ")[0] for line in (case / "inputs/kinetics700_train_list_videos.txt").read_text().splitlines()
    ]
    expected = json.loads((case / "expected/video_lookup.json").read_text())
    found: dict[str, set[tuple[int, int]]] = {}
    chosen = {}
    for window in select_windows(key_seconds(boxes), [(parse_clip_id(Path(path).name), path) for path in paths]):
        found.setdefault(window.video_id, set()).add((window.start, window.end))
        chosen[window.video_id, window.start, window.end] = window.path
    assert found == {
        video: {(start, end) for start, end, _ in windows} for video, windows in expected.items() if windows
    }
    for video, windows in expected.items():
        for start, end, path in windows:
            if video != "EEEEEEEEEEE":  # two equal windows: the reference takes either
                assert chosen[video, start, end].endswith(path.removeprefix("K700/"))


# Preparing the annotations.


def reference(rows: list[str], clips: dict[str, int]) -> list[str]:
    """The reference's algorithm, with our rule for a key frame in several clips."""
    lines = []
    for text in rows:
        video, time, *box = text.strip().split(",")
        if len(box) != 5:
            continue
        inside = []
        for name, images in clips.items():
            clip = parse_clip_id(name)
            if clip.video_id == video and clip.start < float(time) < clip.start + images // 30:
                inside.append((clip.start - clip.end, clip.start, name))
        if inside:
            numbers = ",".join(f"{float(value):.3f}" for value in box[:4])
            lines.append(f"{min(inside)[2]},{int(float(time))},{numbers},{int(box[4])},-1")
    return lines


def test_prepared_rows_are_those_of_the_reference(tmp_path: Path) -> None:
    rng = random.Random(7)
    videos = [f"{number:03d}_-AAAAAA" for number in range(40)]
    clips = {}
    for video in videos[:35]:
        for _ in range(rng.randint(1, 3)):
            start = rng.randint(0, 30)
            clips[f"{video}_{start:06d}_{start + 4:06d}"] = rng.choice([119, 120, 121, 60])
    rows = []
    for _ in range(4000):
        x1, y1 = rng.random() * 0.5, rng.random() * 0.5
        time = rng.choice([rng.randint(0, 35), rng.random() * 35])
        rows.append(
            f"{rng.choice(videos)},{time:.6f}"
            + ("" if rng.random() < 0.1 else f",{x1:.6f},{y1:.4f},{x1 + 0.5:.5f},{y1 + 0.5:.3f},{rng.randint(1, 80)}")
        )
    boxes = read_boxes(write(tmp_path / "raw.csv", "\n".join(rows) + "\n"), "ava_kinetics").boxes
    prepared = prepare_rows(boxes, clips)
    expected = reference(rows, clips)
    assert 100 < len(expected) < 3500
    assert prepared.dropped == boxes.num_rows - len(expected)
    write_rows(prepared.rows, tmp_path / "kinetics_train.csv")
    assert (tmp_path / "kinetics_train.csv").read_text() == "".join(f"{line}\n" for line in expected)
    write_times(prepared.rows, tmp_path / "times.csv")
    first = (tmp_path / "times.csv").read_text().splitlines()[1].split(",")
    assert first[0] in clips
    assert int(float(first[2])) == int(first[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_three_decimals_are_pythons(values: list[float]) -> None:
    ties = [number / 2000 for number in range(2001)]
    numbers = [*values, *ties, 0.5555, 0.1265, 0.99949, 0.9995, 0.0005]
    table = pa.table({
        **dict.fromkeys(("x1", "y1", "x2", "y2"), numbers), "video_id": ["A"] * len(numbers), "time": ["1"] * len(numbers), "second": [1] * len(numbers),
        "action_id": [1] * len(numbers), "person_id": [-1] * len(numbers),
    })  # fmt: skip
    with TemporaryDirectory() as folder:
        write_rows(table, Path(folder, "a.csv"))
        lines = Path(folder, "a.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in lines] == [f"{number:.3f}" for number in numbers]


def test_persons_stay_and_only_fractions_are_written(tmp_path: Path) -> None:
    text = "".join(
        f"-5KQ66BBWC4,902,0.077,0.151,0.283,1.000,{action},{person}\n"
        for action in (1, 80)
        for person in (1, 0, 70_000)
    )
    boxes = read_boxes(write(tmp_path / "a.csv", text), "ava").boxes
    write_rows(boxes, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == text
    for wrong in (1.001, -0.5, float("nan")):
        column = pa.array([wrong] * len(boxes))
        with pytest.raises(ValueError, match="not a fraction"):
            write_rows(boxes.set_column(boxes.column_names.index("x1"), "x1", column), tmp_path / "c.csv")
    assert not (tmp_path / "c.csv").exists()


def test_no_clips_and_no_rows(tmp_path: Path) -> None:
    boxes = read_boxes(write(tmp_path / "a.csv", AVA), "ava").boxes
    assert prepare_rows(boxes, {}).dropped == 2
    assert prepare_rows(BOXES.empty_table(), {"AAAAAAAAAAA_000000_000004": 120}).rows.num_rows == 0


def test_frame_folders_passes_over_what_is_no_clip(tmp_path: Path) -> None:
    clip = tmp_path / "AAAAAAAAAAA_000015_000019"
    clip.mkdir()
    for number in range(3):
        (clip / f"img_{number + 1:05d}.jpg").touch()
    (clip / "notes.txt").touch()
    for direction in "xy":
        (clip / f"flow_{direction}_00001.jpg").touch()  # optical flow is no frame
    (tmp_path / "0f39OWEqJ24").mkdir()
    (tmp_path / "BBBBBBBBBBB_000015_000019").symlink_to(clip)
    assert frame_folders(tmp_path) == {clip.name: 3}


# Action lists.

OLD = 'item {\n  name: "bow"\n  id: 2\n}\n'
NEW = 'label {\n\tname: "bend/bow (at the waist)"\n    label_id: 1\n  label_type: PERSON_MOVEMENT\n}\n'


def test_both_spellings(tmp_path: Path) -> None:
    assert read_action_list(write(tmp_path / "a.pbtxt", OLD + NEW)) == {2: "bow", 1: "bend/bow (at the waist)"}
    write_action_list({1: "bend/bow (at the waist)", 12: "stand"}, tmp_path / "b.pbtxt")
    lines = (tmp_path / "b.pbtxt").read_text().splitlines()
    assert lines[:4] == ["item {", '  name: "bend/bow (at the waist)"', "  id: 1", "}"]
    assert read_action_list(tmp_path / "b.pbtxt") == {1: "bend/bow (at the waist)", 12: "stand"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        OLD + OLD,
        OLD.replace("2", "0"),
        OLD.replace("2", "99999"),
        "item {\n  id: 2\n}\n",
        OLD + "rest",
        "\xff",
    ],
)
def test_wrong_action_lists_are_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError):
        read_action_list(write(tmp_path / "a.pbtxt", text.encode("latin-1")))


def test_the_real_action_list(shared: Path) -> None:
    names = read_action_list(shared / "real/annotations/ava_action_list_v2.1_for_activitynet_2018.pbtxt")
    assert len(names) == 60
    assert names[12].startswith("stand")
    assert 2 not in names


def test_real_rows(shared: Path) -> None:
    table = read_boxes(shared / "real/annotations/ava_sample.csv", "ava")
    assert table.boxes.num_rows > 0
    assert table.rejected.num_rows == 0
    frames = read_boxes(shared / "real/annotations/ava_kinetics_kinetics_test_v1.0.csv", "ava_kinetics").key_frames
    assert frames.num_rows == 64_304
    assert len(set(frames["video_id"].to_pylist())) == 64_061
    assert max(frames["second"].to_pylist()) > 9_999
