"""The step ``extract``: unpacks archives of whole items into the layout, where ``collect`` verifies them.

One row is one archive, of one volume or several, which the parameters name. :mod:`clipquarry.acquire.archives.obtain` finds
or downloads them, :mod:`clipquarry.acquire.archives.extract` unpacks them, all or nothing; what it refuses is in a table that
the row names. Where the archive cannot be had, one of another source that a person placed is taken instead; or the step
waits for a person (:mod:`clipquarry.waiting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from clipquarry.acquire.answer import FetchFailed, one_line
from clipquarry.acquire.archives.native import library
from clipquarry.acquire.archives.obtain import ArchiveWanted, folders_in, is_placed, obtain, password_of
from clipquarry.acquire.download import Limits
from clipquarry.datasets.model import Archive
from clipquarry.errors import ClipquarryError, RetryLater, WaitUntil
from clipquarry.manifest import Row
from clipquarry.reasons import Reason, Status, Trait
from clipquarry.steps.base import TOLD_TO_STOP, Outcome, Step, StepContext, StepParams, require_space
from clipquarry.waiting import Seen, look, look_again, stop_waiting, wait_for

_NOT_IN_KEY = {
    "folders",
    "attempts",
    "timeout_s",
    "verify_certificate",
    "min_free_gb",
    "howto",
    "about",
    "instead",
    "waiting",
    "wait_days",
}


class OneArchive(StepParams):
    """An archive, and where its members go."""

    source: str
    """Id of the source."""
    urls: tuple[str, ...] = ()
    """Addresses of the volumes: http, or paths."""
    patterns: tuple[str, ...] = ()
    """Names of volumes that a person places, where there is no address."""
    archive: Archive
    sha256: dict[str, str] | str | None = None
    """Of all volumes joined, or of each by its name."""
    attempts: int = Field(default=3, ge=1, le=20)
    timeout_s: float = Field(default=60, gt=0)
    verify_certificate: bool = True
    howto: str = ""
    """Where a person gets it."""


class ExtractParams(OneArchive):
    """The archive, and what is used where it cannot be had."""

    root: str
    """The data set's folder, below the data root."""
    folders: tuple[str, ...] = ()
    """Folders of the user in which a volume may lie under the name of its address. They are only read."""
    min_free_gb: float = Field(default=1.0, ge=0)
    about: str = ""
    """Page, licence and size, for whoever places it."""
    instead: tuple[OneArchive, ...] = ()
    """Archives with the same files that a person may place instead."""
    waiting: str | None = None
    """The note of a wait, relative to the data root. None: the step does not wait."""
    wait_days: float = Field(default=0, ge=0)


class ExtractStep(Step[ExtractParams]):
    """See the module."""

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        pa.field("source", pa.string()),
        pa.field("files", pa.int64()),  # members that are in the folder now
        pa.field("kept", pa.int64()),  # of these, with the same bytes there before
        pa.field("bytes", pa.int64()),
        pa.field("refused", pa.int64()),  # members that were not unpacked
        pa.field("refused_table", pa.string()),  # relative to the data root
    )
    params_model = ExtractParams

    def preflight(self, ctx: StepContext[ExtractParams]) -> None:
        """MachineError without libarchive; UserError without the password; RetryLater with too little disk."""
        library()
        password_of(_wanted(ctx.params, ctx.params))
        if ctx.params.waiting:
            look_again(ctx.data.root / ctx.params.waiting)
        require_space(ctx.data, ctx.params.min_free_gb)

    def key_params(self, params: ExtractParams) -> dict[str, object]:
        return params.model_dump(mode="json", exclude=_NOT_IN_KEY)

    def still_holds(self, row: Row, result: Row, ctx: StepContext[ExtractParams]) -> bool:
        """An archive is not read again after it was read; ``collect`` verifies its files one by one."""
        return True

    def run_group(self, rows: Sequence[Row], ctx: StepContext[ExtractParams]) -> list[Outcome]:
        return [self._one(ctx) for _ in rows]

    def _one(self, ctx: StepContext[ExtractParams]) -> Outcome:
        note = ctx.data.root / ctx.params.waiting if ctx.params.waiting else None
        seen = look(_places(ctx)) if note else {}  # before the try, which may last: what comes meanwhile is new
        problems: list[str] = []
        outcome: Outcome | None = None
        first: FetchFailed | None = None
        try:
            for one in (ctx.params, *ctx.params.instead):
                try:
                    if one is ctx.params or is_placed(_wanted(one, ctx.params), ctx.data):
                        outcome = self._unpacked(one, ctx)
                        break
                except FetchFailed as error:
                    if ctx.cancelled.is_set():
                        raise RetryLater(TOLD_TO_STOP) from error
                    problems.append(error.evidence if one is ctx.params else f"{one.source}: {error.evidence}")
                    first = first or error
            if outcome is None:
                assert first is not None
                outcome = self._none(first, "; ".join(problems), note, seen, ctx)
        except ClipquarryError as error:
            if note and not isinstance(error, WaitUntil | RetryLater):
                stop_waiting(note)
            raise
        if note:
            stop_waiting(note)
        return outcome

    def _none(
        self, error: FetchFailed, evidence: str, note: Path | None, seen: Seen, ctx: StepContext[ExtractParams]
    ) -> Outcome:
        """The archive cannot be had. Raises WaitUntil where a person may still place it."""
        params = ctx.params
        place = ctx.data.dataset(params.root)
        offers = "; or ".join(
            f"{', '.join(_wanted(one, params).names[:5])}{f' ({one.howto})' if one.howto else ''}"
            for one in (params, *params.instead)
        )
        told = one_line(f"{evidence}; whoever has {offers} puts it into {place}")
        if note and error.reason is not Reason.TOOL_FAILED:  # what this machine cannot read, no wait mends
            soon = Trait.SOON in error.reason.traits
            wait_for(note, f"{told}. {params.about}".rstrip(), _places(ctx), params.wait_days, seen=seen, soon=soon)
        return Outcome.missing(error.reason, f"{told}, and runs this again", source=params.source)

    @staticmethod
    def _unpacked(one: OneArchive, ctx: StepContext[ExtractParams]) -> Outcome:
        done = obtain(_wanted(one, ctx.params), ctx.data, ctx.cancelled)
        columns = {
            "source": one.source, "files": done.files, "kept": done.kept, "bytes": done.bytes,
            "refused": done.refused,
            "refused_table": done.refused_table.relative_to(ctx.data.root).as_posix(),
        }  # fmt: skip
        if done.files == 0:
            return Outcome.missing(Reason.NO_SOURCE, f"it holds no file that can be unpacked: {done}", **columns)
        return Outcome(Status.KEPT if done.was_finished else Status.DONE, Reason.OK, str(done), columns)


def _places(ctx: StepContext[ExtractParams]) -> tuple[Path, ...]:
    """Folders in which a person may place an archive."""
    patterns = [pattern for one in (ctx.params, *ctx.params.instead) for pattern in one.patterns]
    folders = (ctx.data.dataset(ctx.params.root), *map(Path, ctx.params.folders))
    return (*folders, *(below for folder in folders for below in folders_in(folder, patterns) if below != folder))


def _wanted(one: OneArchive, params: ExtractParams) -> ArchiveWanted:
    return ArchiveWanted(
        one.source, params.root, one.archive, one.urls, one.patterns, params.folders, one.sha256,
        Limits(attempts=one.attempts, read=one.timeout_s, verify=one.verify_certificate),
    )  # fmt: skip
