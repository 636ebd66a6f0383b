"""The step ``unpack``: archives of many clips (CVDF's ``part_N.tar.gz``) into the store, from where ``fetch`` takes
them.

One row is one archive part, not one clip: a part is read once from front to back, whatever it holds. The table of
items has the usual columns (``item_id`` ``{split}/{file name}``, ``split``) and ``url``: an http address or a path.
:func:`write_parts` makes it from the lists of a data set's YAML. The wanted clips are a table too (``params.wanted``,
any manifest with ``clip_id``); in memory they take about 32 bytes each, and everything else is bounded by one part.
Every wanted clip that is found is verified by decoding and stored under the same key that ``fetch`` asks for; what
cannot be used is named in ``unusable``, and ``fetch`` asks the next source for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from pydantic import Field

from clipquarry.acquire.answer import NotHad, one_line
from clipquarry.acquire.archive import Member, clip_members, list_parts
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.connection import Nearness, Reach
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.hosts import Hosts
from clipquarry.acquire.template import expand_environment, unset_variables
from clipquarry.datasets.model import Recipe, Source
from clipquarry.errors import RetryLater, UserError
from clipquarry.ids import is_youtube_id, parse_clip_id
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.media.errors import MediaError
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot
from clipquarry.steps.base import Outcome, Step, StepContext, StepParams
from clipquarry.steps.clips import Clips, Window
from clipquarry.store import content_key

PART_FIELDS: tuple[pa.Field, ...] = (
    *ITEM_FIELDS,
    pa.field("url", pa.string(), nullable=False),
    pa.field("led_by", pa.int8()),  # Nearness of the server that named the url; null: the data set's YAML did
)
"""The step's items."""


class UnpackParams(StepParams):
    """Which clips are wanted, and how they are kept."""

    source: str
    """Id of the source, for the clips' provenance."""
    wanted: str
    """A manifest with a column ``clip_id``; relative to the data root, or absolute."""
    recipe: Recipe = Recipe()
    accept_short: bool = False
    attempts: int = Field(default=3, ge=1, le=20)
    timeout_s: float = Field(default=60, gt=0)


class WantedClips:
    """A sorted array of clip ids: 650,000 of them take 20 MB."""

    def __init__(self, manifest: Path) -> None:
        names = [row["clip_id"].encode() for row in read_rows(manifest, ["clip_id"]) if row["clip_id"]]
        self._names = np.unique(np.array(names or [b""]))

    def __contains__(self, clip_id: str) -> bool:
        name = clip_id.encode("utf-8", "replace")
        place = int(np.searchsorted(self._names, name))
        return place < len(self._names) and bool(self._names[place] == name)

    def __iter__(self) -> Iterator[str]:
        return (bytes(name).decode() for name in self._names if name)


def window_of(clip_id: str) -> Window | None:
    """The window that a clip's name tells, or None when it is no name of a clip."""
    try:
        name = parse_clip_id(clip_id)
    except ValueError:
        return None
    ok = is_youtube_id(name.video_id) and name.start < name.end
    return Window(name.video_id, name.start, name.end) if ok else None


