"""Excerpts: the annotated section of a video, as a video of constant rate and as frame files, from one decode.

For AVA that is seconds 900 to 1801 at 30 frames per second: 27,030 frames, and frame file ``30 (t - 900) + 1`` shows
second t. The reference encodes the section first and extracts the frames from that. Here both come from the source:
the frames have one lossy encode less, and the source is decoded once. A frame that fills several slots (at 25 frames
per second, every fifth) is one file under several names: hard links, which cost neither time nor space.

The video has its source's container. H.264 goes into mp4 and Matroska. WebM cannot hold H.264 and gets VP9 (the
encoder's quickest mode, about twice the work of our H.264), because a file named WebM should be one. The reference
gets VP9 too, in ffmpeg's default mode, which takes five times as long.

A long excerpt is made in stretches of half a minute, several at once (:mod:`clipquarry.media.stretches`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import ffmpeg

from clipquarry.errors import MachineError, UserError
from clipquarry.media.constant_rate import TICKS, Coverage, all_slots, back, covered, each_once, on_clock
from clipquarry.media.encoding import (
    EVEN,
    Container,
    Recipe,
    Sound,
    argv_of,
    filtered,
    input_options,
    jpeg_options,
    plain_seconds,
    sound_options,
    vp9_options,
    ways_with_sound,
    x264_options,
)
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_content import folder_content
from clipquarry.media.frame_folder import IMG, count_frames, frame_name, unfinished
from clipquarry.media.frames import FrameFacts, check_frames
from clipquarry.media.probe import Header, MediaFacts, frame_size, probe
from clipquarry.media.run import last_lines, run
from clipquarry.media.stamped import Readable, readable
from clipquarry.media.stretches import (
    SECONDS,
    Encoders,
    Stretch,
    divide,
    gather_frames,
    join_argv,
    name_frames,
    seconds_for,
    whole,
)
from clipquarry.media.timeline import Timeline, read_timeline
from clipquarry.media.tools import ffmpeg as find_ffmpeg
from clipquarry.reasons import Reason

_CONTAINERS: dict[str, Container] = {".mp4": "mp4", ".m4v": "mp4", ".mkv": "matroska", ".webm": "webm"}

_LONG_GAP = 1.0
"""Seconds without a new frame that are reported."""


@dataclass(frozen=True)
class Section:
    """The section of a video to extract, and its rate."""

    start: float
    """Seconds after the file's start."""
    seconds: float
    fps: int
    quality: int
    """Quality of the frame files: ffmpeg's ``-q:v``, 1 (best) to 31."""

    @property
    def frames(self) -> int:
        """Number of frames from a video that does not end early."""
        return round(self.fps * self.seconds)


@dataclass(frozen=True)
class ExcerptFacts:
    """The finished excerpt, verified."""

    video: MediaFacts | None
    frames: FrameFacts | None
    source_duration: float
    """Seconds: where the source's video ends, or its header's duration if it goes on after the section."""
    evidence: str
    """Empty, or why there are fewer frames, or other remarks."""


def container_of(path: Path) -> Container:
    """The output format for a file of this name. UserError for any but mp4, m4v, mkv and webm."""
    found = _CONTAINERS.get(path.suffix.lower())
    if found is None:
        raise UserError(
            f"{path.name} is neither .mp4 nor .mkv nor .webm: an excerpt keeps the name and needs one of these."
        )
    return found


def _video_options(container: Container, recipe: Recipe, sound: Sound) -> dict[str, Any]:
    options = vp9_options(recipe) if container == "webm" else x264_options(recipe, container)
    return options | (sound_options(container, sound) if sound != "none" else {})


