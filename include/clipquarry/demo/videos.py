"""Source videos of the demo, the tests and the benchmarks: real H.264 and AAC, and every frame shows its number.

A strip along the top of each frame holds the frame's number as 20 squares, black for 0 and white for 1: 16 bits of
the number, highest first, then 4 bits of checksum (the sum of the number's four hexadecimal digits, modulo 16). The
strip survives scaling and strong compression, so :func:`read_frame_numbers` proves which frames a cut, a resized copy
or a frame file holds. No fonts and no ffmpeg program are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]

BITS = 16
CELLS = BITS + 4
MAX_FRAMES = 1 << BITS
_SAMPLE_RATE = 44100
_AUDIO_BLOCK = 1024
_TIME_BASE = Fraction(1, 90000)


def _checksum(number: int) -> int:
    return sum(number >> shift & 15 for shift in (0, 4, 8, 12)) % 16


def _strip_height(height: int) -> int:
    return max(8, height // 10)


def _draw_number(luma: Luma, number: int) -> None:
    """Draw ``number`` into the strip of a luma plane (height, width), in place."""
    height, width = luma.shape
    code = number << 4 | _checksum(number)
    edges = np.linspace(0, width, CELLS + 1).round().astype(int)
    for cell in range(CELLS):
        luma[: _strip_height(height), edges[cell] : edges[cell + 1]] = 235 if code >> (CELLS - 1 - cell) & 1 else 16


def read_number(luma: Luma) -> int:
    """The frame number in the strip of a luma plane (height, width). Raises ValueError when it does not add up."""
    height, width = luma.shape
    strip = luma[: _strip_height(height)]
    edges = np.linspace(0, width, CELLS + 1)
    rows = slice(len(strip) // 4, max(len(strip) // 4 + 1, 3 * len(strip) // 4))
    code = 0
    for left, right in pairwise(edges):
        quarter = (right - left) / 4
        cell = strip[rows, int(left + quarter) : max(int(left + quarter) + 1, int(right - quarter))]
        code = code << 1 | int(cell.mean() > 125)
    number, check = code >> 4, code & 15
    if check != _checksum(number):
        raise ValueError(f"the strip reads {number} but its checksum does not fit: not a video of make_video")
    return number


def read_frame_numbers(path: Path) -> list[int]:
    """The number of every decoded frame, in order, of a video (or the one of a frame file) from :func:`make_video`."""
    numbers = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            luma: Any = frame.reformat(format="gray").to_ndarray()
            numbers.append(read_number(luma))
    return numbers


def _texture(size: tuple[int, int], label: str) -> tuple[Luma, Luma]:
    """A luma texture twice as wide as the frame, and flat chroma in the label's own colour."""
    width, height = size
    seed = int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 215, (height // 16 + 2, width // 16 + 2)).astype(np.float32)
    picture = np.kron(coarse, np.ones((16, 16), np.float32))[:height, :width]
    smooth = (picture + np.roll(picture, 5, 0) + np.roll(picture, 5, 1) + np.roll(picture, (9, 9), (0, 1))) / 4
    grain = rng.normal(0, 4, (height, width)).astype(np.float32)
    luma = np.clip(smooth + grain, 16, 235).astype(np.uint8)
    chroma = rng.integers(90, 166, 2).astype(np.uint8)
    return np.ascontiguousarray(np.concatenate([luma, luma], axis=1)), chroma


def _pictures(count: int, size: tuple[int, int], label: str, noise: float) -> Iterator[Any]:
    """Frames in yuv420p: the texture slides, a bright square runs across it, the strip tells the number."""
    width, height = size
    rng = np.random.default_rng(count)
    grain = rng.normal(0, noise, (2 * height, 2 * width)).round().astype(np.int16)  # each frame shows another part
    luma, chroma = _texture(size, label)
    top, side = _strip_height(height), max(8, height // 6)
    for index in range(count):
        frame = av.VideoFrame(width, height, "yuv420p")
        shift = 2 * index % width
        picture = luma[:, shift : shift + width].copy()
        left, row = 5 * index % max(1, width - side), top + 3 * index % max(1, height - top - side)
        picture[row : row + side, left : left + side] = 225
        if noise:
            down, across = rng.integers(0, height), rng.integers(0, width)
            noisy = picture + grain[down : down + height, across : across + width]
            picture = noisy.clip(16, 235).astype(np.uint8)
        _draw_number(picture, index)
        for plane, values in zip(frame.planes, (picture, *chroma), strict=True):
            target = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            target[:, : plane.width] = values
        yield frame


def _tone(seconds: float, label: str) -> Iterator[Any]:
    """A sine of the label's own pitch, in blocks of 1024 samples."""
    pitch = 220 + 20 * (hashlib.sha256(label.encode()).digest()[0] % 32)
    for block in range(int(seconds * _SAMPLE_RATE) // _AUDIO_BLOCK):
        at = (np.arange(_AUDIO_BLOCK) + block * _AUDIO_BLOCK) / _SAMPLE_RATE
        samples = (0.2 * np.sin(2 * np.pi * pitch * at)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = _SAMPLE_RATE, Fraction(1, _SAMPLE_RATE), block * _AUDIO_BLOCK
        yield frame


def make_video(
    path: Path,
    seconds: float,
    fps: float | Fraction = 30,
    size: tuple[int, int] = (320, 240),
    tone: bool = True,
    label: str = "",
    *,
    gop: int = 250,
    b_frames: int = 2,
    crf: int = 23,
    preset: str = "ultrafast",
    noise: float = 0.0,
    times: Sequence[float] | None = None,
) -> Path:
    """Write a video of ``seconds`` (width, height of ``size``, both even); the same arguments give the same content.

    The suffix of ``path`` chooses the container (``.mp4``, ``.mkv``, ``.avi`` ...). ``times`` (seconds, ascending)
    gives every frame its own time (variable frame rate) and replaces ``fps`` and the count that follows from
    ``seconds``. ``noise`` is the strength of a camera's noise, in steps of brightness. At most 65,536 frames.
    """
    rate = Fraction(fps).limit_denominator(1001)
    count = len(times) if times is not None else round(seconds * rate)
    if not 0 < count <= MAX_FRAMES:
        raise ValueError(f"{count} frames: a demo video has 1 to {MAX_FRAMES}")
    if size[0] % 2 or size[1] % 2:
        raise ValueError(f"{size[0]}x{size[1]}: a demo video has an even width and height")
    options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as out:
        video = out.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        # In variable frame rate the encoder must not round times to whole frames.
        time_base = _TIME_BASE if times is not None else 1 / rate
        video.codec_context.time_base = time_base
        video.codec_context.thread_count = 1
        video.options = {"preset": preset, "crf": str(crf), "bf": str(b_frames), "g": str(gop)}
        audio: Any = out.add_stream("aac", rate=_SAMPLE_RATE, layout="mono") if tone else None
        sound = _tone(seconds, label) if audio is not None else iter(())
        heard = Fraction(0)
        for index, frame in enumerate(_pictures(count, size, label, noise)):
            frame.time_base = time_base
            frame.pts = index if times is None else round(times[index] / time_base)
            out.mux(video.encode(frame))
            while heard <= frame.pts * time_base and (block := next(sound, None)) is not None:
                out.mux(audio.encode(block))
                heard = block.pts * block.time_base
        out.mux(video.encode(None))
        if audio is not None:
            for block in sound:
                out.mux(audio.encode(block))
            out.mux(audio.encode(None))
    return path
