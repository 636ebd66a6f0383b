"""The thread that decompresses ahead: order, errors, an early end."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

import pytest
from clipquarry.acquire.archives.ahead import ahead
from clipquarry.acquire.archives.native import BLOCK, Damaged

PIECE = 9
NAME = "decompression"


class Pieces(io.RawIOBase):
    """Numbered pieces, then an error or the end."""

    def __init__(self, count: int, error: BaseException | None = None) -> None:
        self.count, self.error, self.given = count, error, 0

    def readinto(self, buffer: Any, /) -> int:
        if self.given == self.count:
            if self.error is not None:
                raise self.error
            return 0
        self.given += 1
        buffer[:PIECE] = f"{self.given:{PIECE}}".encode()
        return PIECE


def whole(count: int) -> bytes:
    return b"".join(f"{n + 1:{PIECE}}".encode() for n in range(count))


@pytest.mark.parametrize("size", [1, 7, PIECE, 1000])
def test_the_bytes_come_in_their_order(size: int) -> None:
    with ahead(Pieces(300)) as stream:
        assert b"".join(iter(lambda: stream.read(size), b"")) == whole(300)
        assert stream.read(size) == b"", "the end stays the end"


def test_an_error_comes_behind_the_bytes_before_it() -> None:
    found = b""
    with ahead(Pieces(40, Damaged("here"))) as stream, pytest.raises(Damaged, match="here"):
        while piece := stream.read(PIECE):
            found += piece
    assert found == whole(40)


def test_a_reader_that_ends_early_ends_the_thread_too() -> None:
    """The thread may wait for room, for the lock, or be at its end. Other tests' threads come and go: it is known by its name."""
    for read in (0, 1, 100, 5000):
        pieces = Pieces(5000)
        with ahead(pieces) as stream:
            assert [thread for thread in threading.enumerate() if thread.name == NAME] or pieces.given == 5000 * PIECE
            for _ in range(read):
                stream.read(PIECE)
        given = pieces.given
        assert not [thread for thread in threading.enumerate() if thread.name == NAME]
        time.sleep(0.01)
        assert pieces.given == given, "nobody reads any more"


def test_it_reads_only_so_far_ahead() -> None:
    class Full(io.RawIOBase):
        given = 0

        def readinto(self, buffer: Any, /) -> int:
            self.given += len(buffer)
            return len(buffer)

    full = Full()
    with ahead(full) as stream:
        stream.read(BLOCK)
        time.sleep(0.2)
        assert full.given <= 20 * BLOCK
