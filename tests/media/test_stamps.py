"""Sources whose container does not say when a frame is shown: AVI and its like."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import RetryLater
from clipquarry.media import stamped
from clipquarry.media.cut import cut_clip
from clipquarry.media.errors import MediaError
from clipquarry.media.excerpt import Section, make_excerpt
from clipquarry.media.frame_folder import frame_name
from clipquarry.media.frames import FrameRecipe, extract_frames
from clipquarry.media.resize import resize_clip
from clipquarry.media.stamps import _places, _times, lacks_times
from clipquarry.media.timeline import read_timeline
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason
from media_sources import NTSC, SIZE, convert

FRAMES = 100
"""Of the film, at 25 a second."""

KINDS = {
    "mpeg4.avi": ("-c:v", "mpeg4", "-bf", "2"),
    "packed.avi": ("-c:v", "libxvid", "-bf", "2", "-q:v", "1"),
    "h264.avi": ("-c:v", "libx264", "-bf", "2"),
    "without_b.avi": ("-c:v", "libx264", "-bf", "0"),
    "mjpeg.avi": ("-c:v", "mjpeg"),
    "mpeg4.asf": ("-c:v", "mpeg4", "-bf", "2"),
    "bare.h264": ("-c:v", "libx264", "-bf", "2", "-an"),
}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", 4, 25, SIZE, gop=1, b_frames=0, crf=10)


def made_of(film: Path, out: Path, *options: str) -> Path:
    return convert(film, out, "-q:v", "3", "-g", "12", *options, f"-{ffmpeg().fps_mode_option}", "passthrough")


def cut(source: Path, out: Path, start: float, duration: float, tolerance: float = 0.5) -> list[int]:
    """The numbers of the clip's frames."""
    cut_clip(source, out, start=start, duration=duration, recipe=Recipe(), tolerance=tolerance)
    assert [path.name for path in out.parent.glob(".*")] == [], "something is left behind"
    return read_frame_numbers(out)


@pytest.mark.parametrize("kind", KINDS)
def test_the_frames_are_those_of_the_window(film: Path, tmp_path: Path, kind: str) -> None:
    if kind == "packed.avi" and not _encodes("libxvid"):
        pytest.skip("this ffmpeg has no Xvid")
    source = made_of(film, tmp_path / kind, "-c:a", "pcm_s16le", *KINDS[kind])
    shown = read_timeline(source)
    assert lacks_times(source, shown.header.format) and not shown.seeks
    # Xvid spoils frame 58; ffmpeg's writer leaves two places empty behind its first frame.
    ends, frames, moved = (2, 48, 2) if kind == "packed.avi" else (4, FRAMES, 0)
    out = tmp_path / "out" / "a.mp4"
    out.parent.mkdir()
    assert cut(source, out, 0, ends) == list(range(frames))
    assert cut(source, out, 0.51, 1.5) == list(range(13 - moved, 51 - moved)), "between two frames"


def _encodes(name: str) -> bool:
    told = subprocess.run([str(ffmpeg().path), "-encoders"], capture_output=True, text=True, check=True)
    return f" {name} " in told.stdout


def test_an_odd_rate_in_avi(tmp_path: Path) -> None:
    film = make_video(tmp_path / "f.mp4", 4, NTSC, SIZE, gop=1, b_frames=0)
    source = made_of(film, tmp_path / "f.avi", "-c:v", "mpeg4", "-bf", "2", "-an")
    assert cut(source, tmp_path / "a.mp4", 0, 4) == list(range(120))
    assert read_timeline(source).times == pytest.approx([n / float(NTSC) for n in range(120)])


def with_empty_chunks(source: Path, out: Path, count: int) -> Path:
    """The silent AVI with ``count`` empty chunks before its first picture: what a recorder writes that is late."""
    data = source.read_bytes()
    movi = data.index(b"movi")
    size = struct.unpack_from("<I", data, movi - 4)[0]
    after = movi - 4 + 4 + size
    index = data.index(b"idx1", after)
    entries = struct.iter_unpack("<4sIII", data[index + 8 : index + 8 + struct.unpack_from("<I", data, index + 4)[0]])
    listed = [(b"00dc", 0, 4 + 8 * number, 0) for number in range(count)]
    listed += [(name, flags, place + 8 * count, length) for name, flags, place, length in entries]
    written = b"".join(struct.pack("<4sIII", *entry) for entry in listed)
    body = data[8 : movi - 4] + struct.pack("<I", size + 8 * count) + b"movi" + b"00dc\0\0\0\0" * count
    body += data[movi + 4 : after] + b"idx1" + struct.pack("<I", len(written)) + written
    out.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return out


def with_start(source: Path, out: Path, ticks: int) -> Path:
    """The AVI whose header says that its video begins so late."""
    data = bytearray(source.read_bytes())
    struct.pack_into("<I", data, data.index(b"vids") + 28, ticks)
    out.write_bytes(data)
    return out


