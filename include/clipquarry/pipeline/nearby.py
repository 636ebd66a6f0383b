"""Search for items on disk, by one listing of each folder: an item that no source can have gets no task.

A run over folders only (``--source local``, another data set's clips) makes no request. A look into the listing
takes some microseconds per item; a task that finds nothing takes some milliseconds and a lock, and a thousand tasks
their starts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.acquire.answer import ClipRequest
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.frame_folders import FrameFolders
from clipquarry.acquire.listing import Listing
from clipquarry.acquire.local import LocalSource
from clipquarry.acquire.named_files import NamedFiles
from clipquarry.acquire.other_dataset import DatasetSource
from clipquarry.acquire.sources import Egress, make_sources
from clipquarry.datasets.model import Source
from clipquarry.errors import UserError
from clipquarry.ids import stems, window_name
from clipquarry.manifest import Row
from clipquarry.microseconds import seconds
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.family import brings
from clipquarry.reasons import Reason, Status
from clipquarry.steps.clips import KIND
from clipquarry.steps.source_clip import collect_work, download_work

_COLUMNS = ("video_id", "clip_id", "split", "label", "class_dir", "start", "end")
_BATCH = 8192


class Nearby:
    """Possible places of an item: the folders of the sources, its own place in the layout, the store of clips.

    ``params`` are those of the step that fetches the items, with the local sources. A folder that this machine lacks
    may be mounted where the steps run: then nothing is known, and everything may be there. Without any local source
    there is no folder to search.
    """

    def __init__(self, ctx: RunContext, params: dict[str, Any]) -> None:
        self._ctx, self._root, self._videos = ctx, params["root"], str(params["videos"])
        self._folders: dict[str, str] = params.get("folders", {})
        self._brings = brings(ctx.spec)
        self._suffixes = frozenset(f".{suffix.lower()}" for suffix in ctx.spec.item.ext)
        self._listing, self._store = Listing(snapshot=True), Listing(snapshot=True, entries=True)
        self._clips = f"{ctx.data.store}/{KIND}"
        self._cache = SourceCache(ctx.data.scratch, 0)
        self._sources: list[LocalSource | DatasetSource | NamedFiles | FrameFolders] = []
        self._unknown = self._blind = False
        self._names: dict[str, str | None] = {source["id"]: source.get("dataset") for source in params["sources"]}
        try:
            made = make_sources(
                [Source.model_validate(source) for source in params["sources"]],
                Egress(ctx.data.egress(ctx.settings.egress)),
                overrides=params["overrides"], data=ctx.data.root, whole_files=self._brings == "videos", listing=self._listing,
                named=ctx.data.root / params["named"] if "named" in params else None, frames=params.get("pattern"),
                suffixes=tuple(self._suffixes) if ctx.spec.item.medium == "package" else (),
            )  # fmt: skip
        except UserError:  # the step reports it, where it runs
            self._unknown = self._blind = True
        else:
            kinds = LocalSource | DatasetSource | NamedFiles | FrameFolders
            self._sources = [one.source for one in made.asked if isinstance(one.source, kinds)]
            # An archive may have left files in the layout.
            self._unknown = not self._sources and self._brings not in ("files", "folders", "mixed")

    @property
    def names(self) -> list[str]:
        """Ids of the local sources that are searched here."""
        return [source.id for source in self._sources]

    @property
    def is_blind(self) -> bool:
        """Whether the run has a local source that this machine cannot search."""
        return self._blind

    def may_lie(self, items: pa.Table) -> pa.Array:
        """For each row of items, whether there is a file of such a name; the step will read its content."""
        if self._unknown:
            return pa.array([True] * items.num_rows, pa.bool_())
        found: list[bool] = []
        for batch in items.select(_COLUMNS).to_batches(max_chunksize=_BATCH):
            found += [self._has(row) for row in batch.to_pylist()]
        return pa.array(found, pa.bool_())

    @property
    def data_sets(self) -> list[str]:
        """The other data sets whose clips are searched, in order."""
        return list(self._data_sets())

    def theirs(self, name: str, items: pa.Table) -> pa.Array:
        """For each row of items, whether the other data set should hold it, by the names of its files."""
        source, found = self._data_sets()[name], list[bool]()
        for batch in items.select(_COLUMNS).to_batches(max_chunksize=_BATCH):
            found += [self._may_have(source, row) for row in batch.to_pylist()]
        return pa.array(found, pa.bool_())

    def _data_sets(self) -> dict[str, DatasetSource]:
        sources = [source for source in self._sources if isinstance(source, DatasetSource)]
        return {name: source for source in sources if (name := self._names.get(source.id))}

    def divide(self, items: pa.Table, askable: Collection[str]) -> tuple[pa.Table, pa.Table]:
        """The rows that need a task, and those that are nowhere. ``askable``: splits for which other sources can be
        asked.
        """
        asks = pc.is_in(items["split"], value_set=pa.array(sorted(askable), pa.string()))
        rest = items.filter(pc.invert(asks))
        if rest.num_rows == 0:
            return items, rest
        there = self.may_lie(rest)
        absent = rest.filter(pc.invert(there))
        planned = pc.invert(pc.is_in(items["item_id"], value_set=absent["item_id"].combine_chunks()))
        return items.filter(planned), absent

    def told(self, absent: pa.Table) -> pa.Table:
        """Rows that are nowhere, with status, reason and evidence. No source was asked, so no clock begins."""
        names = " or ".join(f"'{source.id}'" for source in self._sources)
        evidence = f"not in folder {names}"  # short, because half a million rows of many tables have it
        words = (str(Status.MISSING), str(Reason.NO_SOURCE), evidence)
        for name, word in zip(("status", "reason", "evidence"), words, strict=True):
            absent = absent.append_column(name, pa.array([word] * absent.num_rows, pa.string()))
        return absent

    def _has(self, row: Row) -> bool:
        try:
            return any(self._looks(row))
        except (OSError, UserError):  # an unreadable folder, a hostile name: the step reports it
            return True

    @staticmethod
    def _may_have(source: DatasetSource, row: Row) -> bool:
        try:
            return source.may_have(_request(row))
        except (OSError, UserError):  # as in _has; the plan says "in local folders" of it
            return False

    def _looks(self, row: Row) -> Iterator[bool]:
        want = _request(row)
        for source in self._sources:
            yield source.may_have(want)
        folder = self._place(row["split"], row["class_dir"] or "")
        if self._brings == "files":
            names = [] if folder is None else self._listing.names(folder, f"{row['clip_id']}.")
            yield any(row["clip_id"] in stems(name, self._suffixes) for name in names)
            yield self._cache.has_work(collect_work(self._root, self._videos, row))
            return
        if self._brings == "mixed":  # a file, or a folder
            names = [] if folder is None else self._listing.names(folder, row["clip_id"])
            yield any(row["clip_id"] in (name, *stems(name, self._suffixes)) for name in names)
            return
        name = row["clip_id"] if self._brings in ("videos", "folders") else f"{row['clip_id']}.mp4"
        yield folder is not None and name in self._listing.names(folder, name)
        if self._brings == "folders":
            yield self._cache.has_work(collect_work(self._root, self._videos, row))
        elif self._brings == "videos":  # a download that had arrived when its process died
            yield self._cache.has_work(download_work(name))
        elif not self._store.never_has(self._clips):
            window = window_name(row["video_id"], row["start"], row["end"])
            bucket = hashlib.sha256(window.encode()).hexdigest()[:2]
            yield window in self._store.names(f"{self._clips}/{bucket}", window)

    @lru_cache(maxsize=4096)  # noqa: B019  lives as long as the plan is made
    def _place(self, split: str, class_dir: str) -> str | None:
        """The folder of a split's and class's clips in the layout; None if there is none."""
        below = self._folders.get(split) or self._videos.replace("{split}", split)
        folder = f"{self._ctx.data.root}/{self._root}/{below}"
        folder = f"{folder}/{class_dir}" if class_dir else folder
        return None if self._listing.never_has(folder) else folder


def _request(row: Row) -> ClipRequest:
    return ClipRequest(
        row["video_id"],
        seconds(row["start"] or 0),
        seconds(row["end"] or 0),
        row["clip_id"],
        row["split"],
        row["class_dir"] or "",
        row["label"],
    )
