"""What this process has learned about the hosts it asks: who cannot be reached, who wants to be left alone.

After three failures in a row without a network to a host, and after three answers in a row that told us to wait longer
than one download may, the host is left alone for a while: the next questions are answered at once, with evidence that
says so.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from clipquarry.acquire.answer import NotHad
from clipquarry.reasons import Reason

IN_A_ROW = 3
NO_NETWORK_REST = 60.0
"""Seconds without questions to a host that could not be reached."""


@dataclass
class _Host:
    reason: Reason = Reason.OK
    failures: int = 0
    rest_until: float = 0.0
    evidence: str = ""


class Hosts:
    """Safe to share between threads."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    def check(self, host: str) -> None:
        """Raise :class:`NotHad` while the host is left alone."""
        with self._lock:
            known = self._hosts.get(host)
            left = known.rest_until - time.monotonic() if known else 0.0
        if known is not None and left > 0:
            raise NotHad(
                known.reason,
                f"{host} was not asked: the last {known.failures} questions ended so: {known.evidence}; "
                f"it is asked again in {left:.0f} s",
                retry_after=left,
            )

    def answered(self, host: str) -> None:
        """The host gave an answer of its own: it is there."""
        if host in self._hosts:
            with self._lock:
                self._hosts.pop(host, None)

    def failed(self, host: str, reason: Reason, evidence: str, rest: float) -> None:
        """One more failure of this kind; the third in a row starts a rest of ``rest`` seconds."""
        with self._lock:
            known = self._hosts.setdefault(host, _Host())
            if known.reason is not reason:
                known.reason, known.failures = reason, 0
            known.failures += 1
            known.evidence = evidence
            if known.failures >= IN_A_ROW:
                known.rest_until = time.monotonic() + rest
