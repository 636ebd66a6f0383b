"""HTTP sessions that are guarded against redirects into private networks (SSRF) and against answers that never end.

A plain session of requests follows redirects to any address, reads and decompresses their bodies whole, and waits without
end for a server that sends a byte now and then. A guarded session differs:

* The address that it checks is the one that it connects to. Once a public address has answered, no private address is
  connected to. A private address that the user named may redirect to other private addresses, never to this machine.
* It does not read the body of a redirect.
* The headers of an answer have one deadline; a body has a minimum speed and a maximum time.

Behind a proxy, the proxy resolves names. The answer of our own resolver is checked too when it comes within two seconds.
Without it, only addresses that are written as numbers can be checked.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

_HEADER_BYTES = 1 << 20
"""Limit of all headers of one answer, with those of interim answers (``100 Continue``)."""
_SHARED_NAT = ipaddress.ip_network("64:ff9b::/96")
"""NAT64: IPv4 addresses for hosts that have IPv6 only. The last 32 bits are the IPv4 address."""


class Nearness(IntEnum):
    """How near an address is. A redirect never leads to a nearer address."""

    PUBLIC = 0
    PRIVATE = 1
    """The lab's own network."""
    LOCAL = 2
    """This machine."""
    SPECIAL = 3
    """Link-local (a cloud's metadata), multicast, reserved: no redirect may lead there."""


def nearness(address: str) -> Nearness:
    """Nearness of an IP address. An IPv6 form of an IPv4 address counts as the IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _SHARED_NAT:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return nearness(str(inner))
    if ip.is_loopback or ip.is_unspecified:
        return Nearness.LOCAL
    if ip.is_link_local or ip.is_multicast or ip.is_reserved:
        return Nearness.SPECIAL
    return Nearness.PUBLIC if ip.is_global else Nearness.PRIVATE


def written_nearness(url: str) -> Nearness | None:
    """Nearness of a host that is written as a number or as ``localhost``; None for any other name."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return Nearness.LOCAL
    try:
        return nearness(host)
    except ValueError:
        return None


_RESOLVER_SECONDS = 2.0


@lru_cache(maxsize=4096)
def resolved_nearness(host: str) -> Nearness | None:
    """Nearness of the nearest address that our own resolver gives for a name; None without an answer in time. Cached."""
    found: list[Nearness] = []

    def ask() -> None:
        with suppress(OSError, UnicodeError, ValueError):
            found.extend(nearness(str(one[4][0])) for one in socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM))

    # A daemon thread: a resolver that hangs cannot be interrupted, and the process must not wait for it.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_RESOLVER_SECONDS)
    return max(found, default=None)


class LedInside(urllib3.exceptions.HTTPError):
    """A host redirected to an address that is nearer than its own. Nothing was sent there."""


class Reach:
    """Limit of how near the addresses may be to which one session is redirected."""

    def __init__(self) -> None:
        self._limit = self._farthest = Nearness.SPECIAL
        self._written: Nearness | None = None
        self._kept = False

    def begin(self) -> None:
        """Begin a request of our own. Its first address is the user's choice and free, except after :meth:`keep`."""
        self._limit = self._farthest if self._kept else Nearness.SPECIAL

    def keep(self) -> Reach:
        """From now on first addresses are limited too: they come from a host that has answered."""
        self._kept = True
        return self

    def free(self) -> None:
        """Forget which addresses have answered."""
        self._kept, self._farthest = False, Nearness.SPECIAL

    @property
    def farthest(self) -> Nearness:
        """Nearness of the farthest address that has answered; SPECIAL when none has."""
        return self._farthest

    @classmethod
    def led_by(cls, near: Nearness) -> Reach:
        """A limit for addresses that were named by a host of that nearness."""
        reach = cls()
        reach._farthest = near
        return reach.keep()

    def towards(self, url: str, *, proxied: bool = False) -> None:
        """Check the next hop. Raises LedInside when its host is written as an address that is too near.

        Behind a proxy the address that our own resolver knows counts too.
        """
        host = urlsplit(url).hostname or ""
        self._written = written_nearness(url)
        if self._written is None and proxied:
            self._written = resolved_nearness(host)
        if self._written is not None:
            self.check(host, self._written)

    def answered(self, near: Nearness | None) -> None:
        """Record that an address answered; None: it is behind a proxy."""
        near = (self._written or Nearness.PUBLIC) if near is None else near
        self._limit, self._farthest = min(self._limit, near), min(self._farthest, near)

    def lets(self, near: Nearness) -> bool:
        return near <= self._limit

    def check(self, host: str, near: Nearness) -> None:
        if not self.lets(near):
            far, close = self._limit.name.lower(), near.name.lower()
            raise LedInside(f"connection refused here: a {far} address led to {host}, which is {close}")


