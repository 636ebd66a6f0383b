"""One crawl for all data sets: the order of a run's questions, what other data sets want of the same videos, the forecast.

Data sets with ids of one namespace share videos. What one run hears of a video counts for all: in the ledger when the run
has ended, by :mod:`clipquarry.acquire.shared_answers` until then. What it fetches is cut for all
(:mod:`clipquarry.steps.other_windows`). And all runs share the budget of their egress.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.datasets.load import load_all
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.namespace import namespace_of
from clipquarry.errors import ClipquarryError
from clipquarry.files import as_object
from clipquarry.ids import YOUTUBE
from clipquarry.ledger import Ledger, Pace, Question, Rates, SharedWith
from clipquarry.ledger.crawl import ANSWERED
from clipquarry.ledger.policy import RULES, YEAR
from clipquarry.manifest import read_table, scalar
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.family import brings
from clipquarry.pipeline.sources import Askers, enabled_sources
from clipquarry.pipeline.state import PRESENT, write_table
from clipquarry.reasons import Reason, Status
from clipquarry.run_documents import known_plan, known_run_facts
from clipquarry.run_folder import RunFolder, all_begun_runs, begun_runs
from clipquarry.steps.other_windows import OTHERS_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

ENOUGH = 100
"""Questions from which on the ledger's own rates say something."""
_AT_WORK = 2 * 86_400.0
"""Seconds. A day is the longest pause of the breaker."""
EGRESSES = 3
"""For so many egresses the forecast is told, besides one."""
_BATCH = 8192
_WINDOW = ["video_id", "start", "end"]


@dataclass(frozen=True)
class Crawl:
    """What the ledger says for a run's questions to YouTube. ``order``: ``video_id``, ``place`` (from 0), ``rank`` and ``chance``
    of the videos that are due; None where YouTube is not asked. ``asker``: the id of the source that is YouTube.
    """

    order: pa.Table | None = None
    rates: Rates = field(default_factory=Rates)
    pace: Pace = field(default_factory=lambda: Pace(0, 0))
    shared: list[SharedWith] = field(default_factory=list)
    asker: str = ""

    @property
    def second_looks(self) -> set[str]:
        """Due videos that YouTube answered for already: the questions that bring least."""
        if self.order is None:
            return set()
        return set(self.order.filter(pc.greater_equal(self.order["rank"], ANSWERED))["video_id"].to_pylist())

    def expected(self, asked: pa.Table) -> float | None:
        """Items that the questions are likely to bring; None while the ledger has no rate."""
        if self.order is None or self.rates.questions < ENOUGH:
            return None
        known = scalar(asked.select(["video_id"])).join(scalar(self.order.select(["video_id", "chance"])), "video_id")
        return float(pc.sum(known["chance"]).as_py() or 0.0)


def ask_ledger(ctx: RunContext, ledger: Ledger, who: Askers) -> Crawl:
    """The order of the questions, and the ledger's rates."""
    shared = ledger.shared(ctx.spec.name)
    if YOUTUBE not in who.ledger_keys:
        return Crawl(shared=shared)
    egress, now = ctx.settings.egress, ctx.now()
    name = next(source for source, key in who.keys.items() if key == YOUTUBE)
    rates, pace = ledger.rates(egress=egress, source=name), ledger.pace(now, egress=egress, source=name)
    asked = ledger.questions(now, ctx.spec.name, egress=egress, sources=who.ledger_keys, known=rates)
    order = pa.Table.from_batches(list(_batches(asked)), _ORDER)
    return Crawl(order, rates, pace, shared, name)


_ORDER = pa.schema([("video_id", pa.string()), ("place", pa.int32()), ("rank", pa.int8()), ("chance", pa.float32())])


def _batches(asked: Iterator[Question]) -> Iterator[pa.RecordBatch]:
    place = 0
    while some := list(islice(asked, _BATCH)):
        places = pa.array(range(place, place + len(some)), pa.int32())
        names = pa.array([one.video_id.partition(":")[2] for one in some], pa.string())
        ranks = pa.array([one.rank for one in some], pa.int8())
        chances = pa.array(array("f", (one.chance for one in some)), pa.float32())
        yield pa.RecordBatch.from_arrays([names, places, ranks, chances], schema=_ORDER)
        place += len(some)


def ranked(table: pa.Table, order: pa.Table) -> pa.Table:
    """The distinct videos of a table in the order of the questions, as one column ``video_id``. Those for which no question is
    due (they are verified, or a person asks for all) come last.
    """
    videos = pa.table({"video_id": pc.unique(table["video_id"])})
    joined = scalar(videos).join(scalar(order.select(["video_id", "place"])), "video_id")
    return joined.sort_by([("place", "ascending"), ("video_id", "ascending")]).select(["video_id"])


