from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.demo.videos import make_video
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import frame_size, header, probe
from clipquarry.media.thumbnail import thumbnail_jpeg
from clipquarry.reasons import Reason
from clipquarry.steps.fields import MEDIA_FIELDS
from media_sources import SIZE, convert


def reason_of(path: Path, *, decode: bool = True) -> Reason:
    with pytest.raises(MediaError) as caught:
        probe(path, decode=decode)
    assert caught.value.evidence
    return caught.value.reason


@pytest.mark.parametrize("decode", [True, False])
def test_facts_of_a_plain_video(plain: Path, decode: bool) -> None:
    facts = probe(plain, decode=decode)
    assert (facts.duration, facts.frames, facts.fps) == (12.0, 360, 30.0)
    assert (facts.width, facts.height) == SIZE
    assert (facts.video_codec, facts.pix_fmt, facts.has_audio) == ("h264", "yuv420p", True)
    assert (facts.start_time, facts.keyframe_gap, facts.errors) == (0.0, 100, 0)
    assert facts.columns().keys() == {field.name for field in MEDIA_FIELDS} - {"bytes", "sha256"}


@pytest.mark.parametrize(
    ("kind", "frames", "seconds", "audio"),
    [
        ("29.97 fps", 360, 360 * 1001 / 30000, True),
        ("variable rate", 240, 11.98, True),
        ("no sound", 360, 12.0, False),
        ("starts at 7.3 s", 360, 12.0, True),
        ("edit list", 315, 10.5, True),
        ("vp8 webm", 360, 12.0, True),
        ("mpeg4 avi", 360, 12.0, True),
        ("transport stream", 360, 12.0, True),
    ],
)
def test_facts_of_other_sources(sources: dict[str, Path], kind: str, frames: int, seconds: float, audio: bool) -> None:
    facts = probe(sources[kind])
    assert facts.frames == frames
    assert facts.duration == pytest.approx(seconds, abs=0.04)
    assert facts.has_audio == audio
    assert facts.errors == 0


def test_the_start_time_is_told(sources: dict[str, Path]) -> None:
    assert probe(sources["starts at 7.3 s"]).start_time == pytest.approx(7.3, abs=0.05)
    assert header(sources["starts at 7.3 s"]).start_time == pytest.approx(7.3, abs=0.05)


def test_one_picture_is_a_video_of_one_frame(tmp_path: Path) -> None:
    facts = probe(make_video(tmp_path / "one.mp4", 0.04, 25, SIZE, tone=False))
    assert (facts.frames, facts.duration, facts.keyframe_gap) == (1, 0.04, 1)


def test_a_part_of_a_file(plain: Path, tmp_path: Path) -> None:
    data = plain.read_bytes()
    for name, content in {
        "empty.mp4": b"",
        "half.mp4": data[: len(data) // 2],
        "head.mp4": data[:40],
        "no index.mp4": convert(plain, tmp_path / "s.mp4", "-c", "copy").read_bytes()[:90_000],
    }.items():
        (tmp_path / name).write_bytes(content)
        assert reason_of(tmp_path / name) is Reason.TRUNCATED, name


def test_damage_inside_is_corrupt_and_a_scratch_is_counted(plain: Path, tmp_path: Path) -> None:
    data = bytearray(plain.read_bytes())
    hole, scratch = data.copy(), data.copy()
    hole[len(data) // 3 : 2 * len(data) // 3] = bytes(2 * len(data) // 3 - len(data) // 3)
    scratch[len(data) // 2 : len(data) // 2 + 60] = bytes(60)
    (tmp_path / "hole.mp4").write_bytes(hole)
    (tmp_path / "scratch.mp4").write_bytes(scratch)
    assert reason_of(tmp_path / "hole.mp4") is Reason.CORRUPT
    facts = probe(tmp_path / "scratch.mp4")
    assert 0 < facts.errors < 20
    assert facts.duration == pytest.approx(12, abs=0.1)


def test_what_is_no_video(plain: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(plain.read_bytes())
    page = b"<!DOCTYPE html><html><title>Sorry</title></html>"
    (tmp_path / "page.mp4").write_bytes(page)
    (tmp_path / "noise.mp4").write_bytes(bytes(n * n * 7919 % 256 for n in range(5000)))
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:10,\nfile://{secret}\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:10,\nfile://{secret}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    convert(plain, tmp_path / "picture.jpg", "-frames:v", "1").rename(tmp_path / "picture.mp4")
    convert(plain, tmp_path / "sound.mp4", "-vn", "-c:a", "copy")
    for name in ("page", "noise", "list", "concat", "picture", "sound"):
        assert reason_of(tmp_path / f"{name}.mp4") is Reason.NOT_A_VIDEO, name
        assert reason_of(tmp_path / f"{name}.mp4", decode=False) is Reason.NOT_A_VIDEO, name
    assert reason_of(tmp_path / "list.m3u8") is Reason.NOT_A_VIDEO
    with pytest.raises(MediaError, match="DOCTYPE"):
        probe(tmp_path / "page.mp4")


def test_a_file_that_is_not_there_is_not_a_broken_video(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "none.mp4")


def test_a_media_error_has_a_reason_of_media() -> None:
    with pytest.raises(ValueError, match="not a reason of a media error"):
        MediaError(Reason.PRIVATE, "no")


def test_thumbnails(plain: Path, tmp_path: Path) -> None:
    from clipquarry.demo.videos import read_frame_numbers

    for at, number in ((0.0, 0), (5.02, 150), (99.0, 359)):
        (tmp_path / "t.jpg").write_bytes(thumbnail_jpeg(plain, at, 120))
        assert frame_size(tmp_path / "t.jpg") == (120, 90)
        assert read_frame_numbers(tmp_path / "t.jpg") == [number]
    (tmp_path / "x.mp4").write_bytes(b"<html>")
    with pytest.raises(MediaError):
        thumbnail_jpeg(tmp_path / "x.mp4", 0, 120)
