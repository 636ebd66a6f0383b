"""Clips in the store: each is one window of one source video, verified, from any source.

The key holds the video, the window and the encoding recipe. It holds neither the source nor the data set, so that data
sets that need the same window share one file.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from clipquarry import microseconds
from clipquarry.datasets.model import Recipe
from clipquarry.errors import ClipquarryError
from clipquarry.files import disk_errors, link_or_copy, read_json, temporary_beside
from clipquarry.ids import YOUTUBE, window_name
from clipquarry.layout import set_aside
from clipquarry.media.cut import allowance
from clipquarry.media.cutters import cut_clip
from clipquarry.media.display import remarks
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MediaFacts, header, probe
from clipquarry.media.timeline import constant_rate
from clipquarry.microseconds import in_key
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry.steps.fields import CONTENT_FIELDS, MEDIA_FIELDS
from clipquarry.store import Facts, Store, content_key

KIND = "clips"
VERSION = 1
"""Raise it when the file that is made for a window changes."""

_AS_IT_CAME = "as it came"
ENCODED = "encoded"
"""How a clip was made, in its facts (``made``): cut out of a source video."""
_READY_PIXELS = frozenset({"yuv420p", "yuvj420p"})
_SHORTEST = 1.0
"""Seconds. A shorter file is not a clip, even where short clips are accepted."""


Got = Callable[[], None]
"""Called when a clip is made and verified, before it is in the store. It records the attempt; if the clip were stored
first, a kill between the two would lose the attempt."""


def _since(moment: int, offset: float) -> float:
    """Seconds from second ``offset`` to a moment (microseconds): exact where the offset is whole, as those of clips are."""
    if float(offset).is_integer():
        return microseconds.seconds(moment - int(offset) * microseconds.SECOND)
    return microseconds.seconds(moment) - offset


def _no_attempt() -> None:
    """Record nothing: no request was made for this clip."""


@dataclass(frozen=True, order=True)
class Window:
    """The time window of a clip in an original video."""

    video_id: str
    start: int
    """Microseconds."""
    end: int
    """Microseconds, exclusive."""
    namespace: str = YOUTUBE

    @property
    def video(self) -> str:
        """The video's name in the cache of source videos and its locks: a valid file name."""
        return self.video_id if self.namespace == YOUTUBE else f"{self.namespace}+{self.video_id}"

    @property
    def name(self) -> str:
        """The name of the window's clips in the store, independent of their names in a data set."""
        return window_name(self.video_id, self.start, self.end)

    def lies_in(self, other: Window) -> bool:
        """Whether another, longer window of the same video holds this one."""
        inside = other.start <= self.start and self.end <= other.end
        return inside and self.end - self.start < other.end - other.start

    @property
    def begins(self) -> int | float:
        """Seconds."""
        return microseconds.seconds(self.start)

    @property
    def ends(self) -> int | float:
        """Seconds."""
        return microseconds.seconds(self.end)

    @property
    def seconds(self) -> int | float:
        """Length in seconds."""
        return microseconds.seconds(self.end - self.start)


