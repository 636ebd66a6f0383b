"""Still pictures as sites give them: what decodes, whatever it is called, and what does not."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from clipquarry.media.errors import MediaError
from clipquarry.media.picture import picture_size
from clipquarry.reasons import Reason


def made(path: Path, codec: str, form: str, pixels: str) -> bytes:
    noise = np.random.default_rng(3).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w", format=form) as out:
        stream = out.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        frame = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(format=pixels)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return path.read_bytes()


KINDS = (
    ("mjpeg", "mjpeg", "yuvj420p"),
    ("png", "image2pipe", "rgb24"),
    ("gif", "gif", "rgb8"),
    ("bmp", "image2pipe", "bgr24"),
)


@pytest.mark.parametrize(("codec", "form", "pixels"), KINDS)
def test_a_picture_of_any_kind_may_be_called_jpg(codec: str, form: str, pixels: str, tmp_path: Path) -> None:
    made(path := tmp_path / "000001.jpg", codec, form, pixels)
    assert picture_size(path) == (64, 48)


def test_what_follows_the_end_of_a_jpeg_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(made(path, *KINDS[0]) + b"\0" * 100)
    assert picture_size(path) == (64, 48)


@pytest.mark.parametrize(("codec", "form", "pixels"), KINDS[:2])
def test_a_torn_picture_is_told(codec: str, form: str, pixels: str, tmp_path: Path) -> None:
    path = tmp_path / "torn.jpg"
    whole = made(path, codec, form, pixels)
    for size in (len(whole) // 2, len(whole) - 300):
        path.write_bytes(whole[:size])
        with pytest.raises(MediaError) as error:
            picture_size(path)
        assert error.value.reason in (Reason.TRUNCATED, Reason.CORRUPT)


@pytest.mark.parametrize(("data", "reason"), [(b"", Reason.TRUNCATED), (b"<html>no</html>", Reason.NOT_A_VIDEO),
                                               (b"RIFF\0\0\0\0AVI LIST", Reason.NOT_A_VIDEO)])  # fmt: skip
def test_what_is_no_picture_is_told(data: bytes, reason: Reason, tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(data)
    with pytest.raises(MediaError) as error:
        picture_size(path)
    assert error.value.reason is reason
