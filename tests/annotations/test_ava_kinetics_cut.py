"""2.5 seconds around a key frame of AVA-Kinetics, cut out of a clip of Kinetics-700."""

from __future__ import annotations

from decimal import Decimal

import pytest
from clipquarry.annotations.ava_kinetics_cut import Cut, CutClips, cut_around, cuts
from clipquarry.ids import ClipName

A, B = "AA_000012_0", "-B_B_B_B_B_"


def clips(*windows: tuple[int, int]) -> list[tuple[ClipName, str]]:
    return [(ClipName(A, start, end), f"class {start}") for start, end in windows]


@pytest.mark.parametrize(
    ("time", "window", "name", "start", "end", "key"),
    [
        ("17.070270", (12, 22), f"{A}_12_17_0125", 15_820_270, 18_320_270, 1_250_000),
        ("13.250000", (12, 22), f"{A}_12_13_0125", 12_000_000, 14_500_000, 1_250_000),
        ("13.150000", (12, 22), f"{A}_12_13_0115", 12_000_000, 14_500_000, 1_150_000),
        ("13.000000", (12, 22), f"{A}_12_13_0100", 12_000_000, 14_500_000, 1_000_000),
        ("21.000000", (12, 22), f"{A}_12_21_0125", 19_750_000, 22_000_000, 1_250_000),
        ("5.5", (4, 9), f"{A}_04_05_0125", 4_250_000, 6_750_000, 1_250_000),
        ("8.000000", (4, 9), f"{A}_04_08_0125", 6_750_000, 9_000_000, 1_250_000),
        ("12457", (12452, 12462), f"{A}_12452_12457_0125", 12_455_750_000, 12_458_250_000, 1_250_000),
    ],
)  # fmt: skip
def test_what_is_cut(time: str, window: tuple[int, int], name: str, start: int, end: int, key: int) -> None:
    found = cut_around(time, clips(window))
    assert isinstance(found, Cut), found
    assert (found.name, found.start, found.end, found.key) == (name, start, end, key)
    assert found.label == f"class {window[0]}"


@pytest.mark.parametrize(
    ("time", "windows", "why"),
    [
        ("21.050000", [(12, 22)], f"is 4.05 s from the middle of its nearest clip, {A}_000012_000022"),
        ("12.900000", [(12, 22)], "is 4.1 s from the middle"),
        ("4.900000", [(4, 9)], f"is less than 0.9 s from an end of {A}_000004_000009"),
        ("8.100000", [(4, 9)], "is less than 0.9 s from an end"),
        ("90", [(12, 22), (30, 40)], f"is 55 s from the middle of its nearest clip, {A}_000030_000040"),
    ],
)
def test_what_is_not_cut(time: str, windows: list[tuple[int, int]], why: str) -> None:
    found = cut_around(time, clips(*windows))
    assert isinstance(found, str) and found.startswith(why), found


def test_the_clip_whose_middle_is_nearest_then_the_longest_then_the_earliest() -> None:
    def taken(time: str, *windows: tuple[int, int]) -> int:
        found = cut_around(time, clips(*windows))
        assert isinstance(found, Cut), found
        return found.clip.start

    assert taken("17", (8, 18), (13, 23)) == 13
    assert taken("17.4", (8, 18), (13, 23)) == 13
    assert taken("17", (11, 21), (13, 23)) == 11, "equally near and long: the earlier"
    assert taken("17", (13, 23), (14, 18), (11, 21)) == 11
    assert taken("17", (15, 19), (12, 22)) == 12, "equally near: the longer"


def test_each_second_is_cut_once_around_its_first_key_frame() -> None:
    rows = [(A, "17.500000"), (B, "3.000000"), (A, "17.070000"), (A, "17.500000"), (A, "90.000000"), (A, "19.000000")]
    made = list(cuts(rows, [*clips((12, 22)), (ClipName("other_video", 0, 10), "")]))
    assert [one.name if isinstance(one, Cut) else one for one in made] == [
        f"{A}_12_17_0125",
        (B, "3.000000", "is of a video of which Kinetics-700 has no clip"),
        (A, "90.000000", f"is 73 s from the middle of its nearest clip, {A}_000012_000022"),
        f"{A}_12_19_0125",
    ]
    first = made[0]
    assert isinstance(first, Cut)
    known = CutClips({first.name: first.start, "no such form": 5})
    assert known.name(A, 17) == first.name and known.name(A, 18) is None
    assert known.time_in(first.name, "17.500000") == Decimal("1.68"), "its own time, in what is cut for the first"
    assert known.time_in(first.name, "17.070000") == Decimal("1.25")
