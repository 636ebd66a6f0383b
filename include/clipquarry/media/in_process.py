"""The usual cut without the ffmpeg program: one seek and one encode in this process, with PyAV's libraries.

The ffmpeg program takes longer to start (it loads its libraries anew) than to decode a short window. For a plain
source, this module uses the same filters, encoder options and rules for sound, and gives the same frames at the same
times. Any other source raises :class:`NotPlain` and is left to the ffmpeg program, which also judges what is wrong
with a file. Codecs may crash on hostile files, so :mod:`clipquarry.media.cutters` runs this in processes of its own.
"""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType

from clipquarry.media.display import turned
from clipquarry.media.encoding import Recipe, container_options, seeks_exactly, x264_options
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import Header, opened
from clipquarry.reasons import Reason

_LARGEST = 4096 * 2304
"""Pixels of a frame; larger ones need more memory than a cutter may take."""

_MEMORY = 2 << 30
"""Bytes that a cut may allocate: three times the need of the largest frame."""

_BEFORE = round(3 / 23 * 1e6)
"""Microseconds by which ffmpeg looks for a key frame earlier than asked, because B-frames are stored late."""

_OF_THE_ENCODER = ("preset", "crf", "x264-params")
"""Options of :func:`x264_options` that belong to libx264 itself."""


_COLOURS = ("color_range", "colorspace", "color_trc", "color_primaries")


class NotPlain(MediaError):
    """The ffmpeg program has to make the clip."""

    def __init__(self, why: str) -> None:
        super().__init__(Reason.TOOL_FAILED, why)


@dataclass(frozen=True)
class Plan:
    """The arguments of the cut, as the ffmpeg program would get them."""

    start: float
    """Seconds after the file's start."""
    duration: float
    filters: Sequence[str]
    """Video filters in order, written as for ``-vf``."""
    rate: Fraction
    """Frames per second of the clip: the encoder counts frames."""
    frames: int
    """Number of frames in the clip; 0: as many as the filters give."""
    recipe: Recipe
    copy_sound: bool
    """Else the clip has no sound."""
    keys: frozenset[int] = frozenset()
    """Numbers (from 0) of the frames that are key frames, besides those that the encoder chooses."""


def _held() -> int:
    """Bytes of this process that the limit counts; 0 where the system does not say."""
    try:
        told = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^VmData:\s*(\d+) kB$", told, re.MULTILINE)
    return int(found[1]) << 10 if found else 0


@contextmanager
def _limited() -> Iterator[None]:
    """Limit the memory: the sizes in a header cannot be trusted. What the process holds already does not count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    lower = min(limit for limit in (_held() + _MEMORY, soft, hard) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_DATA, (lower, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _ticks(microseconds: int, time_base: Fraction) -> int:
    """Microseconds in a stream's clock, rounded as ffmpeg does: to the nearest, half away from zero."""
    exact = Fraction(microseconds, 1_000_000) / time_base
    return int(exact + (Fraction(1, 2) if exact >= 0 else Fraction(-1, 2)))


