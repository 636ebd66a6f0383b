"""yt-dlp as a library: how it is set up, one instance per thread, and how it goes out.

All its questions go through requests, guarded as our own are (:mod:`clipquarry.acquire.connection`): redirects lead no
nearer, and when a public address has named the media, these are fetched from no address of the lab's network. (While
it extracts, plug-ins may ask helpers on this machine.) The same holds for playlists and their fragments. Of a file that it reads in
parts, every part must be of the same version. What it would hand over to another program (ffmpeg for live or encrypted playlists), or
fetch over a connection of its own, is refused: nobody could look where that goes.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from clipquarry.acquire.answer import NotHad
from clipquarry.acquire.classify import last_warning, speaks_of_tools
from clipquarry.acquire.connection import Guard, Patience, Reach, Redirects
from clipquarry.acquire.preflight import find_ffmpeg, js_runtimes
from clipquarry.acquire.resume import Version
from clipquarry.errors import MachineError
from clipquarry.reasons import Reason

Pause = Callable[[int, str], float]

_USES = 200
"""Videos after which a thread's YoutubeDL is made anew, so that what it remembers stays small."""


_FILES = 50
"""Files whose version is remembered while they are read in parts."""


class Sessions:
    """A ``YoutubeDL`` per thread, used for many videos.

    It is not made for several threads, and making one costs a large part of a small download. ``params`` are those of
    ``YoutubeDL`` that differ from :func:`common_params`; ``pause(n, why)`` gives the seconds before retry ``n``
    (from 0), or raises when trying again is of no use. A changed cookie file is read again.
    """

    def __init__(self, params: dict[str, Any], *, cookies: Path | None, ffmpeg: Path | None, pause: Pause) -> None:
        self._cookies, self._pause = cookies, pause
        self._params = {**common_params(ffmpeg or find_ffmpeg()), **params}
        self._local = threading.local()

    def get(self) -> Session:
        """This thread's. Raises MachineError when the cookies cannot be read."""
        stamp = _stamp(self._cookies)
        session: Session | None = getattr(self._local, "session", None)
        if session is None or session.uses >= _USES or session.stamp != stamp:
            if session is not None:
                session.ydl.close()
            params = {**self._params, "cookiefile": _cookie_jar(self._cookies)}
            session = self._local.session = Session(params, stamp, self._pause)
        session.uses += 1
        return session


def common_params(ffmpeg: Path | None) -> dict[str, Any]:
    """What is the same for every use: silent, honest about where we are, and writing nowhere but where it is told."""
    return {
        "quiet": True, "noprogress": True, "color": "never", "noplaylist": True,
        "geo_bypass": False,  # a made-up X-Forwarded-For is a lie that can get the address blocked
        "cachedir": False, "updatetime": False, "overwrites": True, "skip_unavailable_fragments": False,
        "external_downloader": "native",
        "ffmpeg_location": str(ffmpeg) if ffmpeg else None,
        "js_runtimes": {name: dict(config) for name, config in js_runtimes().items()},
    }  # fmt: skip


class _Log:
    """yt-dlp's logger: keeps the last warnings for the classifier and stops the work when it is cancelled."""

    def __init__(self) -> None:
        self.warnings: deque[str] = deque(maxlen=30)
        self.cancelled = Event()
        self.last = ""
        self.hint = ""
        """The last word of yt-dlp about what it lacks; it says some of them once, for all videos."""

    def debug(self, message: str) -> None:
        self.last = message
        self.stop_if_cancelled()

    info = debug

    def warning(self, message: str) -> None:
        self.last = message
        self.warnings.append(message)
        self.keep_hint(message)

    error = warning

    def keep_hint(self, message: str, only_once: bool = False) -> None:
        """Also yt-dlp's ``write_debug``: what is usual it says there only."""
        if speaks_of_tools(message):
            self.hint = last_warning([message]) or self.hint

    def stop_if_cancelled(self, *_: Any) -> None:
        if self.cancelled.is_set():
            from yt_dlp.utils import DownloadCancelled

            raise DownloadCancelled("cancelled")


