"""What lies in the folders of a split: each folder is listed once, so that the time is linear in the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from clipquarry.datasets.model import Item
from clipquarry.errors import UserError
from clipquarry.files import inside

FLOW_X, FLOW_Y = "flow_x_", "flow_y_"
"""What the flow images of a clip's folder begin with."""


class FrameCount(NamedTuple):
    """Images in a clip's folder."""

    rgb: int
    flow_x: int
    flow_y: int


@dataclass
class SplitFolder:
    """``{root}/{class_dir}/{name}`` (level 2) or ``{root}/{name}`` (level 1).

    Hidden names are not clips (unfinished files begin with a dot), nor are names with white space, which no list holds.
    """

    root: Path
    level: int
    folders: bool = False
    """Clips are folders (raw frames), not files."""
    prefer: Sequence[str] = ("mp4",)
    """Of a clip with several extensions, these come first, then the alphabet."""
    _listed: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.level not in (1, 2):
            raise UserError(
                f"List files are made of folders of level 1 or 2, not {self.level}: see 'item' in the YAML."
            )

    def find(self, class_dir: str, clip: str) -> str | None:
        """Path of a clip relative to the root, with its extension, or None."""
        folder = class_dir if self.level == 2 else ""
        names = self._listed.get(folder)
        if names is None:
            names = self._listed[folder] = self._list(inside(self.root, folder) if folder else self.root)
        # In level 2 nobody asks for a name twice, so what is found need not be kept.
        extension = names.pop(clip, None) if self.level == 2 else names.get(clip)
        if extension is None:
            return None
        return f"{folder}/{clip}{extension}" if folder else f"{clip}{extension}"

    def _list(self, folder: Path) -> dict[str, str]:
        """Clip id to extension (with its dot)."""
        names: dict[str, str] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    stem, dot, rest = entry.name.partition(".")
                    if not stem or " " in entry.name or not entry.name.isprintable():
                        continue
                    if not (entry.is_dir() if self.folders else entry.is_file()):
                        continue
                    extension = dot + rest
                    if stem not in names or self._rank(extension) < self._rank(names[stem]):
                        names[stem] = extension
        except (FileNotFoundError, NotADirectoryError):
            pass  # a class of which nothing was had
        except PermissionError as error:
            raise UserError(f"The folder {folder} cannot be read: {error.strerror}.") from error
        return names

    def _rank(self, extension: str) -> tuple[int, str]:
        name = extension.removeprefix(".")
        return (self.prefer.index(name) if name in self.prefer else len(self.prefer)), name

    @property
    def unasked(self) -> int:
        """Clips in the listed folders that :meth:`find` was not asked for (level 2)."""
        return sum(len(names) for names in self._listed.values()) if self.level == 2 else 0


def count_frames(folder: Path, item: Item) -> FrameCount:
    """Count the images of a clip's folder by prefix."""
    rgb = flow_x = flow_y = 0
    for name in os.listdir(folder):  # noqa: PTH208 - only names, and millions of them
        if name.startswith(item.rgb_prefix):
            rgb += 1
        elif name.startswith(FLOW_X):
            flow_x += 1
        elif name.startswith(FLOW_Y):
            flow_y += 1
    return FrameCount(rgb, flow_x, flow_y)
