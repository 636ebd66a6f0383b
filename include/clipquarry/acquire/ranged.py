"""Seekable file over http, read by byte ranges, for FFmpeg's libraries.

FFmpeg's own http client follows redirects to any address and does not compare versions. This one uses the guarded
sessions of :mod:`clipquarry.acquire.connection`, and every answer must be of the same version of the file as the first.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from threading import Event

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.download import BadRange, Downloader
from clipquarry.acquire.resume import Version
from clipquarry.reasons import Reason

_NEAR = 1 << 18
"""A seek of at most so many bytes ahead reads and drops them: a new request costs more."""


class NoRanges(Exception):
    """The server does not serve ranges of this file: fetch it whole."""


class RangedFile(io.RawIOBase):
    """The file at ``url``, readable and seekable. Raises :class:`FetchFailed` and :class:`NoRanges`.

    Both are kept in ``failure`` too, because a demuxer may take an error for the end of the file.
    """

    def __init__(self, downloader: Downloader, url: str, headers: Mapping[str, str], cancelled: Event) -> None:
        self._downloader, self._url, self._headers, self._cancelled = downloader, url, headers, cancelled
        self._position = 0
        self._version: Version | None = None
        self._answer = ExitStack()
        self._pieces: Iterator[bytes] | None = None
        self._left = b""
        self._spent = 0.0
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            if self._version is None:
                self._guarded(self._open)
            if self._version is None or self._version.total is None:
                raise OSError("the length is not known")
            offset += self._version.total
        if offset < 0:
            raise OSError("before the beginning")
        ahead = offset - self._position
        if self._pieces is not None and 0 <= ahead <= max(_NEAR, len(self._left)):
            while ahead > 0 and (piece := self.read(min(ahead, _NEAR))):
                ahead -= len(piece)
        if offset != self._position:
            self._drop()
            self._position = offset
        return offset

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, fewer when fewer have arrived; empty at the end."""
        total = self._version.total if self._version is not None else None
        if total is not None and self._position >= total:
            return b""
        piece = self._guarded(self._next)
        taken, self._left = (piece, b"") if size < 0 else (piece[:size], piece[size:])
        self._position += len(taken)
        return taken

    def close(self) -> None:
        self._drop()
        super().close()

    def _guarded(self, do: Callable[[], bytes | None]) -> bytes:
        begun = time.monotonic()
        try:
            if self._spent > self._downloader.limits.body:
                raise FetchFailed(Reason.TRANSPORT, f"timed out: not read in {self._downloader.limits.body:g} s")
            return do() or b""
        except Exception as error:
            self.failure = error
            raise
        finally:
            self._spent += time.monotonic() - begun

    def _next(self) -> bytes:
        """The next bytes; a broken connection is reopened where it broke off."""
        attempt = 1
        while True:
            if self._left:
                piece, self._left = self._left, b""
                return piece
            try:
                if self._pieces is None:
                    self._open()
                assert self._pieces is not None and self._version is not None
                if piece := next(self._pieces, b""):
                    return piece
                if self._version.total is None or self._position >= self._version.total:
                    return b""
                raise FetchFailed(
                    Reason.TRANSPORT,
                    f"the connection was closed after {self._position} of {self._version.total} bytes",
                )
            except BadRange:
                raise
            except FetchFailed as error:
                self._drop()
                attempt += 1
                wait = self._downloader.wait(attempt, error)
                if wait is None or self._cancelled.wait(wait):
                    raise

    def _open(self) -> None:
        self._drop()
        response = self._answer.enter_context(
            self._downloader.get(self._url, self._position, self._version, headers=self._headers, ranged=True)
        )
        if response.status_code != 206 and self._position:
            raise NoRanges(f"the server has no ranges of it (HTTP {response.status_code})")
        if self._version is None:
            self._version = Version.of(response.status_code, response.headers)
        elif not self._position and (why := self._version.other(Version.of(response.status_code, response.headers))):
            raise BadRange(Reason.TRANSPORT, f"the file has changed: {why}")
        self._pieces = self._downloader.pieces(response, self._cancelled)

    def _drop(self) -> None:
        self._answer.close()
        self._answer, self._pieces, self._left = ExitStack(), None, b""
