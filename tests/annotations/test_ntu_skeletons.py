"""One skeleton file: the reference's arrays bit by bit, and a sentence for everything that is no such file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotations.ntu_files import plain_keypoint, skeleton_text, still_text
from clipquarry.annotations.ntu_skeletons import MOST_FRAMES, Bodies, SkeletonError, denoise, read_bodies, read_file
from clipquarry.reasons import Reason
from hypothesis import given, settings
from hypothesis import strategies as st

ONE = skeleton_text([1, 1, 1])
LINES = ONE.split(b"\r\n")


def changed(line: int, text: bytes, of: bytes = ONE) -> bytes:
    """The file with another line; 1 is the first."""
    lines = of.split(b"\r\n")
    lines[line - 1] = text
    return b"\r\n".join(lines)


def joint(*xyz: str) -> bytes:
    return " ".join((*xyz, *["1"] * 9)).encode()


def same(content: bytes, folder: Path) -> np.ndarray:
    """Our key points, after they were compared with the reference's."""
    path = folder / "one.skeleton"
    path.write_bytes(content)
    ours, theirs = denoise(read_file(path).keypoint), plain_keypoint(path)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert ours.tobytes() == theirs.tobytes()
    return ours


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", " \n"])
@pytest.mark.parametrize("bodies", [[1] * 9, [2] * 5, [0, 1, 2, 3, 4, 3, 0], [5, 6, 1], [0, 0], [1], [0, 4, 0]])
def test_key_points_are_the_references(bodies: list[int], end: str, tmp_path: Path) -> None:
    for seed in range(5):
        same(skeleton_text(bodies, seed, end), tmp_path)


def test_a_body_of_more_energy_comes_first_and_only_two_stay(tmp_path: Path) -> None:
    keypoint = same(skeleton_text([4] * 6), tmp_path)
    assert keypoint.shape == (2, 6, 25, 3)
    assert keypoint[0].astype(float).std() > keypoint[1].astype(float).std()


def test_of_equal_energies_the_higher_slot_comes_first(tmp_path: Path) -> None:
    content = still_text([2, 1], 0.5)  # both slots have no energy; the second one has a single frame
    keypoint = same(content, tmp_path)
    assert keypoint.shape[0] == 0 or keypoint.any()
    # Slots 3 and 2, which are empty, win the tie and are then dropped: so the reference loses people that stand still.
    assert keypoint.shape == (0, 2, 25, 3)


def test_a_slot_that_sums_to_zero_is_dropped(tmp_path: Path) -> None:
    assert same(still_text([1, 1], 0), tmp_path).shape == (0, 2, 25, 3)
    assert same(skeleton_text([0, 0, 0]), tmp_path).shape == (0, 3, 25, 3)


def test_bodies_beyond_the_fourth_are_counted_and_not_used() -> None:
    found = read_bodies(skeleton_text([6, 1]))
    assert isinstance(found, Bodies)
    assert found.most == 6
    assert found.keypoint.shape == (4, 2, 25, 3)


def test_other_columns_may_hold_no_number_but_are_not_used() -> None:
    odd = b"0.1 0.2 0.3 NaN nan inf -Infinity 0 0 0 0 2"
    assert read_bodies(changed(5, odd)).keypoint[0, 0, 0].tolist() == [0.1, 0.2, 0.3]


def test_blank_lines_at_the_end_are_nothing() -> None:
    assert (read_bodies(ONE + b"\r\n \r\n").keypoint == read_bodies(ONE).keypoint).all()


