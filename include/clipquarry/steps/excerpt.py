"""The step ``excerpt``: cuts the annotated section of every video, as a video of constant rate and as a folder of frames."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field, model_validator

from clipquarry.annotations.ava_time import FPS
from clipquarry.datasets.model import Recipe
from clipquarry.files import disk_errors, publish, sha256_of
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.excerpt import ExcerptFacts, Section, container_of, make_excerpt
from clipquarry.media.frame_folder import count_frames, has_flow, replace_folder, sweep, unfinished
from clipquarry.media.likeness import same_frames, same_video
from clipquarry.media.stretches import Encoders
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, StepParams
from clipquarry.steps.fields import CONTENT_FIELDS, MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.source_clip import SourceClip, find_video, item_path
from clipquarry.store import Facts, content_key

KIND = "excerpts"
_SLACK = 1
"""Frames of tolerance: where two frames of the video are equally near to an instant, another tool may take the other one."""
_FITS = "what lay there fits and was kept"


class ExcerptParams(StepParams):
    """``videos`` (the source videos), ``out`` (their sections) and ``frames`` (the frames) are folders below ``root``.

    ``start`` and ``seconds`` give the section; ``quality`` is ffmpeg's JPEG scale, 1 (best) to 31. ``recipe`` encodes the
    video; of it ``preset``, ``crf`` and ``audio`` count.
    """

    root: str
    videos: str = "videos"
    out: str = "videos_15min"
    frames: str = "rawframes"
    start: int = Field(default=900, ge=0, le=1_000_000)
    seconds: int = Field(default=901, ge=1, le=86_400)
    fps: int = Field(default=FPS, ge=1, le=240)
    quality: int = Field(default=1, ge=1, le=31)
    recipe: Recipe = Recipe()
    make_video: bool = True
    make_frames: bool = True

    @model_validator(mode="after")
    def _something(self) -> ExcerptParams:
        if not (self.make_video or self.make_frames):
            raise ValueError("both make_video and make_frames are off: turn one on")
        return self

    @property
    def section(self) -> Section:
        return Section(self.start, self.seconds, self.fps, self.quality)


@dataclass(frozen=True)
class _Places:
    """Paths of the source video and of its outputs; None for an output that is off."""

    source: Path
    video: Path | None
    frames: Path | None


class ExcerptStep(Step[ExcerptParams]):
    """One video and one folder of frames per source video, in the data set's layout. Their facts are noted in the
    store, one note per place. The row's ``clip_id`` is the source video's file name with its extension.
    """

    name = "excerpt"
    version = 1
    fields = (
        *MEDIA_FIELDS,  # of the excerpt
        PATH_FIELD,
        pa.field("images", pa.int32()),
        pa.field("image_path", pa.string()),  # the folder, relative to the data root
        pa.field("image_width", pa.int32()),
        pa.field("image_height", pa.int32()),
        pa.field("source_duration", pa.float64()),  # seconds, of the source video
        *CONTENT_FIELDS,  # of the frames
    )
    params_model = ExcerptParams

    def __init__(self) -> None:
        self._encoders = PerRun(lambda ctx: Encoders(ctx.jobs))

    def preflight(self, ctx: StepContext[ExcerptParams]) -> None:
        ffmpeg()

    def run_group(self, rows: Sequence[Row], ctx: StepContext[ExcerptParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[ExcerptParams]) -> Outcome:
        places = self._places(row, ctx)
        source = find_video(ctx.store, row["clip_id"], places.source)
        if source is None:
            return Outcome.missing(Reason.NO_SOURCE, "the video is not there")
        video = self._intact_video(row, source, places, ctx)
        frames = self._intact_frames(row, source, places, ctx)
        if video is not None and frames is not None:
            return Outcome(Status.KEPT, evidence=self._evidence(video, frames), columns=self._columns(video, frames))
        try:
            video, frames, told = self._make(row, source, places, video, frames, ctx)
        except MediaError as error:
            if error.reason is Reason.TOO_SHORT:
                return Outcome.missing(error.reason, error.evidence)
            return Outcome.failed(error.reason, error.evidence)
        status = Status.KEPT if told and set(told) == {_FITS} else Status.DONE
        evidence = "; ".join(filter(None, [*dict.fromkeys(told), self._evidence(video, frames)]))
        return Outcome(status, evidence=evidence, columns=self._columns(video, frames))

    def _make(
        self,
        row: Row,
        source: SourceClip,
        places: _Places,
        video: Facts | None,
        frames: Facts | None,
        ctx: StepContext[ExcerptParams],
    ) -> tuple[Facts, Facts, list[str]]:
        """Make what is not intact, in one pass; the facts of both, and what became of each place (empty: it was free, or ours)."""
        told = []
        new_video = unfinished(places.video) if places.video and video is None else None
        new_frames = unfinished(places.frames) if places.frames and frames is None else None
        try:
            with disk_errors(places.source):
                for target in (places.video, places.frames):
                    if target is not None:
                        target.parent.mkdir(parents=True, exist_ok=True)
                        sweep(target)
                made = make_excerpt(
                    source.path,
                    video=new_video,
                    frames=new_frames,
                    section=ctx.params.section,
                    recipe=ctx.params.recipe,
                    cancelled=ctx.cancelled,
                    encoders=self._encoders(ctx),
                )
                if new_video is not None:
                    video, what = self._publish_video(row, source, places.video, new_video, made, ctx)
                    told.append(what)
                if new_frames is not None:
                    frames, what = self._publish_frames(row, source, places.frames, new_frames, made, ctx)
                    told.append(what)
        finally:
            if new_video is not None:
                new_video.unlink(missing_ok=True)
            if new_frames is not None:
                shutil.rmtree(new_frames, ignore_errors=True)
        assert video is not None
        assert frames is not None
        return video, frames, told

    # What lies at a place is told by one note a place, written before the rename: a kill between them leaves a note
    # that does not fit what is there, and that is made again.

    def _publish_video(
        self,
        row: Row,
        source: SourceClip,
        place: Path | None,
        new: Path,
        made: ExcerptFacts,
        ctx: StepContext[ExcerptParams],
    ) -> tuple[Facts, str]:
        assert place is not None
        assert made.video is not None
        kept, told, before = made.video, "", self._own_video(row, place, ctx)
        if os.path.lexists(place) and before is None:
            try:
                kept, told = same_video(place, new, made.video, slack=_SLACK), _FITS
            except (MediaError, OSError) as error:
                told = _moved("file", error, set_aside(ctx.data, place))
        file = place if told == _FITS else new
        stat = file.stat()
        facts = self._told(source, made) | kept.columns() | {
            "path": _relative(place, ctx), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "before": before,
            "sha256": sha256_of(file), "made": self._video_recipe(ctx.params),
        }  # fmt: skip
        ctx.store.note(KIND, row["clip_id"], _key(facts["path"]), facts)
        if file == new:
            publish(new, place)
        return facts, told

    def _publish_frames(
        self,
        row: Row,
        source: SourceClip,
        place: Path | None,
        new: Path,
        made: ExcerptFacts,
        ctx: StepContext[ExcerptParams],
    ) -> tuple[Facts, str]:
        assert place is not None
        assert made.frames is not None
        count, size, told = made.frames.frames, made.frames.bytes, ""
        before = self._own_frames(row, place, ctx)
        if os.path.lexists(place) and before is None:
            try:
                (count, size), told = same_frames(place, new, made.frames, slack=_SLACK), _FITS
            except (MediaError, OSError) as error:
                told = _moved("folder", error, set_aside(ctx.data, place))
        path = _relative(place, ctx)
        facts = self._told(source, made) | {
            "image_path": path, "images": count, "image_width": made.frames.width, "image_height": made.frames.height,
            "image_bytes": size, "before": before, "made": self._frames_recipe(ctx.params), **made.frames.content.columns(),
        }  # fmt: skip
        ctx.store.note(KIND, row["clip_id"], _key(path), facts)
        if told != _FITS:
            replace_folder(new, place)
        return facts, told

    @staticmethod
    def _own_video(row: Row, place: Path, ctx: StepContext[ExcerptParams]) -> list[int] | None:
        """Size and time of the file at ``place`` when it is one that we noted, or the one before; else None."""
        with suppress(OSError):
            there = [place.stat().st_size, place.stat().st_mtime_ns]
            facts = ctx.store.noted(KIND, row["clip_id"], _key(_relative(place, ctx))) or {}
            return there if there in ([facts.get("bytes"), facts.get("mtime_ns")], facts.get("before")) else None
        return None

    @staticmethod
    def _own_frames(row: Row, place: Path, ctx: StepContext[ExcerptParams]) -> list[int] | None:
        """Count and bytes of the frames at ``place`` when they are what we noted, or what was there before; else None, as of
        a folder that holds optical flow too: the step ``flow`` made it, or a person, and it is not thrown away.
        """
        if has_flow(place):
            return None
        with suppress(MediaError, OSError):
            there = list(count_frames(place))
            facts = ctx.store.noted(KIND, row["clip_id"], _key(_relative(place, ctx))) or {}
            return there if there in ([facts.get("images"), facts.get("image_bytes")], facts.get("before")) else None
        return None

    @staticmethod
    def _told(source: SourceClip, made: ExcerptFacts) -> Facts:
        return {"source_sha256": source.sha256, "source_duration": made.source_duration, "evidence": made.evidence}

    def _intact_video(
        self, row: Row, source: SourceClip, places: _Places, ctx: StepContext[ExcerptParams]
    ) -> Facts | None:
        """The noted facts of an excerpt that is there, unchanged and of this recipe; {} when none is asked for."""
        if places.video is None:
            return {}
        facts = self._is_noted(row, places.video, ctx)
        if facts is None or facts.get("source_sha256") != source.sha256:
            return None
        return facts if facts.get("made") == self._video_recipe(ctx.params) else None

    @staticmethod
    def _is_noted(row: Row, video: Path, ctx: StepContext[ExcerptParams]) -> Facts | None:
        """The facts when ``video`` is the file that they are about."""
        facts = ctx.store.noted(KIND, row["clip_id"], _key(_relative(video, ctx)))
        with suppress(FileNotFoundError, NotADirectoryError):
            stat = video.stat()
            if facts is not None and (facts.get("bytes"), facts.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns):
                return facts
        return None

    def _intact_frames(
        self, row: Row, source: SourceClip, places: _Places, ctx: StepContext[ExcerptParams]
    ) -> Facts | None:
        """The noted facts when the folder still has all its frames, contiguous and of the same size together."""
        if places.frames is None:
            return {}
        facts = ctx.store.noted(KIND, row["clip_id"], _key(_relative(places.frames, ctx)))
        if facts is None or facts.get("source_sha256") != source.sha256:
            return None
        if facts.get("made") != self._frames_recipe(ctx.params):
            return None
        try:
            there = count_frames(places.frames)
        except (MediaError, OSError):
            return None
        return facts if there == (facts.get("images"), facts.get("image_bytes")) else None

    def _video_recipe(self, params: ExcerptParams) -> dict[str, Any]:
        recipe = {"preset": params.recipe.preset, "crf": params.recipe.crf, "audio": params.recipe.audio}
        return {"version": self.version, "start": params.start, "seconds": params.seconds, "fps": params.fps} | recipe

    def _frames_recipe(self, params: ExcerptParams) -> dict[str, Any]:
        return {"version": self.version} | asdict(params.section)

    @staticmethod
    def _places(row: Row, ctx: StepContext[ExcerptParams]) -> _Places:
        params = ctx.params
        source = item_path(ctx.data, params.root, params.videos, row)
        container_of(source)  # reports an extension that cannot be kept before any work
        video = item_path(ctx.data, params.root, params.out, row)
        frames = item_path(ctx.data, params.root, params.frames, row).with_suffix("")
        return _Places(source, video if params.make_video else None, frames if params.make_frames else None)

    @staticmethod
    def _evidence(video: Facts, frames: Facts) -> str:
        return str(video.get("evidence") or frames.get("evidence") or "")

    def _columns(self, video: Facts, frames: Facts) -> dict[str, Any]:
        facts = frames | video
        return {field.name: facts.get(field.name) for field in self.fields}

    def still_holds(self, row: Row, result: Row, ctx: StepContext[ExcerptParams]) -> bool:
        places = self._places(row, ctx)
        source = find_video(ctx.store, row["clip_id"], places.source)
        if source is None:
            return False
        video = self._intact_video(row, source, places, ctx)
        return video is not None and self._intact_frames(row, source, places, ctx) is not None


def _moved(what: str, why: MediaError | OSError, aside: Path) -> str:
    found = why.evidence if isinstance(why, MediaError) else why.strerror
    return f"the {what} that lay there does not fit ({found}) and was moved to {aside}"


def _relative(path: Path, ctx: StepContext[ExcerptParams]) -> str:
    return str(path.relative_to(ctx.data.root))


def _key(path: str) -> str:
    """One note per place, so that facts of another recipe at this place are never found."""
    return content_key(kind=KIND, path=path)
