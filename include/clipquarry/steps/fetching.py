"""Requests to the sources for the clips of one video, in order; :mod:`clipquarry.steps.fetch` holds the video's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event

from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.cache import CachedVideo, SourceCache
from clipquarry.acquire.local import LocalSource
from clipquarry.acquire.sources import Asked, Sources
from clipquarry.files import disk_errors, inside, link_or_copy, publish_new, temporary_beside
from clipquarry.ids import YOUTUBE
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import header
from clipquarry.reasons import Reason, Status, Trait
from clipquarry.steps.answers import Answer, Questions, decisive, status_of
from clipquarry.steps.asking import ask, other_aside, unusable_aside
from clipquarry.steps.clips import ENCODED, Clips, Window
from clipquarry.steps.other_windows import OtherWindows, kept_videos
from clipquarry.store import Facts

_SHORT = 0.5
"""Seconds that a clip may end before its name says."""
KEPT_VIDEO = "kept_video"
"""Source of what is cut from a kept video. It is not the id of the source that would be asked: that one delivered nothing
now, so that its clocks stay, and its other answers of the run are no more credible.
"""
_NEAR_SECONDS = 120
"""Seconds. Windows closer than this are requested as one section of a video."""


@dataclass
class Wanted(Questions):
    """One window, the rows that want it, and its result."""

    window: Window
    rows: list[tuple[int, Row]] = field(default_factory=list)
    facts: Facts | None = None
    kept: bool = False

    def wants(self) -> list[ClipRequest]:
        """The requests for this clip: a mirror may hold it in the folder of any of its splits and classes."""
        distinct = {(row["split"], row["class_dir"], row["label"], row["clip_id"]): row for _, row in self.rows}
        return [
            ClipRequest(
                self.window.video_id, self.window.begins, self.window.ends, clip_id=row["clip_id"],
                split=row["split"], class_dir=row["class_dir"] or "", label=row["label"],
            )
            for row in distinct.values()
        ]  # fmt: skip

    def status(self, answer: Answer) -> Status:
        return status_of(answer.reason)

    def unchanged(self, facts: Facts | None, sources: Sources) -> Facts | None:
        """The facts of the clip that is there; None if the person's file has become another one since.

        Only where ids are a data set's own: YouTube's videos do not change, and a copy that somebody touched is no other one.
        """
        if facts is None or self.window.namespace == YOUTUBE:
            return facts
        whose = [one.source for one in sources.asked if one.id == facts.get("source")]
        changed = any(
            isinstance(source, LocalSource) and source.has_changed(want, facts)
            for source in whose
            for want in self.wants()
        )
        return None if changed else facts


@dataclass(frozen=True)
class Fetching:
    """Fetches the windows of one video. ``stopped`` gets every failure of a source."""

    clips: Clips
    sources: Sources
    cache: SourceCache
    work: Path
    cancelled: Event
    stopped: Callable[[FetchFailed], None]
    keep: Path | None = None
    """Folder in which whole source videos from elsewhere are kept."""
    known: Sequence[Wanted] = ()
    """All windows of the video that are wanted, those that are there too: some may lie inside others."""
    others: OtherWindows | None = None
    """What other data sets lack of it."""
    kept: Sequence[Path] = ()
    """Folders in which data sets keep whole source videos, under their ids."""

    def run(self, wanted: Sequence[Wanted], target: Callable[[Row], Path]) -> None:
        """Fetch every window: it gets facts and links in the layout, or the answers of the sources."""
        wanted = sorted(wanted, key=_outermost)
        for one in wanted:
            self._from_disk(one, target)
        for asked in self.sources.asked:
            open_ = [one for one in wanted if one.facts is None]
            if not open_:
                break
            if asked.content == "video":
                self._ask_for_video(asked, open_)
            else:
                self._ask_for_clips(asked, open_)
        for one in wanted:
            self._finish(one, [target(row) for _, row in one.rows])

    def _finish(self, one: Wanted, places: Sequence[Path]) -> None:
        """Link the clip into the layout. A file that could not be verified is moved away."""
        file = self.clips.path(one.window)
        older = self.clips.older(one.window) if one.facts is None else None
        if older is not None and one.unchanged(older[1], self.sources) is not None:
            file, one.facts = older
            one.kept = True
            why = decisive(one.answers).reason if one.answers else Reason.NO_SOURCE
            one.evidence = f"made with an earlier recipe; it could not be made anew ({why})"
        for place in places:
            if one.facts is None:
                if os.path.lexists(place):
                    one.evidence = (
                        f"what lay there could not be verified and was moved to {self.clips.set_aside(place)}"
                    )
                continue
            if file == self.clips.path(one.window) and self.clips.is_placed(one.window, one.facts, place):
                continue
            if os.path.lexists(place) and not self.clips.is_own(one.window, place):
                one.evidence = other_aside(self.clips.set_aside(place))
            self.clips.place(file, place)

    def _from_disk(self, one: Wanted, target: Callable[[Row], Path]) -> None:
        """Take the clip from the store, else from a file at one of its places. Unusable files there are set aside."""
        one.facts = one.unchanged(self.clips.get(one.window), self.sources)
        one.kept = one.facts is not None
        for _, row in one.rows:
            path = target(row)
            if one.facts is not None and self.clips.is_placed(one.window, one.facts, path):
                continue
            if one.facts:
                continue
            try:
                found = self.clips.take_existing(
                    one.window,
                    path,
                    self.work,
                    self.cancelled,
                    lambda facts: one.unchanged(facts, self.sources) is None,
                )
            except MediaError as error:
                one.evidence = unusable_aside(error, self.clips.set_aside(path))
                continue
            if found is not None:
                one.facts, one.kept = found, True

    def _ask_for_clips(self, asked: Asked, open_: Sequence[Wanted]) -> None:
        """One request per window and folder. A local folder may return the whole video, which then serves all windows."""
        for one in open_:
            for want in one.wants():
                if one.facts is not None:
                    break
                fetched = self._ask(asked, want, [one])
                if fetched is None:
                    if Trait.LACKS not in one.answers[-1].reason.traits:
                        break
                elif fetched.content == "clip":
                    self._adopt(asked, one, fetched)
                else:
                    self._cut_all(asked, fetched, [one], [o for o in open_ if o.facts is None and o is not one])

    def _ask_for_video(self, asked: Asked, open_: Sequence[Wanted]) -> None:
        """One request per group of near windows. Windows in the cache need no request."""
        for one in open_:
            window = one.window
            slack = self.clips.recipe.duration_tolerance
            cached = self.cache.get(window.video, window.begins, window.ends, slack=slack)
            if cached is not None:
                self._cut(asked, cached.source, one, cached, "from the cache of source videos", 0.0, 0)
        if asked.remote:
            self._from_kept([one for one in open_ if one.facts is None])
        for near in _neighbours([one for one in open_ if one.facts is None]):
            left = [one for one in near if one.facts is None]  # an earlier answer may have covered them
            if not left:
                continue
            hull = replace(left[0].wants()[0], end=max(one.window.ends for one in left))
            rest = [one for one in open_ if one.facts is None and one not in left]
            fetched = self._ask(asked, hull, left)
            if fetched is not None:
                self._cut_all(asked, fetched, left, rest)
            elif (told := left[0].answers[-1]).reason is not Reason.TOO_SHORT:
                # Private, removed, no network ...: the same for the other windows of the video. It is one answer with one
                # time: at another, the ledger would count what was heard before as a second answer.
                for one in rest:
                    one.no(told, at=left[0].attempts[-1]["at"])
                return

    def _from_kept(self, open_: Sequence[Wanted]) -> None:
        """Cut windows out of whole videos that a data set has kept. What does not work is asked for."""
        for path in kept_videos(self.kept, open_[0].window.video_id) if open_ else ():
            evidence = f"from the whole video that is kept in {path.parent}"
            for one in open_:
                if one.facts is not None:
                    continue
                got = partial(one.attempt, KEPT_VIDEO, Reason.OK, evidence, 0.0, 0)
                with suppress(MediaError):
                    one.facts = self.clips.cut(
                        one.window, path, 0.0, KEPT_VIDEO, self.work, self.cancelled, got,
                        [other.window for other in self.known if other.window.lies_in(one.window)], self._outer(one, KEPT_VIDEO),
                    )  # fmt: skip

    def _ask(self, asked: Asked, want: ClipRequest, for_: Sequence[Wanted]) -> Fetched | None:
        return ask(asked, want, self.work, self.cancelled, self.stopped, for_)

    def _no(
        self, asked: Asked, one: Wanted, reason: Reason, evidence: str, *, seconds: float = 0.0, size: int = 0
    ) -> None:
        one.no(Answer(asked.id, reason, evidence, asked.authoritative), seconds=seconds, size=size)

    def _adopt(self, asked: Asked, one: Wanted, fetched: Fetched) -> None:
        try:
            got = partial(one.attempt, asked.id, Reason.OK, fetched.evidence, fetched.seconds, fetched.bytes)
            one.facts = self.clips.adopt(
                one.window, fetched.path, asked.id, self.work, self.cancelled, got, fetched.origin
            )
        except MediaError as error:
            evidence = f"{error.evidence} ({fetched.evidence})"
            self._no(asked, one, error.reason, evidence, seconds=fetched.seconds, size=fetched.bytes)

    def _cut_all(self, asked: Asked, fetched: Fetched, asked_for: Sequence[Wanted], others: Sequence[Wanted]) -> None:
        """Cut the requested windows, and of the others those that the file covers too."""
        seconds, size = fetched.seconds, fetched.bytes
        try:
            length = header(fetched.path).duration or 0.0
        except MediaError as error:
            fetched.path.unlink(missing_ok=True)
            for one in asked_for:
                self._no(asked, one, error.reason, f"{error.evidence} ({fetched.evidence})", seconds=seconds, size=size)
                seconds, size = 0.0, 0
            return
        video = CachedVideo(fetched.path, fetched.offset, length, asked.id, fetched.origin)
        if asked.remote and not self._is_kept(fetched, asked_for[0].window):
            video = self.cache.put(asked_for[0].window.video, fetched.path, fetched.offset, length, asked.id)
        for one in asked_for:
            if short := _promised(fetched, length, one.window):
                self._no(asked, one, Reason.TOO_SHORT, f"{short} ({fetched.evidence})", seconds=seconds, size=size)
            else:
                self._cut(asked, asked.id, one, video, fetched.evidence, seconds, size)
            seconds, size = 0.0, 0
        for one in others:
            if video.offset <= one.window.begins and one.window.ends <= video.offset + video.seconds:
                self._cut(asked, asked.id, one, video, f"{fetched.evidence}; shared", 0.0, 0)
        if asked.remote and self.others is not None:
            self.others.cut(video, asked_for[0].window.video_id, self.work, self.cancelled)
        if video.path == fetched.path:  # not in the cache
            fetched.path.unlink(missing_ok=True)

    def _is_kept(self, fetched: Fetched, window: Window) -> bool:
        """Whether the source video was moved to where the run keeps them, under its id. A file that lies there stays."""
        if self.keep is None or fetched.offset:
            return False
        place = inside(self.keep, f"{window.video_id}{fetched.path.suffix}")
        beside = temporary_beside(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        with disk_errors(place):
            link_or_copy(fetched.path, beside)
            try:
                publish_new(beside, place)
            except FileExistsError:
                beside.unlink(missing_ok=True)
                return False
        return True

    def _cut(
        self, asked: Asked, source: str, one: Wanted, video: CachedVideo, evidence: str, seconds: float, size: int
    ) -> None:
        try:
            got = partial(one.attempt, source, Reason.OK, evidence, seconds, size)
            one.facts = self.clips.cut(
                one.window, video.path, video.offset, source, self.work, self.cancelled, got,
                [other.window for other in self.known if other.window.lies_in(one.window)], self._outer(one, source),
                video.origin,
            )  # fmt: skip
        except MediaError as error:
            if Trait.BROKEN in error.reason.traits:
                self.cache.forget(video)
            self._no(asked, one, error.reason, f"{error.evidence} ({evidence})", seconds=seconds, size=size)

    def _outer(self, one: Wanted, source: str) -> Window | None:
        """The first stored window that holds this one, cut out of what the same source gave."""
        made = (other for other in self.known if other.facts is not None and one.window.lies_in(other.window))
        return next(
            (
                other.window
                for other in sorted(made, key=_outermost)
                if other.facts is not None and (other.facts.get("made"), other.facts.get("source")) == (ENCODED, source)
            ),
            None,
        )


def _promised(fetched: Fetched, length: float, window: Window) -> str:
    """What a clip lacks that by its name holds the window: another source may have the whole of it. Empty: nothing."""
    end = fetched.offset + length
    if fetched.until is None or not length or end + _SHORT >= min(window.ends, fetched.until):
        return ""
    return f"the clip has {length:.2f} s where its name says {fetched.until - fetched.offset:g} s, and ends within the window"


def _outermost(one: Wanted) -> tuple[int, int]:
    """Sort key: in the order of their start, a window before those inside it."""
    return one.window.start, -one.window.end


def _neighbours(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Windows in order of their start, in groups without large gaps."""
    near: list[Wanted] = []
    for one in sorted(wanted, key=_outermost):
        if near and one.window.begins - max(o.window.ends for o in near) > _NEAR_SECONDS:
            yield near
            near = []
        near.append(one)
    if near:
        yield near
