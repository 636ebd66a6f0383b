"""What a clip in the store is: one window of one source video, verified, wherever it came from.

The key holds the video, the window and the recipe of the pixels; neither the source nor the data set, so that data
sets that need the same window share one file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from clipquarry.datasets.model import Recipe
from clipquarry.errors import ClipquarryError
from clipquarry.files import disk_errors, link_or_copy, read_json, temporary_beside
from clipquarry.ids import clip_id
from clipquarry.layout import set_aside
from clipquarry.media.cut import allowance
from clipquarry.media.cutters import cut_clip
from clipquarry.media.errors import MediaError
from clipquarry.media.picture import remarks
from clipquarry.media.probe import MediaFacts, header, probe
from clipquarry.media.timeline import constant_rate
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry.steps.fields import CONTENT_FIELDS, MEDIA_FIELDS
from clipquarry.store import Facts, Store, content_key

KIND = "clips"
VERSION = 1
"""Raise when what is made for a window changes."""

_AS_IT_CAME = "as it came"
_READY_PIXELS = frozenset({"yuv420p", "yuvj420p"})
_SHORTEST = 1.0
"""Seconds: what is shorter is no clip, even where short ones are accepted."""


Got = Callable[[], None]
"""Called when a clip is made and verified, and before it is in the store: a question that was answered is noted before anybody
can find the clip, or a kill between the two would forget the question."""


def _nobody() -> None:
    """Nobody asked."""


@dataclass(frozen=True, order=True)
class Window:
    """Seconds of the original video, end exclusive."""

    video_id: str
    start: int
    end: int

    @property
    def clip_id(self) -> str:
        return clip_id(self.video_id, self.start, self.end)

    @property
    def seconds(self) -> int:
        return self.end - self.start


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
        """The content key. The tolerance is not in it: it decides what is taken, not what is made."""
        recipe: dict[str, Any] = {"preset": self.recipe.preset, "crf": self.recipe.crf, "audio": self.recipe.audio}
        if self.recipe.fps is not None:  # left out otherwise: keys that exist stay what they are
            recipe["fps"] = self.recipe.fps
        return content_key(
            kind=KIND, version=VERSION, video=window.video_id, start=window.start, end=window.end, recipe=recipe
        )

    def get(self, window: Window, *, full: bool = False) -> Facts | None:
        """The facts of a clip that is there, unchanged and long enough."""
        facts = self.store.get(KIND, window.clip_id, self.key(window), full=full)
        if facts is None or self._stored_problem(facts, window) is not None:
            return None
        if facts.get("made") == _AS_IT_CAME and not facts.get("plain") and remarks(self.path(window)):
            return None  # taken by a version that did not look
        return facts

    def path(self, window: Window) -> Path:
        return self.store.path(KIND, window.clip_id, self.key(window))

    def _tolerance(self, window: Window) -> float:
        """Seconds that a clip may be too short."""
        tolerance = self.recipe.duration_tolerance
        return max(tolerance, window.seconds - _SHORTEST) if self.accept_short else tolerance

    def _length_problem(self, duration: float, fps: float, window: Window) -> MediaError | None:
        measured = f"{duration:.2f} s where {window.seconds} s were wanted"
        if duration < window.seconds - allowance(self._tolerance(window), fps):
            return MediaError(Reason.TOO_SHORT, measured)
        if duration > window.seconds + allowance(self.recipe.duration_tolerance, fps):
            return MediaError(Reason.CORRUPT, f"{measured}: another window than the one in its name")
        return None

    def _stored_problem(self, facts: Facts, window: Window) -> MediaError | None:
        return self._length_problem(float(facts.get("duration") or 0), float(facts.get("fps") or 0), window)

    def adopt(self, window: Window, file: Path, source: str, work: Path, cancelled: Event, got: Got = _nobody) -> Facts:
        """Take a file that should be the clip already: as it is when it is H.264 in mp4, else encoded. ``got``: see :data:`Got`.

        ``file`` lies on the store's file system and is moved away, or removed on failure. Raises MediaError:
        NOT_A_VIDEO, TRUNCATED, CORRUPT (also: longer than the window), TOO_SHORT with the seconds measured.
        """
        try:
            times: list[float] = []
            facts = probe(file, times=times, look=True)
            # A last picture that lasts beyond the window is cut there; only frames make another window.
            shown = min(facts.duration, max(times[-1] - times[0], float(window.seconds)) if times else facts.duration)
            if problem := self._length_problem(shown, facts.fps, window):
                raise problem
            if self._is_ready(file, facts, times) and shown == facts.duration:
                return self._put(window, file, facts, source, _AS_IT_CAME, got)
            seconds = float(window.seconds)
            if self.recipe.fps is None:  # a rate's frames are counted from the whole window
                seconds = min(seconds, facts.start_time + facts.duration)
            return self._encode(window, file, 0.0, seconds, source, work, cancelled, got)
        finally:
            file.unlink(missing_ok=True)

    def _is_ready(self, file: Path, facts: MediaFacts, times: list[float]) -> bool:
        """True when a file needs no encode: H.264 in mp4 that looks the same to every reader, and at the recipe's rate if
        that has one. Raises MediaError CORRUPT for another look where the recipe rejects that.
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
        self, window: Window, video: Path, offset: float, source: str, work: Path, cancelled: Event, got: Got = _nobody
    ) -> Facts:
        """Cut the window out of a source video whose first frame is second ``offset`` of the original. Raises
        MediaError.
        """
        start = window.start - offset
        if start < 0:
            raise MediaError(
                Reason.TOO_SHORT, f"the part begins at {offset:.2f} s, after the window's {window.start} s"
            )
        return self._encode(window, video, start, float(window.seconds), source, work, cancelled, got)

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
    ) -> Facts:
        out = temporary_beside(work / "clip.mp4")
        tolerance = max(0.0, self._tolerance(window) - (window.seconds - seconds))
        try:
            facts = cut_clip(
                video, out, start=start, duration=seconds, recipe=self.recipe, tolerance=tolerance, cancelled=cancelled
            )
            return self._put(window, out, facts, source, "encoded", got)
        finally:
            out.unlink(missing_ok=True)

    def _put(self, window: Window, file: Path, facts: MediaFacts, source: str, made: str, got: Got) -> Facts:
        got()
        told = {
            **facts.columns(),
            **facts.content.columns(),
            "source": source,
            "made": made,
            "codec": facts.video_codec,
        }
        if made == _AS_IT_CAME:
            told["plain"] = True
        return self.store.put(KIND, window.clip_id, self.key(window), file, told)

    def place(self, file: Path, target: Path) -> None:
        """Link a stored clip into a data set's layout, over whatever is there."""
        link_or_copy(file, target)

    def is_placed(self, window: Window, facts: Facts, target: Path) -> bool:
        """True when ``target`` is the stored clip: the same file, or a copy on another file system of the same size."""
        try:
            there, stored = target.stat(), self.path(window).stat()
        except OSError:  # nothing there, or a link that leads nowhere
            return False
        same = (there.st_dev, there.st_ino) == (stored.st_dev, stored.st_ino)
        return same or (there.st_dev != stored.st_dev and there.st_size == facts["bytes"])

    def take_existing(self, window: Window, target: Path, work: Path, cancelled: Event) -> Facts | None:
        """Adopt a file that lies at ``target`` but is not ours; None when there is none, or only our own of another
        recipe.

        Raises MediaError when it cannot be used.
        """
        if not target.is_file():
            return None
        before = self._own(window, target)
        if before is not None and before.get("made") != _AS_IT_CAME:
            return None  # encoded by another recipe: that is what the new key is for
        if target.stat().st_size == 0:
            raise MediaError(Reason.NOT_A_VIDEO, "the file is empty")
        file = temporary_beside(work / "existing.mp4")
        with disk_errors(file):
            link_or_copy(target.resolve(), file)
        return self.adopt(window, file, str((before or {}).get("source", "existing")), work, cancelled)

    def _entries(self, window: Window) -> list[Path]:
        """The store's entries for this clip, of any recipe, the last made first (their facts' paths)."""
        facts = self.path(window).parent.glob(f"{window.clip_id}.*.json")
        return sorted(facts, key=lambda path: path.stat().st_mtime, reverse=True)

    def _own(self, window: Window, target: Path) -> dict[str, Any] | None:
        """The facts of the store's entry for this clip, of any recipe, that is the same file as ``target``."""
        for path in self._entries(window):
            try:
                facts = dict(read_json(path))
                if path.with_suffix(".mp4").samefile(target):
                    return facts
            except (OSError, ClipquarryError, ValueError, TypeError):
                continue  # damaged by hand
        return None

    def is_own(self, window: Window, target: Path) -> bool:
        """True when ``target`` is a link to the store's clip, of any recipe."""
        return self._own(window, target) is not None

    def older(self, window: Window) -> tuple[Path, Facts] | None:
        """The last clip of this window that was made with another recipe and still verifies."""
        for path in self._entries(window):
            key = path.name.rsplit(".", 2)[1]
            facts = self.store.get(KIND, window.clip_id, key)
            if facts and self._stored_problem(facts, window) is None:
                return path.with_suffix(".mp4"), facts
        return None

    def set_aside(self, target: Path) -> Path:
        """Move a file that cannot be used out of the data set's layout; nothing of a person's is ever deleted."""
        return set_aside(self.data, target)


def media_columns(facts: Facts) -> dict[str, Any]:
    """The columns of ``MEDIA_FIELDS`` from a store entry's facts."""
    return {field.name: facts.get(field.name) for field in MEDIA_FIELDS}


def content_columns(facts: Facts) -> dict[str, Any]:
    """The columns of ``CONTENT_FIELDS`` from noted facts; those that an earlier version noted have none."""
    return {field.name: facts.get(field.name) for field in CONTENT_FIELDS}
