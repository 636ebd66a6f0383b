"""The volumes of an archive as one stream: parts that ``cat`` joins, also where each part came wrapped in a zip."""

from __future__ import annotations

import hashlib
import io
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.content import HEAD, Blocks, Format, format_of
from clipquarry.acquire.archives.native import Archive as Opened
from clipquarry.acquire.archives.native import Kind
from clipquarry.acquire.download import page_like
from clipquarry.datasets.model import Archive
from clipquarry.reasons import Reason

_NUMBER = re.compile(r"(\d+)(?=\D*$)")


def in_order(parts: Sequence[Path]) -> list[Path]:
    """Parts by the last number in their names. Raises :class:`FetchFailed` for a gap (TRUNCATED), and for two parts with one
    number. Their sizes are not compared: reading them says whether one is cut.
    """
    numbered: dict[int, Path] = {}
    for path in parts:
        found = _NUMBER.search(path.name)
        if found is None:
            raise FetchFailed(Reason.BAD_ID, f"{path.name} has no number, so its place among the parts is not known")
        if int(found[1]) in numbered:
            raise FetchFailed(
                Reason.DUPLICATE, f"{numbered[int(found[1])].name} and {path.name} are the same part: remove one"
            )
        numbered[int(found[1])] = path
    if not numbered:
        raise FetchFailed(Reason.NOT_FOUND, "there is no part")
    first = min(0, *numbered) if 0 in numbered or min(numbered) > 1 else 1
    missing = [number for number in range(first, max(numbered)) if number not in numbered]
    if missing:
        some = ", ".join(str(number) for number in missing[:10])
        raise FetchFailed(
            Reason.TRUNCATED,
            f"the parts of {parts[0].name} have a gap: number {some} of 0 to {max(numbered)} is missing",
        )
    return [numbered[number] for number in sorted(numbered)]


def check_declared(volumes: Sequence[Path], names: Sequence[str], archive: Archive) -> None:
    """Raise :class:`FetchFailed` where the volumes, in their order, are not what the data set's YAML says of their number
    (TRUNCATED) and sizes (TRUNCATED, CORRUPT). ``names``: what their addresses call them.

    One size for all but the last is not compared where each volume came wrapped in a zip.
    """
    if archive.volumes is not None and len(volumes) != archive.volumes:
        reason = Reason.TRUNCATED if len(volumes) < archive.volumes else Reason.DUPLICATE
        raise FetchFailed(
            reason,
            f"{len(volumes)} of {archive.volumes} parts are there, the last is {volumes[-1].name}: add what is missing, or remove "
            "what does not belong to them",
        )
    declared = archive.volume_bytes
    if declared is None or (isinstance(declared, int) and are_wrapped(volumes)):
        return
    for number, (path, name) in enumerate(zip(volumes, names, strict=True), 1):
        wanted = declared.get(name) if isinstance(declared, dict) else declared
        found = check_volume(path)
        if (
            wanted is None
            or found == wanted
            or (isinstance(declared, int) and number == len(volumes) and found < wanted)
        ):
            continue
        reason = Reason.TRUNCATED if found < wanted else Reason.CORRUPT
        raise FetchFailed(
            reason, f"{path.name} has {found} bytes, the data set's YAML says {wanted}: get this part again"
        )


class Joined(io.RawIOBase):
    """Files as if they were one; a context manager. Each is open while it is read.

    Raises :class:`FetchFailed` for a file that is not there (NOT_FOUND), is empty (TRUNCATED) or holds a web page (CORRUPT).
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        sizes = [check_volume(path) for path in self._paths]
        self._starts = [0, *accumulate(sizes)]
        self._position = 0
        self._at, self._handle = -1, None  # type: tuple[int, BinaryIO | None]

    @property
    def size(self) -> int:
        return self._starts[-1]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        while self._position < self.size:
            at = bisect_right(self._starts, self._position) - 1
            handle = self._open(at)
            inside = self._position - self._starts[at]
            if handle.tell() != inside:
                handle.seek(inside)
            count = handle.readinto(buffer)  # type: ignore[attr-defined]
            if count:
                self._position += count
                return int(count)
            raise FetchFailed(Reason.TRUNCATED, f"{self._paths[at].name} became shorter while it was read")
        return 0

    def _open(self, at: int) -> BinaryIO:
        if self._handle is None or self._at != at:
            self._shut()
            self._at, self._handle = at, _open(self._paths[at])
        return self._handle

    def _shut(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def close(self) -> None:
        self._shut()
        super().close()

    def sha256(self) -> str:
        """Of all bytes."""
        self.seek(0)
        return hashlib.file_digest(io.BufferedReader(self, 1 << 20), "sha256").hexdigest()


def _open(path: Path) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise FetchFailed(Reason.NOT_FOUND, f"{path}: {error.strerror}") from error


def head_of(path: Path) -> bytes:
    """The first bytes of a file."""
    with _open(path) as handle:
        return handle.read(HEAD)


def check_volume(path: Path) -> int:
    """The size of a volume. Raises :class:`FetchFailed` for one that is not there, is empty, or is a web page."""
    head = head_of(path)
    if not head:
        raise FetchFailed(Reason.TRUNCATED, f"{path.name} is empty")
    if page := page_like(head):
        raise FetchFailed(
            Reason.CORRUPT,
            f"{path.name} is not an archive but a page: {page} (a login was asked for, or a download failed)",
        )
    return path.stat().st_size


def are_wrapped(paths: Sequence[Path]) -> bool:
    """Whether every one of several files is a zip: then each holds parts, because no later volume of a split archive begins
    like one.
    """
    return len(paths) > 1 and all(format_of(head_of(path)) is Format.ZIP for path in paths)


def unwrapped(paths: Sequence[Path]) -> Blocks:
    """The parts inside the zips ``paths`` as one stream: zip after zip, in one zip by name."""
    return Blocks(_parts(paths))


def _parts(paths: Sequence[Path]) -> Iterator[bytes]:
    for path in paths:
        with Joined([path]) as file, Opened(file, Format.ZIP.value) as archive:
            names = [header.name for header in archive.headers() if header.kind is Kind.FILE]
        if not names:
            raise FetchFailed(Reason.TRUNCATED, f"{path.name} holds no part")
        for name in sorted(names):
            yield from _part(path, name)


def _part(path: Path, name: str) -> Iterator[bytes]:
    with ExitStack() as stack:
        file = stack.enter_context(Joined([path]))
        archive = stack.enter_context(Opened(file, Format.ZIP.value))
        if any(header.name == name for header in archive.headers()):
            yield from archive.blocks()
