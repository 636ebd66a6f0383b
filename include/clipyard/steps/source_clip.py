"""The clip that a later step works on: where the layout has it, and its sha256 without reading it again."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from clipyard.errors import ClipyardError, UserError
from clipyard.files import inside, read_json, sha256_of
from clipyard.manifest import Row
from clipyard.settings import DataRoot
from clipyard.store import Store

CLIPS = "clips"
"""The store's kind of what ``fetch`` puts there."""


@dataclass(frozen=True)
class SourceClip:
    """A clip that is there."""

    path: Path
    sha256: str


def item_path(data: DataRoot, root: str, folder: str, row: Row, suffix: str = "") -> Path:
    """``{data}/{root}/{folder}/{class_dir}/{clip_id}{suffix}``; ``folder`` may hold ``{part}``. Hostile names are a
    UserError.
    """
    if not row["clip_id"] or not row["class_dir"]:
        raise UserError(f"The row {row['item_id']!r} has no clip: leave rejected rows out of the items.")
    name = f"{row['clip_id']}{suffix}"
    if "/" in row["class_dir"] or "/" in name:
        raise UserError(f"The row {row['item_id']!r} has a '/' in its class folder or clip name.")
    return inside(data.root, root, folder.replace("{part}", row["split"]), row["class_dir"], name)


def find_clip(store: Store, clip_id: str, path: Path) -> SourceClip | None:
    """The clip at ``path``, or None. The sha256 comes from the store's facts when they are about this very file, else
    from its bytes.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    for facts_path in store.path(CLIPS, clip_id, "any").parent.glob(f"{glob.escape(clip_id)}.*.json"):
        try:
            facts = read_json(facts_path)
            stored = facts_path.with_suffix(".mp4").stat()
        except (ClipyardError, OSError):
            continue  # damaged or just replaced: the bytes decide
        same_file = (stored.st_dev, stored.st_ino) == (stat.st_dev, stat.st_ino)
        unchanged = facts.get("bytes") == stat.st_size and facts.get("mtime_ns") == stat.st_mtime_ns
        if same_file and unchanged and isinstance(facts.get("sha256"), str):
            return SourceClip(path, facts["sha256"])
    return SourceClip(path, sha256_of(path))
