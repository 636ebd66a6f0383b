"""Check of this machine's network connection, to tell our own outage from that of another host.

The check runs only after an error that can mean either: a name that does not resolve, an unreachable network, a
connection that times out. Then a few well-known hosts are tried at once. When none of them answers, our own network is
down: the error says nothing about the item, and no source is blamed.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

WELL_KNOWN = ("www.google.com", "www.wikipedia.org", "www.baidu.com")
"""Hosts of different owners and continents, so that no single outage or country filter looks like our own outage."""

_OURS_OR_THEIRS = frozenset(
    {
        errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EADDRNOTAVAIL,
    }
)  # fmt: skip
_TEXTS = (
    "failed to resolve", "name or service not known", "temporary failure in name resolution", "nodename nor servname",
    "no address associated with hostname", "getaddrinfo", "network is unreachable", "no route to host", "timed out",
)  # fmt: skip


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it: ``exc_info`` (yt-dlp), ``cause``, ``__cause__``, ``__context__``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        info = getattr(one, "exc_info", None)
        waiting += [info[1] if isinstance(info, tuple) and len(info) == 3 else None]
        waiting += [getattr(one, "cause", None), getattr(one, "reason", None), one.__cause__, one.__context__]


def may_be_ours(error: BaseException | str) -> bool:
    """True when the error could come from our own missing network as well as from the other host."""
    if isinstance(error, str):
        text = error.lower()
        return any(sign in text for sign in _TEXTS)
    for one in causes(error):
        if isinstance(one, socket.gaierror | TimeoutError):
            return True
        if isinstance(one, OSError) and one.errno in _OURS_OR_THEIRS:
            return True
    return may_be_ours(str(error))


def has_default_route(proc: Path = Path("/proc/net")) -> bool:
    """False only when the kernel's tables can be read and hold no way out (IPv4 nor IPv6)."""
    try:
        lines = (proc / "route").read_text().splitlines()[1:]
    except OSError:
        return True  # not Linux, or hidden: the hosts decide
    if any((fields := line.split())[1:2] == ["00000000"] and int(fields[3], 16) & 1 for line in lines if line.strip()):
        return True
    try:
        six = (proc / "ipv6_route").read_text().splitlines()
    except OSError:
        return False
    return any((fields := line.split())[0] == "0" * 32 and fields[1] == "00" and fields[-1] != "lo" for line in six)


def _connect(host: str, port: int, timeout: float) -> None:
    with socket.create_connection((host, port), timeout=timeout):
        pass


class Network:
    """Says whether our own network is down; an answer is good for ``keep`` seconds. Safe to share between threads.

    ``connect(host, port, timeout)`` raises OSError when the host cannot be reached; tests replace it. When a proxy
    is configured in the environment, the proxy is asked for and not the hosts behind it.
    """

    def __init__(
        self,
        *,
        connect: Callable[[str, int, float], None] = _connect,
        route: Callable[[], bool] = has_default_route,
        proxies: Callable[[], Mapping[str, str]] = urllib.request.getproxies,
        hosts: Sequence[str] = WELL_KNOWN,
        timeout: float = 3.0,
        keep: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect, self._route, self._proxies, self._hosts = connect, route, proxies, tuple(hosts)
        self._timeout, self._keep, self._clock = timeout, keep, clock
        self._lock = threading.Lock()
        self._answer: tuple[float, bool] | None = None

    def is_down(self) -> bool:
        """True when nothing outside can be reached; takes at most ``timeout`` seconds, once per ``keep`` seconds."""
        with self._lock:
            if self._answer is not None and self._clock() < self._answer[0]:
                return self._answer[1]
            down = self._look()
            self._answer = (self._clock() + self._keep, down)
            return down

    def known_down(self) -> bool:
        """As :meth:`is_down` without a new check: True only when it was found down less than ``keep`` seconds ago."""
        answer = self._answer
        return answer is not None and answer[1] and self._clock() < answer[0]

    def explains(self, error: BaseException | str) -> bool:
        """True when ``error`` is of a kind that a missing network causes, and the network is down."""
        return may_be_ours(error) and self.is_down()

    def _targets(self) -> list[tuple[str, int]]:
        proxies = self._proxies()
        for scheme in ("https", "all", "http"):
            if proxy := proxies.get(scheme):
                parts = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
                if parts.hostname:
                    return [(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))]
        return [(host, 443) for host in self._hosts]

    def _look(self) -> bool:
        targets = self._targets()
        if not self._proxies() and not self._route():
            return True
        up, left = threading.Event(), threading.Semaphore(0)

        def ask(host: str, port: int) -> None:
            try:
                self._connect(host, port, self._timeout)
                up.set()
            except (OSError, UnicodeError):
                pass  # no answer from this host; another may answer
            finally:
                left.release()

        # Daemon threads: a resolver that hangs cannot be interrupted, and the process must not wait for it.
        for host, port in targets:
            threading.Thread(target=ask, args=(host, port), daemon=True).start()
        deadline = time.monotonic() + self._timeout
        for _ in targets:
            if up.is_set() or not left.acquire(timeout=max(0.0, deadline - time.monotonic())):
                break
        return not up.is_set()


NETWORK = Network()
"""The check that all threads of the process share."""