@dataclass(frozen=True)
class _Job:
    """One excerpt: the request, and the facts of its source."""

    source: Readable
    section: Section
    video: Path | None
    frames: Path | None
    recipe: Recipe
    header: Header
    seeks: bool
    there: Coverage
    encoders: Encoders

    @property
    def slots(self) -> int:
        return self.there.slots(self.section.fps, self.section.seconds)

    @property
    def repeats(self) -> bool:
        """Whether frames are shown more than once: each is then encoded once. A faster source is thinned first."""
        return self.there.rate <= self.section.fps

    def argv(
        self, stretch: Stretch, video: Path | None, container: Container, frames: Path | None, sound: Sound
    ) -> list[str]:
        """ffmpeg's arguments, to be run in the folder of the frame files. One decoder feeds both outputs."""
        tool, section, seeks = find_ffmpeg(), self.section, self.seeks
        fps, clocked = section.fps, stretch.ahead + stretch.slots
        start = plain_seconds(section.start + (stretch.first - stretch.ahead) / fps)
        offset = 0.0 if seeks else section.start
        sought = {"ss": start} if seeks else {}
        into = ffmpeg.input(f"file:{self.source.path}", **input_options(), **self.source.options, **sought)
        on_time = filtered(into["V:0"], on_clock(offset=offset))
        every = all_slots(fps, clocked, stretch.fill)
        if stretch.ahead:
            every += [f"trim=start_frame={stretch.ahead}", "setpts=PTS-STARTPTS"]
        # One graph with a split: two graphs on one decoder deadlock in ffmpeg 9, most times.
        both = on_time.split() if video and frames else (on_time, on_time)
        outputs = []
        if video is not None:
            options = _video_options(container, self.recipe, sound) | tool.last_frame_options
            options |= {"enc_time_base:v": f"1/{fps}", "t": plain_seconds(stretch.slots / fps)}
            options |= {tool.fps_mode_option: "passthrough"} | ({} if seeks else {"ss": start})
            options |= {"f": "mp4"} if stretch.slots != self.slots else {}
            streams = [filtered(both[0], [*every, EVEN, *back(offset)])] + ([] if sound == "none" else [into["a:0"]])
            outputs.append(ffmpeg.output(*streams, f"file:{video}", **options))
        if frames is not None:
            options = jpeg_options(tool, section.quality)
            if self.repeats:
                options |= {"frame_pts": 1, "enc_time_base:v": f"1/{TICKS}"}  # the file name is the tick
            chosen = each_once(fps, clocked, stretch.keep_from) if self.repeats else every
            outputs.append(ffmpeg.output(filtered(both[1], chosen), IMG, **options))
        return argv_of(tool, ffmpeg.merge_outputs(*outputs))

    def _make(
        self, stretch: Stretch, video: Path | None, frames: Path | None, sound: Sound, cancelled: Event | None
    ) -> str:
        """Write a stretch; returns ffmpeg's messages."""
        if frames is not None:
            frames.mkdir(parents=True)
        container = container_of(self.video) if self.video else "mp4"
        before = 0.0 if self.seeks else self.section.start
        said = self.encoders.run(
            self.argv(stretch, video, container, frames, sound),
            timeout=seconds_for(stretch, self.section.fps, before), cancelled=cancelled, cwd=frames,
        )  # fmt: skip
        if frames is not None and self.repeats:
            name_frames(frames, stretch, self.section.fps)
        return said

    def in_one_piece(self, sound: Sound, cancelled: Event | None) -> ExcerptFacts:
        """Make and verify both with one ffmpeg."""
        stretch = whole(self.there, self.section.fps, self.slots)
        return self.verified(self._make(stretch, self.video, self.frames, sound, cancelled))

    def in_stretches(
        self, stretches: Sequence[Stretch], ways: Sequence[Sound], cancelled: Event | None
    ) -> ExcerptFacts:
        """Make both with one ffmpeg per stretch, several at once, and verify the joined result."""
        beside = self.video or self.frames
        assert beside is not None
        work = unfinished(beside)
        work.mkdir(parents=True)
        try:
            videos = [(work / f"{n}.mp4", stretch) for n, stretch in enumerate(stretches)]
            folders = [(work / f"{n}", stretch) for n, stretch in enumerate(stretches)]
            makers = [
                partial(self._make, stretch, video if self.video else None, folder if self.frames else None, "none")
                for (video, stretch), (folder, _) in zip(videos, folders, strict=True)
            ]
            said = " | ".join(filter(None, self.encoders.all(makers, cancelled)))
            if self.frames is not None:
                for folder, stretch in folders:
                    self._check_count(count_frames(folder)[0], "frame files", stretch.slots)
                self.frames.mkdir(parents=True)
                gather_frames(folders, self.frames)
            for sound in ways:
                try:
                    return self.verified(said + self._join(videos, sound, work, cancelled))
                except MediaError:
                    if sound == "none":
                        raise
            raise AssertionError("unreachable: the last way has no sound and returns or raises")
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _join(self, videos: Sequence[tuple[Path, Stretch]], sound: Sound, work: Path, cancelled: Event | None) -> str:
        if self.video is None:
            return ""
        fps, container = self.section.fps, container_of(self.video)
        argv = join_argv(videos, self.source.path, self.section.start, fps, self.video, container, sound, work)
        return run(argv, timeout=seconds_for(whole(self.there, fps, self.slots), fps), cancelled=cancelled)

    def verified(self, said: str) -> ExcerptFacts:
        """Count and measure the results."""
        video = self._video() if self.video is not None else None
        frames = self._images() if self.frames is not None else None
        if video and frames and (video.width, video.height) != (frames.width // 2 * 2, frames.height // 2 * 2):
            sizes = f"{video.width}x{video.height}, {frames.width}x{frames.height}"
            raise MediaError(Reason.TOOL_FAILED, f"video and frames differ in size: {sizes}")
        stated = self.header.duration or 0.0
        ends = self.there.video_end if self.slots < self.section.frames else max(stated, self.there.video_end)
        return ExcerptFacts(video, frames, ends, "; ".join(self._remarks(said)))

    def _video(self) -> MediaFacts:
        assert self.video is not None
        # Counted only: decoding the encoder's own output again costs a tenth of the time.
        made = probe(self.video, decode=False)
        self._check_count(made.frames, "frames")
        if made.errors or abs(made.duration - self.slots / self.section.fps) > 1 / self.section.fps:
            raise MediaError(Reason.TOOL_FAILED, f"the excerpt just made lasts {made.duration:.2f} s")
        return made

    def _images(self) -> FrameFacts:
        assert self.frames is not None
        folder = self.frames
        size = frame_size(folder / frame_name(1)) if any(folder.iterdir()) else (0, 0)
        count, total = check_frames(folder, size)
        self._check_count(count, "frame files")
        seconds = count / self.section.fps
        shown = folder_content(lambda number: folder / frame_name(number + 1), count, seconds)
        return FrameFacts(count, *size, self.section.fps, seconds, total, shown)

    def _check_count(self, count: int, what: str, wanted: int | None = None) -> None:
        wanted = self.slots if wanted is None else wanted
        if count != wanted:
            raise MediaError(
                Reason.CORRUPT, f"{count:,} {what} came out and not {wanted:,}: the source does not decode to its end"
            )

    def _remarks(self, said: str) -> list[str]:
        """What a reader of the table must know about a finished excerpt."""
        there, section, remarks = self.there, self.section, []
        if self.slots < section.frames:
            remarks.append(f"the source ends at {there.video_end:.1f} s: {self.slots:,} of {section.frames:,} frames")
        if there.gap > _LONG_GAP:
            where = section.start + there.gap_at
            remarks.append(f"the source has no new frame for {there.gap:.1f} s from {where:.1f} s on")
        if said:
            remarks.append(f"ffmpeg said: {last_lines(said, 1)}")
        return remarks


def _look(source: Path, section: Section) -> tuple[Timeline, Coverage]:
    """Coverage of the section. Raises MediaError if the source has nothing there."""
    timeline = read_timeline(source, section.start, section.start + section.seconds)
    there = covered(timeline, section.start, section.seconds)
    if there.slots(section.fps, section.seconds) == 0:
        raise MediaError(
            Reason.TOO_SHORT, f"nothing from {section.start:g} s on: the source's video ends at {there.video_end:.2f} s"
        )
    return timeline, there


def make_excerpt(
    source: Path,
    *,
    video: Path | None,
    frames: Path | None,
    section: Section,
    recipe: Recipe,
    cancelled: Event | None = None,
    encoders: Encoders | None = None,
    stretch_seconds: int = SECONDS,
) -> ExcerptFacts:
    """Make the excerpt ``video`` (a file; its suffix names the container) and the frames in ``frames`` (a folder,
    which must not exist), and verify both by counting. Either may be None.

    A long excerpt is made in stretches of about ``stretch_seconds``, as many at once as ``encoders`` (None: one)
    have room for. Its content does not depend on that.

    Both are written under their own names, so give temporary ones; they are removed on failure. Raises MediaError:
    TOO_SHORT with the seconds measured if the source's video ends before ``section.start``; else as
    :func:`clipquarry.media.cut.cut_clip`. A source that ends within the section is no error: see ``evidence``.
    """
    source = Path(source).absolute()
    container = container_of(video) if video else "mp4"
    if video and container == "webm" and not find_ffmpeg().encodes_vp9:
        raise MachineError(f"{find_ffmpeg()} was built without libvpx-vp9, which {video.name} needs.")
    timeline, there = _look(source, section)
    with readable(source, timeline, beside=video or frames or source) as given:
        job = _Job(
            given, section, video and video.absolute(), frames and frames.absolute(), recipe, timeline.header,
            timeline.seeks, there, encoders or Encoders(1),
        )  # fmt: skip
        ways = ways_with_sound(recipe.audio if video else "none", timeline.header.audio_codec, container)
        return _made(job, ways, stretch_seconds, cancelled)


def _made(job: _Job, ways: Sequence[Sound], stretch_seconds: int, cancelled: Event | None) -> ExcerptFacts:
    """Make it in stretches, or in one piece if that is impossible; a failed result is removed."""
    stretches = divide(job.there, job.section.fps, job.slots, stretch_seconds) if job.seeks else []
    if len(stretches) > 1:
        try:
            return job.in_stretches(stretches, ways, cancelled)
        except MediaError:
            _remove(job.video, job.frames)  # A damaged place weighs more in a stretch; the whole excerpt is judged.
        except BaseException:
            _remove(job.video, job.frames)
            raise
    for sound in ways:
        try:
            return job.in_one_piece(sound, cancelled)
        except BaseException as error:
            _remove(job.video, job.frames)
            if sound == "none" or not isinstance(error, MediaError):
                raise
    raise AssertionError("unreachable: the last way has no sound and returns or raises")


def _remove(video: Path | None, frames: Path | None) -> None:
    if video:
        video.unlink(missing_ok=True)
    if frames:
        shutil.rmtree(frames, ignore_errors=True)
