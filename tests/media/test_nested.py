"""Clips inside another clip of the same source: copied out of its packets, frame for frame."""

from __future__ import annotations

import math
from pathlib import Path
from unittest.mock import patch

import av
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.media import cut, in_process
from clipquarry.media.cut import cut_clip
from clipquarry.media.nested import Outer, key_numbers
from clipquarry.media.probe import MediaFacts, probe

RATE, SECONDS = 25, 12
START, LENGTH = 2.31, 7.0
INNER = {
    "in the middle": (4.0, 1.5), "from its start on": (START, 2.0), "to its end": (START + 5.5, 1.5), "over another": (4.77, 2.01),
    "one frame": (6.0, 0.04), "between frames": (3.013, 0.111),
}  # fmt: skip
RECIPE = Recipe(duration_tolerance=0.1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("nested") / "source.mp4", SECONDS, RATE, size=(160, 96), gop=60)


def made(source: Path, out: Path, start: float, duration: float, **more: object) -> MediaFacts:
    return cut_clip(source, out, start=start, duration=duration, recipe=RECIPE, tolerance=0.1, in_process=True, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def outer(source: Path) -> Outer:
    path = source.with_name("outer.mp4")
    edges = [at for start, duration in INNER.values() for at in (start, start + duration)]
    facts = made(source, path, START, LENGTH, edges=edges)
    assert facts.frames == LENGTH * RATE
    return Outer(path, START)


def numbers(start: float, duration: float) -> list[int]:
    return list(range(math.ceil(start * RATE - 1e-6), math.ceil((start + duration) * RATE - 1e-6)))


def sound(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        return [(round(float(p.pts * p.time_base), 3), bytes(p)) for p in container.demux(audio=0) if p.size]


@pytest.mark.parametrize("name", INNER)
def test_an_inner_clip_is_the_one_that_would_be_cut(name: str, source: Path, outer: Outer, tmp_path: Path) -> None:
    start, duration = INNER[name]
    with patch.object(cut, "encode", side_effect=AssertionError("encoded")):
        facts = made(source, tmp_path / "copied.mp4", start, duration, outer=outer)
    plain = made(source, tmp_path / "cut.mp4", start, duration)
    assert (
        read_frame_numbers(tmp_path / "copied.mp4")
        == read_frame_numbers(tmp_path / "cut.mp4")
        == numbers(start, duration)
    )
    assert (facts.frames, facts.duration, facts.fps, facts.has_audio) == (
        plain.frames,
        plain.duration,
        plain.fps,
        plain.has_audio,
    )
    times: tuple[list[float], list[float]] = ([], [])
    for path, found in zip(("copied.mp4", "cut.mp4"), times, strict=True):
        probe(tmp_path / path, times=found)
    assert times[0] == pytest.approx(times[1], abs=1e-3)
    copied, directly = sound(tmp_path / "copied.mp4"), sound(tmp_path / "cut.mp4")
    # mp4 rounds the beginning of the outer clip's sound to a millisecond, so that the last packet may be on its other side.
    assert abs(len(copied) - len(directly)) <= 1
    for (at, data), (other, same) in zip(copied, directly, strict=False):
        assert data == same and abs(at - other) <= 3e-3


def test_what_has_no_key_frames_at_its_edges_is_cut_out_of_the_source(
    source: Path, outer: Outer, tmp_path: Path
) -> None:
    with patch.object(cut, "encode", side_effect=in_process.encode) as encode:
        made(source, tmp_path / "x.mp4", 5.1, 1.0, outer=outer)
    assert encode.called
    assert read_frame_numbers(tmp_path / "x.mp4") == numbers(5.1, 1.0)


@pytest.mark.parametrize("wrong", ["shorter", "of another start", "gone", "no video"])
def test_an_outer_clip_that_does_not_fit_is_not_used(wrong: str, source: Path, outer: Outer, tmp_path: Path) -> None:
    path, start = tmp_path / "outer.mp4", outer.start
    if wrong == "shorter":
        made(source, path, START, 2.0, edges=[4.0])
    elif wrong == "of another start":
        path, start = outer.path, outer.start + 0.4
    elif wrong == "no video":
        path.write_bytes(b"nothing")
    made(source, tmp_path / "x.mp4", 4.0, 1.5, outer=Outer(path, start))
    assert read_frame_numbers(tmp_path / "x.mp4") == numbers(4.0, 1.5)


def test_numbers_of_key_frames() -> None:
    times = [0.02, 0.12, 0.22, 0.32]
    assert key_numbers(times, [0.0, 0.02, 0.05, 0.22, 0.4]) == {1, 2}, "neither the first frame nor the end"
    assert key_numbers(times, [0.22 + 1e-9, 0.3200001]) == {2, 3}, "ffmpeg's ticks are microseconds"