class UnpackStep(Step[UnpackParams]):
    """See the module."""

    name: ClassVar[str] = "unpack"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        pa.field("url", pa.string()),
        pa.field("source", pa.string()),
        pa.field("found", pa.int64()),  # wanted clips in this part
        pa.field("stored", pa.int64()),  # of these, put into the store now
        pa.field("kept", pa.int64()),  # of these, there already
        pa.field("bytes", pa.int64()),  # of the clips stored now
        pa.field(
            "unusable",
            pa.list_(
                pa.struct([pa.field(name, pa.string()) for name in ("clip_id", "reason", "evidence")]),
            ),
        ),  # wanted clips of this part that cannot be used
    )
    params_model = UnpackParams

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[Path, WantedClips] = {}
        self._hosts = Hosts()

    def _wanted_clips(self, ctx: StepContext[UnpackParams]) -> WantedClips:
        path = ctx.data.root / ctx.params.wanted
        with self._lock:  # read once, whatever the number of parts
            if path not in self._wanted:
                self._wanted[path] = WantedClips(path)
            return self._wanted[path]

    def _downloader(self, row: Row, params: UnpackParams) -> Downloader:
        """For one part. What is known of hosts is shared, so that one that cannot be reached is not tried for each of them."""
        led_by = row.get("led_by")
        reach = Reach.led_by(Nearness(led_by)) if led_by is not None else None
        return Downloader(Limits(attempts=params.attempts, read=params.timeout_s), hosts=self._hosts, reach=reach)

    def preflight(self, ctx: StepContext[UnpackParams]) -> None:
        """MachineError without ffmpeg; ManifestError when the wanted table cannot be read."""
        ffmpeg()
        self._wanted_clips(ctx)

    def key(self, row: Row, ctx: StepContext[UnpackParams]) -> str:
        """The usual key and the address."""
        return content_key(base=super().key(row, ctx), url=row.get("url"))

    def still_holds(self, row: Row, result: Row, ctx: StepContext[UnpackParams]) -> bool:
        """A part that was read is not read again; its clips are verified one by one when ``fetch`` takes them."""
        return True

    def run_group(self, rows: Sequence[Row], ctx: StepContext[UnpackParams]) -> list[Outcome]:
        return [self._part(row, ctx) for row in rows]

    def _part(self, row: Row, ctx: StepContext[UnpackParams]) -> Outcome:
        url = row.get("url")
        if not url:
            raise UserError(
                "The table of archive parts has no column 'url', or an empty one: make it with write_parts."
            )
        wanted = self._wanted_clips(ctx)
        clips = Clips(ctx.data, ctx.params.recipe, ctx.params.accept_short)
        downloader = self._downloader(row, ctx.params)
        reading = _Reading(clips, SourceCache(ctx.data.scratch, 0), ctx.params.source, ctx.cancelled)
        problem: NotHad | None = None
        with reading.cache.video(f"unpack-{content_key(url=url)}", ctx.cancelled) as work:
            members = clip_members(str(url), wanted.__contains__, work, downloader, ctx.cancelled)
            try:
                for member in members:
                    reading.take(member, work)
            except NotHad as error:
                problem = error
        if ctx.cancelled.is_set():
            raise RetryLater("The step was told to stop: run it again to go on; finished work is kept.")
        columns = {"url": one_line(str(url)), "source": ctx.params.source, **reading.columns()}
        told = f"{reading.found} wanted clips: {reading.stored} stored, {reading.kept} kept"
        if problem is not None:
            return Outcome.missing(problem.reason, f"{problem.evidence}; {told}", **columns)
        if reading.found == 0:
            return Outcome.missing(Reason.NO_SOURCE, "none of the wanted clips is in it", **columns)
        return Outcome(Status.DONE if reading.stored else Status.KEPT, Reason.OK, told, columns)


class _Reading:
    """What was found in one part."""

    def __init__(self, clips: Clips, cache: SourceCache, source: str, cancelled: Event) -> None:
        self.clips, self.cache, self._source, self._cancelled = clips, cache, source, cancelled
        self.found = self.stored = self.kept = self.bytes = 0
        self.unusable: list[dict[str, str]] = []

    def take(self, member: Member, work: Path) -> None:
        """Verify and store one member; a bad one is noted."""
        self.found += 1
        window = window_of(member.stem)
        if window is None:
            member.path.unlink()
            return self._bad(member.stem, Reason.BAD_ID, "not the name of a clip")
        with self.cache.video(window.video_id, self._cancelled):
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

    def _bad(self, clip_id: str, reason: Reason, evidence: str) -> None:
        self.unusable.append({"clip_id": clip_id, "reason": str(reason), "evidence": one_line(evidence)})

    def columns(self) -> dict[str, Any]:
        return {
            "found": self.found, "stored": self.stored, "kept": self.kept, "bytes": self.bytes,
            "unusable": self.unusable,
        }  # fmt: skip


def write_parts(
    source: Source, splits: Sequence[str], out: Path, data: DataRoot, *, environ: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    """Write the step's items for ``splits`` to ``out``: the parts that ``parts_list`` names, else the source's urls.

    Returns how many parts there are, and by split why a list could not be had (their parts are left out).
    """
    hosts = Hosts()
    problems: dict[str, str] = {}
    rows: list[Row] = []
    for split in splits:
        place = source.parts_list.get(split)
        addresses = [place] if place else source.all_urls if not source.parts_list else []
        if unset := unset_variables(" ".join(addresses), environ):
            problems[split] = f"the variable {unset[0]} is not set"
            continue
        addresses = [expand_environment(a, environ).replace("{{", "{").replace("}}", "}") for a in addresses]
        reach = Reach().keep()
        downloader = Downloader(Limits(attempts=source.attempts, read=source.timeout_s), hosts=hosts, reach=reach)
        try:
            parts = list_parts(addresses[0], data.scratch, downloader, Event()) if place else addresses
        except NotHad as error:
            problems[split] = str(error)
            continue
        if not parts:
            problems[split] = "it names no archive of this split"
        led_by = int(reach.farthest) if reach.farthest is not Nearness.SPECIAL else None
        rows += [_part_row(split, url.replace("{split}", split), led_by) for url in parts]
    write_rows(out, schema_of(PART_FIELDS, "parts"), rows)
    return len(rows), problems


def _part_row(split: str, url: str, led_by: int | None) -> Row:
    """Two lists may name the same file name in different folders: the address decides."""
    name = PurePosixPath(urlsplit(url).path).name or "archive"
    return {"item_id": f"{split}/{name}#{content_key(url=url)[:8]}", "split": split, "url": url, "led_by": led_by}
