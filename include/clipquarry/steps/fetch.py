"""The step ``fetch``: gets every wanted clip from the store, from an existing file, or from the sources in order.

Rows of one video are handled together under the video's lock, so that no two tasks, splits or data sets fetch the
same video at the same time, and a source video is fetched once for all its windows. For each clip, in this order:

1. the store has it: linked into the layout (``kept``);
2. a file lies at its place: adopted when it decodes and has the window's length (``kept``), else moved to
   ``.clipquarry/set-aside/``;
3. the sources, in order. Clips of mirrors are verified by decoding; source videos are cut exactly. Every request is
   recorded as an attempt.

:mod:`clipquarry.steps.answers` says which source's reason a missing clip gets. While YouTube's breaker is open, everything
that does not need YouTube is still done. The rest is ``missing`` / ``waiting``, and the step ends with WaitUntil.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.breaker import ROW
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.sources import Sources, make_sources
from clipquarry.acquire.youtube import YouTubeOptions
from clipquarry.datasets.model import Recipe, Source
from clipquarry.ids import YOUTUBE, id_problem, is_youtube_id, window_name
from clipquarry.manifest import Row
from clipquarry.microseconds import text
from clipquarry.reasons import Reason, Status, Trait
from clipquarry.steps.asking import Pause, folder_problem, with_attempts_of
from clipquarry.steps.asking_youtube import check_tools, egress_of, end_waiting
from clipquarry.steps.base import Outcome, PerRun, Step, StepContext, StepParams, require_space
from clipquarry.steps.clips import Clips, Window, content_columns, media_columns
from clipquarry.steps.fetching import Fetching, Wanted
from clipquarry.steps.fields import ASKED_HEIGHT_FIELD, ATTEMPTS_FIELD, CONTENT_FIELDS, MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.other_windows import OtherWindows
from clipquarry.steps.source_clip import split_folder

_GB = 1_000_000_000
_ONE_SECOND = re.compile(r"_\d{6,9}|_\d{2,7}_\d{2,7}_\d{4}", re.ASCII)
"""A clip that is named by the one second that is annotated in it (flat layouts), in the second form with the start of the clip
that it is cut from and with the place of the key frame."""
_NOT_IN_KEY = {
    "names", "cookies", "egress", "budget_pause", "budget_per_hour", "breaker_factor", "source_cache_gb", "min_free_gb", "wait",
    "breaker_row", "canary", "plugins", "extractor_args", "keep", "answers", "others", "kept",
}  # fmt: skip


class AnswersOfOthers(StepParams):
    """See :class:`clipquarry.acquire.shared_answers.SharedAnswers`."""

    run: str
    since: float
    """Seconds since the epoch."""
    unrecorded: tuple[str, ...] = ()
    waits: dict[str, float]
    first_waits: dict[str, float] = Field(default_factory=dict)
    """Plans of earlier versions lack it."""


class FetchParams(StepParams):
    """Parameters of ``fetch``. Sources are tried in the order given."""

    root: str
    """The data set's folder, below the data root."""
    namespace: str = Field(default=YOUTUBE, pattern=r"^[a-z0-9_]{1,60}$")
    """Namespace of the video ids: ``youtube``, or the data set's own (its name)."""
    names: Literal["window", "own"] = "window"
    """``window``: a clip's name must state its window, or the one second that is annotated in it. ``own``: any name."""
    videos: str = "videos_{split}"
    """Folder of a split's clips, below ``root``."""
    folders: dict[str, str] = Field(default_factory=dict)
    """Folders of the splits that have one of their own."""
    keep: str | None = None
    """Folder below ``root`` in which whole source videos that were downloaded are kept."""
    sources: tuple[Source, ...]
    order: tuple[str, ...] = ()
    """Ids of the sources to use, in order; empty: all, as given."""
    overrides: dict[str, str] = Field(default_factory=dict)
    """Source id to address, in place of the YAML's."""
    recipe: Recipe = Recipe()
    accept_short: bool = False
    """Take clips shorter than their window when the source ends early."""
    source_attempts: int | None = Field(default=None, ge=1, le=20)
    """Tries per request to an http source, in place of the YAML's."""
    egress: str = "default"
    cookies: str | None = None
    youtube: YouTubeOptions = YouTubeOptions()
    budget_pause: float = Field(default=2.0, ge=0)
    """Seconds between two requests to YouTube, over all tasks of the egress."""
    budget_per_hour: int | None = Field(default=300, ge=1)
    breaker_factor: float = Field(default=1.0, gt=0)
    """Scales the breaker's cool-downs."""
    breaker_row: int = Field(default=ROW, ge=1)
    """Requests to YouTube in a row without bytes after which the breaker opens."""
    canary: str | None = None
    """Id of a known-good video that the breaker tests before it opens; empty: none; None: the built-in one."""
    plugins: tuple[str, ...] = ()
    """Modules of yt-dlp's plug-ins that may be loaded."""
    extractor_args: tuple[str, ...] = ()
    """As yt-dlp's ``--extractor-args``."""
    answers: AnswersOfOthers | None = None
    """What runs of other data sets heard is taken instead of a request; None: every video is asked for."""
    others: str | None = None
    """Table of the windows that other data sets lack, below the data root (:mod:`clipquarry.steps.other_windows`)."""
    kept: tuple[str, ...] = ()
    """Folders below the data root in which data sets keep whole source videos of these ids."""
    source_cache_gb: float = Field(default=10.0, ge=0)
    min_free_gb: float = Field(default=1.0, ge=0)
    """The step does not begin with less free space."""
    wait: bool = True
    """End with WaitUntil when YouTube stopped us; False: end normally with the rows ``waiting``."""


