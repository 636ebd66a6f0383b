"""Classification of yt-dlp's exceptions: each becomes one reason of :class:`clipquarry.reasons.Reason`.

Types and numbers (HTTP status, geo restriction, errno) decide first, and texts only after that
(:mod:`clipquarry.acquire.wordings`).
"""

from __future__ import annotations

import errno
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from clipquarry.acquire.answer import FetchFailed, one_line
from clipquarry.acquire.network import NETWORK, Network, causes
from clipquarry.acquire.wordings import ACCOUNT, ANSI, BROKEN, PLAIN, SAID, TOOL_SPOKE, TRIED, Rule, normalise
from clipquarry.errors import ClipquarryError, MachineError, RetryLater
from clipquarry.reasons import UNKNOWN_SENTENCE, Reason, Trait

HOUR, DAY = 3600.0, 86400.0

RETRY_AFTER = {Reason.RATE_LIMIT: HOUR, Reason.BOT_CHECK: 6 * HOUR, Reason.NOT_YET: DAY}
"""Seconds to wait when the server named no time."""


_HOLLOW = re.compile(r"failed to extract any player response|requested format is not available|no video formats found")
"""Errors that say only that no format is left; the warnings before them say why."""

_NO_FFMPEG = re.compile(r"ffmpeg (is )?not (installed|found)|ffmpeg could not be found|ffprobe and ffmpeg not found")
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded|errno 28\b|errno 122\b")
_ADVICE = re.compile(
    r"\s*(;? ?please report this issue on|Use --(cookies|username)|It is recommended to use `-t sleep`|"
    r"You might want to use a VPN|Confirm you are on the latest version).*",
    re.DOTALL,
)
_IN = re.compile(r"\bin (\d+) (minute|hour|day|week|month)")
_UNIT = {"minute": 60.0, "hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}


def classify(
    error: BaseException,
    *,
    warnings: Sequence[str] = (),
    hint: str = "",
    cookies: bool = False,
    network: Network = NETWORK,
    folder: Path | None = None,
) -> FetchFailed | ClipquarryError:
    """The exception to raise instead of ``error``: :class:`FetchFailed`, or an error of the machine (disk full, no ffmpeg).

    ``error`` is the exception that ``YoutubeDL`` raised: a ``DownloadError`` or any other. ``warnings`` are the lines that
    yt-dlp logged before. They decide only when the error itself gives no reason; the last one is part of the evidence of
    ``tool_stale``. ``hint``: a warning that yt-dlp logs once for all videos (no JavaScript runtime), used when this video
    has no warning of its own. ``cookies``: an account is in use. ``folder``: where yt-dlp writes; a denied file counts as
    an error of the machine only when this folder cannot be written. When no table holds the text of an ``unavailable``,
    its evidence begins with :data:`clipquarry.reasons.UNKNOWN_SENTENCE`.
    """
    if isinstance(error, FetchFailed | ClipquarryError):
        return error
    chain = list(causes(error))
    if fit := _machine(error, chain, folder):
        return fit
    evidence = _evidence(error, chain)
    texts = [normalise(_text(one)) for one in chain]
    # A 403 whose page holds YouTube's own message means what the message says, so messages come before the status.
    found = _geo(chain) or _spoken(texts, cookies) or _typed(chain) or _first((*TRIED, *BROKEN), texts)
    if (found is None or any(map(_HOLLOW.search, texts))) and (hidden := _from_warnings(warnings)):
        found, line = hidden
        evidence = f"{evidence} ({line})"
    if found is None:
        found = _unknown(chain)
    if found is Reason.UNAVAILABLE and not any(map(_is_plain, texts)):
        evidence = f"{UNKNOWN_SENTENCE}: {evidence}"
    if found is Reason.TOOL_STALE and (last := last_warning(warnings, hint)) and last not in evidence:
        evidence = f"{evidence} (yt-dlp warned: {last})"
    if found is Reason.TRANSPORT and (network.explains(error) or any(network.explains(line) for line in warnings)):
        found = Reason.NO_NETWORK
    return FetchFailed(found, evidence, retry_after=_retry_after(found, chain, texts))


def _machine(error: BaseException, chain: Sequence[BaseException], folder: Path | None) -> ClipquarryError | None:
    # A message of YouTube or a server says nothing about this machine. Nor do the error numbers of FFmpeg's libraries:
    # those are about the file that is read.
    from yt_dlp.networking.exceptions import HTTPError
    from yt_dlp.utils import ExtractorError

    theirs = any(isinstance(e, HTTPError) or (isinstance(e, ExtractorError) and e.expected) for e in chain)
    text = "" if theirs else normalise(" ".join(map(_text, chain)))
    if any(isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT) for e in chain) or _NO_SPACE.search(text):
        return RetryLater(
            "The disk is full: a download could not be written; free some space, then run this again "
            f"({one_line(str(error))[:200]})."
        )
    if any(isinstance(e, OSError) and e.errno in (errno.EMFILE, errno.ENFILE) and not _is_libav(e) for e in chain):
        return RetryLater("Too many files are open on this machine; run this again with fewer jobs.")
    if _NO_FFMPEG.search(text):
        return MachineError("ffmpeg was not found, so video and sound cannot be put together: install ffmpeg.")
    denied = any(isinstance(e, PermissionError | IsADirectoryError | FileNotFoundError) for e in chain)
    if denied and folder is not None and (why := _not_writable(folder)):
        return MachineError(f"A download could not be written ({why}): {one_line(str(error))[:300]}.")
    return None