@dataclass(frozen=True)
class Clips:
    """The clips of the store, under one recipe."""

    data: DataRoot
    recipe: Recipe
    accept_short: bool = False

    @property
    def store(self) -> Store:
        return Store(self.data.store)

    def key(self, window: Window) -> str:
        """The content key. The tolerance is not in it: it decides which files are accepted, not what is made."""
        recipe: dict[str, Any] = {"preset": self.recipe.preset, "crf": self.recipe.crf, "audio": self.recipe.audio}
        if self.recipe.fps is not None:  # left out otherwise, so that existing keys do not change
            recipe["fps"] = self.recipe.fps
        # The namespace of YouTube is left out for the same reason.
        whose = {} if window.namespace == YOUTUBE else {"namespace": window.namespace}
        parts = {"video": window.video_id, "start": in_key(window.start), "end": in_key(window.end), "recipe": recipe}
        return content_key(kind=KIND, version=VERSION, **parts, **whose)

    def get(self, window: Window, *, full: bool = False) -> Facts | None:
        """The facts of a stored clip that is unchanged and long enough, else None."""
        facts = self.store.get(KIND, window.name, self.key(window), full=full)
        if facts is None or self._stored_problem(facts, window) is not None:
            return None
        if facts.get("made") == _AS_IT_CAME and not facts.get("plain") and remarks(self.path(window)):
            return None  # stored by a version that did not check the display instructions
        return facts

    def path(self, window: Window) -> Path:
        return self.store.path(KIND, window.name, self.key(window))

    def _tolerance(self, window: Window) -> float:
        """Seconds that a clip may be too short."""
        tolerance = self.recipe.duration_tolerance
        return max(tolerance, window.seconds - _SHORTEST) if self.accept_short else tolerance

    def _length_problem(self, duration: float, fps: float, window: Window) -> MediaError | None:
        measured = f"{duration:.2f} s where {microseconds.text(window.end - window.start)} s were wanted"
        if duration < window.seconds - allowance(self._tolerance(window), fps):
            return MediaError(Reason.TOO_SHORT, measured)
        if duration > window.seconds + allowance(self.recipe.duration_tolerance, fps):
            return MediaError(Reason.CORRUPT, f"{measured}: another window than the one in its name")
        return None

    def _stored_problem(self, facts: Facts, window: Window) -> MediaError | None:
        return self._length_problem(float(facts.get("duration") or 0), float(facts.get("fps") or 0), window)

    def adopt(
        self,
        window: Window,
        file: Path,
        source: str,
        work: Path,
        cancelled: Event,
        got: Got = _no_attempt,
        origin: str = "",
    ) -> Facts:
        """Store a file that should be the clip already: unchanged when it is H.264 in mp4, else encoded. ``got``: see :data:`Got`.
        ``origin``: as in :class:`~clipquarry.acquire.answer.Fetched`, here and in :meth:`cut`.

        ``file`` lies on the store's file system and is moved away, or removed on failure. Raises MediaError:
        NOT_A_VIDEO, TRUNCATED, CORRUPT (also: longer than the window), TOO_SHORT with the seconds measured.
        """
        try:
            times: list[float] = []
            facts = probe(file, times=times, look=True)
            # A last frame that lasts beyond the window is cut there. Only frames after its end make it another window.
            shown = min(facts.duration, max(times[-1] - times[0], float(window.seconds)) if times else facts.duration)
            if problem := self._length_problem(shown, facts.fps, window):
                raise problem
            if self._is_ready(file, facts, times) and shown == facts.duration:
                return self._put(window, file, facts, source, _AS_IT_CAME, got, origin)
            seconds = float(window.seconds)
            if self.recipe.fps is None:  # a rate's frames are counted from the whole window
                seconds = min(seconds, facts.start_time - header(file).start_time + facts.duration)
            return self._encode(window, file, 0.0, seconds, source, work, cancelled, got, origin=origin)
        finally:
            file.unlink(missing_ok=True)

    def _is_ready(self, file: Path, facts: MediaFacts, times: list[float]) -> bool:
        """True when a file needs no encode: H.264 in mp4 that every reader shows alike, and at the recipe's rate if it has
        one. Raises MediaError CORRUPT for a file that readers show differently, where the recipe rejects that.
        """
        told = header(file)
        if seen := remarks(file):
            if self.recipe.odd_picture == "reject":
                raise MediaError(
                    Reason.CORRUPT, f"readers would not see what players show: {', '.join(seen)} (odd_picture: reject)"
                )
            return False
        late = facts.start_time - told.start_time > (1 / facts.fps if facts.fps else 0.0)
        ready = facts.video_codec == "h264" and facts.pix_fmt in _READY_PIXELS and told.format.startswith("mov")
        fps = self.recipe.fps
        steady = fps is None or (constant_rate(times, told) == fps and facts.frames == round(fps * facts.duration))
        return ready and not late and steady

    def cut(
        self,
        window: Window,
        video: Path,
        offset: float,
        source: str,
        work: Path,
        cancelled: Event,
        got: Got = _no_attempt,
        inner: Sequence[Window] = (),
        outer: Window | None = None,
        origin: str = "",
    ) -> Facts:
        """Cut the window out of a source video whose first frame is second ``offset`` of the original. Raises
        MediaError.

        ``inner``: windows inside this one, which are copied out of its clip later. ``outer``: one that holds it and is stored.
        """
        start = _since(window.start, offset)
        if start < 0:
            raise MediaError(
                Reason.TOO_SHORT,
                f"the section begins at {offset:.2f} s, after the window's {microseconds.text(window.start)} s",
            )
        edges = [float(_since(at, offset)) for one in inner for at in (one.start, one.end)]
        within = None if outer is None else (self.path(outer), float(_since(outer.start, offset)))
        return self._encode(
            window, video, start, float(window.seconds), source, work, cancelled, got, edges, within, origin
        )

    def _encode(
        self,
        window: Window,
        video: Path,
        start: float,
        seconds: float,
        source: str,
        work: Path,
        cancelled: Event,
        got: Got,
        edges: Sequence[float] = (),
        outer: tuple[Path, float] | None = None,
        origin: str = "",
    ) -> Facts:
        out = temporary_beside(work / "clip.mp4")
        tolerance = max(0.0, self._tolerance(window) - (window.seconds - seconds))
        try:
            facts = cut_clip(
                video, out, start=start, duration=seconds, recipe=self.recipe, tolerance=tolerance, cancelled=cancelled,
                edges=edges, outer=outer,
            )  # fmt: skip
            return self._put(window, out, facts, source, ENCODED, got, origin)
        finally:
            out.unlink(missing_ok=True)

    def _put(
        self, window: Window, file: Path, facts: MediaFacts, source: str, made: str, got: Got, origin: str
    ) -> Facts:
        got()
        told = {
            **facts.columns(),
            **facts.content.columns(),
            "source": source,
            "made": made,
            "codec": facts.video_codec,
        }
        if window.namespace != YOUTUBE:
            told["namespace"] = window.namespace
        if origin:
            told["origin"] = origin
        if made == _AS_IT_CAME:
            told["plain"] = True
        return self.store.put(KIND, window.name, self.key(window), file, told)

    def place(self, file: Path, target: Path) -> None:
        """Link a stored clip into a data set's layout, over whatever is there."""
        link_or_copy(file, target)

    def is_placed(self, window: Window, facts: Facts, target: Path) -> bool:
        """True when ``target`` is the stored clip: the same file, or a copy on another file system of the same size."""
        try:
            there, stored = target.stat(), self.path(window).stat()
        except OSError:  # nothing there, or a broken link
            return False
        same = (there.st_dev, there.st_ino) == (stored.st_dev, stored.st_ino)
        return same or (there.st_dev != stored.st_dev and there.st_size == facts["bytes"])

    def take_existing(
        self, window: Window, target: Path, work: Path, cancelled: Event, is_outdated: Callable[[Facts], bool]
    ) -> Facts | None:
        """Adopt a file that lies at ``target`` but is not ours; None when there is none, or only our own: of another
        recipe, or outdated by its facts.

        Raises MediaError when it cannot be used.
        """
        if not target.is_file():
            return None
        if window.namespace != YOUTUBE and self._own(replace(window, namespace=YOUTUBE), target) is not None:
            return None  # stored before ids said whose they are, and in another data set's layout too: nobody knows whose it is
        before = self._own(window, target)
        if before is not None and (before.get("made") != _AS_IT_CAME or is_outdated(before)):
            return None  # encoded by another recipe: that is what the new key is for
        if target.stat().st_size == 0:
            raise MediaError(Reason.NOT_A_VIDEO, "the file is empty")
        file = temporary_beside(work / "existing.mp4")
        with disk_errors(file):
            link_or_copy(target.resolve(), file)
        source, origin = (
            str((before or {}).get(name, other)) for name, other in (("source", "existing"), ("origin", ""))
        )
        return self.adopt(window, file, source, work, cancelled, origin=origin)

    def _entries(self, window: Window) -> Iterator[tuple[Path, Facts]]:
        """The store's entries for this clip, of any recipe, the last made first: their facts, and these facts' paths."""
        found = self.path(window).parent.glob(f"{glob.escape(window.name)}.*.json")
        for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
            with suppress(OSError, ClipquarryError, ValueError, TypeError):  # damaged by hand
                facts = dict(read_json(path))
                if facts.get("namespace", YOUTUBE) == window.namespace:
                    yield path, facts

    def take_over(self, window: Window, targets: Sequence[Path]) -> Facts | None:
        """Make a clip that was stored before ids said whose they are this data set's own: the same file, under its key.

        Only where no other layout has it: its links are the store's and those at ``targets``. Else nobody knows whose it is.
        """
        if window.namespace == YOUTUBE:
            return None
        before = replace(window, namespace=YOUTUBE)
        facts = self.get(before)
        if facts is None:
            return None
        stored = self.path(before)
        # The new name may exist already: a kill came between the link and its facts.
        places = [*targets, self.path(window)]
        links = {path.resolve() for path in places if path.exists() and path.samefile(stored)}
        if not any(path.exists() and path.samefile(stored) for path in targets) or stored.stat().st_nlink != 1 + len(
            links
        ):
            return None
        temporary = self.store.unfinished(stored.suffix)
        try:
            os.link(stored, temporary)
            told = {**facts, "namespace": window.namespace}
            taken = self.store.put(KIND, window.name, self.key(window), temporary, told)
        finally:
            temporary.unlink(missing_ok=True)  # a rename onto the same file does nothing
        self.store.forget(KIND, window.name, self.key(before))
        return taken

    def _own(self, window: Window, target: Path) -> Facts | None:
        """The facts of the store's entry for this clip, of any recipe, that is the same file as ``target``."""
        for path, facts in self._entries(window):
            with suppress(OSError):
                if path.with_suffix(".mp4").samefile(target):
                    return facts
        return None

    def is_own(self, window: Window, target: Path) -> bool:
        """True when ``target`` is a link to the store's clip, of any recipe."""
        return self._own(window, target) is not None

    def older(self, window: Window) -> tuple[Path, Facts] | None:
        """The last clip of this window that was made with another recipe and still verifies."""
        for path, _ in self._entries(window):
            key = path.name.rsplit(".", 2)[1]
            facts = self.store.get(KIND, window.name, key)
            if facts and self._stored_problem(facts, window) is None:
                return path.with_suffix(".mp4"), facts
        return None

    def set_aside(self, target: Path) -> Path:
        """Move a file that cannot be used out of the data set's layout. A person's file is never deleted."""
        return set_aside(self.data, target)


def media_columns(facts: Facts) -> dict[str, Any]:
    """The columns of ``MEDIA_FIELDS`` from a store entry's facts."""
    return {field.name: facts.get(field.name) for field in MEDIA_FIELDS}


def content_columns(facts: Facts) -> dict[str, Any]:
    """The columns of ``CONTENT_FIELDS`` from noted facts; null where an earlier version noted the facts."""
    return {field.name: facts.get(field.name) for field in CONTENT_FIELDS}
