"""ffmpeg options for reading and encoding, shared by cuts, resized copies, frames and excerpts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal, Protocol

import ffmpeg

from clipquarry.media.probe import DEMUXERS, MAX_PIXELS, PROTOCOLS, Header
from clipquarry.media.tools import Tool

Container = Literal["mp4", "matroska", "webm", "mov", "avi", "flv", "mpegts", "3gp"]
"""Output formats, by libavformat's names."""

SLOWEST = 60
"""Seconds per second of video after which a call counts as hung."""

_SEEKS_EXACTLY = ("mov", "matroska")
"""Containers with an index of times. Others are decoded from the beginning, which is slower but always right."""

_FINEST = Fraction(1, 1_000_000)
"""Seconds: the finest tick that is passed to the encoder."""

_X264 = {"superfast": "mbtree=1:rc-lookahead=10:weightp=0:b-adapt=0:"}
"""superfast, with the one feature restored whose absence shows (without mbtree, files of still scenes double in
size). It pays with the searches for fades and for the best number of B-frames.

``cpu-independent`` is set because x264 otherwise writes other bytes on a processor with other vector instructions.
"""

_VP9_CRF = 10
"""VP9's quality is 0 to 63; x264's number plus this gives about the same PSNR."""

EVEN = "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"
"""4:2:0 needs an even size; an odd one loses its last column or row."""

SQUARE = ("scale=trunc(iw*sar/2)*2:ih:flags=bicubic", "setsar=1")
"""Filters that make pixels square, because readers of arrays do not stretch them."""

_COPIED_SOUND: dict[Container, frozenset[str]] = {
    "mp4": frozenset({"aac", "mp3", "mp3float"}),
    "matroska": frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "vorbis", "libvorbis", "opus", "libopus", "flac"}),
    "webm": frozenset({"vorbis", "libvorbis", "opus", "libopus"}),
}
_AAC = {"c:a": "aac", "b:a": "128k", "flags:a": "+bitexact"}
_OPUS = {"c:a": "libopus", "b:a": "96k", "ac": 2, "flags:a": "+bitexact"}

Sound = Literal["copy", "encode", "none"]


class Recipe(Protocol):
    """Encoder settings; ``clipquarry.datasets.model.Recipe`` is one."""

    @property
    def preset(self) -> str:
        """x264's preset: ultrafast … slow."""

    @property
    def crf(self) -> int:
        """x264's CRF: 0 (lossless) … 51."""

    @property
    def audio(self) -> str:
        """``copy`` (keep what the container can hold; mp4: AAC and MP3, everything else is encoded), ``aac``
        (encode) or ``none``.
        """

    @property
    def fps(self) -> int | None:
        """Constant frames per second of a clip; None: the source's own."""


def input_options() -> dict[str, Any]:
    """Options of every ffmpeg input: video containers only, local files only, a limit on the frame size, fixed
    threads.
    """
    return {
        "format_whitelist": DEMUXERS,
        "protocol_whitelist": PROTOCOLS,
        "max_pixels": MAX_PIXELS,
        "threads": 1,
    }


def container_options(container: Container) -> dict[str, Any]:
    """Options of every video output: no metadata of the source, no dates, mp4 with the index first."""
    options: dict[str, Any] = {"fflags": "+bitexact", "map_metadata": -1, "map_chapters": -1, "f": container}
    return options | ({"movflags": "+faststart"} if container in ("mp4", "mov") else {})


def _x264_params(recipe: Recipe) -> str:
    return _X264.get(recipe.preset, "") + "cpu-independent=1"


def x264_options(recipe: Recipe, container: Container = "mp4") -> dict[str, Any]:
    """x264 options of every encode, so that it depends on nothing but its input and this recipe."""
    return {
        "c:v": "libx264", "preset": recipe.preset, "crf": recipe.crf, "pix_fmt": "yuv420p", "threads": 1,
        "x264-params": _x264_params(recipe),
        "flags:v": "+bitexact",
    } | container_options(container)  # fmt: skip


def vp9_options(recipe: Recipe) -> dict[str, Any]:
    """The same for WebM, which cannot hold H.264. VP9's quickest mode: the others cost five times as much."""
    return {
        "c:v": "libvpx-vp9", "deadline": "realtime", "cpu-used": 8, "crf": min(63, recipe.crf + _VP9_CRF), "b:v": 0,
        "pix_fmt": "yuv420p", "threads": 1, "flags:v": "+bitexact",
    } | container_options("webm")  # fmt: skip


