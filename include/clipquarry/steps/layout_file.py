"""Base class of steps that make one file of an item, in the data set's layout; the facts about it are noted in the store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from clipquarry.files import disk_errors, link_or_copy, sha256_of
from clipquarry.layout import placing
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import Outcome, P, Step, StepContext
from clipquarry.steps.source_clip import SourceClip, item_group
from clipquarry.store import Facts, Store, content_key

_FITS = "the file that lay there fits and was kept"


def noted_file(store: Store, kind: str, name: str, path: Path) -> Facts | None:
    """The noted facts of the file at ``path``, made with any recipe, while its size and time are the noted ones."""
    with suppress(OSError):  # it is not there
        there = path.stat()
        for facts in store.all_noted(kind, name):
            if (facts.get("bytes"), facts.get("mtime_ns")) == (there.st_size, there.st_mtime_ns):
                return facts
    return None


class LayoutFileStep(Step[P]):
    """One file per item. It appears whole or not at all; a person's file that does not fit is set aside."""

    kind: ClassVar[str]
    """The store's kind of the notes."""
    absent: ClassVar[str]
    """Evidence where an item has no source."""

    @abstractmethod
    def source(self, row: Row, ctx: StepContext[P]) -> SourceClip | None:
        """What the file is made of, or None; ``sha256`` may be any text that changes with it."""

    @abstractmethod
    def target(self, row: Row, ctx: StepContext[P]) -> Path:
        """Where the file belongs."""

    @abstractmethod
    def make(self, row: Row, source: SourceClip, out: Path, ctx: StepContext[P]) -> Facts:
        """Write ``out`` and verify it; returns the facts, scalars by column. Raises MediaError."""

    @abstractmethod
    def fits(self, there: Path, made: Path, facts: Facts) -> bool:
        """Whether a person's file holds the same as the one just ``made``, which has these facts. It may raise
        MediaError, OSError, ValueError and EOFError.
        """

    def recipe(self, params: P) -> dict[str, Any]:
        """Settings that change the file."""
        return {}

    def occupied(self, row: Row, source: SourceClip, ctx: StepContext[P]) -> str:
        """Why the file's place is another item's, or nothing."""
        return ""

    def preflight(self, ctx: StepContext[P]) -> None:
        ffmpeg()

    def group_of(self, row: Row) -> str:
        return item_group(row)

    def run_group(self, rows: Sequence[Row], ctx: StepContext[P]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[P]) -> Outcome:
        try:
            source = self.source(row, ctx)
            if source is None:
                return Outcome.missing(Reason.NO_SOURCE, self.absent)
            if problem := self.occupied(row, source, ctx):
                return Outcome.failed(Reason.DUPLICATE, problem)
            target = self.target(row, ctx)
            key = self._key(source, target, ctx)
            if (facts := self._intact(row, key, target, ctx)) is not None:
                return Outcome(Status.KEPT, columns=self._columns(facts))
            return self._made(row, key, source, target, ctx)
        except MediaError as error:
            if error.reason is Reason.NO_AUDIO:
                return Outcome.missing(error.reason, error.evidence)
            return Outcome.failed(error.reason, error.evidence)

    def _made(self, row: Row, key: str, source: SourceClip, target: Path, ctx: StepContext[P]) -> Outcome:
        status, told = Status.DONE, ""
        with disk_errors(target), placing(ctx.data, target) as new:
            facts = self.make(row, source, new.path, ctx)
            if self._is_fit(target, new.path, facts):
                status, told = Status.KEPT, _FITS
                new.path.unlink()
                link_or_copy(target.resolve(), new.path)
        if new.aside:
            told = f"the file that lay there does not fit and was moved to {new.aside}"
        there = target.stat()
        facts |= {
            "path": str(target.relative_to(ctx.data.root)), "bytes": there.st_size, "mtime_ns": there.st_mtime_ns,
            "sha256": sha256_of(target), "source_sha256": source.sha256,
        }  # fmt: skip
        ctx.store.note(self.kind, row["clip_id"], key, facts)
        return Outcome(status, evidence=self._told(told, facts), columns=self._columns(facts))

    def _told(self, told: str, facts: Facts) -> str:
        return "; ".join(text for text in (told, str(facts.get("told") or "")) if text)

    def _is_fit(self, target: Path, made: Path, facts: Facts) -> bool:
        with suppress(MediaError, OSError, ValueError, EOFError):
            return target.is_file() and self.fits(target, made, facts)
        return False

    def _intact(self, row: Row, key: str, target: Path, ctx: StepContext[P]) -> Facts | None:
        """The noted facts, while the file is the noted one."""
        facts = ctx.store.noted(self.kind, row["clip_id"], key)
        with suppress(OSError):
            there = target.stat()
            if facts and (facts.get("bytes"), facts.get("mtime_ns")) == (there.st_size, there.st_mtime_ns):
                return facts
        return None

    def _key(self, source: SourceClip, target: Path, ctx: StepContext[P]) -> str:
        where = str(target.relative_to(ctx.data.root))
        return content_key(
            kind=self.kind, version=self.version, source=source.sha256, file=where, recipe=self.recipe(ctx.params)
        )

    def _columns(self, facts: Facts) -> dict[str, Any]:
        return {field.name: facts.get(field.name) for field in self.fields}

    def still_holds(self, row: Row, result: Row, ctx: StepContext[P]) -> bool:
        with suppress(MediaError):
            source = self.source(row, ctx)
            if source is not None:
                target = self.target(row, ctx)
                return self._intact(row, self._key(source, target, ctx), target, ctx) is not None
        return False
