"""Limits of what an archive may unpack to, counted while it is read."""

from __future__ import annotations

from dataclasses import dataclass

from clipquarry.acquire.answer import FetchFailed
from clipquarry.reasons import Reason


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits after decompression. An archive above any of them is refused, except that a member above ``member`` is left out."""

    member: int = 2 << 30
    """Bytes of one member."""
    total: int = 1 << 40
    """Bytes of all members, those of nested archives too."""
    members: int = 20_000_000
    ratio: int = 200
    """Unpacked bytes for each byte of the archive, checked above ``ratio_from`` unpacked bytes."""
    ratio_from: int = 1 << 30
    rejected: int = 10_000
    """Members that an extraction refuses before it refuses the archive."""


class Counter:
    """Counts what came out of one archive, nested archives included. Raises :class:`FetchFailed` above a limit."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self.limits = limits
        self.unpacked = self.members = 0
        self.packed = 0
        """Bytes of the archive: all where its length is known, else those read so far."""

    def bytes(self, count: int) -> None:
        self.unpacked += count
        limits = self.limits
        if self.unpacked > limits.total:
            raise FetchFailed(Reason.CORRUPT, f"it unpacks to more than {limits.total} bytes")
        if self.unpacked > limits.ratio_from and self.unpacked > limits.ratio * max(self.packed, 1):
            raise FetchFailed(
                Reason.CORRUPT, f"it unpacks to more than {limits.ratio} times its size, as only a bomb does"
            )

    def member(self) -> None:
        self.members += 1
        if self.members > self.limits.members:
            raise FetchFailed(Reason.CORRUPT, f"it has more than {self.limits.members} members")
