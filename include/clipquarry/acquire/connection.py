"""Connections over http that lead nowhere near by surprise, and that end.

A session of requests goes where the other side tells it to: redirects lead to any address, their bodies are read and
unpacked whole, and a server that sends a byte now and then is waited for without an end. Here

* the address that is connected to is the one that was looked at: once a public one has answered, no private one is
  connected to; a private one that the user named may lead to others like it, never to this machine;
* the body of a redirect is not read;
* the headers of an answer have one deadline, a body has a lowest speed and a longest time.

Behind a proxy names are the proxy's to resolve. What our own resolver says of them within two seconds counts here too; where it says
nothing, only addresses written as numbers can be looked at.
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
"""Of all headers of one answer, what comes before it (``100 Continue``) included."""
_SHARED_NAT = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses for hosts that have IPv6 only: the last 32 bits are the address."""


class Nearness(IntEnum):
    """How near an address is. Who is led somewhere is never led nearer."""

    PUBLIC = 0
    PRIVATE = 1
    """The lab's own network."""
    LOCAL = 2
    """This machine."""
    SPECIAL = 3
    """Link-local (a cloud's metadata), multicast, reserved: nobody is led there."""


def nearness(address: str) -> Nearness:
    """Of an IP address; one that is written inside another (IPv6 forms of IPv4) counts as the inner one."""
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
    """Of a host that is written as a number or as ``localhost``; None for any other name."""
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
    """Of the nearest address that our own resolver knows of a name; None where it says nothing in time. Remembered."""
    found: list[Nearness] = []

    def ask() -> None:
        with suppress(OSError, UnicodeError, ValueError):
            found.extend(nearness(str(one[4][0])) for one in socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM))

    # A daemon thread: a resolver that hangs cannot be interrupted, and must not be waited for.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_RESOLVER_SECONDS)
    return max(found, default=None)


class LedInside(urllib3.exceptions.HTTPError):
    """Another host led to an address that is nearer than its own. Nothing was sent there."""


class Reach:
    """How near the addresses may be that one session is led to."""

    def __init__(self) -> None:
        self._limit = self._farthest = Nearness.SPECIAL
        self._written: Nearness | None = None
        self._kept = False

    def begin(self) -> None:
        """A question of our own: its first address is the user's choice, unless what has answered is kept in mind."""
        self._limit = self._farthest if self._kept else Nearness.SPECIAL

    def keep(self) -> Reach:
        """From now on the first addresses too come from whoever has answered."""
        self._kept = True
        return self

    def free(self) -> None:
        """Forget who has answered."""
        self._kept, self._farthest = False, Nearness.SPECIAL

    @property
    def farthest(self) -> Nearness:
        """The farthest that has answered; SPECIAL: nobody has."""
        return self._farthest

    @classmethod
    def led_by(cls, near: Nearness) -> Reach:
        """For addresses that were named by one of that nearness."""
        reach = cls()
        reach._farthest = near
        return reach.keep()

    def towards(self, url: str, *, proxied: bool = False) -> None:
        """The next hop; raises LedInside when its host is written as an address that is too near, or behind a proxy known as one."""
        host = urlsplit(url).hostname or ""
        self._written = written_nearness(url)
        if self._written is None and proxied:
            self._written = resolved_nearness(host)
        if self._written is not None:
            self.check(host, self._written)

    def answered(self, near: Nearness | None) -> None:
        """An address answered; None: behind a proxy."""
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
    """How long one answer may take. Seconds, and bytes a second; only waiting for the other side counts."""

    silence: float = 60.0
    """Longest silence, longest time for all headers, and the window over which the lowest speed is measured."""
    slowest: int = 1024
    body: float = 3600.0
    """Longest time of a body, and a second more for every ``average`` bytes that its header promises."""
    average: int = 16 * 1024

    def longest(self, promised: int | None) -> float:
        """Seconds for a body of so many bytes; None: its length is not known."""
        return self.body + (promised or 0) / self.average


class _Paced(io.RawIOBase):
    """The bytes of one answer, from the socket, with all deadlines. Raises TimeoutError."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock, self._patience = sock, patience
        self._file: Any = sock.makefile(
            "rb", buffering=0
        )  # a reference of its own: the connection may close the socket
        self._headers_until = time.monotonic() + patience.silence
        self._headers_left = _HEADER_BYTES
        self._longest = 0.0
        self._body: float | None = None
        """Seconds that the body may still be waited for; None: the headers are not complete."""
        self._waited, self._since = 0.0, 0

    def body(self, promised: int | None) -> None:
        """The headers are complete."""
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
            if self._body is None and self._headers_left < _HEADER_BYTES:  # something came, but too slowly
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
    """What http.client takes for a socket."""

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
    """Makes the sessions of one thread go by ``reach`` and ``patience``."""

    def __init__(self, patience: Patience, reach: Reach | None = None) -> None:
        self.reach = reach or Reach()
        rules = {"reach": self.reach, "patience": patience}
        plain = type("Plain", (HTTPConnectionPool,), {"ConnectionCls": type("Plain", (_Guarded,), rules)})
        tls = type("Tls", (HTTPSConnectionPool,), {"ConnectionCls": type("Tls", (_GuardedTls,), rules)})
        self._pools = {"http": plain, "https": tls}

    def protect(self, session: requests.Session) -> None:
        """All connections of the session's adapters, also those to proxies that speak http."""
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
    """Mixed into a ``requests.Session``: each hop is looked at, and no body of a redirect is read."""

    guard: Guard

    def request(self, *args: Any, **more: Any) -> requests.Response:
        self.guard.reach.begin()
        response: requests.Response = super().request(*args, **more)  # type: ignore[misc]
        return response

    def send(self, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        url = request.url or ""
        self.guard.reach.towards(url, proxied=bool(select_proxy(url, more.get("proxies"))))
        response: requests.Response = super().send(request, **more)  # type: ignore[misc]
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Raises InvalidURL for an address that makes no sense."""
        if resp.is_redirect:
            resp.close()  # with its connection: what has not been read would be taken for the next answer
            resp._content = b""  # or requests would read it, and unpack it
        try:
            target: str | None = super().get_redirect_target(resp)  # type: ignore[misc]
            if target:
                _ = urlsplit(target).port
        except ValueError as error:
            raise requests.exceptions.InvalidURL(f"a redirect to no address: {error}") from error
        return target


class GuardedSession(Redirects, requests.Session):
    """A session of requests that is guarded. For one thread."""

    def __init__(self, patience: Patience, reach: Reach | None = None) -> None:
        super().__init__()
        self.guard = Guard(patience, reach)
        self.guard.protect(self)
