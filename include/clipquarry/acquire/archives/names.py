"""Names of members as paths below a folder: which are refused, and which say the same to another file system."""

from __future__ import annotations

import re
import unicodedata
from array import array
from enum import Enum
from functools import lru_cache

from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.settings import PRIVATE

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST_PART, _LONGEST, _DEEPEST = 255, 2000, 64
_PLAIN_PART = r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}"
_PLAIN = re.compile(rf"{_PLAIN_PART}(?:/{_PLAIN_PART}){{0,9}}\Z")
"""Nearly all names; nothing that is refused begins with anything but a dot, or is that long."""


class Refused(Exception):
    """Why a name cannot become a path below a folder."""


def parts_of(name: str) -> list[str]:
    """The folders and the file name that a member's name means. Raises :class:`Refused`."""
    if _PLAIN.match(name):
        return name.split("/")
    if any(0xDC80 <= ord(letter) <= 0xDCFF for letter in name) if not name.isascii() else False:
        raise Refused("its name is not UTF-8")
    if name.startswith("/") or _DRIVE.match(name):
        raise Refused("an absolute path")
    if "\\" in name:
        raise Refused("a backslash in its name")
    if _CONTROL.search(name):
        raise Refused("a control character in its name")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused("'..' in its path")
    if not parts:
        raise Refused("it has no name")
    if len(parts) > _DEEPEST or len(name) > _LONGEST:
        raise Refused("its path is too long")
    for part in parts:
        if len(part) > _LONGEST_PART // 4 and len(part.encode()) > _LONGEST_PART:
            raise Refused("its path is too long")
        if part.startswith(TEMPORARY_PREFIX) or part == PRIVATE:
            raise Refused("a name that only Clipquarry's own files have")
    return parts


@lru_cache(maxsize=4096)
def _folded(part: str) -> str:
    if part.isascii():
        return part.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", part).casefold())


class Seen(Enum):
    """What is known of a path."""

    NEW = "new"
    SAME = "the same path"
    ALIKE = "a path that differs only in case or Unicode normal form"


class Names:
    """The paths of one extraction: file systems of other machines take some of them for one.

    It has some 20 bytes a path: packages have millions of frames. Paths are known by 64-bit hashes only.
    """

    def __init__(self) -> None:
        self._size = 1 << 10
        self._count = 0
        self._alike = array("q", bytes(8 * self._size))
        self._exact = array("q", bytes(8 * self._size))
        self._folder: list[str] = []

    def add(self, parts: list[str]) -> Seen:
        """Note a file; what was known of its path. ALIKE also for its folders. A path that is not NEW is not noted."""
        *folder, _ = parts
        if folder != self._folder:
            for depth in range(1, len(parts)):
                if self._add(parts[:depth]) is Seen.ALIKE:
                    return Seen.ALIKE
            self._folder = folder
        return self._add(parts)

    def _add(self, parts: list[str]) -> Seen:
        # 0 stands for a free place.
        path = "/".join(parts)
        folded = path.lower() if path.isascii() else "/".join(map(_folded, parts))
        alike, exact = hash(folded) or 1, hash(path) or 1
        place = self._place(alike)
        if self._alike[place] == alike:
            return Seen.SAME if self._exact[place] == exact else Seen.ALIKE
        self._alike[place], self._exact[place] = alike, exact
        self._count += 1
        if self._count * 5 > self._size * 3:
            self._grow()
        return Seen.NEW

    def holds(self, parts: list[str]) -> bool:
        """Whether this very path was noted."""
        path = "/".join(parts)
        folded = path.lower() if path.isascii() else "/".join(map(_folded, parts))
        place = self._place(hash(folded) or 1)
        return self._alike[place] != 0 and self._exact[place] == (hash(path) or 1)

    def _place(self, alike: int) -> int:
        """Where ``alike`` is, or the free place for it."""
        mask, table = self._size - 1, self._alike
        place = alike & mask
        while table[place] and table[place] != alike:
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        before = zip(self._alike, self._exact, strict=True)
        self._size *= 4
        self._alike, self._exact = array("q", bytes(8 * self._size)), array("q", bytes(8 * self._size))
        for alike, exact in before:
            if alike:
                place = self._place(alike)
                self._alike[place], self._exact[place] = alike, exact