def answers_param(ctx: RunContext) -> dict[str, Any] | None:
    """Parameter ``answers`` of the steps that ask YouTube (:class:`clipquarry.steps.fetch.AnswersOfOthers`).

    The ledger lacks what runs that are not over have heard. If a person asks for all, only what is heard from now on
    counts.
    """
    if not any(source.kind == "youtube" for source in enabled_sources(ctx)):
        return None
    others = [] if ctx.params.retry_all else [f for f in all_begun_runs(ctx.data.all_runs) if f != ctx.folder]
    open_ = [run_name(folder.parent.name, folder.name) for folder in others if _open_plan(folder) is not None]
    waits = {str(reason): delays for reason in Reason if (delays := waits_of(reason))}
    return {
        "run": run_name(ctx.folder.parent.name, ctx.folder.name),
        "since": datetime.now(UTC).timestamp(),
        "unrecorded": open_,
        "waits": {reason: delays[-1].total_seconds() for reason, delays in waits.items()},
        "first_waits": {reason: delays[0].total_seconds() for reason, delays in waits.items()},
    }


def run_name(dataset: str, run: str) -> str:
    """The name of a run in shared answers."""
    return f"{dataset}/{run}"


def waits_of(reason: Reason) -> Sequence[timedelta]:
    """How long the ledger lets an answer about a video hold before it is believed, the first time and so on. Empty for a reason
    that says nothing about the whole video.

    How often an answer was given before is not known where it is taken over. One that the ledger could not have when the
    plan read it holds for the longest of them; an older one for the first.
    """
    rule = RULES[reason]
    if rule.subject != "video":
        return ()
    return rule.delays or (rule.then or YEAR,)


def gives_way(ctx: RunContext) -> bool:
    """Whether a refresh leaves second looks to a later one: a full run of another data set is at work on this egress, whose
    first questions bring more. A run that nothing has come of for two days was given up. One that puts no question to
    YouTube holds nobody, nor does one that started by itself: it looks again at what changed, as a refresh does.
    """
    if ctx.kind != "refresh" or ctx.params.retry_all:
        return False
    recent = datetime.now(UTC).timestamp() - _AT_WORK
    for folder in all_begun_runs(ctx.data.all_runs):
        place = RunFolder(folder)
        if folder == ctx.folder or (plan := _open_plan(folder)) is None or not _has_first_questions(plan):
            continue
        same = known_run_facts(folder).get("egress", ctx.settings.egress) == ctx.settings.egress
        places = [place.plan_file, *place.step("fetch").glob("*"), *place.step("collect").glob("*")]
        if same and folder.parent != ctx.folder.parent and any(_changed(path) > recent for path in places):
            return True
    return False


def _has_first_questions(plan: Mapping[str, Any]) -> bool:
    """Whether it is of a full run that a person started, and that asks YouTube before any other source for some videos."""
    keys = as_object(as_object(plan.get("sources")).get("keys")).values()
    youtube = as_object(as_object(plan.get("estimate")).get("youtube"))
    asks = YOUTUBE in keys and bool(youtube.get("requests"))
    return plan.get("kind") == "full" and asks and not plan.get("automatic")


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # a journal that a step has just removed
        return 0.0


def _open_plan(folder: Path) -> Mapping[str, Any] | None:
    """The plan of a run that asks, or may go on asking, and whose answers the ledger lacks."""
    place = RunFolder(folder)
    if not place.plan_file.exists() or (place.recorded.exists() and known_run_facts(folder).get("ended")):
        return None
    plan = known_plan(place)  # of a damaged one its own run says what is wrong
    return None if plan is None or plan["dry_run"] or plan.get("nothing_due") else plan


class Others(NamedTuple):
    """What other data sets lack of the videos that a run is likely to fetch: windows by data set, and the number and seconds
    of all, each counted once.
    """

    by_dataset: dict[str, int]
    windows: int = 0
    seconds: float = 0.0