def _not_writable(folder: Path) -> str:
    """Why ``folder`` cannot be written; empty when it can. It is tested, because firewalls and servers cause the same errors."""
    try:
        with tempfile.TemporaryFile(dir=folder) as handle:
            handle.write(b"x")
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return ""


def _spoken(texts: Sequence[str], cookies: bool) -> Reason | None:
    """The reason that YouTube's own message gives."""
    if cookies and any(ACCOUNT.search(text) for text in texts):
        return Reason.EGRESS_REFUSED
    return _first(SAID, texts)


def _is_plain(text: str) -> bool:
    left, found = PLAIN.subn("", normalise(_ADVICE.sub("", text)))
    return found > 0 and not re.search(r"\w", left)


def last_warning(warnings: Sequence[str], hint: str = "") -> str:
    """yt-dlp's last warning about something that it lacks, for this video or (``hint``) for all; else its last warning.

    At most 200 characters.
    """
    lines = [
        re.sub(r"^(WARNING: )?\[[\w:+-]+\] ([\w-]{11}: )?", "", text)
        for line in warnings
        if not (text := ANSI.sub("", line)).startswith("ERROR:")  # the error itself
    ]
    last = lines[-1] if lines else ""
    told = next((line for line in reversed(lines) if speaks_of_tools(line)), hint or last)
    return one_line(_ADVICE.sub("", told))[:200]


def speaks_of_tools(warning: str) -> bool:
    """True for warnings in which yt-dlp names something that it lacks: a runtime, a solved challenge, a token."""
    return TOOL_SPOKE.search(normalise(warning)) is not None


def _geo(chain: Sequence[BaseException]) -> Reason | None:
    from yt_dlp.utils import GeoRestrictedError

    return Reason.GEO if any(isinstance(one, GeoRestrictedError) for one in chain) else None


def _typed(chain: Sequence[BaseException]) -> Reason | None:
    """The reason by type and HTTP status, which mean the same wherever they occur."""
    from yt_dlp.networking.exceptions import HTTPError, TransportError
    from yt_dlp.utils import ContentTooShortError

    for one in chain:
        if isinstance(one, HTTPError):
            return _by_status(one.status, str(getattr(one.response, "url", "") or ""))
        if (status := _libav_status(one)) is not None:
            return _by_status(status, "")
        if isinstance(one, ContentTooShortError | TransportError | ConnectionError | TimeoutError):
            return Reason.TRANSPORT
        if _is_libav(one) and (isinstance(one, EOFError) or type(one).__name__ in ("ExitError", "OSError")):
            return Reason.TRANSPORT  # a body that ended early, or its time-out
    return None


