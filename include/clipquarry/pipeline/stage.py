"""Functions that stages of all families share: beginning of a run, gates, results and report."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.namespace import namespace_of
from clipquarry.datasets.ways import unverified_sources
from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry.pipeline.context import RunContext, update_run_file
from clipquarry.pipeline.failures import failures_of
from clipquarry.pipeline.family import bringing_step
from clipquarry.pipeline.finished import ASKING, finished_shard, is_over
from clipquarry.pipeline.inherit import remember
from clipquarry.pipeline.nothing import NothingInThisRun, NothingToDo
from clipquarry.pipeline.old_runs import remove_old_runs
from clipquarry.pipeline.sweep import sweep
from clipquarry.quality.params import GateParams
from clipquarry.run_documents import PlanFacts, read_plan, read_run_facts
from clipquarry.run_order import next_number, run_order
from clipquarry.settings import slug
from clipquarry.waiting import stop_waiting

if TYPE_CHECKING:
    from clipquarry.pipeline.plan import Plan

log = logging.getLogger(__name__)

WriteJobs = Callable[[RunContext, "Plan"], dict[str, list[dict[str, str]]]]
"""Makes the jobs of a plan, by step."""


def needs_plan(ctx: RunContext) -> PlanFacts:
    """The run's plan, whose files are those that it wrote. A dry run stops after it."""
    from clipquarry.pipeline.plan_files import check_plan_files

    if not ctx.plan_file.exists():
        raise NothingToDo("There is no plan, because an earlier stage stopped the run.")
    plan = read_plan(ctx.place)
    if plan["dry_run"]:
        raise NothingToDo("A dry run stops after the plan.")
    check_plan_files(ctx.place, plan)
    return plan


def needs_catalog(ctx: RunContext) -> None:
    if not ctx.catalog.exists():
        raise NothingToDo("There is no catalog, because nothing was to be done.")


def needs_made(file: Path, stage: str) -> None:
    """Require a file of the run that an earlier stage makes."""
    if not file.exists():
        raise NothingToDo(f"There is no {file.name}, because the run never came through '{stage}'.")


def begin(ctx: RunContext) -> None:
    """Write the run's file, remove what killed writers left, and check on this machine what the run names.

    A refresh of a data set that never ran ends here.
    """
    from clipquarry.pipeline.param_checks import check_here
    from clipquarry.steps.tools import tool_versions

    if ctx.kind == "refresh" and not ctx.state.exists():
        raise NothingInThisRun(f"{ctx.spec.name} was never run, so there is nothing to look at again.")
    _refuse_another_run(ctx)
    if is_over(ctx.data, ctx.folder):
        for step in ASKING:  # an ended run that is run again requests its missing items again
            shutil.rmtree(ctx.place.step(step), ignore_errors=True)
    number = run_order(ctx.folder)[0] or next_number(ctx.data.all_runs)
    update_run_file(
        ctx, number=number, started=datetime.now(UTC).isoformat(), ended=None, title=ctx.spec.title,
        tools=tool_versions(),
    )  # fmt: skip
    sweep(ctx)
    if ctx.inherited:
        told = ", ".join(f"{name}={value}" for name, value in ctx.inherited.items())
        log.info(f"As in the last full run: {told}")
    for source in unverified_sources(ctx.spec):
        log.warning(f"The certificate of source '{source.id}' is not verified: the data set's YAML says so.")
    here = ctx.in_process or _runtime(ctx, os.environ) == "process"
    check_here(ctx.params, ctx.spec, steps_here=here, data=ctx.data)


def _runtime(ctx: RunContext, environ: Mapping[str, str]) -> str:
    """The runtime of the step that fetches the items."""
    step = bringing_step(ctx.spec)
    return environ.get(f"CLIPQUARRY_RUNTIME_{step.upper()}") or environ.get("CLIPQUARRY_RUNTIME") or "auto"


def _refuse_another_run(ctx: RunContext) -> None:
    """A dry run or a refresh under the name of another run would overwrite its plan and its report."""
    if not ctx.place.run_file.exists():
        return
    before = read_run_facts(ctx.folder)
    params = before.get("params") or {}
    what = "a refresh" if before.get("kind") == "refresh" else "a full run"
    if before.get("kind", ctx.kind) != ctx.kind:
        raise UserError(f"The run '{ctx.run}' of {ctx.spec.name} is {what}: give this one a name of its own.")
    if ctx.params.dry_run and not params.get("dry_run") and ctx.plan_file.exists():
        raise UserError(f"The run '{ctx.run}' of {ctx.spec.name} was no dry run: give the dry run a name of its own.")


