"""Source videos for the media tests: real files of several kinds, made once."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video
from clipquarry.media.tools import ffmpeg
from media_sources import FILM, NTSC, SIZE, AtRate, convert, with_edit_list


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(preset="superfast", crf=20, audio="copy")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s, 30 fps, one key frame every 100 frames, B-frames, sound."""
    return make_video(tmp_path_factory.mktemp("plain") / "plain.mp4", 12, size=SIZE, label="plain", gop=100, b_frames=3)


@pytest.fixture(scope="session")
def sources(plain: Path) -> dict[str, Path]:
    """The kinds of source whose cuts are compared with the reference command."""
    folder = plain.parent
    jitter = [i / 20 + 0.011 * (i % 3) for i in range(240)]
    return {
        "30 fps": plain,
        "25 fps, one key frame": make_video(folder / "pal.mp4", 12, 25, SIZE, label="pal", gop=1000),
        "29.97 fps": make_video(folder / "ntsc.mp4", 12, NTSC, SIZE, label="ntsc", gop=120),
        "23.976 fps": make_video(folder / "film.mp4", 12, FILM, SIZE, label="film", gop=120),
        "variable rate": make_video(folder / "vfr.mp4", 12, size=SIZE, label="vfr", gop=90, times=jitter),
        "matroska": convert(plain, folder / "plain.mkv", "-c", "copy"),
        "no sound": convert(plain, folder / "mute.mp4", "-c", "copy", "-an"),
        "starts at 7.3 s": convert(plain, folder / "late.mkv", "-c", "copy", "-output_ts_offset", "7.3"),
        "transport stream": convert(plain, folder / "plain.ts", "-c", "copy"),
        "edit list": with_edit_list(plain, folder / "edit.mp4"),
        "vp8 webm": convert(
            plain, folder / "plain.webm", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "16", "-b:v", "1M",
            "-c:a", "libopus",
        ),
        "mpeg4 avi": convert(plain, folder / "plain.avi", "-c:v", "mpeg4", "-q:v", "3", "-bf", "2", "-c:a", "mp3"),
    }  # fmt: skip


@pytest.fixture(scope="session")
def at_rate(tmp_path_factory: pytest.TempPathFactory) -> AtRate:
    """Source videos of constant rates; each is made when it is first asked for."""
    folder = tmp_path_factory.mktemp("rates")

    @cache
    def made(rate: Fraction | int) -> Path:
        return make_video(folder / f"{float(rate):g}.mp4", 12, rate, SIZE, gop=250, b_frames=3)

    return made


@pytest.fixture(params=["system", "wheel"])
def any_ffmpeg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both programs that may do the work."""
    if request.param == "wheel":
        monkeypatch.setenv("CLIPQUARRY_FFMPEG", imageio_ffmpeg.get_ffmpeg_exe())
        assert ffmpeg().origin == "environment"
    elif ffmpeg().origin != "system":
        pytest.skip("this machine has no system ffmpeg with libx264")
    return str(request.param)


@pytest.fixture
def reference_cut() -> Callable[[Path, Path, float, float], Path]:
    """The Kinetics crawler's command, word for word."""

    def cut(source: Path, out: Path, start: float, duration: float) -> Path:
        return convert(
            source, out, "-ss", str(start), "-t", str(duration), "-c:v", "libx264", "-c:a", "copy", "-threads", "1"
        )

    return cut
