"""What a planned run will take: bytes from each source, disk for each kind of files, hours of YouTube's budget.

Every figure has a basis: what lies in the data root already, else the sizes in the data set's description
(``disk`` in its YAML). Without a basis a figure is unknown; none is invented. Means are used, not medians, because sums are
wanted, and sizes of videos are skewed: a median would promise too little.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.acquire.archives.obtain import name_of
from clipquarry.acquire.template import expand_environment
from clipquarry.datasets.model import DiskSize, Kept, Source
from clipquarry.errors import ManifestError
from clipquarry.ledger import Delivered
from clipquarry.manifest import column_names, read_table
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.crawl import Crawl, Others, forecast
from clipquarry.pipeline.estimate_text import FOR_OTHERS, sentences
from clipquarry.pipeline.family import brings, family_of
from clipquarry.pipeline.fetch_params import fetch_params
from clipquarry.pipeline.on_disk import Size, frame_sizes, sizes
from clipquarry.pipeline.param_checks import parse_run_params
from clipquarry.pipeline.sources import enabled_sources, folders_of, is_archive
from clipquarry.pipeline.state import PRESENT
from clipquarry.pipeline.tally import COUNTED, Part, Tally, flow_of
from clipquarry.reasons import Status
from clipquarry.report.text import plural

JITTER = 1.125
"""The mean of the random factor of the pause between two requests."""
_SHAPES = ("short_edge", "frame_width", "frame_height", "frame_rate")
"""Run parameters that change the size of frames and copies: published sizes are of the default ones."""
_KINDS: tuple[Kept, ...] = ("resized", "excerpts", "rawframes", "flow", "audio", "audio_features")


@dataclass(frozen=True)
class Rate:
    """Bytes of one file, or of one second of it where ``by_second``; and where the figure comes from."""

    bytes: float
    by_second: bool
    basis: str

    def of(self, part: Part) -> int:
        return round(self.bytes * (part.seconds if self.by_second else part.files))


def estimate(
    ctx: RunContext, tally: Tally, catalog: pa.Table, archives: Mapping[str, list[str]], crawl: Crawl, asked: pa.Table,
    others: Others,
) -> dict[str, Any]:  # fmt: skip
    """The estimate as JSON: the key ``estimate`` of ``plan.json`` (:class:`clipquarry.run_documents.EstimateFacts`).

    ``archives``: splits to read, by source. ``asked``: the requested items. ``others``: windows that are cut for other data
    sets too, at most: what is in the store already, or was not fetched, is not cut. Bytes are null where nothing says how many.
    """
    noun = family_of(ctx.spec).noun(ctx.spec)
    rates = Rates(ctx, tally, noun)
    fetch = list(_fetches(ctx, tally, catalog, archives, rates))
    disk = [*_disk(ctx, tally, rates, fetch), *_for_others(rates, others)]
    known = all(one["bytes"] is not None for one in disk)
    disks = _disks(ctx, disk)
    told = {
        "noun": noun,
        "selected": tally.selected.num_rows,
        "items": [
            {"place": place, "name": name, **part._asdict()} for (place, name), part in sorted(tally.parts.items())
        ],
        "fetch": fetch,
        "youtube": _youtube(ctx, fetch, crawl, asked),
        "shared": [one._asdict() for one in crawl.shared],
        "for_others": others.by_dataset,
        "disk": disk,
        "disks": disks,
        "need": sum(one["bytes"] or 0 for one in disk),
        "complete": known,
        "fits": False if any(one["need"] > one["free"] for one in disks) else True if known else None,
    }
    return {**told, "sentences": sentences(told)}


class Rates:
    """The rate of each kind of files, measured once."""

    def __init__(self, ctx: RunContext, tally: Tally, noun: str) -> None:
        self._ctx, self._tally, self._noun = ctx, tally, noun
        self._by_second = brings(ctx.spec) == "windows"
        self._known: dict[Kept, Rate | None] = {}
        self.flow_share = 0.0
        """Share of the folders of frames that have optical flow."""

    def of(self, kind: Kept) -> Rate | None:
        if not self._known:
            self._measure()
        return self._known.get(kind)

    def _measure(self) -> None:
        found = {kind: self._published(kind) for kind in ("videos", "rawframes_flow", *_KINDS)}
        items = self._tally.brought
        found[items] = self._from_state() or (self._sampled(items) if items == "videos" else None) or found[items]
        for kind in self._tally.folders:
            if kind == "rawframes":
                frames, flow = frame_sizes(self._tally.folders[kind], self._tally.there(kind))
                found["rawframes"] = self._rate(frames, "folder") or found["rawframes"]
                found["flow"] = self._rate(flow, "folder") or found["flow"]
                self.flow_share = flow.count / frames.count if frames.count else 0.0
            elif kind != self._tally.brought:
                found[kind] = self._sampled(kind) or found[kind]
        self._known = dict(found)

    def _sampled(self, kind: Kept) -> Rate | None:
        return self._rate(sizes(self._tally.folders[kind], self._tally.there(kind)), "file")

    def _rate(self, size: Size, noun: str) -> Rate | None:
        if not size.bytes or (self._by_second and not size.seconds):
            return None
        weight = size.seconds if self._by_second else size.count
        return Rate(size.bytes / weight, self._by_second, f"from {plural(size.count, noun)} here")

    def _from_state(self) -> Rate | None:
        """From all items that earlier runs brought."""
        wanted = ["status", "bytes", "duration"]
        try:
            if not self._ctx.state.exists() or not column_names(self._ctx.state) >= set(wanted):
                return None
            table = read_table(self._ctx.state, wanted)
        except ManifestError:  # record says so, and what to do
            return None
        table = table.filter(pc.and_(pc.is_in(table["status"], value_set=PRESENT), pc.greater(table["bytes"], 0)))
        size = Size(table.num_rows, pc.sum(table["duration"]).as_py() or 0.0, pc.sum(table["bytes"]).as_py() or 0)
        return self._rate(size, self._noun)

    def _published(self, kind: Kept) -> Rate | None:
        size = self._ctx.spec.disk.get(kind)
        if size is None or (kind != "videos" and not self._usual_shapes()):
            return None
        return Rate(size.bytes_each, False, _said(size))

    def _usual_shapes(self) -> bool:
        usual = parse_run_params({}, self._ctx.spec)
        return all(getattr(self._ctx.params, name, None) == getattr(usual, name, None) for name in _SHAPES)


def _said(size: DiskSize) -> str:
    how = {"estimate": ", an estimate", "memory": ", unverified"}.get(size.provenance, "")
    return f"from the data set's description{how}"


def _fetches(
    ctx: RunContext,
    tally: Tally,
    catalog: pa.Table,
    archives: Mapping[str, list[str]],
    rates: Rates,
) -> Iterator[dict[str, Any]]:
    """One entry a source that is asked first for some items."""
    asked = {name: part for (place, name), part in tally.parts.items() if place == "source"}
    delivered: dict[str, Delivered] = {}
    if asked:
        with ctx.ledger() as ledger:
            delivered = ledger.delivered(ctx.spec.name)
    for source in enabled_sources(ctx):
        if (part := asked.get(source.id)) is None:
            continue
        entry = {"source": source.id, "kind": "archive" if is_archive(source) else source.kind, **part._asdict()}
        if is_archive(source):
            size, basis = _archive_bytes(ctx, source, catalog, archives[source.id], rates, tally)
            yield {**entry, "bytes": size, "basis": basis, "keeps": source.has_files}
            continue
        before = delivered.get(source.id)
        rate = rates.of(tally.brought) if source.content != "video" or brings(ctx.spec) == "videos" else None
        if before is not None:
            size, basis = (
                round(before.bytes / before.requests * _requests(source, part)),
                f"from {plural(before.requests, 'request')}",
            )
            entry |= {"seconds_each": before.seconds / before.requests, "requests_before": before.requests}
        else:
            size, basis = (rate.of(part), rate.basis) if rate else (None, "")
        yield {**entry, "requests": _requests(source, part), "bytes": size, "basis": basis}


def _requests(source: Source, part: Part) -> int:
    """A whole video serves all its windows."""
    return part.videos if source.content == "video" else part.items


def _archive_bytes(
    ctx: RunContext, source: Source, catalog: pa.Table, splits: list[str], rates: Rates, tally: Tally
) -> tuple[int | None, str]:
    """An archive comes whole, whatever is wanted of it: the size of all items of its splits."""
    if source.has_files and _is_placed(ctx, source):
        return 0, "it lies there already"
    if source.kind == "manual":
        return 0, "a person must place it first"
    if (rate := rates.of(tally.brought)) is None:
        return None, ""
    usable = pc.and_(
        pc.equal(catalog["status"], str(Status.DONE)),
        pc.is_in(catalog["split"], value_set=pa.array(splits, pa.string())),
    )
    whole = tally.part(catalog.select(COUNTED).filter(usable))
    return rate.of(whole), rate.basis


def _is_placed(ctx: RunContext, source: Source) -> bool:
    """Whether a person or an earlier run left all volumes of an archive."""
    names = [name_of(expand_environment(url, os.environ)) for url in source.all_urls]
    folders = [ctx.data.dataset(ctx.spec.root), *map(Path, folders_of(ctx))]
    return bool(names) and all(any((folder / name).is_file() for folder in folders) for name in names)


def _youtube(
    ctx: RunContext, fetch: list[dict[str, Any]], crawl: Crawl, asked: pa.Table
) -> dict[str, Any] | None:  # fmt: skip
    """Hours of the crawl's budget, and of downloads at the rate of earlier ones."""
    entry = next((one for one in fetch if one["kind"] == "youtube"), None)
    if entry is None:
        return None
    params = fetch_params(ctx)
    per_hour = params["budget_per_hour"]
    if pause := params["budget_pause"] * JITTER:
        per_hour = min(per_hour, 3600 / pause)
    spent = entry["seconds_each"] * entry["requests"] / 3600 if "seconds_each" in entry else None
    return {
        "requests": entry["requests"],
        "per_hour": per_hour,
        "hours": entry["requests"] / per_hour,
        "download_hours": spent,
        "forecast": forecast(entry["requests"], per_hour, crawl, crawl.expected(asked), len(ctx.data.egresses)),
    }