@pytest.mark.parametrize("codec", [("mpeg4", "2"), ("libx264", "0")])
@pytest.mark.parametrize("late", [with_empty_chunks, with_start])
def test_a_picture_that_begins_late_in_an_avi(film: Path, tmp_path: Path, codec: tuple[str, str], late) -> None:
    plain = made_of(film, tmp_path / "plain.avi", "-c:v", codec[0], "-bf", codec[1], "-an")
    source, out = late(plain, tmp_path / "late.avi", 8), tmp_path / "a.mp4"
    assert cut(source, out, 0, 4) == list(range(92)), "it begins at 0.32 s"
    with pytest.raises(MediaError, match=r"the video stream begins at 0\.32 s") as caught:
        cut(source, out, 0, 4, tolerance=0.2)
    assert caught.value.reason is Reason.TOO_SHORT
    with pytest.raises(MediaError, match=r"the source ends at 4\.32 s"):
        cut(source, out, 3, 3)


def test_an_avi_that_was_cut_off_or_has_no_index(film: Path, tmp_path: Path) -> None:
    data = made_of(film, tmp_path / "plain.avi", "-c:v", "mpeg4", "-bf", "2", "-an").read_bytes()
    source, out = tmp_path / "s.avi", tmp_path / "a.mp4"
    source.write_bytes(data[: data.rindex(b"idx1")])
    assert cut(source, out, 0, 4) == list(range(FRAMES))
    source.write_bytes(data[: len(data) * 2 // 3 | 1])
    assert cut(source, out, 1, 1) == list(range(25, 50))
    with pytest.raises(MediaError, match=r"the source ends at 2\.\d+ s"):
        cut(source, out, 0, 4)


def test_the_sound_keeps_its_place(tmp_path: Path) -> None:
    silent = make_video(tmp_path / "s.mp4", 4, 25, SIZE, tone=False)
    source, out = tmp_path / "s.avi", tmp_path / "a.mp4"
    tone = ("-f", "lavfi", "-i", "sine=500:r=44100:d=2,adelay=2000")
    convert(silent, source, *tone, "-c:v", "mpeg4", "-bf", "2", "-c:a", "pcm_s16le", "-map", "0:v", "-map", "1:a")
    for start in (0.0, 1.01):
        cut(source, out, start, 2.5)
        with av.open(str(out)) as container:
            heard = [(frame.time, np.abs(frame.to_ndarray()).max() > 0.05) for frame in container.decode(audio=0)]
        assert next(time for time, loud in heard if loud) == pytest.approx(2 - start, abs=0.04)


def test_images_excerpts_and_copies_of_an_avi(film: Path, tmp_path: Path) -> None:
    source = made_of(film, tmp_path / "s.avi", "-c:v", "libx264", "-bf", "2", "-crf", "8", "-c:a", "mp3")
    assert extract_frames(source, tmp_path / "all", recipe=FrameRecipe(0)).frames == FRAMES
    assert read_frame_numbers(tmp_path / "all" / frame_name(FRAMES)) == [FRAMES - 1]
    extract_frames(source, tmp_path / "some", recipe=FrameRecipe(0, fps=5))
    assert [read_frame_numbers(tmp_path / "some" / frame_name(n))[0] for n in (1, 2, 20)] == [0, 5, 95]
    recipe = Recipe()
    copy = resize_clip(source, tmp_path / "c.mp4", short_edge=128, dense=True, remove_dup=False, recipe=recipe)
    assert (copy.frames, read_frame_numbers(tmp_path / "c.mp4")) == (FRAMES, list(range(FRAMES)))
    section = Section(start=1, seconds=2, fps=25, quality=2)
    facts = make_excerpt(source, video=tmp_path / "v.mp4", frames=tmp_path / "f", section=section, recipe=recipe)
    assert facts.frames is not None and facts.frames.frames == 50
    assert read_frame_numbers(tmp_path / "v.mp4") == list(range(25, 75))
    assert read_frame_numbers(tmp_path / "f" / frame_name(1)) == [25]
    assert not list(tmp_path.glob(".*")), "something is left behind"


@pytest.mark.parametrize("suffix", ["mp4", "ogv", "mxf"])
def test_a_clock_of_whole_frames_does_not_move_the_window(film: Path, tmp_path: Path, suffix: str) -> None:
    options = {
        "mp4": ("-c:v", "libx264", "-video_track_timescale", "25"),
        "ogv": ("-c:v", "libtheora"),
        "mxf": ("-c:v", "mpeg2video"),
    }[suffix]
    source = made_of(film, tmp_path / f"s.{suffix}", "-an", *options)
    assert cut(source, tmp_path / "a.mp4", 2.01, 1.5) == list(range(51, 88))
    assert cut(source, tmp_path / "a.mp4", 1, 1) == list(range(25, 50))


def test_a_full_disk_is_not_the_fault_of_the_source(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made_of(film, tmp_path / "s.avi", "-c:v", "mjpeg", "-an")
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    monkeypatch.setattr(stamped, "owned_beside", lambda out: full)
    with pytest.raises(RetryLater, match="is full"):
        cut(source, tmp_path / "a.mp4", 0, 2)


def test_what_does_not_decode_keeps_its_place() -> None:
    assert _places(6, [0, 2, 3, 1, 5, 4]) == [0, 3, 1, 2, 5, 4]
    assert _places(6, [0, 3, 1, 5, 4]) == [0, 3, 1, 2, 5, 4], "packet 2 held no frame"
    assert _places(3, []) == [0, 1, 2]
    assert _times([None] * 4, 4, 40) == [0, 40, 80, 120]
    assert _times([None] * 4, 2, 40) == [0, 20, 40, 60], "two packets a frame"
    assert _times([3, 9, None, 12], 4, 1) == [3, 9, 10, 12]
