"""The step ``collect``: takes the files of a data set's items as they were published, each to its place in the layout.

One row is one item: ``clip_id`` is the file's name without its suffix, ``class_dir`` its folder. The rows of one item in
several splits are handled together. For each, under its lock, in this order:

1. the file at its place matches its noted facts (``kept``, nothing is read), unless it was taken from a person's folder that has
   another one for the item now: then it is moved to ``.clipquarry/set-aside/``;
2. another file lies there, as an archive or a person left it: verified by decoding every frame and noted (``kept``), else
   moved to ``.clipquarry/set-aside/``. Where an archive left it, folders that stand before the archive are asked first;
3. the sources of kind ``local``, ``http`` and ``youtube``, in order. A file is verified before it is moved to its place.
   YouTube's videos are fetched whole, by ``video_id``, under the same limits as the step ``fetch`` keeps.

Files are neither cut nor encoded, and keep the suffix that they have. Two files of one item (``a.avi`` and ``a.mp4``) are
an error: nobody knows which one is meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from clipquarry.acquire.answer import ClipRequest
from clipquarry.acquire.archives.record import UnpackedFiles
from clipquarry.acquire.named_files import NamedFiles
from clipquarry.acquire.sources import Sources, make_sources
from clipquarry.ids import id_problem
from clipquarry.manifest import Row
from clipquarry.reasons import Reason, Status
from clipquarry.steps.answers import Questions, status_of
from clipquarry.steps.asking import folder_problem, wait_until, with_attempts_of
from clipquarry.steps.asking_youtube import check_tools, egress_of, end_waiting
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, now, require_space
from clipquarry.steps.clips import content_columns, media_columns
from clipquarry.steps.download import COME_BACK, NOT_IN_KEY
from clipquarry.steps.fetch import FetchParams
from clipquarry.steps.fields import ATTEMPTS_FIELD, CONTENT_FIELDS, MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.source_clip import collect_work, item_file, item_files, item_path, noted_video
from clipquarry.steps.whole_file import Desk, WholeFile
from clipquarry.store import Facts


class CollectParams(FetchParams):
    """The parameters of ``fetch`` and some more. Those about windows and encoding have no effect here."""

    videos: str = "videos"
    """Folder of the files, below ``root``; may hold ``{split}``."""
    suffixes: tuple[str, ...] = (".mp4",)
    """Suffixes of the items' files with their dots, the usual one first. Files with any other video's are taken too."""
    named: str | None = None
    """The table of a person's files, relative to the data root; None: they are called as their items are."""
    max_bytes: int = Field(default=64 << 30, ge=1)
    """Limit of one file."""


def sources_of(ctx: StepContext[CollectParams], suffixes: Sequence[str] = ()) -> Sources:
    """The sources of a run of the step; ``suffixes``: those of items' files besides videos'."""
    params = ctx.params
    return make_sources(
        params.sources, egress_of(params, ctx.data, whole=True), order=params.order, overrides=params.overrides,
        max_attempts=params.source_attempts, max_bytes=params.max_bytes,
        named=ctx.data.root / params.named if params.named else None, suffixes=suffixes,
    )  # fmt: skip