class _Resources:
    """Objects that all groups of one run of the step share: connections, back-off per host, and when to resume."""

    def __init__(self, ctx: StepContext[FetchParams]) -> None:
        params = ctx.params
        self.egress = egress_of(params, ctx.data)
        self.sources: Sources = make_sources(
            params.sources,
            self.egress,
            order=params.order,
            overrides=params.overrides,
            max_attempts=params.source_attempts,
            data=ctx.data.root,
            own_names=params.names == "own",
        )
        self.youtube = frozenset(source.id for source in params.sources if source.kind == "youtube")
        self.cache = SourceCache(ctx.data.scratch, int(params.source_cache_gb * _GB))
        self.clips = Clips(ctx.data, params.recipe, params.accept_short)
        others = None if params.others is None else ctx.data.root / params.others
        self.others = OtherWindows(ctx.data, params.namespace, others)
        self.kept = [ctx.data.root / folder for folder in params.kept]
        self.pause = Pause()

    def stopped(self, error: FetchFailed) -> None:
        """Record when to resume, if a source stopped us."""
        if Trait.STOPPED in error.reason.traits:
            self.pause.begin(error.retry_after)


class FetchStep(Step[FetchParams]):
    """See the module. One row: a clip of one class folder of one split."""

    name: ClassVar[str] = "fetch"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        *MEDIA_FIELDS,
        PATH_FIELD,
        # Id of the source that gave the bytes; "existing" for an adopted file, "kept_video" for a cut from a kept video.
        pa.field("source", pa.string()),
        ASKED_HEIGHT_FIELD,
        *CONTENT_FIELDS,
        ATTEMPTS_FIELD,
    )
    params_model = FetchParams

    def __init__(self) -> None:
        self._resources = PerRun(_Resources)

    def preflight(self, ctx: StepContext[FetchParams]) -> None:
        """MachineError without ffmpeg or what YouTube needs; RetryLater with too little disk; UserError for a wrong
        source, or a damaged table of what others lack.
        """
        resources = self._resources(ctx)
        resources.others.check()
        require_space(ctx.data, ctx.params.min_free_gb)
        check_tools(resources.sources, resources.egress)
        resources.cache.sweep()

    def group_of(self, row: Row) -> str:
        return str(row["video_id"])

    def key_params(self, params: FetchParams) -> dict[str, object]:
        # Without folders, keys are those of before there were any.
        return params.model_dump(mode="json", exclude=_NOT_IN_KEY | (set() if params.folders else {"folders"}))

    def run_group(self, rows: Sequence[Row], ctx: StepContext[FetchParams]) -> list[Outcome]:
        resources = self._resources(ctx)
        outcomes: dict[int, Outcome] = {}
        wanted: dict[Window, Wanted] = {}
        for index, row in enumerate(rows):
            if problem := _row_problem(row, ctx.params):
                outcomes[index] = Outcome(Status.REJECTED, *problem)
                continue
            window = Window(row["video_id"], row["start"], row["end"], ctx.params.namespace)
            one = wanted.setdefault(window, Wanted(window, note=partial(ctx.note, row["item_id"])))
            one.rows.append((index, row))
        todo = [one for one in wanted.values() if not self._is_done(one, resources, ctx)]
        if todo:
            keep = None if ctx.params.keep is None else ctx.data.dataset(ctx.params.root, ctx.params.keep)
            with resources.cache.video(todo[0].window.video, ctx.cancelled) as work:
                Fetching(
                    resources.clips,
                    resources.sources,
                    resources.cache,
                    work,
                    ctx.cancelled,
                    resources.stopped,
                    keep,
                    tuple(wanted.values()),
                    resources.others,
                    resources.kept,
                ).run(todo, lambda row: self._target(row, ctx))
        for one in wanted.values():
            for place, (index, row) in enumerate(one.rows):
                outcomes[index] = self._outcome(one, row, first=place == 0, resources=resources, ctx=ctx)
        return [outcomes[index] for index in range(len(rows))]

    def _target(self, row: Row, ctx: StepContext[FetchParams]) -> Path:
        folder = ctx.params.folders.get(row["split"]) or split_folder(ctx.params.videos, row["split"])
        within = [row["class_dir"]] if row["class_dir"] else []
        return ctx.data.dataset(ctx.params.root, folder, *within, f"{row['clip_id']}.mp4")

    def _is_done(self, one: Wanted, resources: _Resources, ctx: StepContext[FetchParams]) -> bool:
        """Whether every file is in its place, as usual in a second run. This check needs no lock."""
        targets = [self._target(row, ctx) for _, row in one.rows]
        facts = resources.clips.get(one.window) or resources.clips.take_over(one.window, targets)
        facts = one.unchanged(facts, resources.sources)
        if facts is None or not all(resources.clips.is_placed(one.window, facts, target) for target in targets):
            return False
        one.facts, one.kept = facts, True
        return True

    def _outcome(
        self, one: Wanted, row: Row, *, first: bool, resources: _Resources, ctx: StepContext[FetchParams]
    ) -> Outcome:
        attempts = one.attempts if first else [{**a, "seconds": 0.0, "bytes": 0} for a in one.attempts]
        if one.facts is None:
            answer = one.decision(resources.sources.off)
            return Outcome(one.status(answer), answer.reason, answer.evidence, {"attempts": attempts})
        path = self._target(row, ctx).relative_to(ctx.data.root).as_posix()
        source = str(one.facts["source"])
        asked = ctx.params.youtube.max_height if source in resources.youtube else None
        columns = {
            **media_columns(one.facts), **content_columns(one.facts), "path": path, "source": source,
            "asked_height": asked, "attempts": attempts,
        }  # fmt: skip
        return Outcome(Status.KEPT if one.kept else Status.DONE, Reason.OK, one.evidence, columns)

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        return with_attempts_of(previous, outcome)

    def still_holds(self, row: Row, result: Row, ctx: StepContext[FetchParams]) -> bool:
        """Whether the store's facts match the file, and the layout holds that file."""
        window = Window(row["video_id"], row["start"], row["end"], ctx.params.namespace)
        clips = Clips(ctx.data, ctx.params.recipe, ctx.params.accept_short)
        facts = clips.get(window)
        return facts is not None and clips.is_placed(window, facts, self._target(row, ctx))

    def finish(self, reasons: Counter[Reason], ctx: StepContext[FetchParams]) -> None:
        """While rows wait for YouTube: raise ToolOutdated when only an upgrade helps, else WaitUntil."""
        resources = self._resources(ctx)
        if ctx.params.wait:
            end_waiting(reasons, "clips", resources.sources, resources.egress, resources.pause.resume_at)