def jpeg_options(tool: Tool, quality: int, start: int = 1) -> dict[str, Any]:
    """Options of every frame folder; ``quality`` is ffmpeg's ``-q:v``, 1 to 31; ``start`` the first number.

    1 is the reference's value for the best quality. ffmpeg's encoder treats it as 2 unless told otherwise, and so do
    we: the same frames, a third smaller than at a true 1.
    """
    return {
        tool.fps_mode_option: "passthrough", "c:v": "mjpeg", "pix_fmt": "yuvj420p", "q:v": quality,
        "threads": 1, "flags:v": "+bitexact", "f": "image2", "start_number": start,
    }  # fmt: skip


def grey_options(tool: Tool) -> dict[str, Any]:
    """Options of an output of raw grey frames, one byte a pixel."""
    return {tool.fps_mode_option: "passthrough", "c:v": "rawvideo", "pix_fmt": "gray", "f": "rawvideo"}


def sound_options(container: Container, sound: Sound) -> dict[str, Any]:
    """Options of an output with sound."""
    if sound == "copy":
        # Without copypriorss the sound from the key frame on would be copied, and merely hidden by an edit list.
        return {"c:a": "copy", "copypriorss": 0}
    return dict(_OPUS if container == "webm" else _AAC)


def ways_with_sound(wanted: str, codec: str, container: Container = "mp4") -> tuple[Sound, ...]:
    """Ways to include the sound, in the order in which they are tried."""
    if wanted == "none" or not codec:
        return ("none",)
    copied = wanted == "copy" and codec in _COPIED_SOUND[container]
    return ("copy", "encode", "none") if copied else ("encode", "none")


def seeks_exactly(source: Header) -> bool:
    """Whether ffmpeg finds any time of this container by its index."""
    return source.format.startswith(_SEEKS_EXACTLY)


def global_options() -> tuple[str, ...]:
    """Options of every call: print only errors, ask nothing, no hidden threads, stop on a mostly undecodable input."""
    return (
        "-hide_banner", "-loglevel", "error", "-nostdin",
        "-filter_threads", "1", "-filter_complex_threads", "1", "-max_error_rate", "0.05",
    )  # fmt: skip


def filtered(stream: Any, filters: list[str]) -> Any:
    """``stream`` after filters that are written as for ``-vf``: ``name=value:key=value``."""
    for text in filters:
        name, _, values = text.partition("=")
        parts = [value.partition("=") for value in values.split(":")]
        named = {key: value for key, sign, value in parts if sign}
        stream = stream.filter(name, *[value for value, sign, _ in parts if not sign], **named)
    return stream


def filter_text(filters: list[str]) -> str:
    """Filters for ``-vf``: commas within a filter are escaped."""
    return ",".join(text.replace(",", "\\,") for text in filters)


def argv_of(tool: Tool, node: Any) -> list[str]:
    """The argument vector of a finished ffmpeg-python graph."""
    command = [str(tool.path), *global_options()]
    return [str(argument) for argument in ffmpeg.compile(node, cmd=command, overwrite_output=True)]


def encoder_tick(source: Header, rate: Fraction | None) -> Fraction:
    """The encoder's tick in seconds: one frame if the packets have shown a constant ``rate``, else the source's own."""
    return 1 / rate if rate else max(source.time_base, _FINEST)


def encoder_clock(tick: Fraction) -> dict[str, str]:
    """The option for :func:`encoder_tick`. By default, old ffmpeg rounds a variable rate to whole frames and loses
    those that coincide.
    """
    return {"enc_time_base:v": f"{tick.numerator}/{tick.denominator}"}


def last_frame_ends(seconds: float, tick: Fraction, recipe: Recipe) -> dict[str, str]:
    """Options that end the last frame of a variable rate ``seconds`` after the clip's start, however long it lasted.

    Without B-frames the last frame shown is the last one written, and mp4 takes only that frame's length from its
    packet.
    """
    ends = round(seconds / tick)
    return {
        "x264-params": f"{_x264_params(recipe)}:bframes=0",
        "bsf:v": f"setts=pts=PTS:dts=DTS:duration=max({ends}-PTS\\,1)",
    }


def plain_seconds(value: float) -> str:
    """Plain decimal microseconds: ffmpeg reads no exponents."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
