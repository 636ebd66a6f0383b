"""Listing of a split's folders. Each folder is listed once, so that the time is linear in the number of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from clipquarry.datasets.model import Item
from clipquarry.errors import UserError
from clipquarry.files import inside
from clipquarry.ids import FLOW_X, FLOW_Y, stems


class FrameCount(NamedTuple):
    """Counts of the frames in a clip's folder."""

    rgb: int
    flow_x: int
    flow_y: int


@dataclass
class SplitFolder:
    """``{root}/{class_dir}/{name}`` (level 2) or ``{root}/{name}`` (level 1).

    Hidden names are not clips (unfinished files begin with a dot). A file belongs to the clip named before its
    suffix, which is that of a video or one of ``prefer``; a folder belongs to the clip of the same name.
    """

    root: Path
    level: int
    folders: bool = False
    """Clips are folders (raw frames), not files."""
    prefer: Sequence[str] = ("mp4",)
    """Of a clip with several suffixes (without dots, in any case), these come first, then the alphabet."""
    is_shared: bool = False
    """Several splits have the folder: a clip may be asked for more than once, and its frames are counted once."""
    _asked: set[str] = field(default_factory=set, repr=False)
    _counts: dict[str, FrameCount] = field(default_factory=dict, repr=False)
    _listed: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._order = {name.lower(): at for at, name in reversed(list(enumerate(self.prefer)))}
        self._suffixes = frozenset(f".{name}" for name in self._order)
        if self.level not in (1, 2):
            raise UserError(
                f"List files are made of folders of level 1 or 2, not {self.level}: see 'item' in the YAML."
            )

    def find(self, class_dir: str, clip: str) -> str | None:
        """Path of a clip relative to the root, with its suffix, or None."""
        folder = class_dir if self.level == 2 else ""
        names = self._listed.get(folder)
        if names is None:
            names = self._listed[folder] = self._list(inside(self.root, folder) if folder else self.root)
        # In level 2 nobody asks for a name of a folder of one split twice, so found names need not be kept.
        extension = names.pop(clip, None) if self.level == 2 and not self.is_shared else names.get(clip)
        if extension is None:
            return None
        path = f"{folder}/{clip}{extension}" if folder else f"{clip}{extension}"
        if self.is_shared and self.level == 2:
            self._asked.add(path)
        return path

    def frames(self, path: str, item: Item) -> FrameCount:
        """The counts of the folder that :meth:`find` gave."""
        if (known := self._counts.get(path)) is not None:
            return known
        count = count_frames(f"{self.root}/{path}", item)
        if self.is_shared:
            self._counts[path] = count
        return count

    def _list(self, folder: Path) -> dict[str, str]:
        """Clip id to suffix (with its dot)."""
        names: dict[str, str] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not (entry.is_dir() if self.folders else entry.is_file()):
                        continue
                    for stem in (entry.name,) if self.folders else stems(entry.name, self._suffixes):
                        extension = entry.name[len(stem) :]
                        if stem not in names or self._rank(extension) < self._rank(names[stem]):
                            names[stem] = extension
        except (FileNotFoundError, NotADirectoryError):
            pass  # a class without any clip
        except PermissionError as error:
            raise UserError(f"The folder {folder} cannot be read: {error.strerror}.") from error
        return names

    def _rank(self, extension: str) -> tuple[int, int, str]:
        name = extension.removeprefix(".")
        at = self._order.get(name.lower(), len(self._order))
        return extension.count("."), at, name

    @property
    def unasked(self) -> int:
        """Clips in the listed folders that :meth:`find` was not asked for (level 2)."""
        return sum(len(names) for names in self._listed.values()) - len(self._asked) if self.level == 2 else 0


def count_frames(folder: str | Path, item: Item) -> FrameCount:
    """Count the frames and the images of flow in a clip's folder by prefix. Flow comes first: the prefix of frames may be
    empty.
    """
    names = os.listdir(folder)  # noqa: PTH208 - only names, and millions of them
    # No name holds a slash, so that each prefix is counted without a loop over the names.
    text = "/" + "/".join(names)
    flow_x, flow_y = text.count(f"/{FLOW_X}"), text.count(f"/{FLOW_Y}")
    prefix = item.rgb_prefix
    if prefix.startswith((FLOW_X, FLOW_Y)):
        return FrameCount(0, flow_x, flow_y)
    rgb = text.count(f"/{prefix}") if names else 0
    return FrameCount(rgb - FLOW_X.startswith(prefix) * flow_x - FLOW_Y.startswith(prefix) * flow_y, flow_x, flow_y)