class CollectStep(Step[CollectParams]):
    """See the module."""

    name: ClassVar[str] = "collect"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        *MEDIA_FIELDS,
        PATH_FIELD,
        pa.field("source", pa.string()),  # id of the source that gave the bytes; "existing" for a file that lay there
        *CONTENT_FIELDS,
        ATTEMPTS_FIELD,
    )
    params_model = CollectParams

    def __init__(self) -> None:
        self._desk = PerRun(self.make_desk)
        self._unpacked = PerRun(lambda ctx: UnpackedFiles(ctx.data, ctx.params.root))

    @classmethod
    def make_desk(cls, ctx: StepContext[CollectParams]) -> Desk:
        """What all rows of a run share."""
        return Desk(ctx, sources_of(ctx), decode=True)

    def preflight(self, ctx: StepContext[CollectParams]) -> None:
        """UserError for a wrong source; RetryLater with too little disk; MachineError without what YouTube needs."""
        desk = self._desk(ctx)
        require_space(ctx.data, ctx.params.min_free_gb)
        check_tools(desk.sources, egress_of(ctx.params, ctx.data))
        desk.cache.sweep()

    def group_of(self, row: Row) -> str:
        return str(row["video_id"])

    def key_params(self, params: CollectParams) -> dict[str, object]:
        return params.model_dump(mode="json", exclude={*NOT_IN_KEY, "names", "suffixes", "named"})

    def run_group(self, rows: Sequence[Row], ctx: StepContext[CollectParams]) -> list[Outcome]:
        """The rows of one id. Those with one place in the layout are one file, which is settled once."""
        outcomes: dict[int, Outcome] = {}
        places: dict[Path, list[int]] = {}
        for index, row in enumerate(rows):
            if problem := _row_problem(row):
                outcomes[index] = Outcome(Status.REJECTED, *problem)
            else:
                places.setdefault(self._stem(row, ctx), []).append(index)
        for indices in places.values():
            self._settle([(index, rows[index]) for index in indices], outcomes, ctx)
        return [outcomes[index] for index in range(len(rows))]

    def _settle(
        self, rows: list[tuple[int, Row]], outcomes: dict[int, Outcome], ctx: StepContext[CollectParams]
    ) -> None:
        row, desk = rows[0][1], self._desk(ctx)
        found = self._files(row, ctx)
        if len(found) > 1:
            told = f"{' and '.join(path.name for path in found)} lie there for one item: remove the one that is wrong"
            outcomes.update({index: Outcome.failed(Reason.DUPLICATE, told) for index, _ in rows})
            return
        target = item_file(ctx.data, ctx.params.root, ctx.params.videos, row, ctx.params.suffixes)
        name = collect_work(ctx.params.root, ctx.params.videos, row)
        facts, asked = noted_video(ctx.store, target.name, target), Questions()
        outcome = Outcome(Status.KEPT)
        wants = _wants(one for _, one in rows)
        is_outdated = facts is not None and _has_changed(wants, facts, desk)
        first = self._before_archives(wants, found[0], ctx) if found and facts is None else ()
        if facts is None or is_outdated or desk.cache.has_work(name):
            asked = Questions(note=partial(ctx.note, row["item_id"]))
            with desk.cache.video(name, ctx.cancelled, what=f"the file of {row['clip_id']}") as work:
                stem = self._stem(row, ctx)
                file = WholeFile(wants, target, work, desk, asked, partial(self.named, stem), first, is_outdated)
                outcome = Outcome(file.settle())
                facts, target = file.facts, file.target
            if facts is None:
                outcome = _none(file, asked, desk)
        columns = {} if facts is None else _columns(facts, target, ctx)
        for place, (index, _) in enumerate(rows):
            attempts = asked.attempts if place == 0 else [{**one, "seconds": 0.0, "bytes": 0} for one in asked.attempts]
            evidence = outcome.evidence or asked.evidence
            outcomes[index] = replace(outcome, evidence=evidence, columns={**columns, "attempts": attempts})

    def _before_archives(self, wants: Iterable[ClipRequest], file: Path, ctx: StepContext[CollectParams]) -> list[str]:
        """Ids of the folders that stand before the data set's archives and have the item, if an archive left the file there."""
        by_id = {source.id: source for source in ctx.params.sources}
        before = takewhile(lambda name: by_id[name].archive is None, ctx.params.order or by_id)
        here = {one.id: one.source for one in self._desk(ctx).sources.asked if not one.remote}
        folders = [(name, here[name]) for name in before if name in here]
        having = [name for name, source in folders if any(source.may_have(want) for want in wants)]  # type: ignore[attr-defined]
        return having if having and file in self._unpacked(ctx) else []

    @staticmethod
    def named(stem: Path, suffix: str) -> Path:
        """The place of a file that was fetched with this suffix."""
        return stem.with_name(f"{stem.name}{suffix}")  # with_suffix would cut a name that has dots

    @staticmethod
    def _stem(row: Row, ctx: StepContext[CollectParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.videos, row)

    @staticmethod
    def _files(row: Row, ctx: StepContext[CollectParams]) -> list[Path]:
        return item_files(ctx.data, ctx.params.root, ctx.params.videos, row, ctx.params.suffixes)

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        return with_attempts_of(previous, outcome)

    def still_holds(self, row: Row, result: Row, ctx: StepContext[CollectParams]) -> bool:
        """Whether the one file at its place is the one that was noted."""
        found = self._files(row, ctx)
        facts = noted_video(ctx.store, found[0].name, found[0]) if len(found) == 1 else None
        return facts is not None and facts["sha256"] == result["sha256"]

    def finish(self, reasons: Counter[Reason], ctx: StepContext[CollectParams]) -> None:
        """Raise WaitUntil while rows wait for a server that asked for a pause, ToolOutdated where YouTube needs newer tools."""
        desk = self._desk(ctx)
        waiting, resume_at = sum(reasons[reason] for reason in COME_BACK), desk.pause.resume_at
        if desk.sources.has_youtube and ctx.params.wait:
            end_waiting(reasons, "files", desk.sources, egress_of(ctx.params, ctx.data), resume_at)
        if waiting and resume_at is not None and resume_at > now() and ctx.params.wait:
            raise wait_until(f"{waiting} files", "a server that asked for a pause", resume_at, Reason.HTTP_429)


def _none(file: WholeFile, asked: Questions, desk: Desk) -> Outcome:
    """Why there is no file: what the sources answered; where none was asked, what was wrong with the file that lay there."""
    if file.unusable is not None and not asked.answers:
        return Outcome.missing(file.unusable.reason, asked.evidence)
    answer = asked.decision(desk.sources.off)
    return Outcome(status_of(answer.reason), answer.reason, answer.evidence)


def _has_changed(wants: Iterable[ClipRequest], facts: Facts, desk: Desk) -> bool:
    """Whether the person from whose folder the file was taken has another one there now."""
    mine = [one.source for one in desk.sources.asked if one.id == facts.get("source")]
    return any(isinstance(source, NamedFiles) and source.has_changed(want, facts) for source in mine for want in wants)


def _columns(facts: Facts, target: Path, ctx: StepContext[CollectParams]) -> dict[str, Any]:
    path = target.relative_to(ctx.data.root).as_posix()
    return {**media_columns(facts), **content_columns(facts), "path": path, "source": facts.get("source")}


def _wants(rows: Iterable[Row]) -> list[ClipRequest]:
    """The requests for one item: a folder or mirror may have it under any of its splits and classes."""
    return list(
        dict.fromkeys(
            ClipRequest(
                row["video_id"], 0, 0, clip_id=row["clip_id"], split=row["split"], class_dir=row["class_dir"] or "",
                label=row["label"],
            )
            for row in rows
        )
    )  # fmt: skip


def _row_problem(row: Row) -> tuple[Reason, str] | None:
    """Why a row names no valid file. Tables that were made by hand have not been checked before."""
    for name in ("video_id", "clip_id"):
        if problem := id_problem(row[name]):
            return Reason.BAD_ID, f"{name} {str(row[name])[:60]!r} {problem}"
    return folder_problem(row)