@dataclass(frozen=True)
class Patience:
    """How long one answer may take, in seconds and bytes per second. Only the time spent waiting for the server counts."""

    silence: float = 60.0
    """Longest silence, longest time for all headers, and the window over which the minimum speed is measured."""
    slowest: int = 1024
    body: float = 3600.0
    """Longest time for a body, plus one second for every ``average`` bytes that its header announces."""
    average: int = 16 * 1024

    def longest(self, promised: int | None) -> float:
        """Longest time in seconds for a body of ``promised`` bytes; None: its length is not known."""
        return self.body + (promised or 0) / self.average


class _Paced(io.RawIOBase):
    """Raw reader of one answer from the socket, with all deadlines. Raises TimeoutError."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock, self._patience = sock, patience
        self._file: Any = sock.makefile(
            "rb", buffering=0
        )  # a reference of its own: the connection may close the socket
        self._headers_until = time.monotonic() + patience.silence
        self._headers_left = _HEADER_BYTES
        self._longest = 0.0
        self._body: float | None = None
        """Seconds that are left to wait for the body; None: the headers are not complete."""
        self._waited, self._since = 0.0, 0

    def body(self, promised: int | None) -> None:
        """Begin the body: the headers are complete."""
        self._body = self._longest = self._patience.longest(promised)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        begun = time.monotonic()
        left = self._headers_until - begun if self._body is None else self._body
        if left <= 0:
            what = "no complete headers" if self._body is None else "no end of the body"
            limit = self._patience.silence if self._body is None else self._longest
            raise TimeoutError(f"timed out: {what} after {limit:g} s")
        self._sock.settimeout(min(left, self._patience.silence))
        try:
            count: int = self._file.readinto(buffer)
        except TimeoutError:
            if self._body is None and self._headers_left < _HEADER_BYTES:  # bytes came, but too slowly
                raise TimeoutError(f"timed out: no complete headers after {self._patience.silence:g} s") from None
            raise
        self._count(count, time.monotonic() - begun)
        return count

    def _count(self, count: int, waited: float) -> None:
        if self._body is None:
            self._headers_left -= count
            if self._headers_left < 0:
                raise http.client.HTTPException(f"more than {_HEADER_BYTES} bytes of headers")
            return
        self._body -= waited
        self._waited, self._since = self._waited + waited, self._since + count
        if self._waited > self._patience.silence:
            if self._since < self._patience.slowest * self._patience.silence:
                raise TimeoutError(f"timed out: only {self._since} bytes in {self._waited:.0f} s")
            self._waited, self._since = 0.0, 0

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _AsSocket:
    """Adapter that http.client accepts as a socket."""

    def __init__(self, paced: _Paced) -> None:
        self._paced = paced

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._paced)


class _Guarded(HTTPConnection):
    reach: Reach
    patience: Patience
    _near: Nearness | None = None

    def _new_conn(self) -> socket.socket:
        if self.proxy is not None:  # the user's own choice
            return super()._new_conn()
        named = self._dns_host
        try:
            found = socket.getaddrinfo(named.strip("[]"), self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except UnicodeError as error:
            raise urllib3.exceptions.LocationParseError(f"{named!r}, label empty or too long") from error
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        addresses = {str(one[4][0]): nearness(str(one[4][0])) for one in found}
        if not any(map(self.reach.lets, addresses.values())):
            self.reach.check(named, min(addresses.values()))
        last: Exception | None = None
        for address, near in addresses.items():
            if not self.reach.lets(near):
                continue
            self._dns_host = address
            try:
                connected = super()._new_conn()
            except (NewConnectionError, ConnectTimeoutError) as error:
                last = error
            else:
                self._near = near
                return connected
            finally:
                self._dns_host = named
        raise last or NewConnectionError(self, f"{named} has no address")

    def putrequest(self, *args: Any, **more: Any) -> None:
        if self.sock is not None and self._near is not None:  # a connection that is used again
            self.reach.check(self.host, self._near)
        super().putrequest(*args, **more)

    def getresponse(self) -> Any:
        paced = _Paced(self.sock, self.patience)
        self.response_class = lambda _sock, **more: http.client.HTTPResponse(_AsSocket(paced), **more)  # type: ignore[arg-type, assignment]
        try:
            response = super().getresponse()
        except BaseException:
            paced.close()
            raise
        self.reach.answered(None if self.proxy is not None else self._near)
        paced.body(response.length_remaining)
        return response


class _GuardedTls(_Guarded, HTTPSConnection):
    pass


class Guard:
    """Applies ``reach`` and ``patience`` to the sessions of one thread."""

    def __init__(self, patience: Patience, reach: Reach | None = None) -> None:
        self.reach = reach or Reach()
        rules = {"reach": self.reach, "patience": patience}
        plain = type("Plain", (HTTPConnectionPool,), {"ConnectionCls": type("Plain", (_Guarded,), rules)})
        tls = type("Tls", (HTTPSConnectionPool,), {"ConnectionCls": type("Tls", (_GuardedTls,), rules)})
        self._pools = {"http": plain, "https": tls}

    def protect(self, session: requests.Session) -> None:
        """Guard all connections of the session's adapters, also those to HTTP proxies."""
        for adapter in session.adapters.values():
            assert isinstance(adapter, HTTPAdapter)
            adapter.poolmanager.pool_classes_by_scheme = self._pools
            adapter.proxy_manager_for = self._with_pools(adapter.proxy_manager_for)  # type: ignore[method-assign]

    def _with_pools(self, make: Any) -> Any:
        def made(proxy: str, **more: Any) -> Any:
            manager = make(proxy, **more)
            if isinstance(manager, urllib3.ProxyManager):
                manager.pool_classes_by_scheme = self._pools
            return manager

        return made


