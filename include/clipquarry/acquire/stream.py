"""Stream over http: reads a file of any size once, from front to back, and resumes after a broken connection."""

from __future__ import annotations

import io
import time
from collections.abc import Generator
from threading import Event
from typing import Any

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.download import BadRange, Downloader
from clipquarry.acquire.resume import Version
from clipquarry.reasons import Reason


class HttpStream(io.RawIOBase):
    """Reads ``url``; after a broken connection it continues by byte range where the server supports that.

    ``read`` raises :class:`FetchFailed`: at once when the server refuses, TRUNCATED when the connection ends early on the last
    attempt. Nothing is kept on disk. Wrap it in ``io.BufferedReader``.
    """

    def __init__(self, downloader: Downloader, url: str, cancelled: Event) -> None:
        self._downloader, self._url, self._cancelled = downloader, url, cancelled
        self._pieces = self._body()
        self._left = b""
        self._spent = 0.0
        """Seconds spent waiting for the server. Time that the reader takes does not count."""
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
                        raise FetchFailed(
                            Reason.TRUNCATED, f"broken off at byte {position}, and it cannot be resumed there"
                        )
                    if not position:
                        version = Version.of(response.status_code, response.headers)
                    for piece in self._downloader.pieces(response, self._cancelled):
                        position, attempt = position + len(piece), 1
                        yield piece
                if version.total is None or position == version.total:
                    return
                raise FetchFailed(
                    Reason.TRUNCATED, f"the connection was closed after {position} of {version.total} bytes"
                )
            except BadRange as error:  # the bytes already read cannot be taken back
                raise FetchFailed(Reason.TRUNCATED, f"broken off at byte {position}: {error.evidence}") from error
            except FetchFailed as error:
                attempt += 1
                wait = self._downloader.wait(attempt, error)
                late = self._spent > self._downloader.limits.patience.longest(version.total)
                if wait is None or late or (position and not version.validator) or self._cancelled.wait(wait):
                    raise