BROKEN = {
    "empty": (b"", Reason.CORRUPT, "empty"),
    "blank": (b"\r\n\r\n", Reason.CORRUPT, "empty"),
    "an archive": (b"PK\x03\x04" + bytes(900), Reason.CORRUPT, "no text"),
    "utf-16": ("3\r\n1\r\n".encode("utf-16"), Reason.CORRUPT, "no text"),
    "a page": (b"<!DOCTYPE html>\n<html></html>\n", Reason.CORRUPT, "line 1 holds '<!DOCTYPE'"),
    "no frames": (b"0\r\n", Reason.CORRUPT, "0 frames"),
    "fewer frames than there are": (changed(1, b"2"), Reason.CORRUPT, "line 58 is after the last one"),
    "more frames than there are": (changed(1, b"4"), Reason.TRUNCATED, "ends in frame 4"),
    "huge counts": (b"999999999\r\n0\r\n", Reason.CORRUPT, f"1 to {MOST_FRAMES}"),
    "a count that no memory holds": (b"9" * 400 + b"\r\n0\r\n", Reason.CORRUPT, "line 1 should be"),
    "too many frames": (b"%d\r\n" % (MOST_FRAMES + 1) + b"0\r\n" * (MOST_FRAMES + 1), Reason.CORRUPT, "frames"),
    "negative frames": (changed(1, b"-3"), Reason.CORRUPT, "line 1 should be"),
    "a fraction of a frame": (changed(1, b"3.0"), Reason.CORRUPT, "line 1 should be"),
    "many bodies": (changed(2, b"7"), Reason.CORRUPT, "line 2 announces 7 bodies"),
    "huge bodies": (changed(2, b"999999999"), Reason.CORRUPT, "line 2 announces"),
    "a body too many": (changed(2, b"2"), Reason.CORRUPT, "line 31 should be the number of joints"),
    "a body too few": (changed(2, b"0"), Reason.CORRUPT, "line 3 should be the number of bodies"),
    "20 joints": (changed(4, b"20"), Reason.CORRUPT, "line 4 announces 20 joints"),
    "26 joints": (changed(4, b"26"), Reason.CORRUPT, "line 4 announces 26 joints"),
    "a short body": (changed(3, b"1 0 1"), Reason.CORRUPT, "line 3 has 3 numbers instead of 10"),
    "a short joint": (changed(5, b"0 0 0"), Reason.CORRUPT, "line 5 has 3 numbers instead of 12"),
    "a long joint": (changed(5, b"0 " * 13), Reason.CORRUPT, "line 5 has 13 numbers instead of 12"),
    "a blank line": (ONE.replace(b"\r\n", b"\r\n\r\n", 1), Reason.CORRUPT, "line 2 should be the number of bodies"),
    "a word": (changed(6, joint("0", "head", "0")), Reason.CORRUPT, "line 6 holds 'head', which is no number"),
    "a word elsewhere": (changed(6, b"0 " * 11 + b"left"), Reason.CORRUPT, "line 6 holds 'left'"),
    "hexadecimal": (changed(6, joint("0", "0x10", "0")), Reason.CORRUPT, "line 6 holds '0x10'"),
    "two points": (changed(6, joint("0", "1.2.3", "0")), Reason.CORRUPT, "line 6 holds '1.2.3', which is no number"),
    "a sign": (changed(29, joint("0", "0", "-")), Reason.CORRUPT, "line 29 holds '-', which is no number"),
    "nan": (changed(34, joint("0", "nan", "0")), Reason.CORRUPT, "frame 2 holds a coordinate"),
    "infinite": (changed(5, joint("inf", "0", "0")), Reason.CORRUPT, "frame 1 holds a coordinate"),
    "no float16": (changed(5, joint("0", "0", "-1e5")), Reason.CORRUPT, "frame 1 holds a coordinate"),
    "no float64": (changed(5, joint("0", "0", "1e999")), Reason.CORRUPT, "frame 1 holds a coordinate"),
    "cut off in a frame": (b"\r\n".join(LINES[:40]), Reason.TRUNCATED, "ends in frame 2"),
    "cut off after a count": (b"\r\n".join(LINES[:30]), Reason.TRUNCATED, "ends in frame 2"),
    "cut off in a body": (b"\r\n".join(LINES[:31]), Reason.TRUNCATED, "ends in frame 2"),
    "cut off in the last line": (ONE[:-30], Reason.TRUNCATED, "line 85 has "),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_a_sentence(what: str) -> None:
    content, reason, words = BROKEN[what]
    with pytest.raises(SkeletonError) as caught:
        read_bodies(content)
    assert caught.value.reason is reason
    assert words in caught.value.sentence
    assert caught.value.sentence.isprintable()
    assert len(caught.value.sentence) < 200


def test_the_largest_coordinate_that_float16_holds(tmp_path: Path) -> None:
    assert np.isfinite(same(changed(5, joint("0", "0", "65519.9")), tmp_path)).all()


@pytest.mark.parametrize("cut", range(0, len(ONE), 97))
def test_a_file_that_is_cut_off_anywhere_is_refused(cut: int) -> None:
    with pytest.raises(SkeletonError):
        read_bodies(ONE[:cut])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_is_a_traceback(data: st.DataObject) -> None:
    damaged = bytearray(skeleton_text([1, 0, 2]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"\n", b" ", b"9", b"-", b"e9", b"nan", b"."])
        )
    try:
        found = read_bodies(bytes(damaged))
    except SkeletonError as error:
        assert error.sentence.isprintable()
    else:
        assert np.isfinite(denoise(found.keypoint)).all()


def test_what_is_no_file_cannot_be_read(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "link"):
        with pytest.raises(SkeletonError, match="no file"):
            read_file(tmp_path / name)
    (tmp_path / "large").write_bytes(b" ")
    with open(tmp_path / "large", "r+b") as handle:
        handle.truncate(1 << 31)
    with pytest.raises(SkeletonError, match="larger"):
        read_file(tmp_path / "large")