def _row_problem(row: Row, params: FetchParams) -> tuple[Reason, str] | None:
    """Why a row is rejected, or None. The catalog has checked its rows; a table that was made by hand is not checked."""
    video_id = row["video_id"]
    if params.namespace == YOUTUBE and not (isinstance(video_id, str) and is_youtube_id(video_id)):
        return Reason.BAD_ID, f"{str(video_id)[:40]!r} is not a YouTube id"
    for name in ("video_id", "clip_id"):
        if problem := id_problem(row[name]):
            return Reason.BAD_ID, f"{name} {str(row[name])[:60]!r} {problem}"
    start, end = row["start"], row["end"]
    if start is None or end is None or not 0 <= start < end:
        told = " to ".join("nothing" if moment is None else text(moment) for moment in (start, end))
        return Reason.BAD_TIME, f"{told} s is no window"
    if params.names == "window" and not _tells_window(str(row["clip_id"]), video_id, start, end):
        return Reason.BAD_ROW, f"the clip id {row['clip_id'][:60]!r} does not belong to the window"
    return folder_problem(row)


def _tells_window(clip: str, video: str, start: int, end: int) -> bool:
    flat = clip.startswith(video) and _ONE_SECOND.fullmatch(clip[len(video) :])
    return bool(flat) or clip == window_name(video, start, end)