class _Video:
    """The video stream: frames of the source in, packets of the clip out."""

    def __init__(self, plan: Plan, video: Any, out: Any, origin: int) -> None:
        context = video.codec_context
        self._plan, self._video = plan, video
        self._tick = Fraction(video.time_base)
        self._start, self._end = _ticks(origin, self._tick), Fraction(plan.duration) / self._tick
        self._size = context.width, context.height
        self.stream = out.add_stream("libx264", rate=plan.rate)
        self.stream.width, self.stream.height = (side // 2 * 2 for side in self._size)
        self.stream.pix_fmt = "yuv420p"
        told = x264_options(plan.recipe)
        self.stream.options = {name: str(told[name]) for name in _OF_THE_ENCODER} | {"flags": "+bitexact"}
        made = self.stream.codec_context
        self._clock, self._of_filters = 1 / plan.rate, None
        made.time_base, made.thread_count = self._clock, 1
        if shape := video.sample_aspect_ratio:
            made.sample_aspect_ratio = shape
        self._into, self._from = self._graph()
        self._skips = context.name == "h264"
        self._seen = False
        self.frames = 0
        self.done = False

    def _graph(self) -> tuple[Any, Any]:
        graph = av.filter.Graph()
        graph.threads = 1
        first = last = graph.add_buffer(template=self._video, time_base=self._tick)
        for text in self._plan.filters:
            name, _, values = text.partition("=")
            after = graph.add(name, values or None)
            last.link_to(after)
            last = after
        sink = graph.add("buffersink")
        last.link_to(sink)
        graph.configure()
        self._kept = graph  # the filters hold only a weak reference
        return first, sink

    def take(self, packet: Any) -> Iterator[Any]:
        """Decode a packet of the source; yields the packets of the clip that result."""
        if self._skips:
            # Before the start, frames that no other frame needs are not decoded.
            before = packet.pts is not None and packet.pts < self._start
            self._video.codec_context.skip_frame = "NONREF" if before else "DEFAULT"
        for frame in packet.decode():
            if not self.done:
                yield from self._add(frame)

    def _add(self, frame: Any) -> Iterator[Any]:
        if frame.is_corrupt or frame.interlaced_frame or frame.pts is None:
            raise NotPlain("a frame that is damaged, interlaced or without a time")
        if (frame.width, frame.height) != self._size or frame.format.name != "yuv420p":
            raise NotPlain("the video changes its size or its pixels")
        if not self._seen:
            self._look(frame)
        frame.pts -= self._start
        if frame.pts >= 0:
            self._into.push(frame)
            yield from self._filtered()
            # The filters never have to wait for a frame that comes so late.
            self.done |= not self._plan.frames and frame.pts >= self._end

    def _look(self, first: Any) -> None:
        if turned(first):
            raise NotPlain("a video that is rotated")
        for name in _COLOURS:
            setattr(self.stream.codec_context, name, getattr(first, name))
        self._seen = True

    def _filtered(self) -> Iterator[Any]:
        while not self.done:
            try:
                frame = self._from.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            if self._of_filters is None:
                self._of_filters = frame.time_base * self._plan.rate
            frame.pts, frame.time_base = round(float(frame.pts * self._of_filters)), self._clock
            frame.pict_type = PictureType.I if self.frames in self._plan.keys else PictureType.NONE
            self.frames += 1
            self.done = self.frames == self._plan.frames
            yield from self.stream.encode(frame)

    def end(self) -> Iterator[Any]:
        """The packets left in the filters and the encoder."""
        if not self.done:
            self._into.push(None)
            yield from self._filtered()
        yield from self.stream.encode(None)


class _Sound:
    """The sound: packets of the source, copied from the first one in the window."""

    def __init__(self, plan: Plan, sound: Any, out: Any, origin: int) -> None:
        self.stream = out.add_stream_from_template(sound)
        tick = Fraction(sound.time_base)
        self._start, self._end = _ticks(origin, tick), Fraction(plan.duration) / tick
        self._begun = self.done = False

    def take(self, packet: Any) -> Iterator[Any]:
        if self.done or not packet.size:
            return
        if packet.pts is None:
            raise NotPlain("sound without times")
        packet.pts -= self._start
        self.done = packet.pts >= self._end
        self._begun |= packet.pts >= 0
        if self._begun and not self.done:
            packet.dts = packet.pts
            packet.stream = self.stream
            yield packet


def _looks_plain(told: Header, video: Any) -> None:
    if not seeks_exactly(told):
        raise NotPlain("a container without an index of times")
    if told.width * told.height > _LARGEST:
        raise NotPlain("very large frames")
    if video.format is None or video.format.name != "yuv420p" or told.pixel != 1:
        raise NotPlain("other pixels than square ones of 8 bit 4:2:0")


def encode(source: Path, out: Path, told: Header, plan: Plan) -> None:
    """Write the clip, and verify it as any other. ``told`` is the source's header.

    Raises NotPlain if the ffmpeg program has to do it, and MediaError for whatever PyAV raises; ``out`` may exist
    after that.
    """
    with _limited(), opened(source) as (container, video):
        _looks_plain(told, video)
        options = {name: str(container_options("mp4")[name]) for name in ("fflags", "movflags")}
        with av.open(f"file:{out}", "w", format="mp4", options=options) as made:
            asked = round(plan.start * 1e6)
            origin = asked + (container.start_time or 0)
            track = _Video(plan, video, made, origin)
            sound = _Sound(plan, container.streams.audio[0], made, origin) if plan.copy_sound else None
            container.seek(max(0, origin - _BEFORE) if asked else origin)
            takers: dict[int, Any] = {video.index: track}
            if sound is not None:
                takers[container.streams.audio[0].index] = sound
            for packet in container.demux(*[container.streams[index] for index in takers]):
                for written in takers[packet.stream_index].take(packet):
                    made.mux(written)
                if track.done and (sound is None or sound.done):
                    break
            for written in track.end():
                made.mux(written)
            if plan.frames and track.frames != plan.frames:
                raise NotPlain(f"{track.frames} of {plan.frames} frames came out")
