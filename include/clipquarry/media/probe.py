"""Facts about a video file, measured by decoding it in process (PyAV); no ffprobe is needed.

A header only promises, so frames and seconds are counted from what really decodes. Files are untrusted: only
containers of videos are opened (a playlist or a still image named ``.mp4`` is refused), and nothing but the file
itself is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
from av.stream import Disposition

from clipquarry.errors import ClipquarryError
from clipquarry.media.content import NOT_LOOKED, Content, Looker
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason

DEMUXERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,h264,hevc,m4v,mpegvideo,nut,mxf,rm,ivf"
"""Containers that are opened, by libavformat's names: neither playlists (which name other files) nor still images
nor text.
"""

PROTOCOLS = "file"
"""Protocols that libavformat may use for a container: local files, never the network."""

MAX_PIXELS = 1 << 26
"""Pixels of one frame, 8192 x 8192: a header that claims more would only use up the memory."""

MAX_ERROR_SHARE = 0.05
"""More undecodable frames than this make a file corrupt; fewer are counted in ``errors``."""

MAX_RATE = 480
"""Frames per second; a higher value is a container's clock, not a rate."""

_SAME_RATE = Fraction(1, 5000)
"""29.97 and 30 differ by five times this."""

MISSING_SECONDS = 1.0
"""A file that ends this much earlier than its header says was cut off in transfer."""


@dataclass(frozen=True)
class Header:
    """The contents of a file's header, before anything is decoded."""

    format: str
    time_base: Fraction  # seconds per tick of the video stream
    rate: Fraction | None  # frames per second where they are evenly spaced, else None
    width: int  # pixels, before rotation
    height: int
    audio_codec: str  # "" without sound
    duration: float | None  # seconds, of the container; None when it does not say
    promised_frames: int  # 0 when the container does not say
    start_time: float  # seconds, of the container: what ffmpeg's -ss counts from
    pixel: Fraction = Fraction(1)  # width over height of one pixel


@dataclass(frozen=True)
class MediaFacts:
    """Facts of the first real video stream (cover images do not count)."""

    duration: float
    """Seconds from the first frame's time to the end of the last."""
    frames: int
    """Frames that decode (packets, when not decoded)."""
    fps: float
    """Average: frames / duration."""
    width: int
    """Pixels as shown, i.e. after rotation. The sample aspect ratio is not applied: readers of arrays do not either."""
    height: int
    has_audio: bool
    video_codec: str
    pix_fmt: str
    start_time: float
    """Seconds, of the first frame."""
    keyframe_gap: int
    """Largest distance in frames from one key frame to the next, or to the end."""
    errors: int
    """Frames that did not decode or decoded damaged."""
    content: Content = NOT_LOOKED
    """Content measurements, if they were asked for."""

    def columns(self) -> dict[str, Any]:
        """The columns of ``MEDIA_FIELDS`` that are measured here (``bytes`` and ``sha256`` come from the store)."""
        return {
            "duration": self.duration, "frames": self.frames, "fps": self.fps, "width": self.width,
            "height": self.height, "has_audio": self.has_audio,
        }  # fmt: skip


def _cannot_open(path: Path, error: Exception) -> MediaError:
    with open(path, "rb") as handle:
        head = handle.read(512)
    if not head:
        return MediaError(Reason.TRUNCATED, "the file is empty")
    evidence = f"{getattr(error, 'strerror', None) or error}; the file begins with {head[:48]!r}"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"):
        # The index of an mp4 lies at its end unless it was moved, so a partial file has none.
        return MediaError(Reason.TRUNCATED, f"an mp4 without its index: {evidence}")
    if head[:4] in (b"\x1aE\xdf\xa3", b"RIFF", b"FLV\x01", b"OggS"):
        return MediaError(Reason.CORRUPT, evidence)
    return MediaError(Reason.NOT_A_VIDEO, evidence)


@contextmanager
def _reading(container: Any) -> Iterator[None]:
    try:
        yield
    except (MediaError, ClipquarryError):
        raise
    except av.FFmpegError as error:
        raise MediaError(Reason.CORRUPT, f"{container.format.name}: it cannot be read: {error}") from error
    except Exception as error:
        text = f"{container.format.name}: it cannot be read: {type(error).__name__}: {error}"
        raise MediaError(Reason.TOOL_FAILED, text) from error


