"""Folders of PNG frames, as some packages have them: verified like those of JPEGs, and shown in reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.families.tubes.sample import HEIGHT, VIDEOS, WIDTH, _encoded, picture
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_content import frame_size, has_end
from clipquarry.media.published_frames import frames_in, verify_frames
from clipquarry.media.thumbnail import frame_jpeg

VIDEO = next(iter(VIDEOS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(1, 5):
        (tmp_path / f"{number:05d}.png").write_bytes(_encoded(picture(VIDEO, number), "png", "rgb24"))
    return tmp_path


def test_a_whole_folder(folder: Path) -> None:
    found = verify_frames(frames_in(folder, "%05d.png", 1, prefix=""))
    assert (found.frames, found.width, found.height) == (4, WIDTH, HEIGHT)


def test_a_thumbnail(folder: Path) -> None:
    shown = frame_jpeg(folder / "00001.png", 64)
    assert shown.jpeg.startswith(b"\xff\xd8") and (shown.width, shown.height) == (64, 48)


def test_what_is_wrong_is_told(folder: Path) -> None:
    first = folder / "00001.png"
    whole = first.read_bytes()
    for content, why in (
        (b"", "is empty"),
        (b"<html>" * 50, "is no PNG"),
        (_encoded(picture(VIDEO, 1), "mjpeg", "yuvj420p"), "is no PNG"),
        (whole[:-12], "has no end"),
        (whole[:200] + bytes(100) + whole[300:], "does not decode"),
    ):
        first.write_bytes(content)
        with pytest.raises(MediaError) as told:
            verify_frames(frames_in(folder, "%05d.png", 1))
        assert why in str(told.value.evidence)


def test_sizes_by_name() -> None:
    png, jpeg = (_encoded(picture(VIDEO, 1), codec, form) for codec, form in (("png", "rgb24"), ("mjpeg", "yuvj420p")))
    assert frame_size(png, "a.png") == frame_size(jpeg, "a.jpg") == (WIDTH, HEIGHT)
    assert frame_size(png, "a.jpg") is None and frame_size(jpeg, "a.png") is None
    assert frame_size(png[:20], "a.png") is None
    assert has_end(png[-100:], "a.png") and not has_end(png[:100], "a.png")
