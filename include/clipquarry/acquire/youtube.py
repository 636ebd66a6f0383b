"""YouTube source, through yt-dlp as a library. It is the last source in the order.

A video is normally fetched whole. Of a long video only the wanted section, with some seconds around it, is copied
(:mod:`clipquarry.acquire.section`).

yt-dlp's plug-ins are off, except those that are allowed by name (:mod:`clipquarry.acquire.plugins`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any, Literal
from urllib.parse import urlsplit

from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.breaker import OURS, Breaker, BreakerOpen
from clipquarry.acquire.budget import Budget, BudgetExhausted
from clipquarry.acquire.classify import classify
from clipquarry.acquire.connection import Reach
from clipquarry.acquire.network import NETWORK, Network
from clipquarry.acquire.plugins import load_plugins, parse_extractor_args
from clipquarry.acquire.section import Input, NoSection, Stopped, copy_section
from clipquarry.acquire.session import Session, Sessions
from clipquarry.acquire.shared_answers import SharedAnswers
from clipquarry.errors import ClipquarryError
from clipquarry.ids import is_youtube_id
from clipquarry.reasons import Reason, Trait

URL = "https://www.youtube.com/watch?v={id}"
CANARY = "jNQXAC9IVRw"
"""The first video of YouTube (2005), public everywhere: when it cannot be fetched either, the fault is on our side."""
HEARD = "heard by another data set's run a moment ago"
"""Words in the evidence of an answer that was taken over."""
NOT_ASKED = frozenset({Reason.NO_NETWORK, Reason.WAITING})
"""Reasons without an answer: they say nothing about the video, nor about whether YouTube lets us in."""
_WAS_ANSWERED = frozenset({Reason.TOO_SHORT, Reason.NOT_ASKED})
"""The video exists, and its bytes were not needed: for the breaker this counts as success."""
_OF_SERVERS = frozenset({Reason.HTTP_429, Reason.HTTP_5XX, Reason.TRANSPORT, Reason.FORBIDDEN_MEDIA})


@dataclass(frozen=True)
class YouTubeOptions:
    """Quality, sections, limits and retries of a fetch. Times are in seconds."""

    max_height: int = 720
    """Pixels of the shorter edge. When a video has no format that small, its smallest is taken."""
    sections: Literal["never", "long", "always"] = "long"
    """When only the wanted section is fetched: ``long`` means for videos longer than ``long_video``."""
    long_video: float = 1200.0
    padding: float = 5.0
    """Seconds that are fetched before and after the wanted window."""
    max_bytes: int | None = 4 << 30
    max_duration: float | None = 12 * 3600.0
    """With ``max_bytes``, the limits for a video that has to be fetched whole."""
    retries: int = 3
    socket_timeout: float = 20.0


class YouTubeSource:
    """Fetches source videos by their YouTube id. Safe to share between threads.

    ``answers``: what other runs heard is taken first. ``breaker`` and ``budget`` are checked before every request. ``canary``: the id of a video that is known to be good,
    requested when the breaker needs it. ``cookies`` (Netscape format) is read and never written. ``url_template`` holds
    ``{id}``. ``ffmpeg`` joins video and sound. ``pause(n)`` returns the seconds before yt-dlp's own retry ``n``.
    ``plugins`` and ``extractor_args``: see :mod:`clipquarry.acquire.plugins`.
    """

    def __init__(
        self,
        options: YouTubeOptions = YouTubeOptions(),
        *,
        id: str = "youtube",
        url_template: str = URL,
        breaker: Breaker | None = None,
        budget: Budget | None = None,
        answers: SharedAnswers | None = None,
        canary: str | None = None,
        plugins: Sequence[str] = (),
        extractor_args: Sequence[str] = (),
        cookies: Path | None = None,
        ffmpeg: Path | None = None,
        network: Network = NETWORK,
        pause: Callable[[int], float] = lambda n: min(60.0, 2.0 * 2**n),
    ) -> None:
        self.id, self._options, self._url = id, options, url_template
        self._breaker, self._budget, self._network, self._answers = breaker, budget, network, answers
        self._canary, self._has_cookies, self._pause = canary, cookies is not None, pause
        load_plugins(plugins)
        params = {**_params(options, url_template), "extractor_args": parse_extractor_args(extractor_args)}
        self._sessions = Sessions(params, cookies=cookies, ffmpeg=ffmpeg, pause=self._before_retry)

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """The source video of ``want`` (or a section around its window) as a new file in ``scratch``.

        Raises :class:`FetchFailed`, with ``WAITING`` when the breaker is open or the hour's budget is used up (``retry_after``
        says how long). Raises RetryLater (disk full) and MachineError (no ffmpeg, unreadable cookies).
        """
        begun = time.monotonic()
        if not is_youtube_id(want.video_id):
            raise FetchFailed(Reason.BAD_ID, f"{want.video_id[:40]!r} is not a YouTube id")
        if self._answers and (heard := self._answers.get(want.video_id)):
            raise FetchFailed(heard.reason, f"{heard.evidence} ({HEARD})", heard_at=heard.when)
        if self._network.known_down():
            raise FetchFailed(Reason.NO_NETWORK, "no network a moment ago; not tried")
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="youtube-", dir=scratch, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            try:
                found = self._fetch(want, folder, cancelled)
            except FetchFailed as error:
                if self._answers and not cancelled.is_set():
                    self._answers.put(want.video_id, error.reason, error.evidence)
                raise
            target = scratch / f"{folder.name}{found.path.suffix}"
            found.path.replace(target)
        return Fetched(target, "video", found.offset, target.stat().st_size, time.monotonic() - begun, found.evidence)

    def _fetch(self, want: ClipRequest, folder: Path, cancelled: Event) -> _Found:
        try:
            return self._attempt(want, folder, cancelled)
        except FetchFailed as error:
            # The address of the media may have expired or been made for another client: extract once more, but not
            # when other videos failed in the same way.
            if error.reason is not Reason.FORBIDDEN_MEDIA:
                raise
            if self._breaker and self._breaker.refused_others(want.video_id, error.reason):
                raise
            first = error
        try:
            return self._attempt(want, folder, cancelled)
        except FetchFailed as again:
            raise (first if again.reason is Reason.WAITING and not cancelled.is_set() else again) from None

    def _attempt(self, want: ClipRequest, folder: Path, cancelled: Event) -> _Found:
        """One extraction and download, under breaker and budget."""
        leave = self._breaker.enter(cancelled) if self._breaker else "go"
        if isinstance(leave, BreakerOpen):
            raise _waiting(leave)
        try:
            if leave == "canary" and self._canary:
                self._ask_canary(folder, cancelled)
            self._wait_for_budget(cancelled)
            found = self._download(want, folder, cancelled)
        except BaseException as error:  # a probe must report in every case, or all callers wait for it
            self._report(want.video_id, error)
            raise
        self._report(want.video_id, None)
        return found

    def _wait_for_budget(self, cancelled: Event) -> None:
        if self._budget and (spent := self._budget.wait(cancelled)):
            raise _waiting(spent)
        if cancelled.is_set():
            raise stopped()

    def _ask_canary(self, folder: Path, cancelled: Event) -> None:
        """Request the canary. It succeeds: go on, the videos are the cause. It fails: open the breaker and raise FetchFailed."""
        assert self._breaker and self._canary
        self._wait_for_budget(cancelled)
        try:
            self._taste(self._canary, folder, cancelled)
        except FetchFailed as error:
            if error.reason in NOT_ASKED:
                raise
            ours = error.reason in OURS or Trait.STOPS_CRAWL in error.reason.traits
            reason, why = error.reason if ours else Reason.EGRESS_REFUSED, f"the canary fails too: {error.evidence}"
            raise _waiting(self._breaker.open(reason, why, error.retry_after)) from error
        self._breaker.proved()

    def _taste(self, video_id: str, folder: Path, cancelled: Event) -> None:
        """Extract a video and read the first bytes of the formats that would be fetched. Raises FetchFailed."""
        from yt_dlp.networking import Request

        session = self._sessions.get()
        with session.using(folder, cancelled) as ydl:
            try:
                info = ydl.extract_info(self._url.format(id=video_id), download=False)
                for one in info.get("requested_formats") or [info]:
                    headers = {**(one.get("http_headers") or {}), "Range": "bytes=0-1023"}
                    with ydl.urlopen(Request(one["url"], headers=headers)) as answer:
                        answer.read(1024)
            except Exception as error:  # as in _download
                raise self._classified(error, session, cancelled) from error

    def _classified(self, error: Exception, session: Session, cancelled: Event) -> FetchFailed | ClipquarryError:
        if isinstance(error, FetchFailed | ClipquarryError):
            return error
        if cancelled.is_set() or isinstance(error, Stopped):
            return stopped()
        return classify(
            error,
            warnings=session.warnings,
            hint=session.hint,
            cookies=self._has_cookies,
            network=self._network,
            folder=session.folder,
        )

    def _report(self, video_id: str, error: BaseException | None) -> None:
        if self._breaker is None:
            return
        if error is not None and not (isinstance(error, FetchFailed) and error.reason not in NOT_ASKED):
            self._breaker.left()
        elif isinstance(error, FetchFailed) and error.reason not in _WAS_ANSWERED:
            self._breaker.answered(video_id, error.reason, error.evidence, error.retry_after)
        else:
            self._breaker.answered(video_id, None)

    def _download(self, want: ClipRequest, folder: Path, cancelled: Event) -> _Found:
        session = self._sessions.get()
        with session.using(folder, cancelled) as ydl:
            try:
                info = ydl.extract_info(self._url.format(id=want.video_id), download=False)
                _check(info, want)
                if self._in_sections(info):
                    try:
                        return self._section(info, want, folder, cancelled, session.reach)
                    except NoSection as error:
                        session.note(f"fetched whole: {error}")
                self._check_size(info)
                ydl.process_info(info)
                return _whole(info, folder)
            except Exception as error:  # an extractor may raise any exception; classify finds the reason
                raise self._classified(error, session, cancelled) from error

    def _before_retry(self, n: int, why: str) -> float:
        if self._network.explains(why):  # yt-dlp would retry for half a minute
            raise FetchFailed(Reason.NO_NETWORK, why)
        if self._breaker and any(self._breaker.refused_others("", reason) for reason in _OF_SERVERS):
            from yt_dlp.utils import DownloadError

            answer = classify(DownloadError(why), network=self._network)
            if isinstance(answer, FetchFailed) and answer.reason in _OF_SERVERS:  # do not retry for each video
                raise answer
        return self._pause(n)

    def _in_sections(self, info: dict[str, Any]) -> bool:
        if self._options.sections == "long":
            return float(info.get("duration") or 0) > self._options.long_video
        return self._options.sections == "always"

    def _section(
        self, info: dict[str, Any], want: ClipRequest, folder: Path, cancelled: Event, reach: Reach
    ) -> _Found:  # fmt: skip
        formats = info.get("requested_formats") or [info]
        if any(one.get("protocol") not in ("http", "https") or not one.get("url") for one in formats):
            raise NoSection(f"format {info.get('format_id')} is no plain file")
        inputs = [
            Input(one["url"], one.get("http_headers") or {}, one.get("vcodec") != "none", one.get("acodec") != "none")
            for one in formats
        ]
        start, end = max(0.0, want.start - self._options.padding), want.end + self._options.padding
        out = folder / "part.mp4"
        section = copy_section(
            inputs, start, end, out, cancelled, timeout=self._options.socket_timeout, network=self._network, reach=reach
        )
        if section.frames == 0 or section.end <= want.start:
            length = f"{info['duration']} s long" if info.get("duration") else "too short"
            raise FetchFailed(Reason.TOO_SHORT, f"the window begins at {want.start} s; the video is {length}")
        return _Found(out, section.offset, f"{_about(info)}, {section.offset:.3f}-{section.end:.3f} s of it")

    def _check_size(self, info: dict[str, Any]) -> None:
        """Raise FetchFailed for a video that must be fetched whole and exceeds the limits. Nothing has been fetched yet."""
        duration, limits = float(info.get("duration") or 0), self._options
        if limits.max_duration is not None and duration > limits.max_duration:
            length = timedelta(seconds=int(duration))
            raise FetchFailed(
                Reason.NOT_ASKED, f"the video is {length} long; at most {limits.max_duration:g} s are fetched"
            )
        formats = info.get("requested_formats") or [info]
        size = sum(int(one.get("filesize") or one.get("filesize_approx") or 0) for one in formats)
        if limits.max_bytes is not None and size > limits.max_bytes:
            raise FetchFailed(Reason.NOT_ASKED, f"the video has {size} bytes; at most {limits.max_bytes} are fetched")


def _params(options: YouTubeOptions, url: str) -> dict[str, Any]:
    return {
        "allowed_extractors": ["youtube"] if url == URL else ["default"],
        # Video and sound apart, else together; h264 in mp4 first, because it is cut and decoded fastest.
        "format": "bv*+ba/b/bv*",
        "format_sort": ["lang", f"res:{options.max_height}", "vcodec:h264", "acodec:aac", "ext:mp4:m4a"],
        "retries": options.retries, "fragment_retries": options.retries, "extractor_retries": options.retries,
        "socket_timeout": options.socket_timeout, "max_filesize": options.max_bytes,
    }  # fmt: skip


@dataclass(frozen=True)
class _Found:
    path: Path
    offset: float
    evidence: str


def _waiting(stop: BreakerOpen | BudgetExhausted | None) -> FetchFailed:
    if stop is None:
        return FetchFailed(Reason.WAITING, "the breaker is open")
    return FetchFailed(Reason.WAITING, stop.sentence(), retry_after=max(0.0, stop.resume_at.timestamp() - time.time()))


def stopped() -> FetchFailed:
    """The exception when the step is stopped during a fetch."""
    return FetchFailed(Reason.WAITING, "stopped before it was fetched")


def _check(info: Any, want: ClipRequest) -> None:
    if not isinstance(info, dict) or info.get("_type", "video") != "video":
        raise FetchFailed(Reason.TOOL_STALE, "yt-dlp gave no video for this address")
    live = info.get("live_status")
    if live in ("is_live", "is_upcoming", "post_live"):
        begins = float(info.get("release_timestamp") or 0) - time.time()
        raise FetchFailed(Reason.NOT_YET, f"live status: {live}", retry_after=begins if begins > 0 else 86400.0)
    duration = info.get("duration")
    if duration is not None and want.start >= float(duration) + 1:  # it is rounded to seconds
        raise FetchFailed(Reason.TOO_SHORT, f"the window begins at {want.start} s; the video is {duration} s long")


def _whole(info: dict[str, Any], folder: Path) -> _Found:
    path = Path(info.get("filepath") or folder / "absent")
    if not path.is_file() or not path.is_relative_to(folder):
        raise FetchFailed(Reason.NOT_ASKED, f"{_about(info)}: not fetched, it is larger than the limit")
    if path.stat().st_size == 0:
        raise FetchFailed(Reason.TRUNCATED, f"{_about(info)}: an empty file (0 bytes)")
    return _Found(path, 0.0, _about(info))


def _about(info: dict[str, Any]) -> str:
    """``yt-dlp 2026.10.26: 136+140 1280x720 mp4 from rr1.googlevideo.com``."""
    from yt_dlp.version import __version__ as version

    formats = info.get("requested_formats") or [info]
    host = urlsplit(str(formats[0].get("url") or "")).hostname or "?"
    return f"yt-dlp {version}: {info.get('format_id')} {info.get('resolution') or '?'} {info.get('ext')} from {host}"
