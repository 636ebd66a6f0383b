"""The step ``collect_frames``: takes the folders of frames of a data set's items as they were published.

One row is one item: ``clip_id`` is its folder's name, ``class_dir`` the folder above. For each, under its lock, in this order:

1. the folder at its place has the frames that were noted (``kept``, nothing is read), unless it was taken from a person's folder that
   has other frames now: then it is moved to ``.clipquarry/set-aside/``;
2. another folder lies there, as an archive or a person left it: verified and noted (``kept``), else moved to ``set-aside``;
3. the sources of kind ``local``, in order. Frames are linked (or copied) beside the place, verified, and the folder appears whole.

Frames are neither renamed nor encoded. Optical flow beside them is no part of the item: the step ``flow`` makes it.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import field_validator

from clipquarry.acquire.answer import ClipRequest
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.frame_folders import FrameFolders
from clipquarry.acquire.sources import Asked, Egress, Sources, make_sources
from clipquarry.files import disk_errors, link_or_copy, sha256_of_files
from clipquarry.frame_names import pattern_problem
from clipquarry.ids import id_problem
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_folder import IMG, replace_folder, sweep, unfinished
from clipquarry.media.published_frames import frames_in, signature, verify_frames
from clipquarry.reasons import Reason, Status
from clipquarry.steps.answers import Answer, Questions, status_of
from clipquarry.steps.asking import ask, folder_problem, other_aside, unusable_aside, with_attempts_of
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, require_space
from clipquarry.steps.download import NOT_IN_KEY
from clipquarry.steps.fetch import FetchParams
from clipquarry.steps.fields import ATTEMPTS_FIELD, MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.source_clip import collect_work, item_path
from clipquarry.store import Facts, content_key

KIND = "frame_items"
"""The store's kind of notes about folders of frames that are items; the folders are not in the store."""


class CollectFramesParams(FetchParams):
    """The parameters of ``fetch`` and some more. Those about windows, encoding, servers and YouTube have no effect here."""

    videos: str = "rawframes"
    """Folder of the frame folders, below ``root``; may hold ``{split}``."""
    named: str | None = None
    """The table of a person's folders, relative to the data root; None: they are called as their items are."""
    pattern: str = IMG
    """Names of the frames; no other image may lie beside them."""
    prefix: str = "img_"
    """By which readers of the layout count frames: no other file may begin with it."""
    start_index: Literal[0, 1] = 1

    @field_validator("pattern")
    @classmethod
    def _numbered(cls, value: str) -> str:
        if problem := pattern_problem(value):
            raise ValueError(problem)
        return value


class _Desk:
    """What all rows of one run share."""

    def __init__(self, ctx: StepContext[CollectFramesParams]) -> None:
        params = ctx.params
        # Relative in the parameters, so that results do not depend on where the data root lies.
        whole = [
            one.model_copy(update={"path": f"{ctx.data.root}/{one.path}"}) if one.is_below_data else one
            for one in params.sources
        ]
        self.sources: Sources = make_sources(
            whole, Egress(ctx.data.egress(params.egress)), order=params.order, overrides=params.overrides,
            named=ctx.data.root / params.named if params.named else None, frames=params.pattern,
        )  # fmt: skip
        self.cache = SourceCache(ctx.data.scratch, 0)


