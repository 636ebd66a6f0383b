from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from clipquarry.demo.videos import make_video
from clipquarry.media.probe import Header
from clipquarry.media.timeline import Timeline, constant_rate, decoded_times, hole, read_timeline, unlike
from media_sources import SIZE

STEADY = tuple(n / 30 for n in range(90))


def told(rate: Fraction | int | None = 30, tick: Fraction = Fraction(1, 15360)) -> Header:
    return Header("mov", tick, None if rate is None else Fraction(rate), 160, 120, "", 10.0, 300, 0.0)


def test_the_packets_confirm_a_rate_or_do_not() -> None:
    assert constant_rate(STEADY, told()) == 30
    assert constant_rate(STEADY[:40] + STEADY[43:], told()) == 30, "a frame may be missing"
    assert constant_rate([round(time, 3) for time in STEADY], told(tick=Fraction(1, 1000))) == 30, (
        "a clock of milliseconds"
    )
    assert constant_rate(STEADY, told(25)) is None
    assert constant_rate(STEADY, told(None)) is None
    assert constant_rate([0.0, 0.053, 0.067, 0.12], told(tick=Fraction(1, 1000))) is None
    assert constant_rate([0.0, 0.033, 0.034], told(tick=Fraction(1, 1000))) is None, "two frames in one place"


def test_a_hole_is_a_pause_of_a_steady_picture() -> None:
    def found(times: Sequence[float], longest: float = 0.5, until: float = 3.0, rate: int | None = 30):
        return hole(Timeline(tuple(times), (0.0,) * len(times), 4.0, 1e-4, told(rate)), 0.0, until, longest)

    broken = STEADY[:30] + tuple(time + 0.7 for time in STEADY[30:])
    assert found(broken) == (pytest.approx(29 / 30), pytest.approx(0.7 + 1 / 30))
    assert found(broken, until=1.6) == (pytest.approx(29 / 30), pytest.approx(1.6 - 29 / 30)), "what lies in the window"
    assert found(broken, until=1.2) is None
    assert found(broken, longest=1.0) is None, "not longer than is allowed"
    assert found(broken, rate=None) is None, "the file says that its rate varies"
    assert found([n * 2.2 for n in range(30)], until=66) is None, "every picture lasts long"
    assert found([*STEADY[:10], *(1 + n for n in range(10))], until=10) is None, "a slow picture after a steady one"
    assert found(STEADY) is None
    assert found([]) is None


def test_times_of_a_clip_are_held_against_its_source() -> None:
    moved = [time + 0.01 for time in STEADY]
    assert unlike(moved, STEADY, 1e-4) == ""
    assert unlike(STEADY[:-3], STEADY, 1e-4) == "", "a scratch of the source"
    assert unlike(STEADY[:-9], STEADY, 1e-4) == "9 of 90 frames are lost"
    assert unlike([*STEADY, 3.5], STEADY, 1e-4) == "a frame of the clip is at 3.500 s, where the source has none"
    assert unlike([time + 2 for time in STEADY], STEADY, 1e-4) == "the first frame is at 2.000 s and not at 0.000 s"
    assert unlike([n / 29 for n in range(90)], STEADY, 1e-4).startswith("a frame of the clip is at 0.069 s")
    assert unlike([], STEADY, 1e-4) == "0 of 90 frames came out"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_packets_and_decoder_agree_on_the_times(tmp_path: Path, suffix: str) -> None:
    times = [n / 30 + (0.02 if n % 2 else 0) for n in range(90)]
    source = make_video(tmp_path / f"s.{suffix}", 3, size=SIZE, times=times, gop=20, b_frames=3)
    seen = read_timeline(source, 1, 2)
    assert seen.inside(1, 2) == pytest.approx(times[30:60], abs=0.001)
    assert decoded_times(source, 1, 2) == pytest.approx(seen.inside(1, 2))
    assert seen.times[0] <= 1, "it begins with the key frame before"


def test_frames_that_are_never_shown_are_no_frames(sources: dict[str, Path]) -> None:
    shown = read_timeline(sources["vp8 webm"])
    assert len(shown.times) == 360
    assert constant_rate(shown.times, shown.header) == 30
