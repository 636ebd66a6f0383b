"""List files: exact text, and the reference readers' rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from clipquarry.annotations.file_list import ListEntry, read_list, reference_shuffle, write_list
from clipquarry.errors import UserError

VIDEOS = [
    ListEntry("abseiling/0wR5jVB-WPk_000417_000427.mp4", (0,)),
    ListEntry("massaging_person's_head/a_000003_000013.mkv", (2,)),
    ListEntry("test/-_000003_000013.mp4"),
]
FRAMES = [ListEntry("abseiling/0wR5jVB-WPk_000417_000427", (0,), 300), ListEntry("test/x", (), 5)]


def test_exact_text(tmp_path: Path) -> None:
    assert write_list(tmp_path / "v.txt", VIDEOS) == 3
    assert (tmp_path / "v.txt").read_bytes() == (
        b"abseiling/0wR5jVB-WPk_000417_000427.mp4 0\nmassaging_person's_head/a_000003_000013.mkv 2\n"
        b"test/-_000003_000013.mp4\n"
    )
    write_list(tmp_path / "r.txt", FRAMES)
    assert (tmp_path / "r.txt").read_bytes() == b"abseiling/0wR5jVB-WPk_000417_000427 300 0\ntest/x 5\n"


def test_some_lists_end_without_a_line_end(tmp_path: Path) -> None:
    assert write_list(tmp_path / "r.txt", FRAMES, final_newline=False) == 2
    assert (tmp_path / "r.txt").read_bytes() == b"abseiling/0wR5jVB-WPk_000417_000427 300 0\ntest/x 5"
    assert list(read_list(tmp_path / "r.txt", "rawframes")) == FRAMES
    write_list(tmp_path / "r.txt", [], final_newline=False)
    assert (tmp_path / "r.txt").read_bytes() == b""


def test_exact_json(tmp_path: Path) -> None:
    write_list(tmp_path / "v.json", VIDEOS[:1])
    expected = '[{"filename": "abseiling/0wR5jVB-WPk_000417_000427.mp4", "label": [0]}]'
    assert (tmp_path / "v.json").read_text() == expected
    write_list(tmp_path / "r.json", FRAMES)
    assert (tmp_path / "r.json").read_text() == json.dumps(
        [
            {"frame_dir": "abseiling/0wR5jVB-WPk_000417_000427", "total_frames": 300, "label": [0]},
            {"frame_dir": "test/x", "total_frames": 5, "label": []},
        ]
    )
    write_list(tmp_path / "e.json", [])
    assert (tmp_path / "e.json").read_text() == "[]"


@pytest.mark.parametrize("suffix", ["txt", "json"])
def test_what_is_written_reads_back(tmp_path: Path, suffix: str) -> None:
    write_list(tmp_path / f"v.{suffix}", VIDEOS)
    write_list(tmp_path / f"r.{suffix}", FRAMES)
    assert list(read_list(tmp_path / f"v.{suffix}", "videos")) == VIDEOS
    assert list(read_list(tmp_path / f"r.{suffix}", "rawframes")) == FRAMES
    assert [entry.label for entry in VIDEOS] == [0, 2, -1]


def test_reader_rules(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_text("a.mp4 1 5 7\n")
    assert list(read_list(path, "videos", multi_label=True)) == [ListEntry("a.mp4", (1, 5, 7))]
    path.write_text("a  12\t300 1 4\n")
    assert list(read_list(path, "rawframes", with_offset=True)) == [ListEntry("a", (1, 4), 300, 12)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a.mp4 1\nb.mp4 1 2\n", "line 2: 3 fields"), ("a.mp4 x\n", "line 1: 'x'"), ("\n", "line 1: the line is blank")],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "l.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        list(read_list(path, "videos"))


@pytest.mark.parametrize("value", [{}, [1], [{"filename": "a"}], [{"frame_dir": "a", "label": [1]}]])
def test_bad_json_is_named(tmp_path: Path, value: object) -> None:
    path = tmp_path / "l.json"
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"l\.json"):
        list(read_list(path, "videos"))


def test_a_path_that_readers_would_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="white space"):
        write_list(tmp_path / "v.txt", [ListEntry("a b.mp4", (1,))])
    assert list(tmp_path.iterdir()) == []


def test_the_shuffle_of_val_depends_on_the_train_clips_before_it() -> None:
    orders = []
    for before in (0, 6, 7):
        values = list(range(20))
        reference_shuffle(values, 0, before=[before])
        assert sorted(values) == list(range(20))
        orders.append(values)
    assert orders[0] != orders[1]
    again = list(range(20))
    reference_shuffle(again, 0)
    assert again == orders[0]
    # python's random.seed(0); random.shuffle, which does not change between versions
    six = list("abcdef")
    reference_shuffle(six, 0)
    assert "".join(six) == "ecbafd"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"a/b.mp4 1\nc/\xff.mp4 2\n", "line 2: the line is not UTF-8 (byte 3 of it)"),
        ("a/b.mp4 1\n".encode("utf-16"), "line 1: the line is not UTF-8"),
        (b"a" * 10_000 + b" 1\n", "line 1: the line is longer than 8192 bytes"),
        (b"a/b.mp4 one\n", "line 1: 'one' are not whole numbers"),
    ],
)
def test_a_damaged_list_is_one_sentence(tmp_path: Path, body: bytes, why: str) -> None:
    (tmp_path / "list.txt").write_bytes(body)
    with pytest.raises(UserError, match=re.escape(why)):
        list(read_list(tmp_path / "list.txt", "videos"))
    with pytest.raises(UserError, match="cannot be read: No such file"):
        list(read_list(tmp_path / "none.txt", "videos"))


def test_a_mark_and_foreign_line_ends_are_no_part_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa/b.mp4 1\r\nc/d.mp4 2")
    found = [(entry.path, entry.label) for entry in read_list(tmp_path / "list.txt", "videos")]
    assert found == [("a/b.mp4", 1), ("c/d.mp4", 2)]
