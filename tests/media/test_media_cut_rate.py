"""Clips that get a frame rate of their own."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import header
from clipquarry.reasons import Reason
from cutting import KINDS, cut
from media_sources import FILM, NTSC, SIZE, AtRate, convert


@pytest.mark.parametrize("rate", [24, FILM, 25, NTSC, 30, 50, 60])
def test_a_rate_of_its_own_is_constant_and_exact(
    tmp_path: Path, at_rate: AtRate, rate: Fraction, any_ffmpeg: str
) -> None:
    facts = cut(at_rate(rate), tmp_path / "a.mp4", Recipe(fps=30), 3, 4, tolerance=0.75)
    assert (facts.frames, facts.duration, facts.fps, facts.start_time) == (120, 4.0, 30.0, 0.0)
    assert header(tmp_path / "a.mp4").rate == 30
    numbers = read_frame_numbers(tmp_path / "a.mp4")
    for slot, number in enumerate(numbers[1:], 1):
        assert abs(number / Fraction(rate) - (3 + Fraction(slot, 30))) <= 1 / Fraction(rate) / 2
    assert 0 <= numbers[0] / Fraction(rate) - 3 < 1 / rate


@pytest.mark.parametrize("rate", [25, NTSC])  # the arithmetic of the others is that of the test above
def test_the_frames_of_a_rate_are_those_of_the_reference(tmp_path: Path, at_rate: AtRate, rate: Fraction) -> None:
    source = at_rate(rate)
    cut(source, tmp_path / "a.mp4", Recipe(fps=30), 5, 4, tolerance=0.75)
    window = ("-ss", "5", "-t", "4", "-accurate_seek")
    theirs = convert(source, tmp_path / "b.mp4", "-r", "30", "-avoid_negative_ts", "1", before=window)
    assert read_frame_numbers(tmp_path / "a.mp4") == read_frame_numbers(theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_gets_the_rate(sources: dict[str, Path], kind: str, tmp_path: Path) -> None:
    facts = cut(sources[kind], tmp_path / "a.mp4", Recipe(fps=10), 7, 3)
    assert (facts.frames, facts.fps, facts.has_audio) == (30, 10.0, kind != "no sound")
    plain = cut(sources[kind], tmp_path / "b.mp4", Recipe(), 7, 3)
    numbers, shown = read_frame_numbers(tmp_path / "b.mp4"), read_frame_numbers(tmp_path / "a.mp4")
    for slot, number in enumerate(shown):
        assert abs((number - numbers[0]) / plain.fps - slot / 10) <= 1.6 / plain.fps


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [(9.0, 120), (8.977, 120), (8.5, 105), (8.27, 98), (8.24, None), (7.9, None), (4.0, None)],
)
def test_a_rate_and_a_source_that_ends_early(tmp_path: Path, seconds: float, frames: int | None) -> None:
    # The reference drops what has fewer than (4 - 0.75) x 30 = 97.5 frames.
    source = make_video(tmp_path / "s.mp4", seconds, NTSC if seconds == 8.977 else 30, SIZE, tone=False)
    if frames is not None:
        assert cut(source, tmp_path / "a.mp4", Recipe(fps=30), 5, 4, tolerance=0.75).frames == frames
        return
    with pytest.raises(MediaError, match="s of 4 s from 5 s on: the source ends at") as caught:
        cut(source, tmp_path / "a.mp4", Recipe(fps=30), 5, 4, tolerance=0.75)
    assert caught.value.reason is Reason.TOO_SHORT
    assert not (tmp_path / "a.mp4").exists()


def test_a_rate_of_its_own_shows_the_nearest_frame_of_a_varying_source(tmp_path: Path, any_ffmpeg: str) -> None:
    times = [n / 12 + (0.06 if n % 3 == 1 else 0) for n in range(72)]
    source = make_video(tmp_path / "vfr.mp4", 6, size=SIZE, times=times, tone=False)
    cut(source, tmp_path / "a.mp4", Recipe(fps=30), 2, 3)
    inside = [n for n, time in enumerate(times) if 2 <= time < 5]
    for slot, number in enumerate(read_frame_numbers(tmp_path / "a.mp4")):
        distances = [abs(times[n] - 2 - slot / 30) for n in inside]
        assert abs(times[number] - 2 - slot / 30) <= min(distances) + 0.001
