"""What a release of AVA holds is written from what was checked: odd rows of the official files are in none of its files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from clipquarry.annotations.action_list import publish_action_list, read_action_list
from clipquarry.annotations.ava_csv import write_boxes, write_key_frames
from clipquarry.annotations.box_csv import read_boxes
from clipquarry.families.boxes.release_csv import write_release_csv

A, B = "AAAAAAAAAAA", "-B_B_B_B_B_"
BOX = "0.077,0.151,0.283,1.000"
ODD = (
    f"{A},0904", "", f"{A},0907,{BOX},12.0,1", f"{A},0910,{BOX},99,1", f'"{A}",0911,{BOX},12,1', f"{A},0912,.,0.1,0.2,0.3,12,1",
    f"{A},850,{BOX},12,1", f"{A},903.5,{BOX},12,1", f"  {A},0903,{BOX},12,1", f"{A},0903,{BOX},12",
)  # fmt: skip


def release(folder: Path, text: str, images: dict[str, int]) -> tuple[list[str], list[list[str]]]:
    source = folder / "ava_train_v2.2.csv"
    source.write_bytes(text.encode())
    table = read_boxes(source, "ava")
    target, left = folder / "release.csv", folder / "left.csv"
    count = write_release_csv(table.boxes, table.rejected, target, left, lambda video: images.get(video, 0))
    with open(left) as handle:
        rows = list(csv.reader(handle))
    assert rows[0] == ["video_id", "second", "rows", "reason"]
    assert count == sum(int(row[2]) for row in rows[1:])
    return target.read_text().split("\n"), rows[1:]


def test_rejected_rows_are_told_and_not_published(tmp_path: Path) -> None:
    good = [f"{A},0902,{BOX},80,1", f"{A},0902,{BOX},9,1", f"{B},0902,{BOX},9,0"]
    text = "\ufeff" + "\r\n".join([good[0], *ODD, good[1], f"{good[2]},more,columns"]) + "\r\n"
    lines, left = release(tmp_path, text, {A: 1000, B: 1000})
    assert lines == [*good, ""]
    assert len(left) == len([row for row in ODD if row])
    assert left[0] == [A, "", "1", "line 2: bad_row, 2 columns, where at least 8 are expected"]
    assert all(row[3].startswith("line ") for row in left)


def test_what_has_no_images_is_left_out_by_seconds(tmp_path: Path) -> None:
    text = f"{A},0902,{BOX},80,1\n{A},0903,{BOX},80,1\n{A},0903,{BOX},9,1\n{B},0902,{BOX},9,0\n"
    lines, left = release(tmp_path, text, {A: 93})
    assert lines == [f"{A},0902,{BOX},80,1", ""]
    assert left == [
        [A, "0903", "2", "its frames end at 93, 123 are needed"], [B, "0902", "1", "the video has no frames"]
    ]  # fmt: skip


def test_rows_come_out_as_they_went_in(tmp_path: Path) -> None:
    """A published file byte for byte; and the values of other spellings."""
    text = "".join(f"{A},{second:04d},0.{n:03d},0.000,1.000,0.5{n:02d},{1 + n % 80},{n}\n" for n, second in enumerate(range(902, 1000)))  # fmt: skip
    (tmp_path / "a.csv").write_text(text)
    write_boxes(read_boxes(tmp_path / "a.csv", "ava").boxes, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == text
    (tmp_path / "a.csv").write_text(f"{A},902,.5,1e-3,1,0.1234567,012,007\n")
    write_boxes(read_boxes(tmp_path / "a.csv", "ava").boxes, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == f"{A},0902,0.500,0.001,1.000,0.1234567,12,7\n"
    write_boxes(read_boxes(tmp_path / "a.csv", "ava").boxes.slice(0, 0), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == ""


def test_excluded_seconds_are_published_as_readers_want_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"\ufeff{A},904\n\n{A},905.0\n{A},0906,x\n{B},0907\n")
    write_key_frames(read_boxes(tmp_path / "a.csv", "excluded").key_frames, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == f"{A},0904\n{B},0907\n"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('label {\n  name: "bend"\n  label_id: 1\n  label_type: PERSON_MOVEMENT\n}\n', True),
        ('item {\n  name: "bend"\n  id: 1\n}\n', True),
        ('\ufeffitem {\r\n  name: "bend"\r\n  id: 1\r\n}\r\n', True),
        ('item {\n\tname: "bend"\n\tid: 1\n}\n', False),  # its reader would find no class at all
        ('item { name: "bend" id: 1 }\n', False),
        ('item {\n  id: 1\n  name: "bend"\n}\n', False),  # and here a class without a name
    ],
)
def test_action_lists_are_published_as_mmaction2_reads_them(tmp_path: Path, text: str, same: bool) -> None:
    (tmp_path / "a.pbtxt").write_bytes(text.encode())
    publish_action_list(tmp_path / "a.pbtxt", tmp_path / "b.pbtxt")
    assert ((tmp_path / "b.pbtxt").read_bytes() == text.encode()) == same
    assert read_action_list(tmp_path / "b.pbtxt") == {1: "bend"}
    lines = (tmp_path / "b.pbtxt").read_text().splitlines()
    assert any(line.startswith('  name: "bend"') for line in lines)
    assert any(line.startswith(("  id: 1", "  label_id: 1")) for line in lines)
