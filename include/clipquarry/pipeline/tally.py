"""Where the items of a plan are, or would come from; and how many files of what a run makes are lacking."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.datasets.model import Kept
from clipquarry.microseconds import SECOND
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.family import brings
from clipquarry.pipeline.on_disk import LayoutFolder, StoredClips
from clipquarry.pipeline.sources import Askers, enabled_sources

if TYPE_CHECKING:
    from clipquarry.pipeline.nearby import Nearby

Place = Literal["here", "folders", "source", "held", "nowhere", "later"]
"""``here``: in the layout or the store; ``folders``: in a folder of a local source, of the data set of that name where there is one; ``source``: not yet, one of that name is
asked first; ``held``: not due, for the reason of that name; ``nowhere``: no source of the run can have it; ``later``: a
refresh never asked for it.
"""
COMING: tuple[Place, ...] = ("folders", "source")
"""Places whose items the run brings."""
_SWITCHES: dict[str, Kept] = {
    "resize": "resized", "excerpts": "excerpts", "frames": "rawframes", "audio": "audio", "audio_features": "audio_features",
}  # fmt: skip
"""Run parameters that make files, and the folder of the layout in which they are."""
_MADE_SUFFIXES: dict[str, tuple[str, ...]] = {"audio": ("wav",), "audio_features": ("npy",)}


COUNTED = ["split", "class_dir", "clip_id", "start", "end", "video_id"]
"""Columns that a count needs."""


class Part(NamedTuple):
    """Some items: their number, that of their files in the layout (several splits may name one), the seconds of their
    windows (0 for whole files), and the number of their source videos.
    """

    items: int = 0
    files: int = 0
    seconds: float = 0.0
    videos: int = 0

    def plus(self, other: Part, share: float = 1.0) -> Part:
        """With a ``share`` of the other one."""
        return Part(
            self.items + round(other.items * share),
            self.files + round(other.files * share),
            self.seconds + other.seconds * share,
            self.videos + round(other.videos * share),
        )


def brought(ctx: RunContext) -> Kept:
    """The kind of files that the items themselves are."""
    return "rawframes" if brings(ctx.spec) == "folders" else "videos"


def made_by(ctx: RunContext) -> list[Kept]:
    """The kinds of files that the run makes of each item, optical flow left out, which is among the frames."""
    switches = {**_SWITCHES, "encode": "videos"} if brought(ctx) == "rawframes" else _SWITCHES
    return [kind for switch, kind in switches.items() if getattr(ctx.params, switch, False) and kind in ctx.spec.layout]


def flow_of(ctx: RunContext) -> bool:
    """Whether the run makes optical flow."""
    there = "rawframes" in (brought(ctx), *made_by(ctx))
    return bool(getattr(ctx.params, "flow", False)) and there


@dataclass
class Tally:
    """Counts of the items of a plan, table by table. ``selected``: those that the run's parameters choose."""

    ctx: RunContext
    selected: pa.Table
    parts: dict[tuple[Place, str], Part] = field(default_factory=dict)
    lacking: dict[Kept, Part] = field(default_factory=dict)
    """By kind, what the run will make: it is not there, and its item is here or comes."""
    worked_on: Part = field(default_factory=Part)
    """Items that are here or come, from which the run makes further files."""

    def __post_init__(self) -> None:
        self.folders: dict[Kept, LayoutFolder] = {}
        self.brought = brought(self.ctx)
        for kind in (self.brought, *made_by(self.ctx)):
            folder = self._folder(kind)
            folder.read(self.selected)
            self.folders[kind] = folder

    def _folder(self, kind: Kept) -> LayoutFolder:
        suffixes = _MADE_SUFFIXES.get(kind) or tuple(dict.fromkeys((*self.ctx.spec.item.ext, "mp4")))
        return LayoutFolder(
            self.ctx.data.dataset(self.ctx.spec.root), self.ctx.spec.layout[kind], of_folders=kind == "rawframes",
            with_suffix=brings(self.ctx.spec) == "videos", suffixes=suffixes,
            others=self.ctx.spec.parents if kind == "videos" else None,
        )  # fmt: skip

    @cached_property
    def _stored(self) -> StoredClips:
        return StoredClips(self.ctx.data.store)

    def take_here(self, items: pa.Table, *, planned: bool = True) -> pa.Table:
        """Count the items that are here, and give the others. ``planned``: the run works on them."""
        there = self.folders[self.brought].has(items)
        self.add("here", "", items.filter(there), planned=planned)
        rest = items.filter(pc.invert(there))
        if rest.num_rows and brings(self.ctx.spec) == "windows":
            stored = self._stored.has(rest)
            self.add("here", "", rest.filter(stored), planned=planned)
            rest = rest.filter(pc.invert(stored))
        return rest

    def take(self, place: Place, name: str, items: pa.Table, chosen: pa.Array | pa.ChunkedArray) -> pa.Table:
        """Count the chosen items, and give the others."""
        self.add(place, name, items.filter(chosen))
        return items.filter(pc.invert(chosen))

    def add(self, place: Place, name: str, items: pa.Table, *, planned: bool = True) -> None:
        if not items.num_rows:
            return
        part = self.part(items)
        self.parts[place, name] = self.parts.get((place, name), Part()).plus(part)
        if place not in ("here", *COMING) or not planned:
            return
        samples = items.filter(pc.invert(pc.is_in(items["split"], value_set=_texts(self.ctx.spec.parents))))
        worked_on = part if samples.num_rows == items.num_rows else self.part(samples)
        self.worked_on = self.worked_on.plus(worked_on)
        if place in COMING:
            for kind in self.folders:
                self._lack(kind, part if kind == self.brought else worked_on)
        else:
            for kind in made_by(self.ctx):
                self._lack(kind, self.part(samples.filter(pc.invert(self.folders[kind].has(samples)))))

    def _lack(self, kind: Kept, part: Part) -> None:
        self.lacking[kind] = self.lacking.get(kind, Part()).plus(part)

    def part(self, items: pa.Table) -> Part:
        if not items.num_rows:
            return Part()
        files = items.select(COUNTED)
        if "{split}" not in self.ctx.spec.layout[self.brought]:
            grouped = files.group_by(["class_dir", "clip_id"]).aggregate([("start", "min"), ("end", "min")])
            files = grouped.rename_columns(["class_dir", "clip_id", "start", "end"])
        seconds = (pc.sum(pc.subtract(files["end"], files["start"])).as_py() or 0) / SECOND
        return Part(items.num_rows, files.num_rows, seconds, pc.count_distinct(items["video_id"]).as_py())

    def there(self, kind: Kept) -> pa.Table:
        """The selected items that have files of a kind."""
        return self.selected.filter(self.folders[kind].has(self.selected))


