"""The step ``download``: whole files, such as the films of AVA, each into its place in the layout.

One row is one file: ``clip_id`` is its name with extension and ``video_id`` the name without. For each file, under its
lock, in this order:

1. it lies at its place and is what was noted of it (``kept``, nothing is read);
2. another file lies there: verified and noted (``kept``), else moved to ``.clipquarry/set-aside/``;
3. the sources of kind ``http`` and ``local``, in order; what arrives is verified before it is moved to its place.

Verified means that the header can be read, that there is a video stream and that all packets up to the promised end
are there; two hours are not decoded. A download that was cut off, also by the death of its process, is resumed by byte
range at the next try; one that had arrived but was not yet in its place is taken up where it lies.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from clipquarry.acquire.answer import Fetched, NotHad, Want
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Limits
from clipquarry.acquire.http import VIDEO_SUFFIXES
from clipquarry.acquire.sources import Asked, Egress, make_sources
from clipquarry.errors import ClipquarryError, RetryLater, WaitUntil
from clipquarry.files import disk_errors, link_or_copy, publish, read_json, sha256_of, temporary_beside, write_json
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import probe
from clipquarry.reasons import Reason, Status
from clipquarry.settings import PRIVATE
from clipquarry.steps.answers import STOPPED, Answer, Questions, moment, status_of
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, now, require_space
from clipquarry.steps.clips import media_columns
from clipquarry.steps.fetch import FetchParams
from clipquarry.steps.fields import ATTEMPTS_FIELD, MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.source_clip import FILMS, item_path, noted_film
from clipquarry.store import Facts, content_key

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,149}\Z", re.ASCII)
_GB = 1_000_000_000
_COME_BACK = STOPPED | {Reason.HTTP_429}
_NOT_IN_KEY = {
    "cookies", "egress", "budget_pause", "budget_per_hour", "breaker_factor", "source_cache_gb", "min_free_gb", "wait",
    "recipe", "youtube", "accept_short", "max_bytes", "breaker_row", "canary", "plugins", "extractor_args",
}  # fmt: skip


class DownloadParams(FetchParams):
    """The parameters of ``fetch``, of which those about clips and YouTube mean nothing here, and two more."""

    videos: str = "videos"
    """Folder of the files, below ``root``; may hold ``{part}``."""
    split_names: dict[str, str] = Field(default_factory=dict)
    """What the sources call our splits; a source's own ``split_names`` come first."""
    max_bytes: int = Field(default=64 << 30, ge=1)
    """Of one file."""


@dataclass
class _Kit:
    """What all rows of one run of the step share."""

    ctx: StepContext[DownloadParams]
    resume_at: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

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

    def stopped(self, error: NotHad) -> None:
        """Remember when to come back, if a source told us to; the latest time counts."""
        wait = error.retry_after or 0.0
        if error.reason in STOPPED or (error.reason is Reason.HTTP_429 and wait > Limits().max_wait):
            when = datetime.now(UTC) + timedelta(seconds=wait)
            with self._lock:
                self.resume_at = max(when, self.resume_at or when)


