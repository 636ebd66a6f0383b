"""Back-off per host within a process: a host that cannot be reached, or that asks for a pause, gets no requests.

A pause starts after three failures in a row without a network to the host. It also starts after three answers in a row
that ask for a longer wait than one download allows. During the pause each request fails at once, and its evidence says
why.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from clipquarry.acquire.answer import FetchFailed
from clipquarry.reasons import Reason

IN_A_ROW = 3
NO_NETWORK_REST = 60.0
"""Seconds without requests to a host that could not be reached."""


@dataclass
class _Host:
    reason: Reason = Reason.OK
    failures: int = 0
    rest_until: float = 0.0
    evidence: str = ""


class Hosts:
    """Failures in a row per host. Safe to share between threads."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    def check(self, host: str) -> None:
        """Raise :class:`FetchFailed` during the host's pause."""
        with self._lock:
            known = self._hosts.get(host)
            left = known.rest_until - time.monotonic() if known else 0.0
        if known is not None and left > 0:
            raise FetchFailed(
                known.reason,
                f"no request to {host}: the last {known.failures} failed with: {known.evidence}; "
                f"requests resume in {left:.0f} s",
                retry_after=left,
            )

    def answered(self, host: str) -> None:
        """Record that the host answered: its failures are forgotten."""
        if host in self._hosts:
            with self._lock:
                self._hosts.pop(host, None)

    def failed(self, host: str, reason: Reason, evidence: str, rest: float) -> None:
        """Record one more failure of this kind; the third in a row starts a pause of ``rest`` seconds."""
        with self._lock:
            known = self._hosts.setdefault(host, _Host())
            if known.reason is not reason:
                known.reason, known.failures = reason, 0
            known.failures += 1
            known.evidence = evidence
            if known.failures >= IN_A_ROW:
                known.rest_until = time.monotonic() + rest
