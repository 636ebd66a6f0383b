"""A file over http that is read once from front to back, whatever its size, and survives a broken connection."""

from __future__ import annotations

import io
import time
from collections.abc import Generator
from threading import Event
from typing import Any

from clipquarry.acquire.answer import NotHad
from clipquarry.acquire.download import BadRange, Downloader
from clipquarry.acquire.resume import Version
from clipquarry.reasons import Reason


class HttpStream(io.RawIOBase):
    """Reads ``url``; after a broken connection it goes on by byte range where the server can do that.

    Raises :class:`NotHad` from ``read``: at once when the server says no, TRUNCATED when the connection ends early
    for the last time. Nothing is kept on disk. Wrap it in ``io.BufferedReader``.
    """

    def __init__(self, downloader: Downloader, url: str, cancelled: Event) -> None:
        self._downloader, self._url, self._cancelled = downloader, url, cancelled
        self._pieces = self._body()
        self._left = b""
        self._spent = 0.0
        """Seconds of waiting for the server: whoever reads may be slow, which is not the server's fault."""
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            begun = time.monotonic()
            self._left = next(self._pieces, b"")
            self._spent += time.monotonic() - begun
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        self.bytes_read += count
        return count

    def close(self) -> None:
        self._pieces.close()
        super().close()

    def _body(self) -> Generator[bytes, None, None]:
        position, version, attempt = 0, Version(), 1
        while True:
            try:
                with self._downloader.get(self._url, position, version) as response:
                    if position and response.status_code != 206:
                        raise NotHad(Reason.TRUNCATED, f"broken off at byte {position}, and it cannot be resumed there")
                    if not position:
                        version = Version.of(response.status_code, response.headers)
                    for piece in self._downloader.pieces(response, self._cancelled):
                        position, attempt = position + len(piece), 1
                        yield piece
                if version.total is None or position == version.total:
                    return
                raise NotHad(Reason.TRUNCATED, f"the connection was closed after {position} of {version.total} bytes")
            except BadRange as error:  # what was read cannot be taken back
                raise NotHad(Reason.TRUNCATED, f"broken off at byte {position}: {error.evidence}") from error
            except NotHad as error:
                attempt += 1
                wait = self._downloader.wait(attempt, error)
                late = self._spent > self._downloader.limits.patience.longest(version.total)
                if wait is None or late or (position and not version.validator) or self._cancelled.wait(wait):
                    raise
