"""The step ``fetch``: every wanted clip from the store, from what lies there already, or from the sources in order.

Rows of one video are handled together under the video's lock, so that no two tasks, splits or data sets fetch the
same video at the same time, and a source video is fetched once for all its windows. For each clip, in this order:

1. the store has it: linked into the layout (``kept``);
2. a file lies at its place: adopted when it decodes and has the window's length (``kept``), else moved to
   ``.clipquarry/set-aside/``;
3. the sources, in order. Clips of mirrors are verified by decoding; source videos are cut exactly. Every question is
   an attempt.

:mod:`clipquarry.steps.answers` says which source's reason a missing clip gets. While YouTube's breaker is open
everything that does not need YouTube is still done, the rest is ``missing`` / ``waiting``, and the step ends by
asking to be resumed.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from clipquarry.acquire.breaker import ROW
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.preflight import preflight_youtube
from clipquarry.acquire.sources import Egress, Sources, make_sources
from clipquarry.acquire.youtube import YouTubeOptions
from clipquarry.datasets.model import Recipe, Source
from clipquarry.errors import MachineError, ToolOutdated, WaitUntil
from clipquarry.ids import is_youtube_id
from clipquarry.manifest import Row
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Status
from clipquarry.settings import PRIVATE
from clipquarry.steps.answers import STOPPED
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, StepParams, now, require_space
from clipquarry.steps.clips import Clips, Window, content_columns, media_columns
from clipquarry.steps.fetching import Fetching, Wanted
from clipquarry.steps.fields import ASKED_HEIGHT_FIELD, ATTEMPTS_FIELD, CONTENT_FIELDS, MEDIA_FIELDS, PATH_FIELD

_GB = 1_000_000_000
_ONE_SECOND = re.compile(r"_\d{6,9}", re.ASCII)
"""A clip that is named by the one second that is annotated in it (AVA-Kinetics, flat layout)."""
_NOT_IN_KEY = {
    "cookies", "egress", "budget_pause", "budget_per_hour", "breaker_factor", "source_cache_gb", "min_free_gb", "wait",
    "breaker_row", "canary", "plugins", "extractor_args",
}  # fmt: skip


class FetchParams(StepParams):
    """What is fetched, and from where. Sources are tried in the order given."""

    root: str
    """The data set's folder, below the data root."""
    videos: str = "videos_{part}"
    """Folder of a split's clips, below ``root``."""
    sources: tuple[Source, ...]
    order: tuple[str, ...] = ()
    """Ids of the sources to ask, in order; empty: all, as given."""
    overrides: dict[str, str] = Field(default_factory=dict)
    """Source id to address, in place of the YAML's."""
    recipe: Recipe = Recipe()
    accept_short: bool = False
    """Take clips shorter than their window when the source ends early."""
    source_attempts: int | None = Field(default=None, ge=1, le=20)
    """Tries per question to an http source, in place of the YAML's."""
    egress: str = "default"
    cookies: str | None = None
    youtube: YouTubeOptions = YouTubeOptions()
    budget_pause: float = Field(default=2.0, ge=0)
    """Seconds between two questions to YouTube, over all tasks of the egress."""
    budget_per_hour: int | None = Field(default=300, ge=1)
    breaker_factor: float = Field(default=1.0, gt=0)
    """Scales the breaker's cool-downs."""
    breaker_row: int = Field(default=ROW, ge=1)
    """Questions to YouTube in a row without bytes after which nothing more is asked."""
    canary: str | None = None
    """Id of a known-good video that is asked when in doubt; empty: none; None: the built-in one."""
    plugins: tuple[str, ...] = ()
    """Modules of yt-dlp's plug-ins that may be loaded."""
    extractor_args: tuple[str, ...] = ()
    """As yt-dlp's ``--extractor-args``."""
    source_cache_gb: float = Field(default=10.0, ge=0)
    min_free_gb: float = Field(default=1.0, ge=0)
    """With less free space the step does not begin."""
    wait: bool = True
    """Ask to be resumed when YouTube stopped us; False: end with the rows ``waiting``."""


