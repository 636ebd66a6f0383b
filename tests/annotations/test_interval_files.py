"""THUMOS'14's files of labelled intervals."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.annotations.interval_files import Interval, file_names, read_intervals
from clipquarry.annotations.items import RejectedRow
from clipquarry.annotations.labels import LabelIndex
from clipquarry.errors import UserError

LABELS = LabelIndex(("Diving", "LongJump"), "a test")


def folder_of(folder: Path, **texts: str) -> Path:
    for name in file_names(LABELS.names, "val"):
        (folder / name).write_bytes(texts.get(name.removesuffix("_val.txt"), "").encode())
    return folder


def test_every_class_has_a_file_and_the_ambiguous_ones_too() -> None:
    assert file_names(LABELS.names, "test") == ["Diving_test.txt", "LongJump_test.txt", "Ambiguous_test.txt"]


def test_lines_become_intervals_in_the_order_of_the_files(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, Diving="a  0.5 12\r\n\r\nb\t3.25\t3.2", LongJump="\ufeffa 1 2\n", Ambiguous="a 0.1 0.2\n"
    )
    (folder / "Other_val.txt").write_text("never read")
    first, second, third, last = (one for one in read_intervals(folder, "val", LABELS) if isinstance(one, Interval))
    assert first == Interval("a", 0, "Diving", 500_000, 12_000_000, "0.5", "12", "Diving_val.txt", 1)
    assert (second.video, second.start, second.end, second.line) == ("b", 3_250_000, 3_200_000, 3), (
        "a check judges the order"
    )
    assert (third.number, third.name, third.ambiguous) == (1, "LongJump", False)
    assert (last.number, last.name, last.ambiguous) == (-1, "Ambiguous", True)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a 1", "it is not VIDEO START END"),
        ("a 1 2 3", "it is not VIDEO START END"),
        ("a -1 2", "it is not VIDEO START END"),
        ("a 1 nan", "it is not VIDEO START END"),
        ("a 1 1e9", "it is not VIDEO START END"),
        ("a 1 \u0663", "it is not VIDEO START END"),
        ("a 1 999999999", "a time is above 10000000 seconds"),
        ("../a 1 2", "the name of the video holds a slash"),
        (f"{'a' * 200} 1 2", "the name of the video is longer"),
    ],
)
def test_a_line_that_cannot_be_used_is_rejected_with_its_place(tmp_path: Path, line: str, says: str) -> None:
    folder = folder_of(tmp_path, Diving="a 0 1\n", LongJump=f"a 0 1\n{line}\n")
    (rejected,) = (one for one in read_intervals(folder, "val", LABELS) if isinstance(one, RejectedRow))
    assert rejected.sentence.startswith("LongJump_val.txt, line 2: ") and says in rejected.sentence
    assert rejected.line == 3, "lines count on over the files"


def test_an_absent_file_and_bytes_that_are_no_text_are_one_sentence(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "LongJump_val.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"LongJump_val\.txt is not UTF-8 \(byte 0\)"):
        list(read_intervals(folder, "val", LABELS))
    (folder / "LongJump_val.txt").unlink()
    with pytest.raises(UserError, match=r"LongJump_val\.txt cannot be read"):
        list(read_intervals(folder, "val", LABELS))
