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
from clipquarry.ids import stems

FLOW_X, FLOW_Y = "flow_x_", "flow_y_"
"""Prefixes of the names of the flow frames in a clip's folder."""


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
        # In level 2 nobody asks for a name twice, so found names need not be kept.
        extension = names.pop(clip, None) if self.level == 2 else names.get(clip)
        if extension is None:
            return None
        return f"{folder}/{clip}{extension}" if folder else f"{clip}{extension}"

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
        return sum(len(names) for names in self._listed.values()) if self.level == 2 else 0


def count_frames(folder: Path, item: Item) -> FrameCount:
    """Count the frames in a clip's folder by prefix."""
    rgb = flow_x = flow_y = 0
    for name in os.listdir(folder):  # noqa: PTH208 - only names, and millions of them
        if name.startswith(item.rgb_prefix):
            rgb += 1
        elif name.startswith(FLOW_X):
            flow_x += 1
        elif name.startswith(FLOW_Y):
            flow_y += 1
    return FrameCount(rgb, flow_x, flow_y)
