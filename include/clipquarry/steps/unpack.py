"""The step ``unpack``: unpacks archives of many clips (CVDF's ``part_N.tar.gz``) into the store, where ``fetch`` finds
them.

One row is one archive volume, not one clip: a volume is read once from front to back, whatever it holds. The table of
items has the usual columns (``item_id`` ``{split}/{file name}``, ``split``) and ``url``: an http address or a path.
:func:`write_volumes` makes it from the lists of a data set's YAML. The wanted clips are a table too (``params.wanted``,
any manifest with the columns of items). A member is a wanted clip when its name without the video suffix is the clip's
name. The clip's row gives the window; the name is not parsed. A wanted clip takes some 100 bytes of memory; all other
memory is bounded by one volume.
Every wanted clip that is found is verified by decoding and stored under the key that ``fetch`` looks up. Unusable clips
are listed in ``unusable``, and ``fetch`` tries the next source for them.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from clipquarry.acquire.answer import FetchFailed, one_line
from clipquarry.acquire.archives.native import library
from clipquarry.acquire.archives.volume_list import list_volumes
from clipquarry.acquire.archives.wanted import Member, clip_members
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.connection import Nearness, Reach
from clipquarry.acquire.download import Downloader, Limits, limits_of
from clipquarry.acquire.hosts import Hosts
from clipquarry.acquire.template import expand_environment, unset_variables
from clipquarry.datasets.model import Recipe, Source
from clipquarry.errors import RetryLater, UserError
from clipquarry.ids import YOUTUBE
from clipquarry.manifest import ITEM_FIELDS, Row, read_table, schema_of, write_rows
from clipquarry.media.errors import MediaError
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot
from clipquarry.steps.base import TOLD_TO_STOP, Outcome, Step, StepContext, StepParams
from clipquarry.steps.clips import Clips, Window
from clipquarry.store import content_key

VOLUME_FIELDS: tuple[pa.Field, ...] = (
    *ITEM_FIELDS,
    pa.field("url", pa.string(), nullable=False),
    pa.field("led_by", pa.int8()),  # Nearness of the server that named the url; null: the data set's YAML did
)
"""The step's items."""


_WANTED = ("clip_id", "video_id", "start", "end")


class UnpackParams(StepParams):
    """The wanted clips, and how they are stored."""

    source: str
    """Id of the source, for the clips' provenance."""
    namespace: str = Field(default=YOUTUBE, pattern=r"^[a-z0-9_]{1,60}$")
    """Namespace of the video ids: ``youtube``, or the data set's own (its name)."""
    wanted: str
    """A manifest with ``clip_id, video_id, start, end``; relative to the data root, or absolute."""
    recipe: Recipe = Recipe()
    accept_short: bool = False
    attempts: int = Field(default=3, ge=1, le=20)
    timeout_s: float = Field(default=60, gt=0)
    verify_certificate: bool = True


class WantedClips:
    """The clips of a manifest by name, each with its window, found by a hash of the name.

    libarchive gives names in the normal form C where the archive says their encoding, so that a name in another form is
    found by its normal form; a clip that is called exactly so comes first.
    """

    def __init__(self, manifest: Path) -> None:
        table = read_table(manifest, _WANTED)
        table = table.filter(pc.and_(pc.is_valid(table["clip_id"]), pc.not_equal(table["clip_id"], "")))
        hashes = np.array([hash(_normal(name)) for name in table["clip_id"].to_pylist()], dtype=np.int64)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self._table = table.combine_chunks()

    def __contains__(self, clip_id: str) -> bool:
        return next(self._alike(clip_id), None) is not None

    def _alike(self, clip_id: str) -> Iterator[Row]:
        normal = _normal(clip_id)
        wanted = hash(normal)
        place = int(np.searchsorted(self._hashes, wanted))
        while place < len(self._hashes) and self._hashes[place] == wanted:
            row: Row = self._table.slice(int(self._order[place]), 1).to_pylist()[0]
            if _normal(row["clip_id"]) == normal:  # two names may have one hash
                yield row
            place += 1

    def _rows(self, clip_id: str) -> list[Row]:
        alike = list(self._alike(clip_id))
        return [row for row in alike if row["clip_id"] == clip_id] or alike

    def name(self, clip_id: str) -> str:
        """The manifest's own spelling of the name."""
        return next((str(row["clip_id"]) for row in self._rows(clip_id)), clip_id)

    def window(self, clip_id: str, namespace: str = YOUTUBE) -> Window | str:
        """The window of the clip of this name, or why it is unknown. ``namespace``: that of the video ids."""
        windows = {
            Window(row["video_id"], row["start"], row["end"], namespace)
            for row in self._rows(clip_id)
            if _has_window(row)
        }
        if len(windows) == 1:
            return windows.pop()
        return f"{len(windows)} windows have this name" if windows else "no window has this name"