class _Kit:
    """What all groups of one run of the step share: connections, what was learned of hosts, and when to come back."""

    def __init__(self, ctx: StepContext[FetchParams]) -> None:
        params = ctx.params
        self.egress = Egress(
            ctx.data.egress(params.egress),
            pause=params.budget_pause,
            per_hour=params.budget_per_hour,
            cookies=Path(params.cookies) if params.cookies else None,
            cool_down_factor=params.breaker_factor,
            row=params.breaker_row,
            canary=params.canary,
            plugins=params.plugins,
            extractor_args=params.extractor_args,
            ffmpeg=ffmpeg().path,
            youtube=params.youtube,
        )
        self.sources: Sources = make_sources(
            params.sources,
            self.egress,
            order=params.order,
            overrides=params.overrides,
            max_attempts=params.source_attempts,
            data=ctx.data.root,
        )
        self.youtube = frozenset(source.id for source in params.sources if source.kind == "youtube")
        self.cache = SourceCache(ctx.data.scratch, int(params.source_cache_gb * _GB))
        self.clips = Clips(ctx.data, params.recipe, params.accept_short)
        self.resume_at: datetime | None = None
        self._lock = threading.Lock()

    def stopped(self, retry_after: float | None) -> None:
        """A source told us to come back; the latest time counts."""
        when = datetime.now(UTC) + timedelta(seconds=retry_after or 0.0)
        with self._lock:
            self.resume_at = max(when, self.resume_at or when)