def write_others(ctx: RunContext, asked: pa.Table, crawl: Crawl) -> Others:
    """Write the windows that other data sets lack of the videos that this run asks for. Those of videos without a question
    that is due, whose items are mostly verified only, are written, but not counted.

    Those are data sets that were run here: what they asked for and lack, and what their runs that are not over ask for.
    Nothing is written where there are none.
    """
    ctx.place.others.unlink(missing_ok=True)
    if brings(ctx.spec) != "windows" or not any(one.kind in ("youtube", "http") for one in enabled_sources(ctx)):
        return Others({})
    videos = pc.unique(asked["video_id"])
    order = None if ctx.params.retry_all else crawl.order
    likely = videos if order is None else order["video_id"].combine_chunks()
    own = _named(asked)
    counts, found = dict[str, int](), list[pa.Table]()
    for spec in _same_ids(ctx):
        rows = pa.concat_tables([_lacking(ctx, spec), *_open_wants(ctx, spec)])
        rows = rows.filter(pc.is_in(rows["video_id"], value_set=videos)).group_by(_WINDOW).aggregate([])
        if spec.recipe == ctx.spec.recipe:  # the same file of the store
            rows = rows.filter(pc.invert(pc.is_in(_named(rows), value_set=own)))
        if rows.num_rows:
            counts[spec.name] = pc.sum(pc.is_in(rows["video_id"], value_set=likely)).as_py()
            recipe = json.dumps(spec.recipe.model_dump(mode="json"), sort_keys=True)
            found.append(rows.append_column("recipe", pa.array([recipe] * rows.num_rows, pa.string())))
    if not found:
        return Others({})
    table = pa.concat_tables(found).group_by([*_WINDOW, "recipe"]).aggregate([])
    write_table(ctx.place.others, table.sort_by([("video_id", "ascending"), ("start", "ascending")]), OTHERS_SCHEMA)
    cut = table.filter(pc.is_in(table["video_id"], value_set=likely))
    length = pc.sum(pc.subtract(cut["end"], cut["start"])).as_py() or 0
    return Others({name: count for name, count in counts.items() if count}, cut.num_rows, length / 1_000_000)


def kept_folders(ctx: RunContext) -> list[str]:
    """Folders below the data root in which this data set and others with the same ids keep whole source videos."""
    specs = [ctx.spec, *_same_ids(ctx)]
    return [f"{spec.root}/{spec.layout['sources']}" for spec in specs if "sources" in spec.layout]


def _same_ids(ctx: RunContext) -> Iterator[DatasetSpec]:
    """The other data sets whose windows are of the same videos, and that were run here."""
    for name, spec in sorted(load_all(ctx.settings.dataset_folders)[0].items()):
        if name == ctx.spec.name or namespace_of(spec) != namespace_of(ctx.spec) or brings(spec) != "windows":
            continue
        if ctx.data.has_state(name) or ctx.data.runs(name).exists():
            yield spec


def _lacking(ctx: RunContext, spec: DatasetSpec) -> pa.Table:
    """The windows that a data set asked for and lacks."""
    state = ctx.data.state(spec.name)
    if not state.exists():
        return _NO_WINDOWS
    try:
        table = read_table(state, [*_WINDOW, "status"])
    except (ClipquarryError, OSError):  # its own run says what is wrong
        return _NO_WINDOWS
    absent = pc.and_(
        pc.invert(pc.is_in(table["status"], value_set=PRESENT)), pc.not_equal(table["status"], str(Status.REJECTED))
    )
    return _windows(table.filter(absent))


def _open_wants(ctx: RunContext, spec: DatasetSpec) -> Iterator[pa.Table]:
    for folder in begun_runs(ctx.data.runs(spec.name)):
        wanted = RunFolder(folder).wanted
        if _open_plan(folder) is None or not wanted.exists():
            continue
        try:
            yield _windows(read_table(wanted, _WINDOW))
        except (
            ClipquarryError,
            OSError,
        ):  # damaged, or removed with its run a moment ago: its own run says what is wrong
            continue


_NO_WINDOWS = pa.table({name: pa.array([], OTHERS_SCHEMA.field(name).type) for name in _WINDOW})


def _windows(table: pa.Table) -> pa.Table:
    table = table.select(_WINDOW).filter(pc.is_valid(table["start"])).cast(_NO_WINDOWS.schema)
    return table.filter(pc.is_valid(table["video_id"]))


def _named(table: pa.Table) -> pa.Array:
    start, end = (pc.cast(table[name], pa.string()) for name in ("start", "end"))
    return pc.binary_join_element_wise(table["video_id"], start, end, "/").combine_chunks()


def forecast(requests: int, per_hour: float, crawl: Crawl, expected: float | None, egresses: int) -> dict[str, Any]:
    """How many days the questions take, with one egress and with several, and from what that follows.

    ``per_hour``: the budget of one egress. The pace is that of the ledger where it has enough questions, but no more than
    the budget.
    """
    budget = per_hour * 24
    known = crawl.pace.questions >= ENOUGH
    per_day = min(crawl.pace.per_day, budget) if known else budget
    many = max(EGRESSES, egresses)
    return {
        "per_day": per_day,
        "days": requests / per_day,
        "egresses": many,
        "days_with_all": requests / per_day / many,
        "clips": expected,
        "asked_before": crawl.rates.questions,
        "brought_before": crawl.rates.brought,
        "pace": {"questions": crawl.pace.questions, "days": crawl.pace.days} if known else None,
    }
