"""The clip or film that a later step works on: where the layout has it, and its sha256 without reading it again."""

from __future__ import annotations

import errno
import glob
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import inside, read_json, sha256_of
from clipquarry.manifest import Row
from clipquarry.settings import DataRoot
from clipquarry.store import Facts, Store

CLIPS = "clips"
"""The store's kind of what ``fetch`` puts there."""
FILMS = "films"
"""The store's kind of facts about whole files, which ``download`` puts into the layout; the files are not in the store."""


@dataclass(frozen=True)
class SourceClip:
    """A clip that is there."""

    path: Path
    sha256: str


def item_path(data: DataRoot, root: str, folder: str, row: Row, suffix: str = "") -> Path:
    """``{data}/{root}/{folder}/{class_dir}/{clip_id}{suffix}``; ``folder`` may hold ``{part}``; without a ``class_dir``
    there is no class folder. Hostile names are a UserError.
    """
    if not row["clip_id"]:
        raise UserError(f"The row {row['item_id']!r} has no clip: leave rejected rows out of the items.")
    class_dir, name = row["class_dir"] or "", f"{row['clip_id']}{suffix}"
    if "/" in class_dir or "/" in name:
        raise UserError(f"The row {row['item_id']!r} has a '/' in its class folder or clip name.")
    return inside(data.root, root, folder.replace("{part}", row["split"]), *([class_dir] if class_dir else []), name)


def _regular(path: Path) -> os.stat_result | None:
    """What is known of a file. A folder, a pipe or a link that leads nowhere is none: a pipe would be waited for without end."""
    try:
        found = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    return found if stat.S_ISREG(found.st_mode) else None


def noted_film(store: Store, name: str, path: Path) -> Facts | None:
    """What was noted of the whole file at ``path`` (``download`` calls it ``name``), while it is unchanged (size and
    time); else None.
    """
    there = _regular(path)
    if there is None:
        return None
    for facts_path in store.path(FILMS, name, "any").parent.glob(f"{glob.escape(name)}.*.json"):
        try:
            facts = read_json(facts_path)
        except (ClipquarryError, OSError):
            continue  # damaged by hand, or just replaced
        if isinstance(facts, dict) and (facts.get("bytes"), facts.get("mtime_ns")) == (
            there.st_size,
            there.st_mtime_ns,
        ):
            return dict(facts)
    return None


def find_clip(store: Store, clip_id: str, path: Path) -> SourceClip | None:
    """The clip or film at ``path``, or None. The sha256 comes from the store's facts when they are about this very
    file, else from its bytes.
    """
    if "." in clip_id and (film := noted_film(store, clip_id, path)) is not None:  # a clip's name has no extension
        return SourceClip(path, str(film["sha256"]))
    there = _regular(path)
    if there is None:
        return None
    for facts_path in store.path(CLIPS, clip_id, "any").parent.glob(f"{glob.escape(clip_id)}.*.json"):
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