def tell_ledger(ctx: RunContext) -> None:
    """Tell the ledger the catalog's items and the run. A ledger that lost what the disk knows is filled again first."""
    from clipquarry.pipeline.sources import askers, of_refresh

    who, later = askers(ctx), of_refresh(ctx)
    update_run_file(ctx, sources={"keys": who.keys, "for_good": who.archives, "refresh": later.clocks})
    with ctx.ledger() as ledger:
        if ctx.state.exists() and not ledger.knows(ctx.spec.name):
            whose = {ctx.spec.name: namespace_of(ctx.spec)}
            told = ledger.rebuild(ctx.data.all_runs, only=slug(ctx.spec.name), namespaces=whose)
            log.info(
                f"The ledger {ledger} knew nothing of {ctx.spec.name}, although it was run before: it is new, or was deleted. "
                f"It was filled again from the runs on disk ({told.items} items, {told.attempts} attempts). What only the "
                "old one knew is lost: if you have a backup, stop the run and restore it.",
            )
        ledger.sync_catalog(ctx.spec.name, ctx.catalog, namespace=namespace_of(ctx.spec))
        ledger.begin_run(
            ctx.spec.name, ctx.run, kind=ctx.kind, egress=ctx.settings.egress,
            params=ctx.params.model_dump(mode="json"), sources=later.clocks,
        )  # fmt: skip


def plan(ctx: RunContext, *, write_jobs: WriteJobs) -> dict[str, Any]:
    """Choose the items and divide them into shards, which ``write_jobs`` gives to the steps."""
    from clipquarry.pipeline.estimate_text import will_not_fit
    from clipquarry.pipeline.plan import make_plan, write_plan
    from clipquarry.pipeline.plan_files import existing_plan
    from clipquarry.pipeline.releases import note_current
    from clipquarry.report.text import plural

    needs_catalog(ctx)
    if (kept := existing_plan(ctx)) is not None:
        if kept.get("nothing_due"):
            what = "What was due was left to a later refresh" if kept["counts"].get("gave_way") else "Nothing was due"
            raise NothingInThisRun(f"{what} when this run was planned, so there is nothing to go on with.")
        log.info("The plan of this run is kept: what is done stays done, the rest goes on.")
        return dict(kept["counts"])
    made = make_plan(ctx)
    jobs = write_jobs(ctx, made)
    written = write_plan(ctx, made, jobs)
    if ctx.kind == "full":
        remember(ctx.spec, ctx.data, ctx.run, ctx.params, "plan")
    counts = made.counts
    held = sum(counts["held"].values())
    log.info(
        f"{counts['selected']} items selected, {counts['asked']} to ask for from {counts['videos']} videos in "
        f"{counts['shards']} shards, {held} left alone because their time has not come.",
    )
    for sentence in made.estimate["sentences"]:
        log.log(logging.WARNING if sentence in will_not_fit(made.estimate) else logging.INFO, sentence)
    if counts["absent"]:
        log.info(f"{counts['absent']} more lie in no folder of this run's sources, and nobody else is to be asked.")
    if waiting := counts["gave_way"]:
        log.info(
            f"Left to a later refresh: {plural(waiting, 'due item')} that YouTube answered for before. The first questions of "
            "another data set's full run bring more. retry_all does not wait."
        )
    if _nothing_changes(ctx, counts):
        write_json(ctx.plan_file, {**written, "nothing_due": True})
        note_current(ctx)  # its note may be lost, and what is made of it would wait for the next release
        record(ctx)
        report(ctx)
        what = f"Nothing of {ctx.spec.name} is due"
        if waiting:
            items = plural(waiting, "item")
            what = f"All of {ctx.spec.name} that is due ({items}) waits for another data set's full run"
        raise NothingInThisRun(f"{what}, and its newest release holds what is there: the run ends here.")
    return counts


def _nothing_changes(ctx: RunContext, counts: Mapping[str, Any]) -> bool:
    """Whether a refresh requests nothing, makes nothing else, and finds the newest release up to date."""
    from clipquarry.pipeline.param_checks import parse_run_params
    from clipquarry.pipeline.publish import release_is_current

    if ctx.kind != "refresh" or ctx.params.dry_run or counts["asked"] or counts["shards"]:
        return False
    usual = parse_run_params(ctx.inherited, ctx.spec)
    chosen = {name for name in type(usual).model_fields if getattr(ctx.params, name) != getattr(usual, name)}
    return chosen <= ctx.params.steers and release_is_current(ctx)


