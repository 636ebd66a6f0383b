"""One file over http: streamed, resumed, bounded, and every failure a reason.

A download that was cut off is resumed by byte range (``If-Range`` with the entity tag or the date, so that a file
that changed meanwhile is never glued together from two). What the server sends is taken as it is: no content
encodings.
"""

from __future__ import annotations

import hashlib
import ipaddress
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from clipyard import __version__
from clipyard.acquire import resume
from clipyard.acquire.answer import NotHad
from clipyard.acquire.classify import parse_retry_after
from clipyard.acquire.hosts import NO_NETWORK_REST, Hosts
from clipyard.acquire.network import NETWORK, Network
from clipyard.files import disk_errors
from clipyard.reasons import Reason

_PIECE = 1 << 18
_SLOWEST = 256
"""Bytes a second; slower counts as no answer."""
_PAGE_TYPES = ("text/html", "application/json", "application/xml", "text/xml", "application/xhtml+xml")
_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")
_STATUS_REASON = {403: Reason.FORBIDDEN_MEDIA, 401: Reason.FORBIDDEN_MEDIA, 404: Reason.NOT_FOUND, 410: Reason.GONE}
_NO_PROXY = {"http": "", "https": "", "all": ""}
_AGAIN = frozenset({Reason.HTTP_429, Reason.HTTP_5XX, Reason.TRANSPORT, Reason.TRUNCATED})


@dataclass(frozen=True)
class Limits:
    """What one download may cost. Seconds and bytes."""

    attempts: int = 3
    connect: float = 10.0
    read: float = 60.0
    """Longest silence, and the window over which the lowest speed is measured."""
    max_bytes: int = 8 << 30
    max_wait: float = 30.0
    """The longest ``Retry-After`` that is waited for; a longer one ends the download."""
    backoff: float = 0.5
    redirects: int = 5


@dataclass(frozen=True)
class Downloaded:
    """A file that arrived whole, as far as its length can tell."""

    path: Path
    bytes: int
    seconds: float
    content_type: str
    etag: str


class Cancelled(NotHad):
    """The step is stopping; says nothing about the item."""

    def __init__(self) -> None:
        super().__init__(Reason.TRANSPORT, "the step was stopped during the download")


class _BadRange(NotHad):
    """What lies in scratch cannot be resumed from this server: begin anew."""


