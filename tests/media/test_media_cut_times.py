"""Cuts from sources whose picture begins late, has holes or stands still: nothing is moved, and what is short is told."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import header
from clipquarry.reasons import Reason
from cutting import cut, sound_of, times_of
from media_sources import SIZE, convert


def test_a_hole_in_the_picture_is_not_a_short_source(tmp_path: Path, recipe: Recipe) -> None:
    times = [i / 30 for i in range(60)] + [8 + i / 30 for i in range(60)]
    source = make_video(tmp_path / "hole.mp4", 10, size=SIZE, times=times)
    with pytest.raises(MediaError, match="it has a hole there") as caught:
        cut(source, tmp_path / "a.mp4", recipe, 4, 5)
    assert caught.value.reason is Reason.CORRUPT


@pytest.fixture(scope="module")
def late_pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sound from 0 s, 30 frames a second from 2 s on, in two containers."""
    folder = tmp_path_factory.mktemp("late")
    video = make_video(folder / "picture.mp4", 6, size=SIZE, tone=False, gop=30)
    sound = make_video(folder / "sound.mp4", 8, size=SIZE)
    streams = ("-i", str(sound), "-map", "0:v", "-map", "1:a", "-c", "copy")
    return {
        suffix: convert(video, folder / f"late.{suffix}", *streams, before=("-itsoffset", "2"))
        for suffix in ("mp4", "mkv")
    }


@pytest.mark.parametrize("fps", [None, 30])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_picture_that_begins_late_is_not_moved(
    late_pictures: dict[str, Path], tmp_path: Path, suffix: str, fps: int | None, any_ffmpeg: str
) -> None:
    source, out, recipe = late_pictures[suffix], tmp_path / "a.mp4", Recipe(fps=fps)
    for window, found in (
        ((0, 3), r"(1\.00|0\.98) s of 3 s"),
        ((0, 2), r"0\.00 s of 2 s"),
    ):  # mkv begins with the sound
        with pytest.raises(MediaError, match=rf"{found} from 0 s on: the video stream begins at 2\.0[02] s") as caught:
            cut(source, out, recipe, *window)
        assert caught.value.reason is Reason.TOO_SHORT
    cut(source, out, recipe, 0, 3, tolerance=2.1)  # what there is
    shown = read_frame_numbers(out)
    assert shown == list(range(30 if suffix == "mp4" or fps is None else 29)), (
        "mkv begins 0.02 s earlier, with the sound"
    )
    assert times_of(out) == pytest.approx([n / 30 for n in range(len(shown))])
    assert sound_of(out) == pytest.approx(1, abs=0.05), "the sound begins with the picture"
    cut(source, out, recipe, 1.8, 3)
    assert read_frame_numbers(out) == list(range(84 if len(shown) == 30 else 83)), "late by less than is allowed"


def test_a_window_after_a_hole_does_not_begin_early(tmp_path: Path, recipe: Recipe) -> None:
    times = [n / 30 for n in range(60)] + [2.4 + n / 30 for n in range(120)]
    source = make_video(tmp_path / "hole.mkv", 7, size=SIZE, times=times)
    cut(source, tmp_path / "a.mp4", recipe, 2, 3)
    assert read_frame_numbers(tmp_path / "a.mp4") == list(range(60, 138)), "up to second 5 and no further"
    with pytest.raises(MediaError, match="hole") as caught:
        cut(source, tmp_path / "a.mp4", recipe, 2, 3, tolerance=0.1)
    assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("fps", [None, 30])
def test_a_hole_in_what_says_to_be_constant_is_corrupt(tmp_path: Path, fps: int | None) -> None:
    # Matroska goes on saying 30 a second, whatever the packets do.
    whole = make_video(tmp_path / "whole.mkv", 8, size=SIZE, gop=30, b_frames=0)
    source = tmp_path / "hole.mkv"
    with av.open(str(whole)) as container, av.open(str(source), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.dts is not None and not (
                packet.stream.type == "video" and 3 <= packet.pts * packet.time_base < 4
            ):
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    assert header(source).rate == 30
    with pytest.raises(MediaError, match=r"a hole of 1\.0. s at 2\.97 s") as caught:
        cut(source, tmp_path / "a.mp4", Recipe(fps=fps), 2, 3)
    assert caught.value.reason is Reason.CORRUPT
    cut(source, tmp_path / "a.mp4", Recipe(fps=fps), 4, 3)
    assert read_frame_numbers(tmp_path / "a.mp4")[0] == 120


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_the_packets_decide_whether_a_rate_is_constant(tmp_path: Path, suffix: str, any_ffmpeg: str) -> None:
    # Pairs 10 ms apart, 30 frames a second on average: Matroska's header says 30.
    times = [n // 2 / 15 + n % 2 * 0.01 for n in range(180)]
    source = make_video(tmp_path / f"pairs.{suffix}", 6, size=SIZE, times=times, tone=False)
    if suffix == "mkv":
        assert header(source).rate == 30
    cut(source, tmp_path / "a.mp4", Recipe(), 2, 3)
    assert read_frame_numbers(tmp_path / "a.mp4") == list(range(60, 150))
    assert times_of(tmp_path / "a.mp4") == pytest.approx([time - 2 for time in times[60:150]], abs=0.0015)


@pytest.mark.parametrize(("start", "duration"), [(0, 3), (0, 4), (4.4, 3)])
def test_the_last_frame_ends_with_the_window(tmp_path: Path, start: float, duration: float, any_ffmpeg: str) -> None:
    source = make_video(tmp_path / "still.mp4", 11, size=SIZE, times=[n * 2.2 for n in range(5)])
    facts = cut(source, tmp_path / "a.mp4", Recipe(), start, duration)
    assert facts.duration == pytest.approx(duration, abs=0.001)
    assert times_of(tmp_path / "a.mp4") == pytest.approx([0, 2.2], abs=0.001)
    assert sound_of(tmp_path / "a.mp4") == pytest.approx(duration, abs=0.05)


def test_a_steady_picture_that_stands_still_at_the_end(tmp_path: Path, any_ffmpeg: str) -> None:
    times = [n / 30 for n in range(60)] + [5.0]
    source = make_video(tmp_path / "end.mp4", 6, size=SIZE, times=times, b_frames=0)
    assert cut(source, tmp_path / "a.mp4", Recipe(), 1, 3).duration == pytest.approx(3, abs=0.001)
    assert read_frame_numbers(tmp_path / "a.mp4") == list(range(30, 60))


def test_a_window_within_one_slow_picture_says_so(tmp_path: Path, recipe: Recipe) -> None:
    source = make_video(tmp_path / "still.mp4", 11, size=SIZE, times=[n * 2.2 for n in range(5)])
    with pytest.raises(MediaError, match=r"2\.80 s of 4 s from 1 s on: no new frame comes before 2\.20 s") as caught:
        cut(source, tmp_path / "a.mp4", recipe, 1, 4)
    assert caught.value.reason is Reason.TOO_SHORT