def needs_other_annotations(ctx: RunContext) -> None:
    """Skips the first gate of a refresh: it passed the same annotation files for the newest release."""
    from clipquarry.pipeline.publish import same_annotations

    if ctx.kind == "refresh" and same_annotations(ctx):
        raise NothingToDo("The annotation files and the YAML are those of the newest release, which passed this gate.")


def needs_of_gate(ctx: RunContext, name: str) -> None:
    """Require what a gate looks at: the first one a catalog of annotations that no release has seen, others the plan."""
    if name == "annotations":
        needs_catalog(ctx)
        needs_other_annotations(ctx)
    else:
        needs_plan(ctx)


def shards(ctx: RunContext, *, step: str) -> list[dict[str, str]]:
    """The shards of one step, to be mapped over; none in a dry run or if the step is off.

    For a stopped run, finished shards are left out, so that no request is made twice in one run.
    """
    jobs = needs_plan(ctx)["jobs"].get(step, [])  # a plan of an earlier version lacks later steps
    left = [job for job in jobs if finished_shard(ctx.data, step, ctx.data.root / job["out"]) is None]
    more = f", {len(jobs) - len(left)} more are finished" if left != jobs else ""
    log.info(f"{step}: {len(left)} shards{more}")
    return left


def record(ctx: RunContext) -> dict[str, int]:
    """Collect the shards' results; tell the ledger."""
    from clipquarry.pipeline.record import record as do_record

    needs_plan(ctx)
    counts = do_record(ctx)
    if ctx.kind == "full":
        remember(ctx.spec, ctx.data, ctx.run, ctx.params, "record")
    log.info(", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nothing was asked for")
    return counts


def publish(ctx: RunContext, fill: Callable[[Path], None], *made: tuple[Path, str]) -> str:
    """Publish a release, and give its folder; see :func:`clipquarry.pipeline.publish.publish_release`. ``made``: files that it needs besides
    the recorded results, each with the stage that makes it.
    """
    from clipquarry.pipeline.publish import publish_release

    needs_plan(ctx)
    for file, stage in ((ctx.recorded, "record"), *made):
        needs_made(file, stage)
    folder = publish_release(ctx, fill)
    log.info(f"Release: {folder}")
    return str(folder)


def gate(ctx: RunContext, name: str, params: GateParams) -> str:
    """Run a gate; raises if it blocks and nobody approved."""
    from clipquarry.pipeline.approving import settle
    from clipquarry.pipeline.gates import run_gate

    result = run_gate(name, ctx.spec, ctx.folder, ctx.data, params, ctx.settings.check_folders)
    for line in result.lines:
        log.info(line)
    if result.blocked:
        log.info(f"The report shows the rows: {ctx.place.report_page}")
    verdict = settle(ctx, result)
    log.info(result.sentence)
    return verdict


def report(ctx: RunContext) -> str:
    """Write the report, whatever happened before."""
    if not ctx.place.run_file.exists() and not failures_of(ctx.folder):
        raise NothingToDo("The run did not begin, so there is nothing to report.")
    update_run_file(ctx, ended=datetime.now(UTC).isoformat(), reported=False)
    try:
        return _report(ctx)
    finally:
        with suppress(FileNotFoundError):  # from here on another run may remove this one as an old one
            update_run_file(ctx, reported=True)


def _report(ctx: RunContext) -> str:
    from clipquarry.pipeline.record import counts_of
    from clipquarry.pipeline.reporting import write_report
    from clipquarry.pipeline.stops import tell_stops
    from clipquarry.pipeline.summary import run_summary

    for note in ctx.place.waits():  # of a run that was stopped while it waited
        stop_waiting(note)
    tell_stops(ctx)
    with ctx.ledger() as ledger:
        if ctx.recorded.exists():
            ledger.end_run(ctx.spec.name, ctx.run, counts_of(ctx.recorded)["status"])
        path = write_report(ctx.spec, ctx.data, ctx.run, ledger, ctx.now())
    log.info(run_summary(ctx.data, ctx.spec.name, ctx.run)["sentence"])
    log.info(f"Report: {path}")
    for name in remove_old_runs(ctx):
        log.info(f"The folder of the old run {name} was removed (CLIPQUARRY_KEEP_RUNS is {ctx.settings.keep_runs}).")
    return str(path)