def _disk(ctx: RunContext, tally: Tally, rates: Rates, fetch: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One entry a kind of files that are to be made."""
    for one in fetch:
        if one.get("keeps") and one["bytes"] != 0:
            yield {"kind": "archives", "name": one["source"], "files": 1, "bytes": one["bytes"], "basis": one["basis"]}
    if getattr(ctx.params, "keep_videos", False):
        asked = [one for one in fetch if one["kind"] in ("http", "youtube")]
        if files := sum(one["videos"] for one in asked):
            known = all(one["bytes"] is not None and one["basis"].endswith(("request", "requests")) for one in asked)
            size, basis = (sum(one["bytes"] for one in asked), asked[0]["basis"]) if known else (None, "")
            yield {"kind": "sources", "name": "", "files": files, "bytes": size, "basis": basis}
    lacking: dict[Kept, Part] = dict(tally.lacking)
    if flow_of(ctx):
        frames = lacking.pop("rawframes", Part())
        flow = _without_flow(tally, frames, rates)
        together = rates.of("rawframes_flow")
        if together and not (rates.of("rawframes") and rates.of("flow")):
            lacking["rawframes_flow"] = frames
        else:
            lacking |= {"rawframes": frames, "flow": flow}
    for kind in ("videos", "rawframes_flow", *_KINDS):
        if (part := lacking.get(kind)) and part.files:
            rate = rates.of(kind)
            size, basis = (rate.of(part), rate.basis) if rate else (None, "")
            yield {"kind": kind, "name": "", "files": part.files, "bytes": size, "basis": basis}


def _for_others(rates: Rates, others: Others) -> Iterator[dict[str, Any]]:
    """The clips that are cut for other data sets, at the rate of this one's."""
    if others.windows:
        rate = rates.of("videos")
        part = Part(others.windows, others.windows, others.seconds)
        size, basis = (rate.of(part), rate.basis) if rate else (None, "")
        yield {"kind": FOR_OTHERS, "name": "", "files": part.files, "bytes": size, "basis": basis}


def _without_flow(tally: Tally, frames: Part, rates: Rates) -> Part:
    """Folders whose flow is to be made: those without frames, and the share of the others that has none."""
    rates.of("flow")  # measures the share
    there = tally.worked_on.plus(frames, -1)
    return frames.plus(there, 1 - rates.flow_share)


def _disks(ctx: RunContext, disk: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is needed and free on each disk, the data root's first: folders of the layout may be links to others."""
    root = ctx.data.root
    found: dict[int, dict[str, Any]] = {_device(root): {"path": str(root), "need": 0, "free": _free(root)}}
    for one in disk:
        places = [root if one["kind"] == FOR_OTHERS else _place(ctx, one["kind"])]  # they lie in the store only
        if one["kind"] == "videos" and brings(ctx.spec) == "windows":  # their files are the store's, linked or copied
            places.append(root)
        for device, place in {_device(place): place for place in places}.items():
            told = found.setdefault(device, {"path": str(place), "need": 0, "free": _free(place)})
            told["need"] += one["bytes"] or 0
    return list(found.values())


def _place(ctx: RunContext, kind: str) -> Path:
    """A folder of the layout in which files of a kind will be."""
    key = "rawframes" if kind in ("flow", "rawframes_flow") else kind
    template = ctx.spec.layout.get(key, "")  # archives lie beside the folders
    return ctx.data.root / ctx.spec.root / template.replace("{split}", ctx.splits[0] if ctx.splits else "")


def _existing(place: Path) -> Path:
    return next(folder for folder in (place, *place.parents) if folder.exists())


def _device(place: Path) -> int:
    return _existing(place).stat().st_dev


def _free(place: Path) -> int:
    """Free bytes where a folder is, or will be."""
    return shutil.disk_usage(_existing(place)).free
