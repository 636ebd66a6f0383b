"""Copy of a section of a remote video without re-encoding, with its exact offset in the video.

A copied section can only begin at a key frame, at or before the wanted time. FFmpeg's command line does not report at
which one. Here the packets are read with FFmpeg's libraries, so that the first one's time stamp is known.
The section's first video frame is at its time 0, and nothing is before it: ``original time = offset + time in the
section``. The bytes come through :mod:`clipquarry.acquire.ranged`, never through FFmpeg's own http client.
"""

from __future__ import annotations

import errno
import heapq
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import requests

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.connection import Reach
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.network import NETWORK, Network
from clipquarry.acquire.ranged import NoRanges, RangedFile
from clipquarry.reasons import Reason

CODECS = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4", "aac", "opus", "mp3"})
"""Codecs that an mp4 may hold."""
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"
_PROTOCOLS = "none"
"""A hostile file may name other addresses (playlists, local files). FFmpeg may open nothing except the bytes we pass."""
_BUFFER = 1 << 18
_FULL = (errno.ENOSPC, errno.EDQUOT)
_EXPIRED = (Reason.NOT_FOUND, Reason.GONE)
"""Answers of a media address that expired or was made for another client."""
_BACK = (0.0, 10.0, 60.0)
"""Seconds to seek further back, in turn, while the key frame found lies after the wanted time."""


class NoSection(Exception):
    """No section can be copied (a codec, no key frame before the time, no seeking): fetch the whole video."""


class Stopped(Exception):
    """The caller's event was set."""


