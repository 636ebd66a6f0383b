"""Images that are shown several times are one file under several names."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_folder import count_frames, frame_name, repeat_frames, replace_folder


def put(folder: Path, *numbers: int) -> Path:
    for number in numbers:
        (folder / frame_name(number)).write_bytes(b"%d" % number)
    return folder


def shown(folder: Path) -> list[int]:
    return [int((folder / frame_name(n)).read_bytes()) for n in range(1, len(list(folder.iterdir())) + 1)]


@pytest.mark.parametrize(
    ("there", "count", "expected"),
    [
        ([1, 2, 4], 5, [1, 2, 2, 4, 4]),
        ([3], 3, [3, 3, 3]),  # what is before the first one shows the first
        ([1], 1, [1]),
        ([2, 5], 6, [2, 2, 2, 2, 5, 5]),
        ([1, 2, 3], 3, [1, 2, 3]),
    ],
)
def test_gaps_show_the_image_before(tmp_path: Path, there: list[int], count: int, expected: list[int]) -> None:
    repeat_frames(put(tmp_path, *there), count, 2)
    assert shown(tmp_path) == expected
    assert len({path.stat().st_ino for path in tmp_path.iterdir()}) == len(there)
    assert count_frames(tmp_path) == (count, count)


def test_an_end_that_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    repeat_frames(put(tmp_path, 1, 3), 6, 2)
    with pytest.raises(MediaError, match="img_00002"):
        count_frames(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [frame_name(1), frame_name(3)]


def test_nothing_is_no_repetition(tmp_path: Path) -> None:
    repeat_frames(tmp_path, 5, 9)
    assert list(tmp_path.iterdir()) == []


def test_copies_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", no_link)
    repeat_frames(put(tmp_path, 1, 4), 4, 0)
    assert shown(tmp_path) == [1, 1, 1, 4]
    assert len({path.stat().st_ino for path in tmp_path.iterdir()}) == 4


def test_a_folder_that_another_run_puts_there_at_this_moment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, ours, theirs = (tmp_path / name for name in ("target", "ours", "theirs"))
    for number, folder in enumerate((ours, theirs), 1):
        folder.mkdir()
        put(folder, number)
    move = Path.rename

    def other_run_comes_first(path: Path, to: Path) -> Path:
        if path == ours and theirs.exists():
            move(theirs, target)
        return move(path, to)

    monkeypatch.setattr(Path, "rename", other_run_comes_first)
    replace_folder(ours, target)
    assert shown_number(target) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def shown_number(folder: Path) -> int:
    (path,) = folder.iterdir()
    return int(path.read_bytes())
