"""Which items have files in a folder of the layout, and how large a sample of those files is.

Names alone decide, by one listing of each folder: the steps verify the contents. A name takes about a hundred bytes of
memory. What cannot be read counts as absent: an estimate never stops a plan.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.ids import FLOW_X, FLOW_Y
from clipquarry.manifest import Row
from clipquarry.microseconds import SECOND
from clipquarry.steps.clips import KIND

BLOCK = 4096
"""Bytes in which file systems hand out space: of small files, such as frames, the rest of the last block counts."""
SAMPLE, FOLDERS, IMAGES = 200, 24, 50
"""At most so many files, folders of frames, and images of one kind in a folder are looked at."""
_BATCH = 8192


@dataclass(frozen=True)
class Size:
    """Measured size of ``count`` files or folders, whose items last ``seconds``."""

    count: int = 0
    seconds: float = 0.0
    bytes: float = 0.0

    def plus(self, seconds: float, size: float) -> Size:
        return Size(self.count + 1, self.seconds + seconds, self.bytes + size)


class LayoutFolder:
    """One folder of a data set's layout, ``template`` with ``{split}``, below ``root``; ``others`` are the folders of splits that
    have one of their own.

    ``of_folders``: its entries are folders of frames; else files, whose last suffix does not count. ``with_suffix``: the
    items' names have a suffix, as those of whole videos. ``suffixes``: those that files may have, without dots.
    """

    def __init__(
        self, root: Path, template: str, *, of_folders: bool, with_suffix: bool, suffixes: tuple[str, ...] = (),
        others: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._others = others or {}
        self._root, self._template, self._of_folders, self._with_suffix = root, template, of_folders, with_suffix
        self._suffixes = suffixes
        self._known: pa.Array = pa.array([], pa.binary())

    def read(self, items: pa.Table) -> None:
        """List the folders of these items."""
        places = items.group_by(["split", "class_dir"]).aggregate([]).to_pylist()
        prefixes = {self._prefix(place["split"], place["class_dir"]): place for place in places}
        found = [names for prefix, place in sorted(prefixes.items()) for names in self._names(prefix, place)]
        self._known = pa.concat_arrays(found) if found else self._known

    def has(self, items: pa.Table) -> pa.ChunkedArray:
        """For each item, whether its file or folder was there when the folders were read."""
        if "{split}" in self._template:
            split = items["split"]
        else:
            own = pc.is_in(items["split"], value_set=pa.array(list(self._others), pa.string()))
            split = pc.if_else(own, items["split"], "")
        names = items["clip_id"]
        if self._with_suffix:
            names = pc.replace_substring_regex(names, r"\.[^.]*$", "")
        keys = pc.binary_join_element_wise(split, pc.coalesce(items["class_dir"], ""), names, "/")
        return pc.coalesce(pc.is_in(pc.cast(keys, pa.binary()), value_set=self._known), False)

    def path(self, row: Row) -> Path | None:
        """The file or folder of an item; None if it has none."""
        name = str(row["clip_id"])
        base = self._folder(row) / (Path(name).stem if self._with_suffix else name)
        if self._of_folders:
            return base if base.is_dir() else None
        names = [name, *(f"{base.name}.{suffix}" for suffix in self._suffixes)]
        return next((path for path in map(base.with_name, names) if path.is_file()), None)

    def _folder(self, place: Row) -> Path:
        folder = self._others.get(place["split"]) or self._template.replace("{split}", place["split"])
        return self._root / folder / (place["class_dir"] or "")

    def _prefix(self, split: str, class_dir: str | None) -> bytes:
        named = "{split}" in self._template or split in self._others
        return os.fsencode(f"{split if named else ''}/{class_dir or ''}/")

    def _names(self, prefix: bytes, place: Row) -> Iterator[pa.Array]:
        """The keys of a folder's entries, in pieces: a folder without classes holds 650,000."""
        try:
            with os.scandir(os.fsencode(self._folder(place))) as entries:
                names = (one.name for one in entries if not one.name.startswith(TEMPORARY_PREFIX.encode()))
                keys = (prefix + (name if self._of_folders else name.rpartition(b".")[0] or name) for name in names)
                while piece := list(islice(keys, _BATCH)):
                    yield pa.array(piece, pa.binary())
        except (OSError, ValueError):
            return


class StoredClips:
    """The clips in the store, by their windows: another data set may have brought them."""

    def __init__(self, store: Path) -> None:
        found = [
            pa.array([name.rsplit(".", 2)[0] for name in _names(store / KIND / bucket, ".mp4")], pa.string())
            for bucket in _names(store / KIND)
        ]
        self._known = pa.concat_arrays(found) if found else pa.array([], pa.string())

    def has(self, items: pa.Table) -> pa.ChunkedArray | pa.Array:
        """For each item, whether a clip of its window is there. Only windows of whole seconds are looked up."""
        if not len(self._known):
            return pa.array([False] * items.num_rows, pa.bool_())
        parts = [items["video_id"]]
        for name in ("start", "end"):
            whole = pc.divide(items[name], SECOND)
            whole = pc.if_else(pc.equal(pc.multiply(whole, SECOND), items[name]), whole, None)
            parts.append(pc.utf8_lpad(pc.cast(whole, pa.string()), 6, "0"))
        return pc.coalesce(pc.is_in(pc.binary_join_element_wise(*parts, "_"), value_set=self._known), False)


def sizes(folder: LayoutFolder, items: pa.Table) -> Size:
    """The size of a sample of the items' files."""
    size = Size()
    for row in sampled(items, SAMPLE):
        path = folder.path(row)
        try:
            size = size if path is None else size.plus(lasts(row), _blocks(path.stat().st_size))
        except OSError:
            continue
    return size


def frame_sizes(folder: LayoutFolder, items: pa.Table) -> tuple[Size, Size]:
    """The size of the frames and of the optical flow in a sample of the items' folders."""
    frames, flow = Size(), Size()
    for row in sampled(items, FOLDERS):
        path = folder.path(row)
        names = [] if path is None else sorted(_names(path))
        of_flow = [name for name in names if name.startswith((FLOW_X, FLOW_Y))]
        images = [name for name in names if not name.startswith((FLOW_X, FLOW_Y, "."))]
        if path is not None and images:
            frames = frames.plus(lasts(row), _images(path, images))
            flow = flow.plus(lasts(row), _images(path, of_flow)) if of_flow else flow
    return frames, flow


def _images(folder: Path, names: list[str]) -> float:
    """Bytes of all these images, by the mean of some. One that several names share counts once."""
    some = names[:: max(1, len(names) // IMAGES)]
    size = 0.0
    for name in some:
        try:
            facts = os.stat(folder / name)
        except OSError:
            continue
        size += _blocks(facts.st_size) / facts.st_nlink
    return size / len(some) * len(names)


def sampled(items: pa.Table, most: int) -> Iterator[Row]:
    """At most ``most`` rows, evenly spread."""
    size = items.num_rows
    rows = [number * size // most for number in range(most)] if size > most else list(range(size))
    yield from (
        items.select(["split", "class_dir", "clip_id", "start", "end"]).take(pa.array(rows, pa.int64())).to_pylist()
    )


def lasts(row: Row) -> float:
    """Seconds of an item's window; 0 for a whole file."""
    start, end = row["start"], row["end"]
    return 0.0 if start is None or end is None else (end - start) / SECOND


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _names(folder: Path, suffix: str = "") -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [one.name for one in entries if one.name.endswith(suffix)]
    except OSError:
        return []