class Session:
    """One thread's YoutubeDL."""

    def __init__(self, params: dict[str, Any], stamp: tuple[int, int] | None, pause: Pause) -> None:
        from yt_dlp.cookies import CookieLoadError
        from yt_dlp.utils import DownloadError

        self._log, self.stamp, self.uses = _Log(), stamp, 0
        self.folder: Path | None = None
        """Where it writes."""

        def sleep(n: int) -> float:
            self._log.cancelled.wait(pause(n, self._log.last))
            self._log.stop_if_cancelled()
            return 0.0  # slept already

        hooks = {
            "logger": self._log, "progress_hooks": [self._log.stop_if_cancelled],
            "retry_sleep_functions": dict.fromkeys(("http", "fragment", "extractor"), sleep),
        }  # fmt: skip
        self._reach = Reach()
        self.ydl = _guarded_ydl(self._reach, Patience(silence=params.get("socket_timeout") or 20.0))(
            {**params, **hooks}
        )
        self.ydl.write_debug = self._log.keep_hint
        try:
            _ = self.ydl.cookiejar  # read now, so that a broken file is not blamed on a video
        except (CookieLoadError, DownloadError) as error:
            raise MachineError(
                "The cookie file is not in the Netscape format: export it again as cookies.txt."
            ) from error

    @property
    def reach(self) -> Reach:
        """For the addresses of media: they come from whoever answered when the video was extracted."""
        return self._reach.keep()

    @property
    def warnings(self) -> list[str]:
        """What was logged since :meth:`using`, the last 30."""
        return list(self._log.warnings)

    @property
    def hint(self) -> str:
        """What yt-dlp said last of all videos that it lacks; empty when it lacks nothing."""
        return self._log.hint

    def note(self, text: str) -> None:
        self._log.warning(text)

    @contextmanager
    def using(self, folder: Path, cancelled: Event) -> Iterator[Any]:
        """The YoutubeDL, writing ``video.*`` into ``folder``; raises DownloadCancelled once ``cancelled`` is set."""
        self._log.warnings.clear()
        self._log.cancelled = cancelled
        self.folder = folder
        self._reach.free()
        self.ydl.params["outtmpl"] = {**self.ydl.params["outtmpl"], "default": "video.%(ext)s"}
        self.ydl.params["paths"] = {"home": str(folder)}
        yield self.ydl


def _guarded_ydl(reach: Reach, patience: Patience) -> Any:
    """A class of YoutubeDL whose only way out is a guarded session of requests."""
    from yt_dlp import YoutubeDL
    from yt_dlp.networking import _requests
    from yt_dlp.networking.exceptions import TransportError

    class Session(Redirects, _requests.RequestsSession):  # type: ignore[misc]
        pass

    class GuardedRH(_requests.RequestsRH):  # type: ignore[misc]
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            self._seen: OrderedDict[str, Version] = OrderedDict()

        def _create_instance(self, *args: Any, **more: Any) -> Any:
            made = super()._create_instance(*args, **more)
            made.__class__ = Session
            made.guard = Guard(patience, reach)
            made.guard.protect(made)
            return made

        def _send(self, request: Any) -> Any:
            response = super()._send(request)
            asked = request.headers.get("Range") or ""
            if request.data is None:
                found = Version.of(response.status, response.headers)
                known = self._seen.get(request.url)
                if known is None or response.status != 206 or asked.startswith("bytes=0-"):
                    self._seen[request.url] = found
                    if len(self._seen) > _FILES:
                        self._seen.popitem(last=False)
                elif why := known.other(found, strict=False):
                    response.close()
                    # The classifier knows the first words: yt-dlp keeps only the text.
                    raise TransportError(f"connection broken off: the file has changed between two parts of it: {why}")
            return response

    _refuse_other_ways()

    class GuardedYDL(YoutubeDL):  # type: ignore[misc]
        guarded = True

        def process_info(self, info_dict: Any) -> Any:
            reach.keep()
            return super().process_info(info_dict)

        def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
            return super().build_request_director([GuardedRH], preferences)

    return GuardedYDL


def _refuse_other_ways() -> None:
    """Downloaders of yt-dlp that do not go out through ``YoutubeDL.urlopen`` end in NotHad for guarded instances. Some are chosen only
    after a playlist was read, deep inside, so that they are stopped where they begin.
    """
    from yt_dlp.downloader import external, fc2, niconico, rtmp, websocket

    for kind in (
        external.ExternalFD, rtmp.RtmpFD, websocket.WebSocketFragmentFD, niconico.NiconicoLiveFD, fc2.FC2LiveFD,
    ):  # fmt: skip
        if "_clipquarry" not in vars(kind):
            kind.real_download = _refusing(kind.real_download)
            kind._clipquarry = True


def _refusing(real_download: Any) -> Any:
    def real_or_none(self: Any, filename: str, info: Any) -> Any:
        if getattr(self.ydl, "guarded", False):
            name = type(self).__name__.removesuffix("FD")
            raise NotHad(
                Reason.TOOL_FAILED,
                f"this format ({info.get('protocol')}) is fetched by {name} only, which goes out by itself: refused",
            )
        return real_download(self, filename, info)

    return real_or_none


def _stamp(cookies: Path | None) -> tuple[int, int] | None:
    if cookies is None:
        return None
    try:
        facts = cookies.stat()
    except OSError as error:
        raise MachineError(f"The cookie file {cookies} cannot be read ({error.strerror}).") from error
    return facts.st_mtime_ns, facts.st_size


def _cookie_jar(cookies: Path | None) -> io.StringIO | None:
    """The cookies as a file in memory: yt-dlp writes what it learns back to the file that it was given."""
    if cookies is None:
        return None
    try:
        return io.StringIO(cookies.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(f"The cookie file {cookies} cannot be read ({error}).") from error
