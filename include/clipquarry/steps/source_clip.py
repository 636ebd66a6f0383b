"""Lookup of the clip or video that a later step works on: its path in the layout, and its noted sha256."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

from clipquarry.datasets.model import HERE
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import inside, read_json, sha256_of
from clipquarry.ids import VIDEO_SUFFIXES, window_name
from clipquarry.manifest import Row
from clipquarry.settings import DataRoot
from clipquarry.store import Facts, Store, content_key

CLIPS = "clips"
"""The store's kind of the clips that ``fetch`` stores."""
VIDEOS = "films"
"""The store's kind of facts about the videos that ``download`` puts into the layout; the files are not in the store."""

SUFFIXES = (".mp4",)
"""Suffixes of the clips that ``fetch`` makes."""


@dataclass(frozen=True)
class SourceClip:
    """An existing clip or video."""

    path: Path
    sha256: str


def split_folder(folder: str, split: str) -> str:
    """The folder of a split. Plans of earlier versions have ``{part}`` in the place of ``{split}``."""
    return folder.replace("{split}", split).replace("{part}", split)


def item_path(data: DataRoot, root: str, folder: str, row: Row, suffix: str = "") -> Path:
    """``{data}/{root}/{folder}/{class_dir}/{clip_id}{suffix}``; ``folder`` may hold ``{split}``; without a
    ``class_dir`` there is no class folder. Hostile names are a UserError.
    """
    if not row["clip_id"]:
        raise UserError(f"The row {row['item_id']!r} has no clip: leave rejected rows out of the items.")
    class_dir, name = row["class_dir"] or "", f"{row['clip_id']}{suffix}"
    if "/" in class_dir or "/" in name:
        raise UserError(f"The row {row['item_id']!r} has a '/' in its class folder or clip name.")
    below = [] if folder == HERE else [split_folder(folder, row["split"])]
    return inside(data.root, root, *below, *([class_dir] if class_dir else []), name)


def item_files(data: DataRoot, root: str, folder: str, row: Row, suffixes: Sequence[str]) -> list[Path]:
    """Files of an item in the layout, whatever their suffix: those of ``suffixes`` first (with their dots, in that order),
    then any video's; each in lower case, in upper case, then as it is. More than one is an ambiguity that the caller must tell.
    """
    stem = item_path(data, root, folder, row)
    found: dict[tuple[int, int, str], Path] = {}
    base = str(stem)
    for suffix in _spellings(tuple(suffixes)):
        if os.access(
            base + suffix, os.F_OK, follow_symlinks=False
        ):  # no exception for each of the many that are not there
            with suppress(FileNotFoundError):  # another run has just set it aside
                facts = os.lstat(base + suffix)
                # A file system that ignores case has one file under each spelling.
                found.setdefault((facts.st_dev, facts.st_ino, suffix.lower()), Path(base + suffix))
    return list(found.values())


@lru_cache(maxsize=64)
def _spellings(suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Suffixes to ask for, name by name (some 120, in a quarter of a millisecond): to list the folder for every item that
    comes into it would be quadratic.
    """
    lower = tuple(dict.fromkeys((*suffixes, *VIDEO_SUFFIXES)))
    mixed = ("".join(letters) for one in lower for letters in product(*((char.lower(), char.upper()) for char in one)))
    return tuple(dict.fromkeys((*lower, *map(str.upper, lower), *mixed)))


def item_file(data: DataRoot, root: str, folder: str, row: Row, suffixes: Sequence[str]) -> Path:
    """The first of :func:`item_files`; where there is none, the place of one with the first suffix."""
    found = item_files(data, root, folder, row, suffixes)
    return found[0] if found else item_path(data, root, folder, row, suffixes[0])


def item_group(row: Row) -> str:
    """Group of a row for steps that make something of an item's file: where splits share a folder, an item of several
    splits is made once, by one of them after the other.
    """
    return f"{row['class_dir'] or ''}/{row['clip_id']}"


def download_work(name: str) -> str:
    """What the cache of source videos calls the unfinished download of the file ``name``."""
    return f"download-{name}"


def collect_work(root: str, folder: str, row: Row) -> str:
    """What the cache of source videos calls an item's file on its way: a hash of its place, because another data set, split or
    class may have another file of the same name, and because names may be long.
    """
    place = [root, split_folder(folder, row["split"]), row["class_dir"] or "", row["clip_id"]]
    return f"collect-{content_key(place=place)}"


def _regular(path: Path) -> os.stat_result | None:
    """Status of a regular file; None for a folder, a pipe or a broken link. The read of a pipe would never end."""
    try:
        found = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    return found if stat.S_ISREG(found.st_mode) else None


def noted_video(store: Store, name: str, path: Path) -> Facts | None:
    """The noted facts of the video at ``path`` (``name`` in ``download``) while it is unchanged (size and time), else None."""
    there = _regular(path)
    if there is None:
        return None
    for facts_path in store.path(VIDEOS, name, "any").parent.glob(f"{glob.escape(name)}.*.json"):
        try:
            facts = read_json(facts_path)
        except (ClipquarryError, OSError):
            continue  # edited by hand, or just replaced
        # Files of one name in two folders may well have one size and time: unpacked ones have whole seconds.
        if (
            isinstance(facts, dict)
            and (facts.get("bytes"), facts.get("mtime_ns")) == (there.st_size, there.st_mtime_ns)
            and path.as_posix().endswith(f"/{facts.get('path', path.name)}")
        ):
            return dict(facts)
    return None


def find_video(store: Store, name: str, path: Path) -> SourceClip | None:
    """The video ``name`` at ``path``, or None. Its sha256 was noted at the download, else it is computed from the bytes."""
    if (video := noted_video(store, name, path)) is not None:
        return SourceClip(path, str(video["sha256"]))
    return None if _regular(path) is None else SourceClip(path, sha256_of(path))


def find_clip(store: Store, row: Row, path: Path) -> SourceClip | None:
    """The clip of ``row`` at ``path``, or None. The sha256 comes from the store's facts when they are about this very
    file, else from its bytes.
    """
    there = _regular(path)
    if there is None:
        return None
    if row["start"] is None:  # a whole file, which is not in the store
        noted = noted_video(store, path.name, path)
        return SourceClip(path, str(noted["sha256"]) if noted else sha256_of(path))
    name = window_name(row["video_id"], row["start"], row["end"])
    for facts_path in store.path(CLIPS, name, "any").parent.glob(f"{glob.escape(name)}.*.json"):
        try:
            facts = read_json(facts_path)
            stored = facts_path.with_suffix(".mp4").stat()
        except (ClipquarryError, OSError):
            continue  # damaged or just replaced: the bytes decide
        same_file = (stored.st_dev, stored.st_ino) == (there.st_dev, there.st_ino)
        unchanged = facts.get("bytes") == there.st_size and facts.get("mtime_ns") == there.st_mtime_ns
        if same_file and unchanged and isinstance(facts.get("sha256"), str):
            return SourceClip(path, facts["sha256"])
    return SourceClip(path, sha256_of(path))