def _normal(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _has_window(row: Row) -> bool:
    """Whether a row has a valid window. A clip without one cannot be fetched, nor taken from an archive."""
    times = row["start"], row["end"]
    return bool(row["video_id"]) and None not in times and 0 <= row["start"] < row["end"]


class UnpackStep(Step[UnpackParams]):
    """See the module."""

    name: ClassVar[str] = "unpack"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        pa.field("url", pa.string()),
        pa.field("source", pa.string()),
        pa.field("found", pa.int64()),  # wanted clips in this volume
        pa.field("stored", pa.int64()),  # of these, stored by this run
        pa.field("kept", pa.int64()),  # of these, in the store already
        pa.field("bytes", pa.int64()),  # of the clips stored now
        pa.field(
            "unusable",
            pa.list_(
                pa.struct([pa.field(name, pa.string()) for name in ("clip_id", "reason", "evidence")]),
            ),
        ),  # wanted clips of this volume that cannot be used
    )
    params_model = UnpackParams

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[Path, WantedClips] = {}
        self._hosts = Hosts()

    def _wanted_clips(self, ctx: StepContext[UnpackParams]) -> WantedClips:
        path = ctx.data.root / ctx.params.wanted
        with self._lock:  # read once for all volumes
            if path not in self._wanted:
                self._wanted[path] = WantedClips(path)
            return self._wanted[path]

    def _downloader(self, row: Row, params: UnpackParams) -> Downloader:
        """The downloader of one volume. Back-off per host is shared, so that an unreachable host is not tried for each volume."""
        led_by = row.get("led_by")
        reach = Reach.led_by(Nearness(led_by)) if led_by is not None else None
        limits = Limits(attempts=params.attempts, read=params.timeout_s, verify=params.verify_certificate)
        return Downloader(limits, hosts=self._hosts, reach=reach)

    def preflight(self, ctx: StepContext[UnpackParams]) -> None:
        """MachineError without ffmpeg or libarchive; ManifestError when the wanted table cannot be read."""
        ffmpeg()
        library()
        self._wanted_clips(ctx)

    def key(self, row: Row, ctx: StepContext[UnpackParams]) -> str:
        """The usual key and the address."""
        return content_key(base=super().key(row, ctx), url=row.get("url"))

    def still_holds(self, row: Row, result: Row, ctx: StepContext[UnpackParams]) -> bool:
        """A volume is not read again after it was read; ``fetch`` verifies its clips one by one."""
        return True

    def run_group(self, rows: Sequence[Row], ctx: StepContext[UnpackParams]) -> list[Outcome]:
        return [self._volume(row, ctx) for row in rows]

    def _volume(self, row: Row, ctx: StepContext[UnpackParams]) -> Outcome:
        url = row.get("url")
        if not url:
            raise UserError(
                "The table of archive volumes has no column 'url', or an empty one: make it with write_volumes."
            )
        wanted = self._wanted_clips(ctx)
        clips = Clips(ctx.data, ctx.params.recipe, ctx.params.accept_short)
        downloader = self._downloader(row, ctx.params)
        reading = _Reading(clips, wanted, SourceCache(ctx.data.scratch, 0), ctx.params, ctx.cancelled)
        problem: FetchFailed | None = None
        with reading.cache.video(f"unpack-{content_key(url=url)}", ctx.cancelled) as work:
            members = clip_members(str(url), wanted.__contains__, work, downloader, ctx.cancelled, reading.too_large)
            try:
                for member in members:
                    reading.take(member, work)
            except FetchFailed as error:
                problem = error
        if ctx.cancelled.is_set():
            raise RetryLater(TOLD_TO_STOP)
        columns = {"url": one_line(str(url)), "source": ctx.params.source, **reading.columns()}
        told = f"{reading.found} wanted clips: {reading.stored} stored, {reading.kept} kept"
        if problem is not None:
            return Outcome.missing(problem.reason, f"{problem.evidence}; {told}", **columns)
        if reading.found == 0:
            return Outcome.missing(Reason.NO_SOURCE, "none of the wanted clips is in it", **columns)
        return Outcome(Status.DONE if reading.stored else Status.KEPT, Reason.OK, told, columns)