class DownloadStep(Step[DownloadParams]):
    """See the module."""

    name: ClassVar[str] = "download"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        *MEDIA_FIELDS,  # frames are packets here: films are not decoded
        PATH_FIELD,
        pa.field("source", pa.string()),  # id of the source that gave the bytes; "existing" for an adopted file
        ATTEMPTS_FIELD,
    )
    params_model = DownloadParams

    def __init__(self) -> None:
        self._kit = PerRun(_Kit)

    def preflight(self, ctx: StepContext[DownloadParams]) -> None:
        """UserError for a wrong source; RetryLater with too little disk."""
        kit = self._kit(ctx)
        require_space(ctx.data, ctx.params.min_free_gb)
        kit.cache.sweep()

    def group_of(self, row: Row) -> str:
        return str(row["video_id"])

    def key_params(self, params: DownloadParams) -> dict[str, object]:
        return params.model_dump(mode="json", exclude=_NOT_IN_KEY)

    def run_group(self, rows: Sequence[Row], ctx: StepContext[DownloadParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[DownloadParams]) -> Outcome:
        if problem := _row_problem(row):
            return Outcome(Status.REJECTED, *problem)
        kit, target = self._kit(ctx), self._target(row, ctx)
        facts = noted_film(ctx.store, row["clip_id"], target)
        name = f"download-{row['clip_id']}"
        if facts is not None and not kit.cache.has_work(name):
            return self._present(Status.KEPT, facts, target, Questions(), ctx)
        with kit.cache.video(name, ctx.cancelled) as work:
            film = _Film(row, target, work, kit, Questions(note=partial(ctx.note, row["item_id"])))
            status = film.settle()
        if film.facts is not None:
            return self._present(status, film.facts, target, film.asked, ctx)
        answer = film.asked.decision(kit.sources.off)
        columns = {"attempts": film.asked.attempts}
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
        """Attempts of the interrupted run come first; one whose film this run took up has been noted then already."""
        attempts: list[Row] = []
        for attempt in (*(previous.get("attempts") or []), *outcome.columns.get("attempts", [])):
            attempts += [attempt] if attempt not in attempts else []
        return Outcome(outcome.status, outcome.reason, outcome.evidence, {**outcome.columns, "attempts": attempts})

    def still_holds(self, row: Row, result: Row, ctx: StepContext[DownloadParams]) -> bool:
        """The file at its place is the one that was noted."""
        facts = noted_film(ctx.store, row["clip_id"], self._target(row, ctx))
        return facts is not None and facts["sha256"] == result["sha256"]

    def finish(self, reasons: Counter[Reason], ctx: StepContext[DownloadParams]) -> None:
        """WaitUntil while rows wait for a server that told us when to come back."""
        waiting = sum(reasons[reason] for reason in _COME_BACK)
        resume_at = self._kit(ctx).resume_at
        if not waiting or resume_at is None or resume_at <= now() or not ctx.params.wait:
            return
        raise WaitUntil(
            f"{waiting} files wait for a server that asked for a pause; everything else is done. "
            f"Resume at {resume_at:%Y-%m-%d %H:%M:%S} UTC.",
            resume_at=resume_at,
            reason=Reason.HTTP_429,
        )


class _Film:
    """One file, under its lock."""

    def __init__(self, row: Row, target: Path, work: Path, kit: _Kit, asked: Questions) -> None:
        self._row, self._target, self._work, self._kit = row, target, work, kit
        # These names hold ".part", so that they outlive the lock and the process.
        self._arrived, self._told = work / f"arrived.part{target.suffix}", work / "arrived.part.json"
        self.asked = asked
        self.facts: Facts | None = None

    def settle(self) -> Status:
        """Find the file or fetch it; ``facts`` are there when it lies at its place."""
        if self._from_disk():
            self._forget()
            return Status.KEPT
        self._resume()
        for asked in self._kit.sources.asked:
            if self.facts is not None:
                break
            self._ask(asked)
        return Status.DONE

    def _from_disk(self) -> bool:
        """What lies at the place already, when it can be used; else it is set aside."""
        store, target = self._kit.ctx.store, self._target
        self.facts = noted_film(store, target.name, target)  # another task may have brought it while we waited
        if self.facts is not None:
            return True
        if not os.path.lexists(target):
            return False
        try:
            if not target.is_file():
                raise MediaError(Reason.NOT_A_VIDEO, "not a file")
            self.facts = _verified(target, "existing")
        except MediaError as error:
            what = f"the file that lay there was {error.reason} ({error.evidence})"
            self.asked.evidence = f"{what} and was moved to {set_aside(self._kit.ctx.data, target)}"
            return False
        self._note(target)
        return True

    def _resume(self) -> None:
        """A file that had arrived when its process died."""
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
            self._forget()  # nobody knows where it came from

    def _ask(self, asked: Asked) -> None:
        begun = now()
        want = Want(self._row["video_id"], 0, 0, clip_id=self._row["clip_id"], split=self._row["split"])
        ctx = self._kit.ctx
        try:
            fetched: Fetched = asked.fetch(want, self._work, ctx.cancelled)
        except NotHad as error:
            if ctx.cancelled.is_set():
                raise RetryLater(
                    "The step was told to stop: run it again to go on; finished and begun downloads are kept."
                ) from error
            self._kit.stopped(error)
            seconds = (now() - begun).total_seconds()
            self.asked.no(Answer(asked.id, error.reason, error.evidence), seconds=seconds)
            return
        at = moment()
        told = {"source": asked.id, "evidence": fetched.evidence, "seconds": fetched.seconds, "at": at}
        write_json(self._told, told)
        fetched.path.replace(self._arrived)
        self._take(asked.id, fetched.evidence, fetched.seconds, at)

    def _take(self, source: str, evidence: str, seconds: float, at: str) -> None:
        """Verify what arrived and move it to its place."""
        size = self._arrived.stat().st_size
        try:
            self.facts = _verified(self._arrived, source)
        except MediaError as error:
            answer = Answer(source, error.reason, f"{error.evidence} ({evidence})")
            self.asked.no(answer, seconds=seconds, size=size, at=at)
            self._forget()
            return
        # Before the film can be found: a kill between the two would forget that anybody was asked.
        self.asked.attempt(source, Reason.OK, evidence, seconds, size, at)
        self._place()
        self._forget()

    def _place(self) -> None:
        """Noted first, then renamed: a kill between the two leaves a note about nothing, never a file without one. What
        arrived stays in scratch until the end, so that a kill never costs a download.
        """
        target = self._target
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary_beside(target)
        try:
            with disk_errors(target):
                link_or_copy(self._arrived, beside)  # the layout may lie on another file system
                self._note(beside)
                if os.path.lexists(target):
                    self.asked.evidence = (
                        f"another file lay there and was moved to {set_aside(self._kit.ctx.data, target)}"
                    )
                publish(beside, target)
        finally:
            beside.unlink(missing_ok=True)

    def _note(self, file: Path) -> None:
        """The facts of ``file``, which is at its place or about to be."""
        assert self.facts is not None
        stat = file.stat()
        path = self._target.relative_to(self._kit.ctx.data.root).as_posix()
        self.facts = {**self.facts, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "path": path}
        self._kit.ctx.store.note(FILMS, self._target.name, content_key(kind=FILMS, version=1, path=path), self.facts)

    def _forget(self) -> None:
        self._arrived.unlink(missing_ok=True)
        self._told.unlink(missing_ok=True)


def _verified(file: Path, source: str) -> Facts:
    """The facts of a film. Raises MediaError when it is none, or not whole."""
    facts = probe(file, decode=False)
    columns: dict[str, Any] = {**facts.columns(), "codec": facts.video_codec, "source": source}
    return {**columns, "sha256": sha256_of(file)}


def _row_problem(row: Row) -> tuple[Reason, str] | None:
    """Why a row names no file; tables made by hand were checked by nobody."""
    name, split, folder = row["clip_id"], row["split"], row["class_dir"] or ""
    if not isinstance(name, str) or not _NAME.match(name) or Path(name).suffix.lower() not in VIDEO_SUFFIXES:
        return Reason.BAD_ID, f"{str(name)[:60]!r} is not the name of a video file ({', '.join(VIDEO_SUFFIXES)})"
    if row["video_id"] != Path(name).stem:
        return Reason.BAD_ID, f"the file {name[:60]!r} does not belong to the video {str(row['video_id'])[:60]!r}"
    for what, value in (("class_dir", folder), ("split", split)):
        if (not value and what == "split") or "/" in value or "\\" in value or "\x00" in value:
            return Reason.BAD_LABEL, f"{what} {str(value)[:60]!r} cannot name a folder"
        if value in (".", "..", PRIVATE):
            return Reason.BAD_LABEL, f"{what} {value!r} cannot name a folder"
    return None
