"""A whole file on its way into the layout: found at its place, resumed, or fetched; verified before it takes its place.

The steps ``download`` (videos, named with their suffix) and ``collect`` (files of a data set, named without) do this alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Limits
from clipquarry.acquire.named_files import NamedFiles
from clipquarry.acquire.sources import Asked, Sources
from clipquarry.errors import ClipquarryError, RetryLater
from clipquarry.files import disk_errors, link_or_copy, publish, read_json, sha256_of, temporary_beside, write_json
from clipquarry.layout import set_aside
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import probe
from clipquarry.reasons import Reason, Status, Trait
from clipquarry.steps.answers import Answer, Questions, moment
from clipquarry.steps.asking import Pause, ask, other_aside, unusable_aside
from clipquarry.steps.base import StepContext
from clipquarry.steps.source_clip import VIDEOS, noted_video
from clipquarry.store import Facts, content_key


@dataclass
class Desk:
    """Objects that all rows of one run of such a step share."""

    ctx: StepContext[Any]
    sources: Sources
    decode: bool
    """Verified by decoding every frame, not only by the packets up to the end that the header names."""
    cache: SourceCache = field(init=False)
    pause: Pause = field(default_factory=Pause)

    def __post_init__(self) -> None:
        self.cache = SourceCache(self.ctx.data.scratch, 0)

    def stopped(self, error: FetchFailed) -> None:
        """Record when to resume, if a source asked for a pause."""
        wait = error.retry_after or 0.0
        if Trait.STOPPED in error.reason.traits or (error.reason is Reason.HTTP_429 and wait > Limits().max_wait):
            self.pause.begin(wait)

    def verified(self, file: Path, source: str) -> Facts:
        """The facts of a video. Raises MediaError when the file is not a video, or is incomplete."""
        facts = probe(file, decode=self.decode, look=self.decode)
        content = facts.content.columns() if self.decode else {}
        columns: dict[str, Any] = {**facts.columns(), **content, "codec": facts.video_codec, "source": source}
        return {**columns, "sha256": sha256_of(file)}


@dataclass
class WholeFile:
    """One file, under its lock. ``wants`` are the requests that may find it, ``target`` its place, ``work`` its scratch.

    ``named`` gives the place of a file that was fetched with this suffix.
    """

    wants: Iterable[ClipRequest]
    target: Path
    work: Path
    desk: Desk
    asked: Questions
    named: Callable[[str], Path]
    first: Collection[str] = ()
    """Ids of sources that come before the file at its place, which an archive left there."""
    is_outdated: bool = False
    """The file at its place is a person's own, who has another one there now."""
    facts: Facts | None = None
    unusable: MediaError | None = None
    """What was wrong with the file that lay at its place, which was moved away."""

    def __post_init__(self) -> None:
        # These names hold ".part", so that they outlive the lock and the process.
        self._told = self.work / "arrived.part.json"
        self._arrived = self.work / f"arrived.part{self.target.suffix}"

    def settle(self) -> Status:
        """Find the file or fetch it. ``facts`` are set once it is at its place."""
        if self.first and noted_video(self.desk.ctx.store, self.target.name, self.target) is None:
            self._resume()
            self._ask_all(asked for asked in self.desk.sources.asked if asked.id in self.first)
            if self.facts is not None:
                return Status.DONE
        if self._from_disk():
            self._forget()
            return Status.KEPT
        self._resume()
        self._ask_all(asked for asked in self.desk.sources.asked if asked.id not in self.first)
        return Status.DONE

    def _ask_all(self, sources: Iterable[Asked]) -> None:
        """Ask one after the other, until one has given the file."""
        for asked in sources:
            for want in self.wants:
                if self.facts is None:
                    self._ask(asked, want)

    def _from_disk(self) -> bool:
        """Use the file that is at the place already. One that cannot be used is set aside."""
        store, target = self.desk.ctx.store, self.target
        self.facts = noted_video(store, target.name, target)  # another task may have fetched it while we waited
        if self.is_outdated and self.facts is not None:
            self.facts = None
            self.asked.evidence = other_aside(set_aside(self.desk.ctx.data, target))
            return False
        if self.facts is not None:
            return True
        if not os.path.lexists(target):
            return False
        try:
            if not target.is_file():
                raise MediaError(Reason.NOT_A_VIDEO, "not a file")
            source, origin = self._whose()
            self.facts = self.desk.verified(target, source) | ({"origin": origin} if origin else {})
        except MediaError as error:
            self.unusable = error
            self.asked.evidence = unusable_aside(error, set_aside(self.desk.ctx.data, target))
            return False
        self._note(target)
        return True

    def _whose(self) -> tuple[str, str]:
        """Source and origin of the file at its place. A link to a person's own file stays one when the person edits it."""
        for asked in self.desk.sources.asked:
            if isinstance(asked.source, NamedFiles):
                for want in self.wants:
                    if origin := asked.source.origin_of(want, self.target):
                        return asked.id, origin
        return "existing", ""

    def _resume(self) -> None:
        """Use a file in scratch that was complete when its process was killed."""
        if not self._told.is_file():
            self._arrived.unlink(missing_ok=True)
            return
        try:
            told = dict(read_json(self._told))
            self._arrived = self.work / f"arrived.part{told.get('suffix', self.target.suffix)}"
            self._take(
                str(told["source"]), str(told["evidence"]), float(told["seconds"]), str(told.get("at") or moment()),
                str(told.get("origin", "")),
            )  # fmt: skip
        except (ClipquarryError, OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, RetryLater):
                raise
            self._forget()  # its source is not known

    def _ask(self, asked: Asked, want: ClipRequest) -> None:
        cancelled = self.desk.ctx.cancelled
        fetched = ask(asked, want, self.work, cancelled, self.desk.stopped, [self.asked])
        if fetched is None:
            return
        at, suffix = moment(), self.named(fetched.path.suffix).suffix
        told = {"source": asked.id, "evidence": fetched.evidence, "seconds": fetched.seconds, "at": at}
        write_json(self._told, {**told, "suffix": suffix, "origin": fetched.origin})
        self._arrived = self.work / f"arrived.part{suffix}"
        fetched.path.replace(self._arrived)
        self._take(asked.id, fetched.evidence, fetched.seconds, at, fetched.origin)

    def _take(self, source: str, evidence: str, seconds: float, at: str, origin: str) -> None:
        """Verify the fetched file and move it to its place."""
        size = self._arrived.stat().st_size
        try:
            self.facts = self.desk.verified(self._arrived, source) | ({"origin": origin} if origin else {})
        except MediaError as error:
            answer = Answer(source, error.reason, f"{error.evidence} ({evidence})")
            self.asked.no(answer, seconds=seconds, size=size, at=at)
            self._forget()
            return
        # Recorded before the video is in place: a kill between the two would lose the attempt.
        self.asked.attempt(source, Reason.OK, evidence, seconds, size, at)
        before, self.target = self.target, self.named(self._arrived.suffix)
        if self.first and before != self.target:  # two files of one item would be an error
            self._make_room(before)
        self._place()
        self._forget()

    def _place(self) -> None:
        """Note the facts first, then rename: a kill between the two leaves a note without a file, never the reverse. The
        fetched file stays in scratch until the end, so that a kill never costs a download.
        """
        target = self.target
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary_beside(target)
        try:
            with disk_errors(target):
                link_or_copy(self._arrived, beside)  # the layout may lie on another file system
                self._note(beside)
                self._make_room(target)
                publish(beside, target)
        finally:
            beside.unlink(missing_ok=True)

    def _make_room(self, path: Path) -> None:
        """Move away what lies there; a file with the same bytes may go."""
        assert self.facts is not None
        if not os.path.lexists(path):
            return
        if self.first and path.is_file() and not path.is_symlink() and sha256_of(path) == self.facts["sha256"]:
            path.unlink()
        else:
            self.asked.evidence = other_aside(set_aside(self.desk.ctx.data, path))

    def _note(self, file: Path) -> None:
        """The facts of ``file``, which is at its place or about to be."""
        assert self.facts is not None
        stat = file.stat()
        path = self.target.relative_to(self.desk.ctx.data.root).as_posix()
        self.facts = {**self.facts, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "path": path}
        self.desk.ctx.store.note(VIDEOS, self.target.name, content_key(kind=VIDEOS, version=1, path=path), self.facts)

    def _forget(self) -> None:
        self._arrived.unlink(missing_ok=True)
        self._told.unlink(missing_ok=True)