class _Reading:
    """The clips that were found in one volume."""

    def __init__(
        self, clips: Clips, wanted: WantedClips, cache: SourceCache, params: UnpackParams, cancelled: Event
    ) -> None:
        self._wanted, self._source, self._namespace = wanted, params.source, params.namespace
        self.clips, self.cache, self._cancelled = clips, cache, cancelled
        self.found = self.stored = self.kept = self.bytes = 0
        self.unusable: list[dict[str, str]] = []

    def take(self, member: Member, work: Path) -> None:
        """Verify and store one member; record an unusable one."""
        self.found += 1
        window = self._wanted.window(member.stem, self._namespace)
        if isinstance(window, str):
            member.path.unlink()
            return self._bad(member.stem, Reason.BAD_ID, window)
        with self.cache.video(window.video, self._cancelled):
            if self.clips.get(window) is not None:
                member.path.unlink()
                self.kept += 1
                return None
            try:
                self.clips.adopt(window, member.path, self._source, work, self._cancelled)
            except MediaError as error:
                return self._bad(member.stem, error.reason, error.evidence)
        self.stored += 1
        self.bytes += member.bytes
        return None

    def too_large(self, clip_id: str, evidence: str) -> None:
        """Record a wanted clip that is above the limit of a member."""
        self.found += 1
        self._bad(clip_id, Reason.CORRUPT, evidence)

    def _bad(self, clip_id: str, reason: Reason, evidence: str) -> None:
        clip_id = self._wanted.name(clip_id)
        self.unusable.append({"clip_id": clip_id, "reason": str(reason), "evidence": one_line(evidence)})

    def columns(self) -> dict[str, Any]:
        return {
            "found": self.found, "stored": self.stored, "kept": self.kept, "bytes": self.bytes,
            "unusable": self.unusable,
        }  # fmt: skip


def write_volumes(
    source: Source, splits: Sequence[str], out: Path, data: DataRoot, *, environ: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    """Write the step's items for ``splits`` to ``out``: the volumes that ``volume_lists`` names, else the source's urls.

    Returns the number of volumes, and by split why its list could not be read (its volumes are left out).
    """
    hosts = Hosts()
    problems: dict[str, str] = {}
    rows: list[Row] = []
    for split in splits:
        place = source.volume_lists.get(split)
        addresses = [place] if place else source.all_urls if not source.volume_lists else []
        if unset := unset_variables(" ".join(addresses), environ):
            problems[split] = f"the variable {unset[0]} is not set"
            continue
        addresses = [expand_environment(a, environ).replace("{{", "{").replace("}}", "}") for a in addresses]
        reach = Reach().keep()
        downloader = Downloader(limits_of(source), hosts=hosts, reach=reach)
        try:
            volumes = list_volumes(addresses[0], downloader, Event()) if place else addresses
        except FetchFailed as error:
            problems[split] = str(error)
            continue
        if not volumes:
            problems[split] = "it names no archive of this split"
        led_by = int(reach.farthest) if reach.farthest is not Nearness.SPECIAL else None
        rows += [_volume_row(split, url.replace("{split}", split), led_by) for url in volumes]
    write_rows(out, schema_of(VOLUME_FIELDS, "parts"), rows)
    return len(rows), problems


def _volume_row(split: str, url: str, led_by: int | None) -> Row:
    """The item of one volume. Its id holds a hash of the address: two lists may hold one file name in different folders."""
    name = PurePosixPath(urlsplit(url).path).name or "archive"
    return {"item_id": f"{split}/{name}#{content_key(url=url)[:8]}", "split": split, "url": url, "led_by": led_by}
