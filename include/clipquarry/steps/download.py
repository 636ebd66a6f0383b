"""The step ``download``: fetches whole files, such as the videos of AVA, each to its place in the layout.

One row is one file: ``clip_id`` is its name with extension and ``video_id`` the name without. For each file, under its
lock, in this order:

1. the file at its place matches its noted facts (``kept``, nothing is read);
2. another file lies there: verified and noted (``kept``), else moved to ``.clipquarry/set-aside/``;
3. the sources of kind ``http`` and ``local``, in order. A file is verified before it is moved to its place.

Verified means that the header can be read, that there is a video stream and that all packets up to the end named in the
header are there. The two hours of video are not decoded. An interrupted download, also of a killed process, is resumed by
byte range at the next try. A file that was complete but not yet at its place is taken from scratch.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Limits
from clipquarry.acquire.sources import Asked, Egress, make_sources
from clipquarry.errors import ClipquarryError, RetryLater
from clipquarry.files import disk_errors, link_or_copy, publish, read_json, sha256_of, temporary_beside, write_json
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import probe
from clipquarry.reasons import Reason, Status, Trait, with_trait
from clipquarry.steps.answers import Answer, Questions, moment, status_of
from clipquarry.steps.asking import (
    Pause,
    ask,
    folder_problem,
    other_aside,
    unusable_aside,
    wait_until,
    with_attempts_of,
)
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, now, require_space
from clipquarry.steps.clips import media_columns
from clipquarry.steps.fetch import FetchParams
from clipquarry.steps.fields import ATTEMPTS_FIELD, MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.source_clip import VIDEOS, download_work, item_path, noted_video
from clipquarry.store import Facts, content_key

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,149}\Z", re.ASCII)
_GB = 1_000_000_000
_COME_BACK = with_trait(Trait.STOPPED) | {Reason.HTTP_429}
_NOT_IN_KEY = {
    "cookies", "egress", "budget_pause", "budget_per_hour", "breaker_factor", "source_cache_gb", "min_free_gb", "wait",
    "recipe", "youtube", "accept_short", "max_bytes", "breaker_row", "canary", "plugins", "extractor_args",
}  # fmt: skip


class DownloadParams(FetchParams):
    """The parameters of ``fetch`` and two more. Those about clips and YouTube have no effect here."""

    videos: str = "videos"
    """Folder of the files, below ``root``; may hold ``{split}``."""
    split_names: dict[str, str] = Field(default_factory=dict)
    """The sources' names of our splits. A source's own ``split_names`` replace these."""
    max_bytes: int = Field(default=64 << 30, ge=1)
    """Limit of one file."""


@dataclass
class _Resources:
    """Objects that all rows of one run of the step share."""

    ctx: StepContext[DownloadParams]
    pause: Pause = field(default_factory=Pause)

    def __post_init__(self) -> None:
        params, data = self.ctx.params, self.ctx.data
        definitions = [
            source if source.split_names else source.model_copy(update={"split_names": params.split_names})
            for source in params.sources
        ]
        self.sources = make_sources(
            definitions, Egress(data.egress(params.egress)), order=params.order, overrides=params.overrides,
            max_attempts=params.source_attempts, max_bytes=params.max_bytes, whole_files=True,
        )  # fmt: skip
        self.cache = SourceCache(data.scratch, 0)

    def stopped(self, error: FetchFailed) -> None:
        """Record when to resume, if a source asked for a pause."""
        wait = error.retry_after or 0.0
        if Trait.STOPPED in error.reason.traits or (error.reason is Reason.HTTP_429 and wait > Limits().max_wait):
            self.pause.begin(wait)


class DownloadStep(Step[DownloadParams]):
    """See the module."""

    name: ClassVar[str] = "download"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        *MEDIA_FIELDS,  # frames are packets here: the videos are not decoded
        PATH_FIELD,
        pa.field("source", pa.string()),  # id of the source that gave the bytes; "existing" for an adopted file
        ATTEMPTS_FIELD,
    )
    params_model = DownloadParams

    def __init__(self) -> None:
        self._resources = PerRun(_Resources)

    def preflight(self, ctx: StepContext[DownloadParams]) -> None:
        """UserError for a wrong source; RetryLater with too little disk."""
        resources = self._resources(ctx)
        require_space(ctx.data, ctx.params.min_free_gb)
        resources.cache.sweep()

    def group_of(self, row: Row) -> str:
        return str(row["video_id"])

    def key_params(self, params: DownloadParams) -> dict[str, object]:
        return params.model_dump(mode="json", exclude=_NOT_IN_KEY)

    def run_group(self, rows: Sequence[Row], ctx: StepContext[DownloadParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[DownloadParams]) -> Outcome:
        if problem := _row_problem(row):
            return Outcome(Status.REJECTED, *problem)
        resources, target = self._resources(ctx), self._target(row, ctx)
        facts = noted_video(ctx.store, row["clip_id"], target)
        name = download_work(row["clip_id"])
        if facts is not None and not resources.cache.has_work(name):
            return self._present(Status.KEPT, facts, target, Questions(), ctx)
        with resources.cache.video(name, ctx.cancelled) as work:
            video = _Video(row, target, work, resources, Questions(note=partial(ctx.note, row["item_id"])))
            status = video.settle()
        if video.facts is not None:
            return self._present(status, video.facts, target, video.asked, ctx)
        answer = video.asked.decision(resources.sources.off)
        columns = {"attempts": video.asked.attempts}
        return Outcome(status_of(answer.reason), answer.reason, answer.evidence, columns)

    @staticmethod
    def _target(row: Row, ctx: StepContext[DownloadParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.videos, row)

    @staticmethod
    def _present(
        status: Status, facts: Facts, target: Path, asked: Questions, ctx: StepContext[DownloadParams]
    ) -> Outcome:
        path = target.relative_to(ctx.data.root).as_posix()
        columns = {**media_columns(facts), "path": path, "source": facts.get("source"), "attempts": asked.attempts}
        return Outcome(status, Reason.OK, asked.evidence, columns)

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        return with_attempts_of(previous, outcome)

    def still_holds(self, row: Row, result: Row, ctx: StepContext[DownloadParams]) -> bool:
        """Whether the file at its place is the one that was noted."""
        facts = noted_video(ctx.store, row["clip_id"], self._target(row, ctx))
        return facts is not None and facts["sha256"] == result["sha256"]

    def finish(self, reasons: Counter[Reason], ctx: StepContext[DownloadParams]) -> None:
        """Raise WaitUntil while rows wait for a server that asked for a pause."""
        waiting, resume_at = sum(reasons[reason] for reason in _COME_BACK), self._resources(ctx).pause.resume_at
        if waiting and resume_at is not None and resume_at > now() and ctx.params.wait:
            raise wait_until(f"{waiting} files", "a server that asked for a pause", resume_at, Reason.HTTP_429)


class _Video:
    """One file, under its lock."""

    def __init__(self, row: Row, target: Path, work: Path, resources: _Resources, asked: Questions) -> None:
        self._row, self._target, self._work, self._resources = row, target, work, resources
        # These names hold ".part", so that they outlive the lock and the process.
        self._arrived, self._told = work / f"arrived.part{target.suffix}", work / "arrived.part.json"
        self.asked = asked
        self.facts: Facts | None = None

    def settle(self) -> Status:
        """Find the file or fetch it. ``facts`` are set once it is at its place."""
        if self._from_disk():
            self._forget()
            return Status.KEPT
        self._resume()
        for asked in self._resources.sources.asked:
            if self.facts is not None:
                break
            self._ask(asked)
        return Status.DONE

    def _from_disk(self) -> bool:
        """Use the file that is at the place already. One that cannot be used is set aside."""
        store, target = self._resources.ctx.store, self._target
        self.facts = noted_video(store, target.name, target)  # another task may have fetched it while we waited
        if self.facts is not None:
            return True
        if not os.path.lexists(target):
            return False
        try:
            if not target.is_file():
                raise MediaError(Reason.NOT_A_VIDEO, "not a file")
            self.facts = _verified(target, "existing")
        except MediaError as error:
            self.asked.evidence = unusable_aside(error, set_aside(self._resources.ctx.data, target))
            return False
        self._note(target)
        return True

    def _resume(self) -> None:
        """Use a file in scratch that was complete when its process was killed."""
        if not self._arrived.is_file():
            return
        try:
            told = dict(read_json(self._told))
            self._take(
                str(told["source"]), str(told["evidence"]), float(told["seconds"]), str(told.get("at") or moment())
            )
        except (ClipquarryError, OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, RetryLater):
                raise
            self._forget()  # its source is not known

    def _ask(self, asked: Asked) -> None:
        want = ClipRequest(self._row["video_id"], 0, 0, clip_id=self._row["clip_id"], split=self._row["split"])
        cancelled = self._resources.ctx.cancelled
        fetched = ask(asked, want, self._work, cancelled, self._resources.stopped, [self.asked])
        if fetched is None:
            return
        at = moment()
        told = {"source": asked.id, "evidence": fetched.evidence, "seconds": fetched.seconds, "at": at}
        write_json(self._told, told)
        fetched.path.replace(self._arrived)
        self._take(asked.id, fetched.evidence, fetched.seconds, at)

    def _take(self, source: str, evidence: str, seconds: float, at: str) -> None:
        """Verify the fetched file and move it to its place."""
        size = self._arrived.stat().st_size
        try:
            self.facts = _verified(self._arrived, source)
        except MediaError as error:
            answer = Answer(source, error.reason, f"{error.evidence} ({evidence})")
            self.asked.no(answer, seconds=seconds, size=size, at=at)
            self._forget()
            return
        # Recorded before the video is in place: a kill between the two would lose the attempt.
        self.asked.attempt(source, Reason.OK, evidence, seconds, size, at)
        self._place()
        self._forget()

    def _place(self) -> None:
        """Note the facts first, then rename: a kill between the two leaves a note without a file, never the reverse. The
        fetched file stays in scratch until the end, so that a kill never costs a download.
        """
        target = self._target
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary_beside(target)
        try:
            with disk_errors(target):
                link_or_copy(self._arrived, beside)  # the layout may lie on another file system
                self._note(beside)
                if os.path.lexists(target):
                    self.asked.evidence = other_aside(set_aside(self._resources.ctx.data, target))
                publish(beside, target)
        finally:
            beside.unlink(missing_ok=True)

    def _note(self, file: Path) -> None:
        """The facts of ``file``, which is at its place or about to be."""
        assert self.facts is not None
        stat = file.stat()
        path = self._target.relative_to(self._resources.ctx.data.root).as_posix()
        self.facts = {**self.facts, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "path": path}
        self._resources.ctx.store.note(
            VIDEOS, self._target.name, content_key(kind=VIDEOS, version=1, path=path), self.facts
        )

    def _forget(self) -> None:
        self._arrived.unlink(missing_ok=True)
        self._told.unlink(missing_ok=True)


def _verified(file: Path, source: str) -> Facts:
    """The facts of a video. Raises MediaError when the file is not a video, or is incomplete."""
    facts = probe(file, decode=False)
    columns: dict[str, Any] = {**facts.columns(), "codec": facts.video_codec, "source": source}
    return {**columns, "sha256": sha256_of(file)}


def _row_problem(row: Row) -> tuple[Reason, str] | None:
    """Why a row names no valid file. Tables that were made by hand have not been checked before."""
    name = row["clip_id"]
    if not isinstance(name, str) or not _NAME.match(name) or Path(name).suffix.lower() not in VIDEO_SUFFIXES:
        return Reason.BAD_ID, f"{str(name)[:60]!r} is not the name of a video file ({', '.join(VIDEO_SUFFIXES)})"
    if row["video_id"] != Path(name).stem:
        return Reason.BAD_ID, f"the file {name[:60]!r} does not belong to the video {str(row['video_id'])[:60]!r}"
    return folder_problem(row)