def _by_status(status: int, url: str) -> Reason | None:
    if "/sorry/" in url:  # Google's captcha page
        return Reason.BOT_CHECK
    if status == 429:
        return Reason.HTTP_429
    if status in (407, 511):  # our own proxy, or the login page of a guest network
        return Reason.EGRESS_REFUSED
    if 500 <= status < 600:
        return Reason.HTTP_5XX
    if status in (408, 425):
        return Reason.TRANSPORT
    if status == 451:
        return Reason.GEO
    if status in (401, 403, 404, 410, 416):  # a media address that expired or was made for another client
        return Reason.FORBIDDEN_MEDIA
    return Reason.TOOL_STALE if 400 <= status < 500 else None


def _libav_status(error: BaseException) -> int | None:
    """The status of an HTTP error of PyAV, by its class name (``HTTPForbiddenError``)."""
    statuses = {
        "HTTPBadRequestError": 400, "HTTPUnauthorizedError": 401, "HTTPForbiddenError": 403, "HTTPNotFoundError": 404,
        "HTTPTooManyRequestsError": 429, "HTTPOtherClientError": 410, "HTTPServerError": 500,
    }  # fmt: skip
    return statuses.get(type(error).__name__) if _is_libav(error) else None


def _is_libav(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "av"


def _first(rules: Sequence[Rule], texts: Sequence[str]) -> Reason | None:
    return next((rule.reason for rule in rules for text in texts if rule.pattern.search(text)), None)


def _from_warnings(warnings: Sequence[str]) -> tuple[Reason, str] | None:
    """The last warning that says more than the error did. Only refusals and network failures count here."""
    stops = tuple(rule for rule in SAID if rule.reason in (Reason.RATE_LIMIT, Reason.BOT_CHECK, Reason.EGRESS_REFUSED))
    for line in reversed(warnings):
        if reason := _first((*stops, *TRIED), [normalise(line)]):
            return reason, _ADVICE.sub("", line)
    return None


def _unknown(chain: Sequence[BaseException]) -> Reason:
    """A message of YouTube that no table holds: unavailable, unconfirmed. Any other error is a defect of the tools."""
    from yt_dlp.utils import ExtractorError

    said = any(isinstance(one, ExtractorError) and one.expected for one in chain)
    return Reason.UNAVAILABLE if said else Reason.TOOL_STALE


def _text(error: BaseException) -> str:
    return str(getattr(error, "orig_msg", None) or error or type(error).__name__)


def _evidence(error: BaseException, chain: Sequence[BaseException]) -> str:
    """yt-dlp's innermost message without its advice. Defects are named by type."""
    from yt_dlp.utils import DownloadError, ExtractorError

    said = next((one for one in chain if isinstance(one, ExtractorError)), None)
    root = next((one for one in chain if not isinstance(one, DownloadError)), error)
    text = _ADVICE.sub("", ANSI.sub("", _text(said or root)))
    if not isinstance(root, ExtractorError) and (said or root) is root:
        text = f"{type(root).__name__}: {text}" if text else type(root).__name__
    outer = _ADVICE.sub("", ANSI.sub("", str(error)))
    if said is None and root is not error and _text(root) not in outer:
        text = f"{text} ({outer})"
    if countries := getattr(said, "countries", None):
        text += f" (available in {', '.join(map(str, countries))})"
    return one_line(re.sub(r"^(\r|\s)*(ERROR:\s*)?(\[download\]\s*)?", "", text))


def _retry_after(reason: Reason, chain: Sequence[BaseException], texts: Sequence[str]) -> float | None:
    if Trait.OF_SERVER in reason.traits:
        for one in chain:
            headers: Any = getattr(getattr(one, "response", None), "headers", None)
            if headers is not None and (said := parse_retry_after(headers.get("Retry-After"))) is not None:
                return max(said, RETRY_AFTER.get(reason, 0.0))
    if reason is Reason.NOT_YET:
        for text in texts:
            if match := _IN.search(text):
                return int(match[1]) * _UNIT[match[2]]
            if re.search(r"few moments|shortly", text):
                return HOUR
    return RETRY_AFTER.get(reason)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a ``Retry-After`` header (a number or an HTTP date); None when absent or unreadable. At most a day."""
    if not value:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else _until(value, now or datetime.now(UTC))
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, seconds), DAY)


def _until(date: str, now: datetime) -> float:
    when = parsedate_to_datetime(date)
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()
