"""yt-dlp as a library: its parameters, one instance per thread, and its guarded network access.

All its requests go through guarded sessions of requests, as our own do (:mod:`clipquarry.acquire.connection`). Redirects
lead to no nearer address. When a public address has named the media, they are fetched from no address of the lab's
network. The same holds for playlists and their fragments. (During extraction, plug-ins may call helpers on this machine.)
All ranges of one file must be of the same version. A download that yt-dlp would pass to another program (ffmpeg for live
or encrypted playlists), or make over a connection of its own, is refused, because its addresses cannot be checked.
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

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.classify import last_warning, speaks_of_tools
from clipquarry.acquire.connection import Guard, Patience, Reach, Redirects
from clipquarry.acquire.preflight import find_ffmpeg, js_runtimes
from clipquarry.acquire.resume import Version
from clipquarry.errors import MachineError
from clipquarry.reasons import Reason

Pause = Callable[[int, str], float]

_USES = 200
"""Videos after which a thread's YoutubeDL is made anew, so that its memory stays small."""


_FILES = 50
"""Files whose version is kept while they are read in ranges."""


class Sessions:
    """One ``YoutubeDL`` per thread, used for many videos.

    ``YoutubeDL`` is not safe for threads, and making one takes a large share of the time of a small download. ``params``
    are the parameters of ``YoutubeDL`` besides :func:`common_params`. ``pause(n, why)`` returns the seconds before retry
    ``n`` (from 0), or raises when a retry is of no use. A changed cookie file is read again.
    """

    def __init__(self, params: dict[str, Any], *, cookies: Path | None, ffmpeg: Path | None, pause: Pause) -> None:
        self._cookies, self._pause = cookies, pause
        self._params = {**common_params(ffmpeg or find_ffmpeg()), **params}
        self._local = threading.local()

    def get(self) -> Session:
        """This thread's session. Raises MachineError when the cookies cannot be read."""
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
    """Parameters for every use: no output, no false location, and no files outside the given folder."""
    return {
        "quiet": True, "noprogress": True, "color": "never", "noplaylist": True,
        "geo_bypass": False,  # a false X-Forwarded-For can get our address blocked
        "cachedir": False, "updatetime": False, "overwrites": True, "skip_unavailable_fragments": False,
        "external_downloader": "native",
        "ffmpeg_location": str(ffmpeg) if ffmpeg else None,
        "js_runtimes": {name: dict(config) for name, config in js_runtimes().items()},
    }  # fmt: skip


class _Log:
    """yt-dlp's logger: keeps the last warnings for the classifier, and stops yt-dlp when the work is cancelled."""

    def __init__(self) -> None:
        self.warnings: deque[str] = deque(maxlen=30)
        self.cancelled = Event()
        self.last = ""
        self.hint = ""
        """yt-dlp's last message about something that it lacks. It logs some of them only once, for all videos."""

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
        """Keep a message about a missing tool. Also yt-dlp's ``write_debug``, where it logs common messages only."""
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
        """The folder that yt-dlp writes to."""

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
            _ = self.ydl.cookiejar  # read now, so that no video gets the blame for a broken file
        except (CookieLoadError, DownloadError) as error:
            raise MachineError(
                "The cookie file is not in the Netscape format: export it again as cookies.txt."
            ) from error

    @property
    def reach(self) -> Reach:
        """The limit for addresses of media: they come from the hosts that answered during extraction."""
        return self._reach.keep()

    @property
    def warnings(self) -> list[str]:
        """The last 30 warnings since :meth:`using`."""
        return list(self._log.warnings)

    @property
    def hint(self) -> str:
        """yt-dlp's last message about something that it lacks, for all videos; empty when it lacks nothing."""
        return self._log.hint

    def note(self, text: str) -> None:
        self._log.warning(text)

    @contextmanager
    def using(self, folder: Path, cancelled: Event) -> Iterator[Any]:
        """The YoutubeDL, set to write ``video.*`` to ``folder``; raises DownloadCancelled once ``cancelled`` is set."""
        self._log.warnings.clear()
        self._log.cancelled = cancelled
        self.folder = folder
        self._reach.free()
        self.ydl.params["outtmpl"] = {**self.ydl.params["outtmpl"], "default": "video.%(ext)s"}
        self.ydl.params["paths"] = {"home": str(folder)}
        yield self.ydl


def _guarded_ydl(reach: Reach, patience: Patience) -> Any:
    """A subclass of YoutubeDL that uses the network only through guarded sessions of requests."""
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
                    # The classifier matches the first words, because yt-dlp keeps only the text.
                    raise TransportError(f"connection broken off: the file has changed between two ranges of it: {why}")
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
    """Make yt-dlp's downloaders that do not use ``YoutubeDL.urlopen`` raise FetchFailed for guarded instances.

    yt-dlp chooses some of them only after it has read a playlist, so each is stopped in its own method.
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
            raise FetchFailed(
                Reason.TOOL_FAILED,
                f"this format ({info.get('protocol')}) is fetched by {name} only, which makes its own connections: refused",
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
    """The cookies as a file in memory, because yt-dlp writes changed cookies back to the file that it was given."""
    if cookies is None:
        return None
    try:
        return io.StringIO(cookies.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(f"The cookie file {cookies} cannot be read ({error}).") from error