@contextmanager
def opened(path: Path, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[tuple[Any, Any]]:
    """The PyAV container and its video stream, ready to decode in one thread; ``more`` are options of libavformat.

    Raises MediaError, also for whatever PyAV raises while the stream is used (it has a PermissionError and a
    MemoryError for bytes that make no sense), and OSError if the file itself cannot be opened.
    """
    options = {"format_whitelist": DEMUXERS, "protocol_whitelist": PROTOCOLS, **more}
    with open(path, "rb"):
        pass  # from here on, PyAV's errors are about the bytes
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except Exception as error:
        raise _cannot_open(path, error) from error
    with _reading(container), container:
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not len(container.streams):
            raise MediaError(Reason.TRUNCATED, f"{container.format.name}: begins like a video, but holds no stream")
        if not streams:
            raise MediaError(Reason.NOT_A_VIDEO, f"{container.format.name}: holds no video stream")
        stream = streams[0]
        if stream.codec_context is None:
            raise MediaError(Reason.CORRUPT, f"{container.format.name}: unknown video codec")
        if not stream.codec_context.width or not stream.codec_context.height:
            raise MediaError(Reason.CORRUPT, f"{container.format.name}: the frame has no size")
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def _audio_codec(container: Any) -> str:
    """Name of the first sound stream's codec, ``""`` without one that is known."""
    streams = container.streams.audio
    return str(streams[0].codec_context.name) if streams and streams[0].codec_context is not None else ""


def _constant_rate(stream: Any) -> Fraction | None:
    """The rate if the finest spacing of frames (``base_rate``) is also their average spacing."""
    finest, average = stream.base_rate, stream.average_rate
    if not finest or not average or finest > MAX_RATE or abs(finest / average - 1) > _SAME_RATE:
        return None
    return Fraction(finest)


def pixel_shape(stream: Any) -> Fraction:
    """Width over height of one pixel; 1 if the file does not say."""
    told = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(told) if told else Fraction(1)


def header(path: Path) -> Header:
    """The header of a file. Raises MediaError if it is no video."""
    with opened(path) as (container, stream):
        return header_of(container, stream)


def header_of(container: Any, stream: Any) -> Header:
    """The header of an open file."""
    start = container.start_time
    return Header(
        format=container.format.name,
        time_base=Fraction(stream.time_base),
        rate=_constant_rate(stream),
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        audio_codec=_audio_codec(container),
        duration=None if container.duration is None else container.duration / av.time_base,
        promised_frames=stream.frames or 0,
        start_time=0.0 if start is None else start / av.time_base,
        pixel=pixel_shape(stream),
    )


class _Count:
    """Collects times, key frames and errors, one frame at a time."""

    def __init__(self, times: list[float] | None = None, tick: float = 0.0) -> None:
        self.times, self.tick = times, tick
        self.frames = self.errors = 0
        self.gap = self._since_key = 0
        self.first: int | None = None
        self.last: int | None = None
        self.last_length = 0

    def add(self, time: int | None, length: int | None, key: bool) -> None:
        self.frames += 1
        if key:
            self._since_key = 0
        self._since_key += 1
        self.gap = max(self.gap, self._since_key)
        if time is not None:
            if self.times is not None:
                self.times.append(time * self.tick)
            self.first = time if self.first is None else min(self.first, time)
            if self.last is None or time >= self.last:
                self.last, self.last_length = time, length or 0

    def seconds(self, time_base: Fraction, rate: Fraction | None) -> float:
        """From the first time to the end of the last frame; without times, frames divided by the header's rate."""
        if self.first is None or self.last is None or (self.first == self.last and self.frames > 1):
            return float(self.frames / rate) if rate else 0.0
        span = self.last - self.first
        length: Fraction | int = self.last_length
        if not length:
            length = Fraction(span, self.frames - 1) if self.frames > 1 else (1 / rate / time_base if rate else 0)
        return float((span + length) * time_base)


def _decode(container: Any, stream: Any, count: _Count, looker: Looker | None) -> tuple[Any, Exception | None]:
    """Decode to the end; returns the last frame, and the error that ended the file early, if any."""
    last, ended = None, None
    sound = container.streams.audio[:1] if looker else []
    packets = container.demux(stream, *sound)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.FFmpegError as error:
            ended = error
            break
        if packet.stream_index != stream.index:
            if looker:
                looker.packet(packet)
            continue
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            count.errors += 1
            continue
        for frame in frames:
            count.errors += bool(frame.is_corrupt)
            count.add(frame.pts, frame.duration, frame.key_frame)
            if looker:
                looker.frame(frame)
            last = frame
    return last, ended


def _demux(container: Any, stream: Any, count: _Count) -> tuple[Any, Exception | None]:
    """Count packets; only the first frame is decoded, for what packets do not tell."""
    first = None
    try:
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                count.errors += bool(packet.is_corrupt)
                count.add(packet.pts if packet.pts is not None else packet.dts, packet.duration, packet.is_keyframe)
            if first is None:
                with suppress(av.InvalidDataError):
                    first = next(iter(packet.decode()), None)
    except av.FFmpegError as error:
        return first, error
    return first, None


def _judge(path: Path, count: _Count, promised: int, ended: Exception | None, stated: float, measured: float) -> None:
    seen = f"{count.frames} frames, {count.errors} errors in {measured:.2f} s"
    if count.frames == 0:
        raise MediaError(Reason.CORRUPT, f"no frame decodes ({count.errors} errors{f'; {ended}' if ended else ''})")
    lost = promised - count.frames - count.errors
    if stated - measured > MISSING_SECONDS and (ended is not None or lost > 0.02 * promised):
        raise MediaError(Reason.TRUNCATED, f"{seen}, but the header promises {stated:.2f} s ({promised} frames)")
    if count.errors > MAX_ERROR_SHARE * (count.frames + count.errors):
        raise MediaError(Reason.CORRUPT, seen)
    if ended is not None:
        raise MediaError(Reason.CORRUPT, f"{seen}, then: {ended}")


def probe(path: Path, *, decode: bool = True, times: list[float] | None = None, look: bool = False) -> MediaFacts:
    """Measure ``path``: every frame is decoded, or packets are only counted if not ``decode``. ``times`` receives
    the seconds of each frame, in display order if decoded. ``look``: also measure the content of the decoded
    frames.

    Raises :class:`MediaError` (NOT_A_VIDEO, TRUNCATED, CORRUPT), and the usual OSError if the file cannot be read.
    """
    path = Path(path).absolute()
    with opened(path) as (container, stream):
        stated = (
            float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / av.time_base
        )
        count = _Count([] if look and times is None else times, float(stream.time_base))
        looker = Looker(stated) if look and decode else None
        context = stream.codec_context
        if decode:
            # Deblocking changes pixels but neither counts nor errors, and costs a fifth of the time.
            context.options = context.options | {"skip_loop_filter": "all"}
        seen, ended = _decode(container, stream, count, looker) if decode else _demux(container, stream, count)
        rotated = seen is not None and seen.rotation % 180 != 0
        width, height = (context.height, context.width) if rotated else (context.width, context.height)
        time_base = Fraction(stream.time_base)
        # For a bare stream libavformat's average is a default; the stream may know better.
        rate = (context.framerate if count.first is None else None) or stream.average_rate or stream.guessed_rate
        duration = count.seconds(time_base, rate)
        _judge(path, count, stream.frames or 0, ended, stated, duration)
        return MediaFacts(
            duration=duration,
            frames=count.frames,
            fps=count.frames / duration if duration else 0.0,
            width=width,
            height=height,
            has_audio=bool(container.streams.audio),
            video_codec=context.name,
            pix_fmt=context.pix_fmt or "" if seen is None else seen.format.name,
            start_time=float((count.first or 0) * time_base),
            keyframe_gap=count.gap,
            errors=count.errors,
            content=looker.content(count.times or (), has_sound=bool(container.streams.audio))
            if looker
            else NOT_LOOKED,
        )


def frame_size(path: Path) -> tuple[int, int]:
    """Width and height of one of our JPEG files. Raises MediaError if it does not decode."""
    try:
        with av.open(f"file:{path}", format="jpeg_pipe", options={"protocol_whitelist": PROTOCOLS}) as container:
            frame = next(container.decode(video=0))
            return frame.width, frame.height
    except (av.FFmpegError, StopIteration) as error:
        raise MediaError(Reason.CORRUPT, f"{path.name} does not decode: {error}") from error
