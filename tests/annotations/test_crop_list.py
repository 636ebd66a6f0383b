"""Lists of crops: both forms, names, and one sentence for each line that is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.annotations.crop_list import Crop, crops_of, read_crops
from clipquarry.annotations.items import RejectedRow
from clipquarry.errors import UserError
from clipquarry.microseconds import SECOND


def read(folder: Path, text: str, length: int = 10) -> list[Crop | RejectedRow]:
    path = folder / "crops.csv"
    path.write_text(text, encoding="utf-8")
    return read_crops(path, length * SECOND)


def test_ten_labelled_seconds_are_cut_with_the_eleventh(tmp_path: Path) -> None:
    """Then frame 301 exists, which is that of second 10."""
    [crop] = read(tmp_path, "2DUITARAsWQ.mp4,1030,10\n")
    assert isinstance(crop, Crop)
    assert crop == (1, "2DUITARAsWQ", "1", 1030 * SECOND, 10 * SECOND)
    assert crop.end == 1041 * SECOND


def test_the_document_s_shell_form_and_decimals(tmp_path: Path) -> None:
    rows = read(tmp_path, "\ufeff10002.mp4 1340 2165\n\nb.MKV,12.5,3.25,by the door\nb.mkv,12.5,,door\n", 15)
    good = [row for row in rows if isinstance(row, Crop)]
    assert [(row.video_id, row.name, row.start, row.length) for row in good] == [
        ("10002", "1", 1340 * SECOND, 15 * SECOND),
        ("10002", "2", 2165 * SECOND, 15 * SECOND),
        ("b", "door", 12_500_000, 15 * SECOND),
    ]
    [bad] = [row for row in rows if isinstance(row, RejectedRow)]
    assert bad.line == 3 and "white space" in bad.sentence and bad.sentence.endswith("give it another")


def test_a_header_is_no_crop_and_names_are_counted_over_all_crops(tmp_path: Path) -> None:
    rows = read(tmp_path, "video,start,length,name\na,0,1,x\na,1,1\na,2,1,2\n")
    assert [row.name for row in rows if isinstance(row, Crop)] == ["x", "2"]
    assert isinstance(rows[2], RejectedRow) and "another crop is called 2" in rows[2].sentence


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a.mp4", "names no start"),
        ("a.mp4,x,10", "no number"),
        ("a.mp4,1e9,10", "no number"),
        ("a.mp4,-1,10", "no number"),
        ("a.mp4,1,0.5", "not from 1 to"),
        ("a.mp4,99999999,10", "not from 0 to"),
        ("../a.mp4,1,10", "slash"),
        ("a.mp4,1,10,../x", "slash"),
        ("a.mp4,1,10,x,y", "5 columns"),
        (",1,10", "is empty"),
        ("a.mp4 1 nan", "no number"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_crop_is_a_row_with_its_reason(tmp_path: Path, line: str, why: str) -> None:
    *_, bad = read(tmp_path, f"{line}\n")
    assert isinstance(bad, RejectedRow) and why in bad.sentence, bad


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_crops(tmp_path / "none.csv", SECOND)


def test_one_crop_of_each_video() -> None:
    rows = crops_of(["b.mp4", "c d.mp4"], 2 * SECOND, 10 * SECOND)
    assert isinstance(rows[0], Crop) and rows[0].end == 13 * SECOND
    assert isinstance(rows[1], RejectedRow), "a name with white space is a row too, and not skipped"
    assert rows[1].sentence.endswith("at which readers of list files cut: rename its file")


@pytest.mark.shared
def test_the_reference_s_list_of_starts(shared: Path) -> None:
    """The same videos and starts as in the commands that upstream runs; crops are called 1, 2, 3 here."""
    oracle = shared / "oracles/imagedet_cut_and_choose"
    found = read_crops(oracle / "inputs/cut.txt", 14 * SECOND)
    commands = (oracle / "expected/commands.txt").read_text().splitlines()
    assert [
        f"ffmpeg -i videos/{one.video_id}.mp4 -ss {one.start // SECOND} -t {(one.end - one.start) // SECOND}"
        for one in found
        if isinstance(one, Crop)
    ] == [command.rpartition(" ")[0] for command in commands]
