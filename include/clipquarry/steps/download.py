"""The step ``download``: fetches whole files, such as videos that a data set keeps uncut, each to its place in the layout.

One row is one file: ``clip_id`` is its name with extension and ``video_id`` the name without. For each file, under its
lock, in this order:

1. the file at its place matches its noted facts (``kept``, nothing is read);
2. another file lies there: verified and noted (``kept``), else moved to ``.clipquarry/set-aside/``;
3. the sources of kind ``http`` and ``local``, in order. A file is verified before it is moved to its place.

Verified means that the header can be read, that there is a video stream and that all packets up to the end named in the
header are there. The video, which may be hours long, is not decoded. An interrupted download, also of a killed process,
is resumed by byte range at the next try. A file that was complete but not yet at its place is taken from scratch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from clipquarry.acquire.answer import ClipRequest
from clipquarry.acquire.sources import Egress, make_sources
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.manifest import Row
from clipquarry.reasons import Reason, Status, Trait, with_trait
from clipquarry.steps.answers import Questions, status_of
from clipquarry.steps.asking import folder_problem, wait_until, with_attempts_of
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, now, require_space
from clipquarry.steps.clips import media_columns
from clipquarry.steps.fetch import FetchParams
from clipquarry.steps.fields import ATTEMPTS_FIELD, MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.source_clip import download_work, item_path, noted_video
from clipquarry.steps.whole_file import Desk, WholeFile
from clipquarry.store import Facts

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,149}\Z", re.ASCII)
COME_BACK = with_trait(Trait.STOPPED) | {Reason.HTTP_429}
NOT_IN_KEY = {
    "cookies", "egress", "budget_pause", "budget_per_hour", "breaker_factor", "source_cache_gb", "min_free_gb", "wait",
    "recipe", "youtube", "accept_short", "max_bytes", "breaker_row", "canary", "plugins", "extractor_args", "answers", "others", "kept",
}  # fmt: skip


class DownloadParams(FetchParams):
    """The parameters of ``fetch`` and two more. Those about clips and YouTube have no effect here."""

    videos: str = "videos"
    """Folder of the files, below ``root``; may hold ``{split}``."""
    split_names: dict[str, str] = Field(default_factory=dict)
    """The sources' names of our splits. A source's own ``split_names`` replace these."""
    max_bytes: int = Field(default=64 << 30, ge=1)
    """Limit of one file."""


def _desk(ctx: StepContext[DownloadParams]) -> Desk:
    params, data = ctx.params, ctx.data
    definitions = [
        source if source.split_names else source.model_copy(update={"split_names": params.split_names})
        for source in params.sources
    ]
    sources = make_sources(
        definitions, Egress(data.egress(params.egress)), order=params.order, overrides=params.overrides,
        max_attempts=params.source_attempts, max_bytes=params.max_bytes, whole_files=True,
    )  # fmt: skip
    return Desk(ctx, sources, decode=False)


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
        self._resources = PerRun(_desk)

    def preflight(self, ctx: StepContext[DownloadParams]) -> None:
        """UserError for a wrong source; RetryLater with too little disk."""
        resources = self._resources(ctx)
        require_space(ctx.data, ctx.params.min_free_gb)
        resources.cache.sweep()

    def group_of(self, row: Row) -> str:
        return str(row["video_id"])

    def key_params(self, params: DownloadParams) -> dict[str, object]:
        return params.model_dump(mode="json", exclude=NOT_IN_KEY)

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
            want = ClipRequest(row["video_id"], 0, 0, clip_id=row["clip_id"], split=row["split"])
            questions = Questions(note=partial(ctx.note, row["item_id"]))
            video = WholeFile([want], target, work, resources, questions, lambda suffix: target)
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
        waiting, resume_at = sum(reasons[reason] for reason in COME_BACK), self._resources(ctx).pause.resume_at
        if waiting and resume_at is not None and resume_at > now() and ctx.params.wait:
            raise wait_until(f"{waiting} files", "a server that asked for a pause", resume_at, Reason.HTTP_429)


def _row_problem(row: Row) -> tuple[Reason, str] | None:
    """Why a row names no valid file. Tables that were made by hand have not been checked before."""
    name = row["clip_id"]
    if not isinstance(name, str) or not _NAME.match(name) or Path(name).suffix.lower() not in VIDEO_SUFFIXES:
        return Reason.BAD_ID, f"{str(name)[:60]!r} is not the name of a video file ({', '.join(VIDEO_SUFFIXES)})"
    if row["video_id"] != Path(name).stem:
        return Reason.BAD_ID, f"the file {name[:60]!r} does not belong to the video {str(row['video_id'])[:60]!r}"
    return folder_problem(row)
