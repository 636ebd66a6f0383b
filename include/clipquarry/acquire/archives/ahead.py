"""Decompression ahead of the reader, in a thread: zlib and libarchive work without Python's lock meanwhile."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clipquarry.acquire.archives.native import BLOCK, Readable

_BLOCKS = 16
"""Blocks that may wait for the reader: 4 MiB."""


class _Ahead(io.RawIOBase):
    """See :func:`ahead`."""

    def __init__(self, inner: Readable) -> None:
        self._inner = inner
        self._blocks: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stopped = self._ended = False
        self._failure: BaseException | None = None
        self._left = memoryview(b"")
        self._thread = threading.Thread(target=self._run, name="decompression", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        buffer = bytearray(BLOCK)
        try:
            while (count := self._filled(buffer)) and self._put(bytes(memoryview(buffer)[:count])):
                pass
        except BaseException as error:  # noqa: BLE001 — the reader raises it, behind the blocks that came before
            self._failure = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _filled(self, buffer: bytearray) -> int:
        return self._inner.readinto(buffer) or 0

    def _put(self, block: bytes) -> bool:
        """Wait for room; whether the reader still reads."""
        with self._changed:
            while len(self._blocks) >= _BLOCKS and not self._stopped:
                self._changed.wait()
            self._blocks.append(block)
            self._changed.notify()
            return not self._stopped

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        if not self._left:
            with self._changed:
                while not self._blocks and not self._ended:
                    self._changed.wait()
                if not self._blocks:
                    if self._failure is not None:
                        raise self._failure
                    return 0
                self._left = memoryview(self._blocks.popleft())
                self._changed.notify()
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count

    def stop(self) -> None:
        """End the thread; it may have to wait for the read that it is in."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()


@contextmanager
def ahead(inner: Readable) -> Iterator[io.RawIOBase]:
    """A stream of what ``inner`` gives, which a thread reads up to 4 MiB ahead. Nobody else may read ``inner`` within the block.

    What ``inner`` raises is raised behind the bytes that came before it.
    """
    stream = _Ahead(inner)
    try:
        yield stream
    finally:
        stream.stop()