class CollectFramesStep(Step[CollectFramesParams]):
    """See the module."""

    name: ClassVar[str] = "collect_frames"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        *MEDIA_FIELDS,  # of all frames together; duration and fps are null
        PATH_FIELD,
        pa.field("source", pa.string()),  # id of the source; "existing" for a folder that lay there
        ATTEMPTS_FIELD,
    )
    params_model = CollectFramesParams

    def __init__(self) -> None:
        self._desk = PerRun(_Desk)

    def preflight(self, ctx: StepContext[CollectFramesParams]) -> None:
        """UserError for a wrong source; RetryLater with too little disk."""
        self._desk(ctx)
        require_space(ctx.data, ctx.params.min_free_gb)

    def group_of(self, row: Row) -> str:
        return str(row["video_id"])

    def key_params(self, params: CollectFramesParams) -> dict[str, object]:
        return params.model_dump(mode="json", exclude={*NOT_IN_KEY, "names", "named"})

    def run_group(self, rows: Sequence[Row], ctx: StepContext[CollectFramesParams]) -> list[Outcome]:
        """The rows of one id. Those with one place in the layout are one folder, which is settled once."""
        settled: dict[Path, Outcome] = {}
        outcomes = []
        for row in rows:
            if problem := _row_problem(row):
                outcomes.append(Outcome(Status.REJECTED, *problem))
                continue
            target = self._target(row, ctx)
            if target not in settled:
                outcome = settled[target] = self._settle(row, target, ctx)
                outcomes.append(outcome)
                continue
            again = settled[target]
            attempts = [{**one, "seconds": 0.0, "bytes": 0} for one in again.columns["attempts"]]
            outcomes.append(replace(again, columns={**again.columns, "attempts": attempts}))
        return outcomes

    @staticmethod
    def _target(row: Row, ctx: StepContext[CollectFramesParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.videos, row)

    def _settle(self, row: Row, target: Path, ctx: StepContext[CollectFramesParams]) -> Outcome:
        desk, notes = self._desk(ctx), _Notes(row["clip_id"], target, ctx)
        want = ClipRequest(
            row["video_id"], 0, 0, clip_id=row["clip_id"], split=row["split"], class_dir=row["class_dir"] or "", label=row["label"]
        )  # fmt: skip
        facts, asked = notes.intact(), Questions(note=partial(ctx.note, row["item_id"]))
        status, unusable = Status.KEPT, None
        outdated = self._has_changed(want, target, notes, ctx)
        if facts is None or outdated:
            work = collect_work(ctx.params.root, ctx.params.videos, row)
            with desk.cache.video(work, ctx.cancelled, what=f"the frames of {row['clip_id']}"):
                facts = None if outdated else notes.intact()
                if facts is None and os.path.lexists(target):
                    facts, unusable = self._lies_there(want, target, notes, outdated, asked, ctx)
                for one in desk.sources.asked:
                    if facts is None:
                        status = Status.DONE
                        facts = self._fetched(one, want, target, notes, asked, ctx)
        columns: dict[str, Any] = {"attempts": asked.attempts}
        if facts is None:
            if unusable is not None and not asked.answers:
                return Outcome.missing(unusable.reason, asked.evidence, **columns)
            answer = asked.decision(desk.sources.off)
            return Outcome(status_of(answer.reason), answer.reason, answer.evidence, columns)
        told = {field.name: facts.get(field.name) for field in self.fields if field.name != "attempts"}
        path = target.relative_to(ctx.data.root).as_posix()
        return Outcome(status, evidence=asked.evidence, columns={**told, **columns, "path": path})

    def _lies_there(
        self, want: ClipRequest, target: Path, notes: _Notes, outdated: bool, asked: Questions, ctx: StepContext[CollectFramesParams]
    ) -> tuple[Facts | None, MediaError | None]:  # fmt: skip
        """Use the folder that is at the place already. One that cannot be used is moved away."""
        if outdated:
            asked.evidence = other_aside(set_aside(ctx.data, target))
            return None, None
        try:
            if not target.is_dir():
                raise MediaError(Reason.CORRUPT, "no folder")
            frames = frames_in(target, ctx.params.pattern, ctx.params.start_index, prefix=ctx.params.prefix)
            facts, noted = verify_frames(frames).columns(), notes.noted or {}
            same = noted.get("sha256") == facts["sha256"]  # copied since, as flow came beside them
            whose = {"source": noted["source"], "origin": noted.get("origin")} if same else self._whose(want, frames, ctx)  # fmt: skip
            return notes.note({**facts, **whose}, frames), None
        except MediaError as error:
            asked.evidence = unusable_aside(error, set_aside(ctx.data, target))
            return None, error

    def _whose(self, want: ClipRequest, frames: Sequence[Path], ctx: StepContext[CollectFramesParams]) -> Facts:
        """Source and origin of a folder at its place. Links to a person's own frames stay theirs when the person edits them."""
        for one in self._desk(ctx).sources.asked:
            if isinstance(one.source, FrameFolders) and (path := one.source.find(want)) is not None:
                with suppress(MediaError, OSError):
                    theirs = frames_in(path, ctx.params.pattern, ctx.params.start_index)
                    if len(theirs) == len(frames) and _are_same(theirs, frames[0].parent):
                        return {"source": one.id, "origin": [str(path.resolve()), *signature(theirs)]}
        return {"source": "existing"}

    def _fetched(
        self, asked: Asked, want: ClipRequest, target: Path, notes: _Notes, told: Questions, ctx: StepContext[CollectFramesParams]
    ) -> Facts | None:  # fmt: skip
        """Link the frames that a source has beside the place, verify them, and put the folder there."""
        found = ask(asked, want, target, ctx.cancelled, lambda error: None, [told])
        if found is None:
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target)
        beside = unfinished(target)
        try:
            theirs = frames_in(found.path, ctx.params.pattern, ctx.params.start_index)
            origin = [str(found.path), *signature(theirs)]
            with disk_errors(target):
                beside.mkdir()
                for path in theirs:
                    link_or_copy(path.resolve(), beside / path.name)
            frames = [beside / path.name for path in theirs]
            facts = {**verify_frames(frames).columns(), "source": asked.id, "origin": origin}
            # Noted before the folder is in place: a kill between the two leaves a note without a folder.
            told.attempt(asked.id, Reason.OK, found.evidence, found.seconds, int(facts["bytes"]))
            facts = notes.note(facts, frames)
            replace_folder(beside, target)
            return facts
        except MediaError as error:
            told.no(Answer(asked.id, error.reason, f"{error.evidence} ({found.evidence})"), seconds=found.seconds)
            return None
        except OSError as error:  # of their files; one of our disk has become a sentence
            why = f"{error.filename or found.path}: {error.strerror}"
            told.no(Answer(asked.id, Reason.CORRUPT, f"{why} ({found.evidence})"), seconds=found.seconds)
            return None
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _has_changed(
        self, want: ClipRequest, target: Path, notes: _Notes, ctx: StepContext[CollectFramesParams]
    ) -> bool:
        """Whether the person from whose folder the frames were taken has others there now."""
        facts, params = notes.noted or {}, ctx.params
        for one in self._desk(ctx).sources.asked:
            if one.id != facts.get("source") or not isinstance(one.source, FrameFolders) or not facts.get("origin"):
                continue
            with suppress(MediaError, OSError):
                if (path := one.source.find(want)) is None or not target.is_dir():
                    return False
                theirs = frames_in(path, params.pattern, params.start_index)
                same = len(theirs) == facts["frames"] and _are_same(theirs, target)
                if [str(path.resolve()), *signature(theirs)] != facts["origin"] and not same:
                    return sha256_of_files(theirs)[0] != str(facts["sha256"])
        return False

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        return with_attempts_of(previous, outcome)

    def still_holds(self, row: Row, result: Row, ctx: StepContext[CollectFramesParams]) -> bool:
        """Whether the folder at its place has the frames that were noted."""
        facts = _Notes(row["clip_id"], self._target(row, ctx), ctx).intact()
        return facts is not None and facts["sha256"] == result["sha256"]

    def finish(self, reasons: Counter[Reason], ctx: StepContext[CollectFramesParams]) -> None:
        """Nothing waits: no server is asked."""


