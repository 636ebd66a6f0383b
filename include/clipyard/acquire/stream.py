"""A file over http that is read once from front to back, whatever its size, and survives a broken connection."""

from __future__ import annotations

import io
from collections.abc import Generator
from threading import Event
from typing import Any

from clipyard.acquire.answer import NotHad
from clipyard.acquire.download import Downloader
from clipyard.acquire.resume import validator_of
from clipyard.reasons import Reason


class HttpStream(io.RawIOBase):
    """Reads ``url``; after a broken connection it goes on by byte range where the server can do that.

    Raises :class:`NotHad` from ``read``: at once when the server says no, TRUNCATED when the connection ends early
    for the last time. Nothing is kept on disk. Wrap it in ``io.BufferedReader``.
    """

    def __init__(self, downloader: Downloader, url: str, cancelled: Event) -> None:
        self._downloader, self._url, self._cancelled = downloader, url, cancelled
        self._pieces = self._body()
        self._left = b""
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._pieces, b"")
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        self.bytes_read += count
        return count

    def close(self) -> None:
        self._pieces.close()
        super().close()

    def _body(self) -> Generator[bytes, None, None]:
        position, validator, attempt = 0, "", 1
        while True:
            try:
                with self._downloader.get(self._url, position, validator) as response:
                    if position and response.status_code != 206:
                        raise NotHad(Reason.TRUNCATED, f"broken off at byte {position}, and it cannot be resumed there")
                    validator = validator_of(response)
                    length = response.headers.get("Content-Length", "")
                    total = position + int(length) if length.isdigit() else None
                    for piece in self._downloader.pieces(response, self._cancelled):
                        position, attempt = position + len(piece), 1
                        yield piece
                if total is None or position == total:
                    return
                raise NotHad(Reason.TRUNCATED, f"the connection was closed after {position} of {total} bytes")
            except NotHad as error:
                attempt += 1
                wait = self._downloader.wait(attempt, error)
                if wait is None or (position and not validator) or self._cancelled.wait(wait):
                    raise