def page_like(head: bytes, content_type: str = "") -> str | None:
    """Evidence when the first bytes are a web page, JSON or an XML error instead of media, else None."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64]
    kind = content_type.partition(";")[0].strip().lower()
    texty = bool(start) and all(byte >= 9 for byte in start)
    page = start.lower().startswith(_PAGE_STARTS) or (texty and (kind in _PAGE_TYPES or start[:1] in (b"{", b"[")))
    if not page:
        return None
    return f"{kind or 'no content type'}, begins {start.decode('utf-8', 'replace')!r}"


class Downloader:
    """Downloads for many threads; one connection pool per thread."""

    def __init__(self, limits: Limits | None = None, *, hosts: Hosts | None = None, network: Network = NETWORK) -> None:
        self.limits = limits or Limits()
        self.hosts = hosts or Hosts()
        self._network = network
        self._local = threading.local()

    @property
    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.max_redirects = self.limits.redirects
            session.headers.update({"User-Agent": f"clipyard/{__version__}", "Accept-Encoding": "identity"})
            self._local.session = session
        return session

    def download(self, url: str, scratch: Path, suffix: str, cancelled: Event, *, pages: bool = False) -> Downloaded:
        """Fetch ``url`` into a new file of ``scratch``. Raises :class:`NotHad`.

        ``pages``: accept web pages and JSON. An unfinished file of some size stays in ``scratch`` and is resumed by
        the next call for the same url; one url must not be downloaded into one ``scratch`` by two at once.
        """
        part = scratch / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.part{suffix}"
        begun = time.monotonic()
        host = urlsplit(url).netloc.rpartition("@")[2]
        attempt, before = 1, part.stat().st_size if part.exists() else 0
        scratch.mkdir(parents=True, exist_ok=True)
        while True:
            self.hosts.check(host)
            try:
                done = self._attempt(url, part, cancelled, pages=pages)
            except NotHad as error:
                if isinstance(error, _BadRange):
                    resume.forget(part)
                have = part.stat().st_size if part.exists() else 0
                attempt = 1 if have >= before + resume.KEEP else attempt + 1
                before = have
                self._learn(host, error)
                wait = self.wait(attempt, error)
                if wait is None or cancelled.wait(wait):
                    if have < resume.KEEP:
                        resume.forget(part)
                    raise
                continue
            self.hosts.answered(host)
            path = part.with_name(part.name.replace(".part", ".done"))
            part.replace(path)
            resume.forget(part)
            return Downloaded(path, done[0], time.monotonic() - begun, done[1], done[2])

    def _learn(self, host: str, error: NotHad) -> None:
        if isinstance(error, Cancelled):
            return
        if error.reason is Reason.NO_NETWORK:
            self.hosts.failed(host, error.reason, error.evidence, NO_NETWORK_REST)
        elif error.reason is Reason.HTTP_429 and (error.retry_after or 0) > self.limits.max_wait:
            self.hosts.failed(host, error.reason, error.evidence, error.retry_after or 0)
        else:
            self.hosts.answered(host)

    def wait(self, attempt: int, error: NotHad) -> float | None:
        """Seconds until attempt number ``attempt`` (the first is 1), None when there is none."""
        if error.reason not in _AGAIN or isinstance(error, Cancelled) or attempt > self.limits.attempts:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.limits.max_wait else None
        pause: float = self.limits.backoff * 2.0 ** (attempt - 2)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 — jitter

    def _attempt(self, url: str, part: Path, cancelled: Event, *, pages: bool) -> tuple[int, str, str]:
        have, validator = resume.known(part)
        with self.get(url, have, validator) as response:
            resumed = response.status_code == 206
            if not resumed:
                have = 0
            total = _total(response, have)
            if total is not None and total > self.limits.max_bytes:
                raise NotHad(Reason.NOT_A_VIDEO, f"{total} bytes are more than the limit of {self.limits.max_bytes}")
            kind, etag = response.headers.get("Content-Type", ""), response.headers.get("ETag", "")
            with disk_errors(part), open(part, "ab" if resumed else "wb") as handle:
                resume.remember(part, response, total)
                for piece in self.pieces(response, cancelled):
                    if have == 0 and not pages and (page := page_like(piece, kind)):
                        raise NotHad(Reason.NOT_A_VIDEO, f"a page instead of a video: {page}")
                    handle.write(piece)
                    have += len(piece)
                    if have > self.limits.max_bytes:
                        raise NotHad(Reason.NOT_A_VIDEO, f"more bytes than the limit of {self.limits.max_bytes}")
            if total is not None and have != total:
                raise NotHad(Reason.TRUNCATED, f"the connection was closed after {have} of {total} bytes")
            if have == 0:
                raise NotHad(Reason.NOT_A_VIDEO, "an empty answer (0 bytes)")
            return have, kind, etag

    @contextmanager
    def get(self, url: str, start: int = 0, validator: str = "") -> Iterator[requests.Response]:
        """A streamed answer of status 200, or 206 from byte ``start``; everything else is :class:`NotHad`."""
        headers = {"Range": f"bytes={start}-", "If-Range": validator} if start and validator else {}
        timeouts = (self.limits.connect, self.limits.read)
        near = _is_loopback(url)
        with _reasons(self.limits, None if near else self._network):
            proxies = _NO_PROXY if near else None
            response = self._session.get(url, headers=headers, stream=True, timeout=timeouts, proxies=proxies)
            response.raw.enforce_content_length = False  # counted here, where the evidence is written
            with response:
                status = response.status_code
                if status == 200 or (status == 206 and _range_start(response) == start):
                    yield response
                    return
        raise self._refusal(response)

    def _refusal(self, response: requests.Response) -> NotHad:
        status = response.status_code
        evidence = f"HTTP {status} {response.reason or ''}".strip()
        wait = parse_retry_after(response.headers.get("Retry-After"))
        if wait is not None:
            evidence += f", Retry-After {wait:.0f} s"
        if status == 429:
            return NotHad(Reason.HTTP_429, evidence, retry_after=wait)
        if status >= 500:
            return NotHad(Reason.HTTP_5XX, evidence, retry_after=wait)
        if status in (206, 416):
            return _BadRange(Reason.TRANSPORT, f"{evidence}: the range was not served", retry_after=wait)
        if status in (408, 425):
            return NotHad(Reason.TRANSPORT, evidence, retry_after=wait)
        return NotHad(_STATUS_REASON.get(status, Reason.NOT_FOUND), evidence)

    def pieces(self, response: requests.Response, cancelled: Event) -> Iterator[bytes]:
        """The body as it arrives. Silence and a crawl below 256 bytes a second are time-outs."""
        window, since = time.monotonic(), 0
        while piece := response.raw.read1(_PIECE, decode_content=False):
            if cancelled.is_set():
                raise Cancelled
            yield piece
            since += len(piece)
            now = time.monotonic()
            if now - window > self.limits.read:
                if since < _SLOWEST * self.limits.read:
                    raise NotHad(Reason.TRANSPORT, f"timed out: only {since} bytes in {now - window:.0f} s")
                window, since = now, 0


@contextmanager
def _reasons(limits: Limits, network: Network | None) -> Iterator[None]:
    """Exceptions of requests and urllib3 as reasons. Without ``network`` (this machine is asked) it is never to
    blame.
    """
    try:
        yield
    except (
        requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL
    ) as error:  # fmt: skip
        raise NotHad(Reason.NOT_FOUND, f"an address that cannot be used: {error}") from error
    except requests.exceptions.TooManyRedirects as error:
        raise NotHad(Reason.NOT_FOUND, f"more than {limits.redirects} redirects") from error
    except requests.exceptions.ConnectTimeout as error:
        raise _unreached(error, network, f"timed out after {limits.connect:g} s (no connection)") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
        raise NotHad(Reason.TRANSPORT, f"timed out after {limits.read:g} s (no answer)") from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise _unreached(error, network, _root(error)) from error


def _unreached(error: Exception, network: Network | None, evidence: str) -> NotHad:
    ours = network is not None and network.explains(error)
    return NotHad(Reason.NO_NETWORK if ours else Reason.TRANSPORT, evidence)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _root(error: BaseException) -> str:
    """The innermost cause, in its own words."""
    while True:
        inner: Any = getattr(error, "reason", None)
        inner = (
            inner
            if isinstance(inner, BaseException)
            else next((a for a in error.args if isinstance(a, BaseException)), None)
        )
        if inner is None or inner is error:
            return f"{type(error).__name__}: {error}"
        error = inner


def _range_start(response: requests.Response) -> int | None:
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    start = rest.partition("-")[0]
    return int(start) if unit == "bytes" and start.isdigit() else None


def _total(response: requests.Response, have: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None
