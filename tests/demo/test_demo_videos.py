from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clipquarry.demo.videos import MAX_FRAMES, _draw_number, make_video, read_frame_numbers, read_number
from clipquarry.files import sha256_of
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg


@pytest.mark.parametrize("number", [0, 1, 299, 4095, 43690, MAX_FRAMES - 1])
def test_a_number_can_be_read_from_noise(number: int) -> None:
    luma = np.random.default_rng(number).integers(0, 256, (120, 160)).astype(np.uint8)
    _draw_number(luma, number)
    noise = np.random.default_rng(1).normal(0, 30, luma.shape)
    assert read_number(np.clip(luma + noise, 0, 255).astype(np.uint8)) == number


def test_what_is_no_strip_is_refused() -> None:
    with pytest.raises(ValueError, match="checksum"):
        read_number(np.full((120, 160), 255, np.uint8))


@pytest.mark.parametrize("fps", [25, Fraction(30000, 1001), 29.97])
def test_a_video_is_real_and_its_frames_are_numbered(tmp_path: Path, fps: float | Fraction) -> None:
    path = make_video(tmp_path / "v.mp4", 2, fps, (160, 120), label="x")
    facts = probe(path)
    assert facts.fps == pytest.approx(float(fps), rel=1e-4)
    assert (facts.video_codec, facts.width, facts.height, facts.has_audio) == ("h264", 160, 120, True)
    assert read_frame_numbers(path) == list(range(facts.frames))


def test_numbers_survive_scaling_and_compression(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 2, 30, (320, 240), tone=False)
    small = tmp_path / "s.mp4"
    argv = [str(ffmpeg().path), "-v", "error", "-i", str(path), "-vf", "scale=86:64", "-crf", "32", str(small)]
    subprocess.run(argv, check=True)
    assert read_frame_numbers(small) == list(range(60))


def test_labels_make_different_films_and_the_same_label_the_same(tmp_path: Path) -> None:
    sums = [
        sha256_of(make_video(tmp_path / f"{n}.mp4", 1, size=(160, 120), label=label)) for n, label in enumerate("aab")
    ]
    assert sums[0] == sums[1] != sums[2]


def test_times_may_be_given(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 0, size=(160, 120), tone=False, times=[0, 0.1, 0.5, 0.6])
    assert probe(path).frames == 4


@pytest.mark.parametrize(("seconds", "size"), [(0, (160, 120)), (3000, (160, 120)), (1, (161, 120))])
def test_what_cannot_be_made_is_said(tmp_path: Path, seconds: float, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a demo video has"):
        make_video(tmp_path / "v.mp4", seconds, size=size)