class _Notes:
    """The note of one folder of one item."""

    def __init__(self, clip_id: str, target: Path, ctx: StepContext[CollectFramesParams]) -> None:
        self._clip, self._target, self._ctx = clip_id, target, ctx
        self._key = content_key(kind=KIND, path=target.relative_to(ctx.data.root).as_posix())

    @property
    def noted(self) -> Facts | None:
        """The note, unchecked."""
        return self._ctx.store.noted(KIND, self._clip, self._key)

    def intact(self) -> Facts | None:
        """The note while the folder has its frames, unchanged (names, sizes, times), else None."""
        facts, params = self.noted, self._ctx.params
        if facts is None or not self._target.is_dir():
            return None
        try:
            frames = frames_in(self._target, params.pattern, params.start_index, prefix=params.prefix)
            return facts if signature(frames) == facts.get("signature") else None
        except (MediaError, OSError):
            return None

    def note(self, facts: Facts, frames: Sequence[Path]) -> Facts:
        """Note the facts of these frames, which are at their place or about to be."""
        whole = {**facts, "signature": signature(frames)}
        self._ctx.store.note(KIND, self._clip, self._key, whole)
        return whole


def _are_same(frames: Sequence[Path], folder: Path) -> bool:
    """Whether the frames of the same names in a folder are links to these."""
    return all((folder / path.name).exists() and path.samefile(folder / path.name) for path in frames)


def _row_problem(row: Row) -> tuple[Reason, str] | None:
    """Why a row names no valid folder. Tables that were made by hand have not been checked before."""
    for name in ("video_id", "clip_id"):
        if problem := id_problem(row[name]):
            return Reason.BAD_ID, f"{name} {str(row[name])[:60]!r} {problem}"
    return folder_problem(row)