class Redirects:
    """Mixin for a ``requests.Session`` that checks each hop and reads no body of a redirect."""

    guard: Guard
    unverified: str = ""
    """The one host whose certificate is not verified; one that it redirects to is."""
    _usual: Any = True

    def request(self, *args: Any, **more: Any) -> requests.Response:
        self.guard.reach.begin()
        response: requests.Response = super().request(*args, **more)  # type: ignore[misc]
        return response

    def send(self, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        url = request.url or ""
        if self.unverified:
            if more.get("verify") is not False:
                self._usual = more.get("verify", True)
            # requests hands what one hop was given on to the next.
            more["verify"] = False if urlsplit(url).hostname == self.unverified else self._usual
        self.guard.reach.towards(url, proxied=bool(select_proxy(url, more.get("proxies"))))
        response: requests.Response = super().send(request, **more)  # type: ignore[misc]
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """The address of a redirect, or None. Raises InvalidURL for an address that cannot be parsed."""
        if resp.is_redirect:
            resp.close()  # closes the connection too: unread bytes would be taken for the next answer
            resp._content = b""  # else requests would read and decompress the body
        try:
            target: str | None = super().get_redirect_target(resp)  # type: ignore[misc]
            if target:
                _ = urlsplit(target).port
        except ValueError as error:
            raise requests.exceptions.InvalidURL(f"a redirect to no address: {error}") from error
        return target


class GuardedSession(Redirects, requests.Session):
    """A guarded session of requests, for one thread."""

    def __init__(self, patience: Patience, reach: Reach | None = None) -> None:
        super().__init__()
        self.guard = Guard(patience, reach)
        self.guard.protect(self)
