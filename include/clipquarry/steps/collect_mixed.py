"""The step ``collect_mixed``: takes the items of a data set whose splits hold different things, each as it was published.

``holds`` says what an item of a split is:

``file``
    a whole file, exactly as in the step ``collect``;
``folder``
    a folder of videos or pictures. Each is decoded to its end; those that cannot be used stay, and the note of the folder names
    them with their reasons. A folder is an item while any of its files can be used;
``parts``
    a long video ``{clip_id}.mp4`` of which the folder ``{clip_id}`` is made: parts of ``seconds`` seconds, ``part_0.mp4`` and so on
    (:mod:`clipquarry.media.parts`). The folder is the item, and appears whole.

**A source is deleted last**, and only with ``delete_source``: after its parts are in place, decoded, as many as its frames need, and
together as long as it. A kill before that leaves the source; a kill after leaves the parts. Parts that a person or mmaction2 made
are kept if they pass the same check, even where their source is gone. What cannot be read is missing with its reason, and nothing
of it is deleted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from clipquarry.files import disk_errors, sha256_of_files, sync_file, sync_folder
from clipquarry.item_folder import FolderNotes, files_in
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_folder import replace_folder, sweep, unfinished
from clipquarry.media.parts import Parts, Span, cover_problem, cut_parts, parts_in, span_of, verified_parts
from clipquarry.reasons import Reason, Status
from clipquarry.steps.asking import other_aside
from clipquarry.steps.base import Outcome, StepContext
from clipquarry.steps.collect import CollectParams, CollectStep
from clipquarry.steps.folder_facts import look_through
from clipquarry.steps.source_clip import collect_work
from clipquarry.store import Facts

Holds = Literal["file", "folder", "parts"]

_ABSENT = "it is not in the data set's folder"


class CollectMixedParams(CollectParams):
    """The parameters of ``collect`` and some more."""

    holds: dict[str, Holds]
    """What an item is, by split."""
    seconds: float = Field(default=10, gt=0, le=86_400)
    """Length of a part, which is encoded with ``recipe``."""
    delete_source: bool = False
    """Delete a long video once its parts are verified."""


class CollectMixedStep(CollectStep):
    """See the module."""

    name: ClassVar[str] = "collect_mixed"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        *CollectStep.fields,
        pa.field("files", pa.int32()),  # usable files of a folder; parts
        pa.field("unusable", pa.int32()),  # files of a folder that cannot be used
        pa.field("parts_seconds", pa.float64()),  # of all parts together
        pa.field("source_seconds", pa.float64()),  # of the video that was cut; null where it was gone before
        pa.field("parts_wanted", pa.int32()),  # parts that its frames need; null likewise
        pa.field("source_deleted", pa.bool_()),
    )
    params_model: type[CollectParams] = CollectMixedParams

    def key_params(self, params: CollectParams) -> dict[str, object]:
        return {name: value for name, value in super().key_params(params).items() if name != "delete_source"}

    def _settle(
        self, rows: list[tuple[int, Row]], outcomes: dict[int, Outcome], ctx: StepContext[Any]
    ) -> None:  # the rows of one item
        holds: Holds = ctx.params.holds.get(rows[0][1]["split"], "file")
        if holds == "file":
            super()._settle(rows, outcomes, ctx)
            return
        row, folder = rows[0][1], self._stem(rows[0][1], ctx)
        name = collect_work(ctx.params.root, ctx.params.videos, row)
        with self._desk(ctx).cache.video(name, ctx.cancelled, what=f"the files of {row['clip_id']}"):
            try:
                outcome = self._folder(folder, ctx) if holds == "folder" else self._parts(row, folder, ctx)
            except MediaError as error:
                outcome = Outcome.missing(error.reason, error.evidence)
        path = folder.relative_to(ctx.data.root).as_posix()
        columns = {"attempts": [], **outcome.columns} | ({"path": path} if outcome.status.is_present else {})
        outcomes.update({index: replace(outcome, columns=columns) for index, _ in rows})

    @staticmethod
    def _folder(folder: Path, ctx: StepContext[Any]) -> Outcome:
        """A folder of published files. Nothing in it is changed."""
        notes = FolderNotes(ctx.data, folder)
        if (facts := notes.intact()) is None:
            if not folder.is_dir():
                return Outcome.missing(Reason.NO_SOURCE, _ABSENT)
            files = files_in(folder)
            facts = notes.note({**look_through(files), "source": "existing"}, files)
        bad = [f"{name} ({reason})" for name, reason, _ in facts.get("unusable", [])]
        told = f"{len(bad)} of its files cannot be used, such as {', '.join(bad[:3])}" if bad else ""
        return Outcome(Status.KEPT, evidence=told, columns=_columns(facts))

    def _parts(self, row: Row, folder: Path, ctx: StepContext[Any]) -> Outcome:
        """The parts of a long video. Raises MediaError where it cannot be read or cut."""
        sources, notes = self._files(row, ctx), FolderNotes(ctx.data, folder)
        if len(sources) > 1:
            told = f"{' and '.join(path.name for path in sources)} lie there for one item: remove the one that is wrong"
            return Outcome.failed(Reason.DUPLICATE, told)
        source = sources[0] if sources else None
        facts, status, told = notes.intact(), Status.KEPT, ""
        if facts is not None and source is not None and facts.get("of") != _identity(source):
            facts = None  # another video, or one that was unpacked again
        if facts is None:
            if source is None and not folder.is_dir():
                return Outcome.missing(Reason.NO_SOURCE, f"{_ABSENT}, neither whole nor in parts")
            span = span_of(source) if source is not None else None
            facts = self._found(folder, source, span, notes, ctx)
            if facts is None:
                assert source is not None and span is not None
                (facts, told), status = self._cut(source, folder, span, notes, ctx), Status.DONE
        deleted = False
        if source is not None and ctx.params.delete_source and notes.intact() is not None:
            try:
                source.unlink()
                sync_folder(source.parent)
                deleted = True
            except OSError as error:  # its parts are there all the same
                told = f"{source.name} could not be deleted ({error.strerror})"
        return Outcome(status, evidence=told, columns={**_columns(facts), "source_deleted": deleted})

    @staticmethod
    def _found(
        folder: Path, source: Path | None, span: Span | None, notes: FolderNotes, ctx: StepContext[Any]
    ) -> Facts | None:
        """Facts of parts that lie there, if they are those of the video. Raises MediaError where they are not and it is gone."""
        try:
            if not folder.is_dir():
                return None
            paths = parts_in(folder)
            parts = verified_parts(paths)
            if problem := cover_problem(parts, ctx.params.seconds, span):
                raise MediaError(Reason.TRUNCATED, problem)
        except MediaError:
            if source is None:
                raise
            return None
        return notes.note({**_facts(parts, paths, source, span, ctx.params.seconds), "source": "existing"}, paths)

    @staticmethod
    def _cut(source: Path, folder: Path, span: Span, notes: FolderNotes, ctx: StepContext[Any]) -> tuple[Facts, str]:
        """Cut the parts beside their place, verify them together, and put the folder there. What lies there by then is moved away:
        the sentence says so.
        """
        sweep(folder)
        beside, told = unfinished(folder), ""
        try:
            with disk_errors(folder):
                beside.mkdir(parents=True)
                parts = cut_parts(source, beside, ctx.params.seconds, ctx.params.recipe, ctx.cancelled)
                paths = parts_in(beside)
                if problem := cover_problem(parts, ctx.params.seconds, span):
                    raise MediaError(Reason.TOOL_FAILED, problem)
                for path in paths:
                    sync_file(path)
                sync_folder(beside)
                facts = {**_facts(parts, paths, source, span, ctx.params.seconds), "source": "cut"}
                # Noted before the folder is in place: a kill between the two leaves a note without a folder.
                facts = notes.note(facts, paths)
                if os.path.lexists(folder):
                    told = other_aside(set_aside(ctx.data, folder))
                replace_folder(beside, folder)
            return facts, told
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def still_holds(self, row: Row, result: Row, ctx: StepContext[Any]) -> bool:
        """Whether what lies at the item's place is what was noted."""
        if ctx.params.holds.get(row["split"], "file") == "file":
            return super().still_holds(row, result, ctx)
        facts = FolderNotes(ctx.data, self._stem(row, ctx)).intact()
        left = ctx.params.delete_source and ctx.params.holds[row["split"]] == "parts" and self._files(row, ctx)
        return facts is not None and facts["sha256"] == result["sha256"] and not left


def _identity(source: Path) -> list[int]:
    """Size and time (ns) of a video: it is another one when they differ."""
    found = source.stat()
    return [found.st_size, found.st_mtime_ns]


def _facts(parts: Parts, paths: Sequence[Path], source: Path | None, span: Span | None, seconds: float) -> Facts:
    digest, size = sha256_of_files(paths)
    first = parts.facts[0]
    return {
        "bytes": size, "sha256": digest, "duration": parts.seconds, "frames": parts.frames, "width": first.width,
        "height": first.height, "fps": parts.frames / parts.seconds if parts.seconds else 0.0,
        "has_audio": first.has_audio, "files": len(paths), "parts_seconds": parts.seconds,
        "source_seconds": None if span is None else span.end,
        "parts_wanted": None if span is None else len(span.windows(seconds)),
        "of": None if source is None else _identity(source),
    }  # fmt: skip


def _columns(facts: Facts) -> dict[str, Any]:
    """The step's columns from a folder's note."""
    found = {field.name: facts.get(field.name) for field in CollectMixedStep.fields if field.name != "attempts"}
    return found | {"unusable": len(facts.get("unusable") or [])}