@dataclass(frozen=True)
class Input:
    """One address that holds the video, the sound, or both."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    video: bool = True
    audio: bool = True


@dataclass(frozen=True)
class Section:
    """A written section: where it begins and ends in the original (seconds), and its number of frames."""

    offset: float
    end: float
    frames: int


def copy_section(
    inputs: Sequence[Input],
    start: float,
    end: float,
    out: Path,
    cancelled: Event,
    *,
    timeout: float = 20.0,
    network: Network = NETWORK,
    reach: Reach | None = None,
) -> Section:
    """Copy ``start`` to ``end`` (seconds of the original; the end may be past the video's) into ``out`` (``.mp4``).

    The section begins at the last key frame at or before ``start``. It begins later only when the video has no frame yet
    at ``start``. ``reach``: the limit for addresses that the extraction's host named. Raises :class:`NoSection`,
    :class:`Stopped`, :class:`FetchFailed`, ConnectionAbortedError, and OSError when ``out`` cannot be written.
    """
    import av

    limits = Limits(connect=timeout, read=timeout)
    trusted = os.environ.get("SSL_CERT_FILE") or None  # as yt-dlp does
    downloader = Downloader(limits, network=network, reach=reach, certificates=trusted)
    for back in _BACK:
        with ExitStack() as stack:
            files = [stack.enter_context(RangedFile(downloader, one.url, _plain(one), cancelled)) for one in inputs]
            try:
                opened = zip(inputs, files, strict=True)
                streams = [stream for one, file in opened for stream in _open(av, stack, one, file)]
                section = _copy(av, stack, streams, start, max(0.0, start - back), end, out, cancelled)
            except (av.error.FFmpegError, FetchFailed, NoRanges, ConnectionAbortedError, ValueError) as error:
                failure = next((file.failure for file in files if file.failure is not None), error)
                raise _said(failure, cancelled) from error
            if failed := next((file.failure for file in files if file.failure is not None), None):
                raise _said(failed, cancelled) from failed  # a demuxer took it for the end of the file
        if section is not None:
            return section
        if back >= start:
            break
    raise NoSection(f"no key frame at or before {start:.3f} s")


def _said(error: Exception, cancelled: Event) -> Exception:
    """The exception to raise for ``error``. A file that FFmpeg's libraries cannot read is fetched whole (NoSection)."""
    if cancelled.is_set():
        return Stopped()
    if isinstance(error, ConnectionAbortedError) or getattr(error, "errno", 0) in _FULL:
        return error
    if not isinstance(error, FetchFailed) or isinstance(error.__cause__, requests.exceptions.SSLError):
        return NoSection(f"{type(error).__name__}: {error}")
    if error.reason in _EXPIRED:
        return FetchFailed(Reason.FORBIDDEN_MEDIA, error.evidence)
    return error


def _plain(one: Input) -> dict[str, str]:
    """Headers without line breaks. They are untrusted: they come with the address."""
    return {key: value for key, value in one.headers.items() if not {"\r", "\n"} & {*key, *value}}


@dataclass
class _Stream:
    container: Any
    stream: Any
    zero: float
    """The container's first time stamp in seconds: players and ffmpeg call this instant 0."""

    def time(self, stamp: int) -> float:
        return float(stamp * self.stream.time_base) - self.zero


def _open(av: Any, stack: ExitStack, one: Input, file: RangedFile) -> Iterator[_Stream]:
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": _PROTOCOLS}
    container = stack.enter_context(av.open(file, "r", options=options, buffer_size=_BUFFER, metadata_errors="replace"))
    zero = (container.start_time or 0) / av.time_base
    wanted = [*(container.streams.video[:1] if one.video else ()), *(container.streams.audio[:1] if one.audio else ())]
    if one.video and not container.streams.video:
        raise NoSection("no video stream")
    for stream in wanted:
        if stream.codec_context.name not in CODECS and stream.codec_context.codec.canonical_name not in CODECS:
            raise NoSection(f"codec {stream.codec_context.name}")
        yield _Stream(container, stream, zero)


def _copy(
    av: Any,
    stack: ExitStack,
    streams: Sequence[_Stream],
    wanted: float,
    seek: float,
    end: float,
    out: Path,
    stop: Event,
) -> Section | None:
    """None when the first key frame after seeking lies after ``wanted``."""
    video = next(one for one in streams if one.stream.type == "video")
    for one in {id(s.container): s for s in (*streams, video)}.values():
        target = video if one.container is video.container else one
        stamp = math.floor((seek + target.zero) / target.stream.time_base)
        target.container.seek(stamp, stream=target.stream, backward=True)
    packets = _packets(video, [s for s in streams if s.container is video.container], end, stop)
    head: list[tuple[_Stream, Any]] = []
    for one, packet in packets:  # sound before the first key frame is buffered
        head.append((one, packet))
        if one is video and packet.is_keyframe and packet.pts is not None:
            break
    if not head or head[-1][0] is not video:
        raise NoSection("no key frame in this section")
    base = video.time(head[-1][1].pts)
    if base > wanted + 1e-6 and seek > 0:
        return None
    output = stack.enter_context(av.open(str(out), "w", format="mp4"))
    copies = {id(one): output.add_stream_from_template(one.stream) for one in streams}
    others = [_packets(one, [one], end, stop) for one in streams if one.container is not video.container]
    frames, last = 0, base
    for one, packet in heapq.merge(_chain(head, packets), *others, key=lambda pair: pair[0].time(pair[1].dts)):
        time = one.time(packet.pts if packet.pts is not None else packet.dts)
        if time < base - 1e-6 or (one is not video and time >= end):
            continue  # needs frames before the section's first, or is sound outside of it
        if one is video:
            frames, last = frames + 1, max(last, time + float((packet.duration or 0) * one.stream.time_base))
        shift = round((base + one.zero) / one.stream.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts -= shift
        packet.stream = copies[id(one)]
        output.mux(packet)
    length = (video.container.duration or 0) / av.time_base
    if last < min(end, length) - 1.0:  # some demuxers take a lost connection for the end of the file
        raise ConnectionAbortedError(f"the section ends at {last:.3f} s instead of {min(end, length):.3f} s")
    return Section(base, last, frames)


def _chain(head: Sequence[tuple[_Stream, Any]], rest: Iterator[tuple[_Stream, Any]]) -> Iterator[tuple[_Stream, Any]]:
    yield from head
    yield from rest


def _packets(lead: _Stream, streams: Sequence[_Stream], end: float, stop: Event) -> Iterator[tuple[_Stream, Any]]:
    """Packets of one container in its order until ``lead`` has passed ``end`` in decoding order."""
    of = {one.stream.index: one for one in streams}
    for packet in lead.container.demux([one.stream for one in streams]):
        if stop.is_set():
            raise Stopped
        if packet.dts is None:  # the flush at the end
            continue
        one = of[packet.stream.index]
        if one is lead and one.time(packet.dts) >= end:
            return
        yield one, packet
