"""Download of one file over http: streamed, resumed, with limits; every failure is a reason.

An interrupted download is resumed by byte range (``If-Range`` with the entity tag or the date). The answer is compared
with the version that was begun, so that a file that changed meanwhile is never joined from two versions. Bytes are
stored as the server sends them: no content encodings. :mod:`clipquarry.acquire.connection` limits redirects and time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from clipquarry import __version__
from clipquarry.acquire import resume
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.classify import parse_retry_after
from clipquarry.acquire.connection import GuardedSession, LedInside, Patience, Reach
from clipquarry.acquire.guard import reasons
from clipquarry.acquire.hosts import NO_NETWORK_REST, Hosts
from clipquarry.acquire.network import NETWORK, Network, causes
from clipquarry.acquire.resume import Part, Version
from clipquarry.datasets.model import Source
from clipquarry.files import disk_errors
from clipquarry.reasons import Reason, Trait

urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the run says it itself, and its report
_PIECE = 1 << 18
_PAGE_TYPES = ("text/html", "application/json", "application/xml", "text/xml", "application/xhtml+xml")
_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")
_STATUS_REASON = {403: Reason.FORBIDDEN_MEDIA, 401: Reason.FORBIDDEN_MEDIA, 404: Reason.NOT_FOUND, 410: Reason.GONE}
_NO_PROXY = {"http": "", "https": "", "all": ""}


@dataclass(frozen=True)
class Limits:
    """Limits of one download, in seconds and bytes."""

    attempts: int = 3
    connect: float = 10.0
    read: float = 60.0
    """Longest silence, longest time for all headers, and the window over which the minimum speed is measured."""
    body: float = 3600.0
    """Longest time of all tries together, plus one second for every 16 KiB that the server announces."""
    max_bytes: int = 8 << 30
    max_wait: float = 30.0
    """The longest ``Retry-After`` that a download waits for; a longer one ends it."""
    backoff: float = 0.5
    redirects: int = 5
    verify: bool = True
    """Whether the certificate of the host is verified; of a host that it redirects to it always is."""

    @property
    def patience(self) -> Patience:
        return Patience(silence=self.read, body=self.body)


def limits_of(source: Source) -> Limits:
    """The limits that a source's keys in the data set's YAML give."""
    return Limits(attempts=source.attempts, read=source.timeout_s, verify=source.verify_certificate)


@dataclass(frozen=True)
class Downloaded:
    """A downloaded file. It is complete as far as its length shows."""

    path: Path
    bytes: int
    seconds: float
    content_type: str
    etag: str


class Cancelled(FetchFailed):
    """The step is stopping. This says nothing about the item."""

    def __init__(self) -> None:
        super().__init__(Reason.TRANSPORT, "the step was stopped during the download")


class BadRange(FetchFailed):
    """The unfinished file in scratch cannot be resumed from this server: begin anew."""


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
    """Downloader for many threads, with one connection pool per thread.

    ``reach``: the limit for addresses that were named by a host that has answered already; for use in one thread.
    ``certificates``: a file with the trusted certificates; None: those of requests and its environment variables.
    """

    def __init__(
        self, limits: Limits | None = None, *, hosts: Hosts | None = None, network: Network = NETWORK,
        reach: Reach | None = None, certificates: str | None = None,
    ) -> None:  # fmt: skip
        self.limits = limits or Limits()
        self.hosts = hosts or Hosts()
        self._network, self._reach, self._certificates = network, reach, certificates
        self._local = threading.local()

    @property
    def _session(self) -> GuardedSession:
        session: GuardedSession | None = getattr(self._local, "session", None)
        if session is None:
            session = GuardedSession(self.limits.patience, self._reach)
            session.max_redirects = self.limits.redirects
            session.headers.update({"User-Agent": f"clipquarry/{__version__}", "Accept-Encoding": "identity"})
            self._local.session = session
        return session

    def download(self, url: str, scratch: Path, suffix: str, cancelled: Event, *, pages: bool = False) -> Downloaded:
        """Fetch ``url`` into a new file of ``scratch``. Raises :class:`FetchFailed`.

        ``pages``: accept web pages and JSON. An unfinished file of at least 1 MiB stays in ``scratch``, and the next call
        for the same url resumes it. Two callers must not download one url into one ``scratch`` at once.
        """
        part = scratch / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.part{suffix}"
        begun = time.monotonic()
        host = urlsplit(url).netloc.rpartition("@")[2]
        attempt, before, anew = 1, part.stat().st_size if part.exists() else 0, False
        scratch.mkdir(parents=True, exist_ok=True)
        while True:
            self.hosts.check(host)
            try:
                done = self._attempt(url, part, cancelled, pages=pages)
            except FetchFailed as error:
                if isinstance(error, BadRange):
                    resume.forget(part)
                    if not anew:  # once, not counted as an attempt: the unfinished file was of another version
                        anew = True
                        continue
                have = part.stat().st_size if part.exists() else 0
                progress = (
                    have >= before + resume.KEEP and not anew
                )  # else a server without ranges would be tried without end
                attempt = 1 if progress else attempt + 1
                before = have
                self._learn(host, error)
                wait = self.wait(attempt, error)
                late = time.monotonic() - begun > self.limits.patience.longest(resume.promised(part))
                if wait is None or late or cancelled.wait(wait):
                    if Trait.SOON not in error.reason.traits or not resume.is_kept(part):
                        resume.forget(part)
                    raise
                continue
            except BaseException:
                if not resume.is_kept(part):
                    resume.forget(part)
                raise
            self.hosts.answered(host)
            path = part.with_name(part.name.replace(".part", ".done"))
            part.replace(path)
            resume.forget(part)
            return Downloaded(path, done[0], time.monotonic() - begun, done[1], done[2])

    def _learn(self, host: str, error: FetchFailed) -> None:
        if isinstance(error, Cancelled):
            return
        if error.reason is Reason.NO_NETWORK:
            self.hosts.failed(host, error.reason, error.evidence, NO_NETWORK_REST)
        elif error.reason is Reason.HTTP_429 and (error.retry_after or 0) > self.limits.max_wait:
            self.hosts.failed(host, error.reason, error.evidence, error.retry_after or 0)
        else:
            self.hosts.answered(host)

    def wait(self, attempt: int, error: FetchFailed) -> float | None:
        """Seconds until attempt number ``attempt`` (the first is 1); None when no attempt is left."""
        if (
            Trait.SOON not in error.reason.traits
            or error.reason is Reason.NO_NETWORK
            or isinstance(error, Cancelled)
            or attempt > self.limits.attempts
        ):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.limits.max_wait else None
        pause: float = self.limits.backoff * 2.0 ** (attempt - 2)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 — jitter

    def _attempt(self, url: str, part: Path, cancelled: Event, *, pages: bool) -> tuple[int, str, str]:
        have, begun_with = resume.known(part)
        with self.get(url, have, begun_with) as response:
            resumed = response.status_code == 206
            version = begun_with if resumed and begun_with else Version.of(response.status_code, response.headers)
            if not resumed:
                have = 0
            total = version.total
            if total is not None and total > self.limits.max_bytes:
                raise FetchFailed(
                    Reason.NOT_A_VIDEO, f"{total} bytes are more than the limit of {self.limits.max_bytes}"
                )
            kind = response.headers.get("Content-Type", "")
            with disk_errors(part), open(part, "ab" if resumed else "wb") as handle:
                if not resumed:
                    resume.remember(part, version)
                for piece in self.pieces(response, cancelled):
                    if have == 0 and not pages and (page := page_like(piece, kind)):
                        raise FetchFailed(Reason.NOT_A_VIDEO, f"a page instead of a video: {page}")
                    have += len(piece)
                    if have > self.limits.max_bytes:
                        raise FetchFailed(Reason.NOT_A_VIDEO, f"more bytes than the limit of {self.limits.max_bytes}")
                    handle.write(piece)
            if total is not None and have != total:
                raise FetchFailed(Reason.TRUNCATED, f"the connection was closed after {have} of {total} bytes")
            if have == 0:
                raise FetchFailed(Reason.NOT_A_VIDEO, "an empty answer (0 bytes)")
            return have, kind, version.etag

    @contextmanager
    def get(
        self, url: str, start: int = 0, version: Version | None = None, *, headers: Mapping[str, str] | None = None,
        ranged: bool = False,
    ) -> Iterator[requests.Response]:  # fmt: skip
        """A streamed answer: of status 200, or of 206 from byte ``start`` and of the same ``version`` of the file.

        Any other answer raises :class:`FetchFailed`. ``ranged``: request a range also at byte 0 and without a known version.
        """
        with self._opened(url, start, version, headers or {}, ranged=ranged) as response:
            yield response

    def _opened(
        self, url: str, start: int, version: Version | None, headers: Mapping[str, str], *, ranged: bool
    ) -> requests.Response:
        validator = version.validator if version is not None else ""
        asks = ranged or bool(start and validator)
        wanted = dict(headers)
        if asks:
            wanted["Range"] = f"bytes={start}-"
        if asks and start and validator:
            wanted["If-Range"] = validator
        near = _is_loopback(url)
        with _reasons(self.limits, None if near else self._network):
            session = self._session
            session.unverified = "" if self.limits.verify else urlsplit(url).hostname or ""
            response = session.get(
                url, headers=wanted, stream=True, timeout=(self.limits.connect, self.limits.read),
                proxies=_NO_PROXY if near else None, verify=self._certificates,
            )  # fmt: skip
        response.raw.enforce_content_length = False  # we count the bytes, so that the evidence states them
        try:
            status = response.status_code
            if status in (200, 206) and (problem := resume.framing_problem(response.headers)):
                raise FetchFailed(Reason.TRANSPORT, problem)
            if status == 200:
                return response
            if status == 206 and asks:
                if why := _wrong_part(response, start, version):
                    raise BadRange(Reason.TRANSPORT, f"HTTP 206: {why}")
                return response
            raise self._refusal(response)
        except BaseException:
            response.close()
            raise

    def _refusal(self, response: requests.Response) -> FetchFailed:
        status = response.status_code
        evidence = f"HTTP {status} {response.reason or ''}".strip()
        wait = parse_retry_after(response.headers.get("Retry-After"))
        if wait is not None:
            evidence += f", Retry-After {wait:.0f} s"
        if status == 429:
            return FetchFailed(Reason.HTTP_429, evidence, retry_after=wait)
        if status >= 500:
            return FetchFailed(Reason.HTTP_5XX, evidence, retry_after=wait)
        if status in (206, 416):
            return BadRange(Reason.TRANSPORT, f"{evidence}: the range was not served", retry_after=wait)
        if status in (408, 425):
            return FetchFailed(Reason.TRANSPORT, evidence, retry_after=wait)
        return FetchFailed(_STATUS_REASON.get(status, Reason.NOT_FOUND), evidence)

    def pieces(self, response: requests.Response, cancelled: Event) -> Iterator[bytes]:
        """The body as it arrives. Silence, a very slow body and an endless one time out; errors are FetchFailed."""
        while True:
            with _reasons(self.limits, None if _is_loopback(response.url) else self._network):
                piece = response.raw.read1(_PIECE, decode_content=False)
            if not piece:
                return
            if cancelled.is_set():
                raise Cancelled
            yield piece


@contextmanager
def _reasons(limits: Limits, network: Network | None) -> Iterator[None]:
    """Turns every exception into a reason. Without ``network`` (a host on this machine) the network is never blamed."""
    try:
        with reasons(Reason.TRANSPORT):
            yield
    except FetchFailed as error:
        if error.__cause__ is None:
            raise
        raise _of(error.__cause__, limits, network) from error.__cause__


def _of(error: BaseException, limits: Limits, network: Network | None) -> FetchFailed:
    """The reason of an exception of requests, urllib3 or Python."""
    requested = requests.exceptions
    if isinstance(error, LedInside):
        return FetchFailed(Reason.NOT_FOUND, str(error))
    if isinstance(error, requested.MissingSchema | requested.InvalidSchema | requested.InvalidURL):
        return FetchFailed(Reason.NOT_FOUND, f"an address that cannot be used: {error}")
    if isinstance(error, requested.TooManyRedirects):
        return FetchFailed(Reason.NOT_FOUND, f"more than {limits.redirects} redirects")
    if isinstance(error, requested.ConnectTimeout):
        return _unreached(error, network, f"timed out after {limits.connect:g} s (no connection)")
    if isinstance(error, requested.Timeout | urllib3.exceptions.ReadTimeoutError | TimeoutError):
        said = next((str(one) for one in causes(error) if str(one).startswith("timed out: ")), "")
        return FetchFailed(Reason.TRANSPORT, said or f"timed out after {limits.read:g} s (no answer)")
    if isinstance(error, requested.RequestException | urllib3.exceptions.HTTPError | OSError):
        return _unreached(error, network, _root(error))
    return FetchFailed(Reason.TRANSPORT, f"an answer that makes no sense ({type(error).__name__}: {error})")


def _unreached(error: BaseException, network: Network | None, evidence: str) -> FetchFailed:
    ours = network is not None and network.explains(error)
    return FetchFailed(Reason.NO_NETWORK if ours else Reason.TRANSPORT, evidence)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _root(error: BaseException) -> str:
    """The text of the innermost cause."""
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


def _wrong_part(response: requests.Response, start: int, version: Version | None) -> str | None:
    """Why an answer of status 206 does not continue the download that was begun, or None."""
    part = Part.of(response.headers)
    if part is None or part.first != start:
        return f"bytes from {start} were requested, its range is {response.headers.get('Content-Range', 'absent')!r}"
    if version is None:
        return None
    later = Version.of(response.status_code, response.headers)
    if why := version.other(later, strict=bool(version.validator)):
        return f"the file has changed: {why}"
    return None