def count_asked(
    tally: Tally,
    groups: Iterable[pa.Table],
    who: Askers,
    archives: Mapping[str, list[str]],
    nearby: Nearby,
    askable: Collection[str],
) -> None:
    """Count the requested items, each at the source that is asked for it first. Archives are read before the others.

    ``groups``: with the column ``open``, whose bits are those of ``who.ids``. ``archives``: splits to read, by source.
    ``askable``: splits for which others than folders are asked.
    """
    bits = {name: 1 << place for place, name in enumerate(who.ids)}
    switched_on = {source.id for source in enabled_sources(tally.ctx)}
    for items in groups:
        rest = tally.take_here(items)
        for name in nearby.data_sets:
            rest = tally.take("folders", name, rest, nearby.theirs(name, rest))
        if nearby.names or nearby.is_blind:  # where nobody else is asked, the plan has only what may lie in a folder
            asks = pc.is_in(rest["split"], value_set=_texts(askable))
            rest = tally.take("folders", "", rest, pc.invert(asks))
        if nearby.names and rest.num_rows:
            rest = tally.take("folders", "", rest, nearby.may_lie(rest))
        for name in (one for one in (*who.archives, *who.clocked) if one in switched_on):
            chosen = pc.not_equal(pc.bit_wise_and(rest["open"], bits[name]), 0)
            if name in who.archives:
                chosen = pc.and_(chosen, pc.is_in(rest["split"], value_set=_texts(archives.get(name, ()))))
            rest = tally.take("source", name, rest, chosen)
        tally.add("nowhere", "", rest)


def count_held(
    tally: Tally,
    held: pa.Table,
    reasons: pa.Table,
    near: pa.Table,
    from_archives: pa.Table,
    archives: Mapping[str, list[str]],
) -> None:
    """Count the items that are not due. ``reasons``: with ``item_id`` and ``reason``. ``near``: those that may lie in a
    folder, or in an archive that the run reads (``from_archives``).
    """
    rest = tally.take_here(held, planned=False)
    read = pc.is_in(rest["item_id"], value_set=from_archives["item_id"].combine_chunks())
    lies = pc.is_in(rest["item_id"], value_set=near["item_id"].combine_chunks())
    rest = tally.take("folders", "", rest, pc.and_(lies, pc.invert(read)))
    for name, splits in archives.items():
        read = pc.is_in(rest["item_id"], value_set=from_archives["item_id"].combine_chunks())
        rest = tally.take("source", name, rest, pc.and_(read, pc.is_in(rest["split"], value_set=_texts(splits))))
    for reason in sorted(set(pc.unique(reasons["reason"]).to_pylist())):
        ids = reasons.filter(pc.equal(reasons["reason"], reason))["item_id"].combine_chunks()
        rest = tally.take("held", reason, rest, pc.is_in(rest["item_id"], value_set=ids))
    tally.add("held", "", rest)


def _texts(values: Iterable[str]) -> pa.Array:
    return pa.array(sorted(values), pa.string())
