"""Names of videos, clips and classes."""

from __future__ import annotations

import string

import pytest
from clipquarry.ids import ClipName, clip_id, is_youtube_id, label_problem, normalise_label, parse_clip_id, stems
from hypothesis import given
from hypothesis import strategies as st

IDS = st.text(string.ascii_letters + string.digits + "_-", min_size=11, max_size=11)


@pytest.mark.parametrize("good", ["0wR5jVB-WPk", "-AbCdEfGhIj", "___________", "_1_2_3_4_5_"])
def test_youtube_ids(good: str) -> None:
    assert is_youtube_id(good)


@pytest.mark.parametrize(
    "bad", ["", "short", "0wR5jVB-WPkX", "0wR5jVB WPk", "0wR5jVB-WP\n", "0wR5jVB-WPk\n", "../../etcpw", "аbcdefghijk"]
)
def test_other_words_are_no_ids(bad: str) -> None:
    assert not is_youtube_id(bad)


def test_clip_names() -> None:
    assert clip_id("0wR5jVB-WPk", 417, 427) == "0wR5jVB-WPk_000417_000427"
    assert parse_clip_id("0wR5jVB-WPk_000417_000427.mp4") == ClipName("0wR5jVB-WPk", 417, 427)
    assert clip_id("x" * 11, 1_000_000, 1_000_010) == "xxxxxxxxxxx_1000000_1000010", "long videos keep all digits"
    assert parse_clip_id("_a_000001_0b_000001_000002").video_id == "_a_000001_0b", "taken apart from the end"


@given(IDS, st.integers(0, 9_999_999), st.integers(0, 9_999_999))
def test_there_and_back(video: str, start: int, end: int) -> None:
    assert parse_clip_id(clip_id(video, start, end)) == (video, start, end)
    assert parse_clip_id(clip_id(video, start, end) + ".mp4") == (video, start, end)


@pytest.mark.parametrize(
    ("file", "clips"),
    [
        ("a.mp4", ["a"]), ("a.b.c.avi", ["a.b.c"]), ("1.WebM", ["1"]), ("#437 (best)_ok.mkv", ["#437 (best)_ok"]),
        ("a.mp4.webm", ["a.mp4", "a"]), ("1.5.mp4", ["1.5"]), (".mp4", []), ("a", []), ("a.b", []), ("a.mp4.part", []),
        ("a.y4m", []),
    ],
)  # fmt: skip
def test_the_clip_that_a_file_is_of(file: str, clips: list[str]) -> None:
    assert list(stems(file)) == clips
    assert list(stems("a.Y4M", {".y4m"})) == ["a"]


def test_a_dot_in_a_name_means_nothing() -> None:
    assert parse_clip_id("a.b_000001_000002") == ClipName("a.b", 1, 2)
    assert parse_clip_id("a.b_000001_000002.mp4.webm") == ClipName("a.b", 1, 2)
    for other in ("a_000001_000002.part", "a_000001_000002.x", "a_000001_000002.5"):
        with pytest.raises(ValueError, match="is not a clip name"):
            parse_clip_id(other)


@pytest.mark.parametrize(
    "bad", ["", "a", "a_1_2", "_000001_000002", "a_000001", "a_00001x_000002", "a_000001_-00002", "a_000001_000002\n"]
)
def test_other_names_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="is not a clip name"):
        parse_clip_id(bad)


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("riding a bike", "riding_a_bike"),
        ("massaging person's head", "massaging_person's_head"),
        ('"quoted"  twice', "quoted__twice"),
        ("passing American football (in game)", "passing_American_football_(in_game)"),
    ],
)
def test_class_folders(label: str, folder: str) -> None:
    assert normalise_label(label) == folder
    assert label_problem(label) is None


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("", "empty"), ("   ", "empty"), ("a/b", "slash"), ("a\\b", "slash"), ("a\nb", "control"), ("a\x00b", "control"),
        ("a\u202eb", "control"), ("a\u2028b", "control"), ("a\u00a0b", "white space"), ("..", "hidden"), (".a", "hidden"),
        ('""', "hidden"), ("x" * 201, "longer"), ("é" * 101, "longer"), ("\ud800", "control"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_folders(label: str, why: str) -> None:
    problem = label_problem(label)
    assert problem is not None
    assert why in problem


@given(st.text(max_size=40))
def test_a_good_label_is_one_plain_folder(label: str) -> None:
    if label_problem(label) is None:
        folder = normalise_label(label)
        assert folder not in ("", ".", "..")
        assert "/" not in folder
        assert " " not in folder
        assert len(folder.encode()) < 256