class FetchStep(Step[FetchParams]):
    """See the module. One row: a clip of one class folder of one split."""

    name: ClassVar[str] = "fetch"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        *MEDIA_FIELDS,
        PATH_FIELD,
        pa.field("source", pa.string()),  # id of the source that gave the bytes; "existing" for an adopted file
        ASKED_HEIGHT_FIELD,
        *CONTENT_FIELDS,
        ATTEMPTS_FIELD,
    )
    params_model = FetchParams

    def __init__(self) -> None:
        self._kit = PerRun(_Kit)

    def preflight(self, ctx: StepContext[FetchParams]) -> None:
        """MachineError without ffmpeg or what YouTube needs; RetryLater with too little disk; UserError for a wrong
        source.
        """
        kit = self._kit(ctx)
        require_space(ctx.data, ctx.params.min_free_gb)
        if kit.sources.has_youtube:
            for finding in preflight_youtube(cookies=kit.egress.cookies):
                if finding.level == "fail":
                    raise MachineError(f"{finding.sentence} (Or leave the source 'youtube' out of this run.)")
        kit.cache.sweep()

    def group_of(self, row: Row) -> str:
        return str(row["video_id"])

    def key_params(self, params: FetchParams) -> dict[str, object]:
        return params.model_dump(mode="json", exclude=_NOT_IN_KEY)

    def run_group(self, rows: Sequence[Row], ctx: StepContext[FetchParams]) -> list[Outcome]:
        kit = self._kit(ctx)
        outcomes: dict[int, Outcome] = {}
        wanted: dict[Window, Wanted] = {}
        for index, row in enumerate(rows):
            if problem := _row_problem(row):
                outcomes[index] = Outcome(Status.REJECTED, *problem)
                continue
            window = Window(row["video_id"], row["start"], row["end"])
            one = wanted.setdefault(window, Wanted(window, note=partial(ctx.note, row["item_id"])))
            one.rows.append((index, row))
        todo = [one for one in wanted.values() if not self._is_done(one, kit, ctx)]
        if todo:
            with kit.cache.video(todo[0].window.video_id, ctx.cancelled) as work:
                Fetching(kit.clips, kit.sources, kit.cache, work, ctx.cancelled, kit.stopped).run(
                    todo, lambda row: self._target(row, ctx)
                )
        for one in wanted.values():
            for place, (index, row) in enumerate(one.rows):
                outcomes[index] = self._outcome(one, row, first=place == 0, kit=kit, ctx=ctx)
        return [outcomes[index] for index in range(len(rows))]

    def _target(self, row: Row, ctx: StepContext[FetchParams]) -> Path:
        folder = ctx.params.videos.format(part=row["split"])
        within = [row["class_dir"]] if row["class_dir"] else []
        return ctx.data.dataset(ctx.params.root, folder, *within, f"{row['clip_id']}.mp4")

    def _is_done(self, one: Wanted, kit: _Kit, ctx: StepContext[FetchParams]) -> bool:
        """The usual case of a second run: everything is in its place; no lock is needed to see that."""
        facts = kit.clips.get(one.window)
        if facts is None or not all(kit.clips.is_placed(one.window, facts, self._target(r, ctx)) for _, r in one.rows):
            return False
        one.facts, one.kept = facts, True
        return True

    def _outcome(self, one: Wanted, row: Row, *, first: bool, kit: _Kit, ctx: StepContext[FetchParams]) -> Outcome:
        attempts = one.attempts if first else [{**a, "seconds": 0.0, "bytes": 0} for a in one.attempts]
        if one.facts is None:
            answer = one.decision(kit.sources.off)
            return Outcome(one.status(answer), answer.reason, answer.evidence, {"attempts": attempts})
        path = self._target(row, ctx).relative_to(ctx.data.root).as_posix()
        source = str(one.facts["source"])
        asked = ctx.params.youtube.max_height if source in kit.youtube else None
        columns = {
            **media_columns(one.facts), **content_columns(one.facts), "path": path, "source": source,
            "asked_height": asked, "attempts": attempts,
        }  # fmt: skip
        return Outcome(Status.KEPT if one.kept else Status.DONE, Reason.OK, one.evidence, columns)

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        """Attempts of the interrupted run come first."""
        attempts = [*(previous.get("attempts") or []), *outcome.columns.get("attempts", [])]
        return Outcome(outcome.status, outcome.reason, outcome.evidence, {**outcome.columns, "attempts": attempts})

    def still_holds(self, row: Row, result: Row, ctx: StepContext[FetchParams]) -> bool:
        """The store's facts match the file, and the layout holds that file."""
        window = Window(row["video_id"], row["start"], row["end"])
        clips = Clips(ctx.data, ctx.params.recipe, ctx.params.accept_short)
        facts = clips.get(window)
        return facts is not None and clips.is_placed(window, facts, self._target(row, ctx))

    def finish(self, reasons: Counter[Reason], ctx: StepContext[FetchParams]) -> None:
        """While YouTube's breaker keeps rows: ToolOutdated when only an upgrade helps, else WaitUntil."""
        kit = self._kit(ctx)
        stopped = kit.egress.breaker.peek() if kit.sources.has_youtube else None
        waiting = sum(reasons[reason] for reason in STOPPED | ({stopped.reason} if stopped else set()))
        if not waiting or not ctx.params.wait:
            return
        if stopped and stopped.reason is Reason.TOOL_STALE:
            raise ToolOutdated(
                f"{waiting} clips wait for a newer yt-dlp; everything else is done. Upgrade yt-dlp, yt-dlp-ejs and deno "
                f"(docs/operating.md), then start this again. The last word was: {stopped.evidence}"
            )
        times = [when for when in (kit.resume_at, stopped.resume_at if stopped else None) if when is not None]
        resume_at = max(times, default=now())
        reason = stopped.reason if stopped else Reason.WAITING
        raise WaitUntil(
            f"{waiting} clips wait for YouTube ({reason}); everything else is done. "
            f"Resume at {resume_at:%Y-%m-%d %H:%M:%S} UTC.",
            resume_at=resume_at,
            reason=reason,
        )


def _row_problem(row: Row) -> tuple[Reason, str] | None:
    """Rows come from the catalog, which has checked them; a table made by hand has not."""
    if not isinstance(row["video_id"], str) or not is_youtube_id(row["video_id"]):
        return Reason.BAD_ID, f"{str(row['video_id'])[:40]!r} is not a YouTube id"
    start, end = row["start"], row["end"]
    if start is None or end is None or not 0 <= start < end:
        return Reason.BAD_TIME, f"{start} to {end} is no window"
    name = str(row["clip_id"])
    flat = name.startswith(row["video_id"]) and _ONE_SECOND.fullmatch(name[len(row["video_id"]) :])
    if not flat and name != Window(row["video_id"], start, end).clip_id:
        return Reason.BAD_ROW, f"the clip id {name[:60]!r} does not belong to the window"
    for name in ("class_dir", "split"):
        value = row[name] or ""
        if not value and name == "class_dir":  # no class folders
            continue
        if not value or "/" in value or "\\" in value or "\x00" in value or value in (".", "..", PRIVATE):
            return Reason.BAD_LABEL, f"{name} {value[:60]!r} cannot name a folder"
    return None
